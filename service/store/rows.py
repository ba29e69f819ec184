"""Rows to nouns and back: the one place that knows how the tables spell the domain.

Another version of the service may have written words and fields here that this one does not know: they never
end a read, and what cannot be named is never taken for something that is to be sent.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, fields
from enum import StrEnum
from typing import Any, TypeVar

import orjson

from service.domain.alert import Alert
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason
from service.domain.evaluation import Evaluation, InvalidSample, RunWarning
from service.domain.ledger import InvalidRow, Ledger, RowLedger
from service.domain.month import Month
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
from service.store.schema.tables import FACTS

T = TypeVar("T")
Word = TypeVar("Word", bound=StrEnum)


def facts_row(alert: Alert) -> dict[str, Any]:
    """Return the fact columns of an alert."""
    return {**{name: getattr(alert, name) for name in FACTS}, "risk_start_month": str(alert.risk_start_month)}


def alert_of(row: Mapping[str, Any], month: Month) -> Alert:
    """Read the facts of an alert, in whichever table they stand."""
    facts = {name: row[name] for name in FACTS}
    facts["risk_start_month"] = Month.parse(facts["risk_start_month"])
    return Alert(account_id=row["account_id"], month=month, **facts)


def run_alert(row: Mapping[str, Any], month: Month) -> RunAlert:
    """Read a row of `run_outcomes`."""
    return RunAlert(
        alert=alert_of(row, month),
        channel=row["channel"],
        outcome=_known(Outcome, row["outcome"], otherwise=Outcome.UNKNOWN),
        reason=reason_of(row["reason"], row["outcome"], known=Outcome),
        error_message=row["error_message"],
        http_status=row["http_status"],
        attempts=row["attempts"],
        restated=_restatement(row["restated"]),
    )


def withdrawn_alert(row: Mapping[str, Any], month: Month) -> WithdrawnAlert:
    """Read a row of `run_withdrawals`, or of the outbox what would become one."""
    status = status_of(row["status"])
    return WithdrawnAlert(alert=alert_of(row, month), channel=row["channel"], status=status)


def status_of(text: str) -> DeliveryStatus:
    """Read what has become of an alert; of what this version cannot name, Slack may or may not have it."""
    return _known(DeliveryStatus, text, otherwise=DeliveryStatus.UNKNOWN)


def reason_of(text: str | None, status: str, *, known: type[StrEnum] = DeliveryStatus) -> Reason | None:
    """Read why an alert was not delivered; `status` is what became of it, one of `known`."""
    if status not in set(known):
        return Reason.OTHER
    return None if text is None else _known(Reason, text, otherwise=Reason.OTHER)


def restated_text(restated: Restatement | None) -> str | None:
    """Return the `restated` column: what changed, as JSON."""
    if restated is None:
        return None
    return orjson.dumps({name: value for name, value in asdict(restated).items() if value}).decode()


def _restatement(text: str | None) -> Restatement | None:
    if text is None:
        return None
    return _made(Restatement, {name: tuple(value) for name, value in orjson.loads(text).items()})


def evaluation_row(evaluation: Evaluation) -> dict[str, Any]:
    """Return the columns of `runs` that hold what an evaluation found."""
    return {
        "row_ledger": _json(evaluation.rows),
        "warnings": _json(evaluation.warnings),
        "invalid_samples": _json(evaluation.invalid_samples),
        "plan": orjson.dumps(evaluation.plan).decode(),
    }


def run_warnings(text: str | None) -> tuple[RunWarning, ...]:
    """Read the `warnings` column."""
    return tuple(_made(RunWarning, warning) for warning in _loads(text))


def warnings_text(warnings: tuple[RunWarning, ...]) -> str:
    """Return the `warnings` column."""
    return _json(warnings)


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
    rows = row_ledger(row["row_ledger"])
    ended = RunStatus.RUNNING if row["finished_at"] is None else RunStatus.FAILED
    status = _known(RunStatus, row["status"], otherwise=ended)
    return RunRecord(
        run_id=row["run_id"],
        source_uri=row["source_uri"],
        month=Month.parse(row["month"]),
        dry_run=row["dry_run"],
        status=status,
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        error=RunError(code=row["error"], detail=row["error_detail"]) if row["error"] else None,
        counts=_run_counts(row, rows, outcomes),
        ledger=Ledger(rows=rows, outcomes={o: outcomes[o] for o in Outcome if o in outcomes})
        if rows
        else None,
        warnings=run_warnings(row["warnings"]),
        invalid_samples=tuple(
            _made(InvalidSample, {**sample, "reason": _invalid_row(sample["reason"])})
            for sample in _loads(row["invalid_samples"])
        ),
        plan=orjson.loads(row["plan"]) if row["plan"] else None,
        plan_digest=row["plan_digest"],
        progress=_progress(row["progress"]) if row["finished_at"] is None else None,
        sample_alerts=sample_alerts,
        sample_errors=sample_errors,
        sample_withdrawn=sample_withdrawn,
        sample_restated=sample_restated,
    )


def _run_counts(row: Mapping[str, Any], rows: RowLedger | None, outcomes: Mapping[str, int]) -> RunCounts:
    return RunCounts(
        rows_scanned=rows.rows_scanned if rows else 0,
        duplicates=rows.duplicates if rows else 0,
        alerts=rows.alerts if rows else 0,
        alerts_sent=outcomes.get(Outcome.SENT, 0),
        would_send=outcomes.get(Outcome.WOULD_SEND, 0),
        skipped_replay=outcomes.get(Outcome.SKIPPED_REPLAY, 0),
        failed_deliveries=outcomes.get(Outcome.FAILED, 0),
        unknown_region=outcomes.get(Reason.UNKNOWN_REGION, 0),
        unknown=outcomes.get(Outcome.UNKNOWN, 0),
        unsent=outcomes.get(Outcome.UNSENT, 0),
        withdrawn=row["withdrawn"],
        restated=row["restated"],
    )


def row_ledger(text: str | None) -> RowLedger | None:
    """Read the `row_ledger` column."""
    if text is None:
        return None
    ledger = orjson.loads(text)
    invalid: Counter[InvalidRow] = Counter()
    for reason, count in ledger["invalid"].items():
        invalid[_invalid_row(reason)] += count
    return _made(RowLedger, {**ledger, "invalid": dict(invalid)})


def _invalid_row(text: str) -> InvalidRow:
    return _known(InvalidRow, text, otherwise=InvalidRow.OTHER)


def _progress(text: str | None) -> dict[str, Any] | None:
    progress = orjson.loads(text or "{}")
    return progress if progress.get("phase") in set(Phase) else None


def _known(words: type[Word], text: str, *, otherwise: Word) -> Word:
    """Return the word of an enumeration, or `otherwise` where this version has none such."""
    try:
        return words(text)
    except ValueError:
        return otherwise


def _made(kind: type[T], values: Mapping[str, Any]) -> T:
    """Make a record of those values that this version has fields for."""
    return kind(**{field.name: values[field.name] for field in fields(kind) if field.name in values})  # type: ignore[arg-type]


def _json(value: Any) -> str:
    plain = [asdict(item) for item in value] if isinstance(value, tuple) else asdict(value)
    return orjson.dumps(plain, option=orjson.OPT_NON_STR_KEYS).decode()


def _loads(text: str | None) -> list[dict[str, Any]]:
    return [] if text is None else list(orjson.loads(text))
