"""High risk: what is predicted begins, joins, reopens and ends the alerts about companies.

In the transaction that writes the predictions down: a prediction and its alert are both there or neither is,
and whatever is repeated sends nothing twice. An alert is open while its company's newest statement is HIGH;
what is predicted of an older one, and where a model abstained, changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from service.domain.default_risk.high_risk import DEFAULT_RISK, HighRisk, subject_of
from service.domain.default_risk.period import period_text
from service.domain.default_risk.prediction import ModelRecord
from service.domain.default_risk.risk_level import RiskLevel
from service.domain.evaluation import Condition
from service.domain.replay import RoutedAlert
from service.store.alerts.joining import RecordedRun, join_again, join_occurrences
from service.store.alerts.recovery import Seen, recover
from service.store.default_risk.high_risk_digest import held_by
from service.store.outbox.waiting import outbox_scope, waiting_row
from service.store.schema.access_tables import organizations
from service.store.schema.alert_tables import IS_OPEN, alerts
from service.store.schema.default_risk_tables import companies, predictions
from service.store.schema.tables import outbox
from service.store.sql import Columns

_SOURCE: Final = "predictions:"
"""In the place of the source that a run reads."""
_BATCH: Final = 500
_CHANNEL: Final = sa.select(organizations.c.default_risk_channel).where(
    organizations.c.id == sa.bindparam("id")
)
_WATCHED: Final = sa.select(alerts.c.subject).where(
    alerts.c.tenant_id == sa.bindparam("tenant_id"),
    alerts.c.alert_type == DEFAULT_RISK,
    sa.text(IS_OPEN),
)
"""The subjects of a tenant's open alerts."""

_Row = Mapping[str, Any]
"""Of `predictions`."""


def follow_levels(
    connection: sa.Connection,
    made: Columns,
    *,
    model: ModelRecord,
    organization: Mapping[str, Any],
    at: datetime,
    job_id: str | None = None,
) -> None:
    """Let predictions by one model, of companies of one organisation, do to alerts what their levels say.

    What begins in a job is held until that ends.
    """
    tenant_id = organization["tenant_id"]
    channel = connection.scalar(_CHANNEL, {"id": organization["id"]})
    watched = set(connection.scalars(_WATCHED, {"tenant_id": tenant_id}))
    if channel is None and not watched:
        return

    def matters(level: str | None, company_id: str) -> bool:
        if level == RiskLevel.HIGH:
            return channel is not None
        return level is not None and subject_of(model.kind, company_id) in watched

    run = RecordedRun(
        tenant_id=tenant_id, run_id=None, scope=outbox_scope(tenant_id), source_uri=_SOURCE, at=at
    )
    of_each = zip(made["risk_level"], made["company_id"], strict=True)
    rows = [
        {name: column[place] for name, column in made.items()}
        for place, (level, company_id) in enumerate(of_each)
        if matters(level, company_id)
    ]
    newest = _newest(connection, rows, model)
    high = [row for row in newest if row["risk_level"] == RiskLevel.HIGH]
    if channel is not None:
        _alert(connection, run, _high_risks(connection, high, model, tenant_id, channel), job_id)
    _recover(connection, run, [row for row in newest if row["risk_level"] != RiskLevel.HIGH], model)


def _newest(connection: sa.Connection, rows: Sequence[_Row], model: ModelRecord) -> list[_Row]:
    """Return those of the rows that are about the newest statement of their company that has a score."""
    columns = predictions.c
    period = columns.reporting_year * 10 + columns.reporting_quarter
    known: dict[str, int] = {}
    for batch in _batches(rows):
        query = sa.select(columns.company_id, sa.func.max(period).label("newest")).where(
            columns.company_id.in_([row["company_id"] for row in batch]),
            columns.kind == str(model.kind),
            columns.risk_level.is_not(None),
            columns.is_newest,
            columns.deleted_at.is_(None),
        )
        found = connection.execute(query.group_by(columns.company_id))
        known |= {row.company_id: row.newest for row in found}
    return [
        row
        for row in rows
        if row["reporting_year"] * 10 + row["reporting_quarter"] == known[row["company_id"]]
    ]


def _high_risks(
    connection: sa.Connection, rows: Sequence[_Row], model: ModelRecord, tenant_id: str, channel: str
) -> list[HighRisk]:
    named: dict[str, sa.Row[Any]] = {}
    for batch in _batches(rows):
        query = sa.select(companies.c.id, companies.c.symbol, companies.c.name)
        found = connection.execute(query.where(companies.c.id.in_([row["company_id"] for row in batch])))
        named |= {company.id: company for company in found}
    return [
        HighRisk(
            tenant_id=tenant_id,
            company_id=row["company_id"],
            company_symbol=named[row["company_id"]].symbol,
            company_name=named[row["company_id"]].name,
            model=model,
            reporting_year=row["reporting_year"],
            reporting_quarter=row["reporting_quarter"],
            prediction_id=row["id"],
            probability=row["probability"],
            ratios=tuple(row["ratios"]),
            contributions=tuple(row["contributions"]),
            channel=channel,
        )
        for row in rows
    ]


def _alert(connection: sa.Connection, run: RecordedRun, high: Sequence[HighRisk], job_id: str | None) -> None:
    """Begin, join or reopen the alerts, and let each statement's wait to be sent, once."""
    for batch in _batches(high):
        found = {each.alert().alert_id: each for each in batch}
        known = set(connection.scalars(sa.select(outbox.c.id).where(outbox.c.id.in_(found))))
        if known:
            join_again(connection, run, known)
        new = [
            RoutedAlert(alert=each.alert(), channel=each.channel, payload="", problem=each.problem())
            for alert_id, each in found.items()
            if alert_id not in known
        ]
        joined = join_occurrences(connection, run, new)
        rows = []
        for item in new:
            alert_id = item.alert.alert_id
            row = waiting_row(run.tenant_id, item.alert, now=run.at, part_of=joined[alert_id])
            rows.append(row if job_id is None else row | held_by(job_id, found[alert_id]))
        if rows:
            connection.execute(outbox.insert(), rows)


def _recover(connection: sa.Connection, run: RecordedRun, rows: Iterable[_Row], model: ModelRecord) -> None:
    """End the open alerts about companies whose newest statement is not HIGH."""
    periods: defaultdict[str, dict[str, Condition]] = defaultdict(dict)
    for row in rows:
        period = period_text(row["reporting_year"], row["reporting_quarter"])
        periods[period][subject_of(model.kind, row["company_id"])] = Condition.RECOVERED
    for period, conditions in periods.items():
        recover(connection, run, Seen(alert_type=DEFAULT_RISK, period=period, conditions=conditions))


def _batches(rows: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))
