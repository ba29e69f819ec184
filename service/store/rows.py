"""Rows to nouns and back: the one place that knows how the tables spell the domain.

Another version of the service may have written words and fields here that this one does not know: they never
end a read, and what cannot be named is never taken for something that is to be sent.
"""

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

import orjson

from service.domain.alert import Alert, RecordedAlert
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason
from service.domain.evaluation import AnyEvaluation, RunWarning
from service.domain.ledger import Ledger
from service.domain.progress import Phase
from service.domain.run import (
    Restatement,
    RunAlert,
    RunCounts,
    RunError,
    RunRecord,
    RunStatus,
    WithdrawnAlert,
)
from service.store.schema.tables import ALERT

T = TypeVar("T")
Word = TypeVar("Word", bound=StrEnum)


def alert_columns(alert: Alert) -> dict[str, Any]:
    """Return the columns that hold an alert, in whichever table."""
    return {name: getattr(alert, name) for name in ALERT}


def alert_of(row: Mapping[str, Any], alert_id: str) -> Alert:
    """Read an alert, in whichever table it stands."""
    return RecordedAlert(alert_id=alert_id, **{name: row[name] for name in ALERT})


def run_alert(row: Mapping[str, Any]) -> RunAlert:
    """Read a row of `run_outcomes`."""
    return RunAlert(
        alert=alert_of(row, row["alert_id"]),
        channel=row["channel"],
        outcome=_known(Outcome, row["outcome"], otherwise=Outcome.UNKNOWN),
        reason=reason_of(row["reason"], row["outcome"], known=Outcome),
        error_message=row["error_message"],
        http_status=row["http_status"],
        attempts=row["attempts"],
        restated=_restatement(row["restated"]),
    )


def withdrawn_alert(row: Mapping[str, Any]) -> WithdrawnAlert:
    """Read a row of `run_withdrawals`, or of the outbox what would become one."""
    alert = alert_of(row, row["alert_id"])
    return WithdrawnAlert(alert=alert, channel=row["channel"], status=status_of(row["status"]))


def status_of(text: str) -> DeliveryStatus:
    """Read what has become of an alert; of what this version cannot name, Slack may or may not have it."""
    return _known(DeliveryStatus, text, otherwise=DeliveryStatus.UNKNOWN)


def reason_of(text: str | None, status: str, *, known: type[StrEnum] = DeliveryStatus) -> Reason | None:
    """Read why an alert was not delivered; `status` is what became of it, one of `known`."""
    if status not in _by_text(known):
        return Reason.OTHER
    return None if text is None else _known(Reason, text, otherwise=Reason.OTHER)


def restated_text(restated: Restatement | None) -> str | None:
    """Return the `restated` column: what changed, as JSON."""
    return None if restated is None else orjson.dumps(restated).decode()


def _restatement(text: str | None) -> Restatement | None:
    if text is None:
        return None
    return {name: (before, now) for name, (before, now) in orjson.loads(text).items()}


def evaluation_row(evaluation: AnyEvaluation) -> dict[str, Any]:
    """Return the columns of `runs` that hold what an evaluation found."""
    return {
        "row_ledger": orjson.dumps(evaluation.rows.values()).decode(),
        "warnings": warnings_text(evaluation.warnings),
        "invalid_samples": orjson.dumps(evaluation.invalid_samples).decode(),
        "plan": orjson.dumps(evaluation.plan).decode(),
    }


def run_warnings(text: str | None) -> tuple[RunWarning, ...]:
    """Read the `warnings` column."""
    return tuple(_made(RunWarning, warning) for warning in _loads(text))


def warnings_text(warnings: tuple[RunWarning, ...]) -> str:
    """Return the `warnings` column."""
    return orjson.dumps(warnings).decode()


def run_record(
    row: Mapping[str, Any],
    outcomes: Mapping[str, int],
    *,
    sample_alerts: tuple[RunAlert, ...] = (),
    sample_errors: tuple[RunAlert, ...] = (),
    sample_withdrawn: tuple[WithdrawnAlert, ...] = (),
    sample_restated: tuple[RunAlert, ...] = (),
) -> RunRecord:
    """Read a row of `runs`; `outcomes` counts its alerts per outcome, and those of unknown regions."""
    ledger = run_ledger(row["row_ledger"], outcomes)
    ended = RunStatus.RUNNING if row["finished_at"] is None else RunStatus.FAILED
    status = _known(RunStatus, row["status"], otherwise=ended)
    return RunRecord(
        run_id=row["run_id"],
        kind=row["kind"],
        scope=row["scope"],
        lease=row["lease"],
        source_uri=row["source_uri"],
        period=row["period"],
        dry_run=row["dry_run"],
        status=status,
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        error=RunError(code=row["error"], detail=row["error_detail"]) if row["error"] else None,
        counts=RunCounts.of(
            ledger.rows if ledger else {},
            outcomes,
            withdrawn=row["withdrawn"],
            restated=row["restated"],
            unknown_region=outcomes.get(Reason.UNKNOWN_REGION, 0),
        ),
        ledger=ledger,
        warnings=run_warnings(row["warnings"]),
        invalid_samples=tuple(_loads(row["invalid_samples"])),
        plan=orjson.loads(row["plan"]) if row["plan"] else None,
        plan_digest=row["plan_digest"],
        progress=_progress(row["progress"]) if row["finished_at"] is None else None,
        sample_alerts=sample_alerts,
        sample_errors=sample_errors,
        sample_withdrawn=sample_withdrawn,
        sample_restated=sample_restated,
    )


def run_ledger(rows: str | None, outcomes: Mapping[str, int]) -> Ledger | None:
    """Read the `row_ledger` column; `outcomes` counts the run's alerts."""
    if rows is None:
        return None
    known = {outcome: outcomes[outcome] for outcome in Outcome if outcome in outcomes}
    return Ledger(rows=orjson.loads(rows), outcomes=known)


def _progress(text: str | None) -> dict[str, Any] | None:
    progress = orjson.loads(text or "{}")
    return progress if progress.get("phase") in set(Phase) else None


def _known(words: type[Word], text: str, *, otherwise: Word) -> Word:
    """Return the word of an enumeration, or `otherwise` where this version has none such."""
    word: Word = _by_text(words).get(text, otherwise)
    return word


@cache
def _by_text(words: type[Word]) -> dict[str, Word]:
    # Looked up for every alert of a replay: five times as fast as to make the word of its text.
    return {str(word): word for word in words}


def _made(kind: type[T], values: Mapping[str, Any]) -> T:
    """Make a record of those values that this version has fields for."""
    return kind(**{field.name: values[field.name] for field in fields(kind) if field.name in values})  # type: ignore[arg-type]


def _loads(text: str | None) -> list[dict[str, Any]]:
    return [] if text is None else list(orjson.loads(text))
