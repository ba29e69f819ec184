"""Rows to nouns and back: the one place that knows how the tables spell the domain."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from service.domain.alert import Alert
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason
from service.domain.evaluation import Evaluation, InvalidSample, RunWarning
from service.domain.ledger import InvalidRow, Ledger, RowLedger
from service.domain.month import Month
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
        outcome=Outcome(row["outcome"]),
        reason=_reason(row["reason"]),
        error_message=row["error_message"],
        http_status=row["http_status"],
        attempts=row["attempts"],
        restated=_restatement(row["restated"]),
    )


def withdrawn_alert(row: Mapping[str, Any], month: Month) -> WithdrawnAlert:
    """Read a row of `run_withdrawals`, or of the outbox what would become one."""
    status = DeliveryStatus(row["status"])
    return WithdrawnAlert(alert=alert_of(row, month), channel=row["channel"], status=status)


def restated_text(restated: Restatement | None) -> str | None:
    """Return the `restated` column: what changed, as JSON."""
    if restated is None:
        return None
    return orjson.dumps({name: value for name, value in asdict(restated).items() if value}).decode()


def _restatement(text: str | None) -> Restatement | None:
    if text is None:
        return None
    return Restatement(**{name: tuple(value) for name, value in orjson.loads(text).items()})


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
    return tuple(RunWarning(**warning) for warning in _loads(text))


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
    status = RunStatus(row["status"])
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
            InvalidSample(**{**sample, "reason": InvalidRow(sample["reason"])})
            for sample in _loads(row["invalid_samples"])
        ),
        plan=orjson.loads(row["plan"]) if row["plan"] else None,
        plan_digest=row["plan_digest"],
        progress=orjson.loads(row["progress"]) if row["progress"] and status is RunStatus.RUNNING else None,
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
    fields = orjson.loads(text)
    fields["invalid"] = {InvalidRow(reason): count for reason, count in fields["invalid"].items()}
    return RowLedger(**fields)


def _reason(text: str | None) -> Reason | None:
    return None if text is None else Reason(text)


def _json(value: Any) -> str:
    plain = [asdict(item) for item in value] if isinstance(value, tuple) else asdict(value)
    return orjson.dumps(plain, option=orjson.OPT_NON_STR_KEYS).decode()


def _loads(text: str | None) -> list[dict[str, Any]]:
    return [] if text is None else list(orjson.loads(text))
