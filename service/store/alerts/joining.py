"""Joining: the occurrences that a run records begin, join, reopen and end the alerts that people work on.

Functions over a connection, inside the transaction that records the run; what a replay finds unchanged
changes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from service.domain.alert import Alert
from service.domain.delivery_status import DeliveryStatus
from service.domain.evaluation import Condition
from service.domain.lifecycle.alert_status import OPEN, AlertStatus, EventKind, Resolution
from service.domain.lifecycle.problem import Joining, KnownAlert, Problem, alerts_again, join
from service.domain.replay import RoutedAlert
from service.store.alerts.changing import SYSTEM, Change, Origin, resolved, triggered_again, write_changes
from service.store.alerts.rows import known_route
from service.store.schema.alert_tables import alerts
from service.store.schema.tables import outbox

_BATCH: Final = 500

_About: TypeAlias = tuple[str, str, str]
"""Type, rule and subject: of all that one open alert is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """The run whose occurrences are recorded."""

    tenant_id: str
    run_id: str | None
    """None: what changes them is no run, but a prediction."""
    scope: str
    source_uri: str
    at: datetime
    """By the database's clock."""
    until: str | None = None
    """How far its data were evaluated; None: as far as the period of each of its alerts."""

    @property
    def origin(self) -> Origin:
        """What a run changes, it changes of itself."""
        return Origin(by=SYSTEM, run_id=self.run_id)


def join_occurrences(
    connection: sa.Connection, run: RecordedRun, found: Sequence[RoutedAlert]
) -> dict[str, str]:
    """Let each new occurrence begin or join an alert, and return the alert's id by the occurrence's."""
    joined: dict[str, str] = {}
    for batch in _batches(found):
        known = _known(connection, run.tenant_id, batch)
        changes = [_joining(run, item, known.get(_about(item), ())) for item in batch]
        write_changes(connection, changes, run.origin, at=run.at)
        joined |= {item.alert.alert_id: each.row["id"] for item, each in zip(batch, changes, strict=True)}
    return joined


def _batches(found: Sequence[RoutedAlert]) -> Iterator[list[RoutedAlert]]:
    """Yield occurrences so that no two of a batch are about the same: the later one joins the earlier one."""
    turns: Counter[_About] = Counter()
    batches: defaultdict[int, list[RoutedAlert]] = defaultdict(list)
    for item in found:
        batches[turns[_about(item)]].append(item)
        turns[_about(item)] += 1
    for batch in batches.values():
        for start in range(0, len(batch), _BATCH):
            yield batch[start : start + _BATCH]


def join_again(
    connection: sa.Connection, run: RecordedRun, found: Collection[str], ended: Collection[str] = ()
) -> None:
    """Reopen alerts whose occurrence was recorded before, and is found again after it was over or withdrawn.

    Those of subjects that have `ended` recovered for good. Before the outbox is written: what was withdrawn
    is so still.
    """
    query = (
        sa.select(alerts, outbox.c.id.label("occurrence_id"), outbox.c.period)
        .join(outbox, outbox.c.alert_id == alerts.c.id)
        .where(
            outbox.c.tenant_id == run.tenant_id,
            outbox.c.scope == run.scope,
            sa.or_(
                alerts.c.resolution_reason.in_([Resolution.WITHDRAWN, Resolution.RECOVERED]),
                outbox.c.status == DeliveryStatus.WITHDRAWN,
            ),
        )
    )
    if len(found) <= _BATCH:
        query = query.where(outbox.c.id.in_(found))
    found_again = connection.execute(query.order_by(outbox.c.period)).mappings()
    # Of several occurrences of one alert the newest speaks for all.
    rows = list({row["id"]: dict(row) for row in found_again if row["occurrence_id"] in found}.values())
    over = [
        row
        for row in rows
        if alerts_again(_known_alert(row), run.until or row["period"])
        and not (row["resolution_reason"] == Resolution.RECOVERED and row["subject"] in ended)
    ]
    # Of several about the same only the newest is ever open.
    newest = _newest_periods(connection, run.tenant_id, [row["subject"] for row in over])
    reopened = {row["id"] for row in over if row["last_period"] == newest[_row_about(row)]}
    changes = []
    for row in rows:
        values: dict[str, Any] = {}
        if row["evaluated_period"] <= (until := run.until or row["period"]):
            values = {"evaluated_period": until, "last_seen": Condition.ALERTING}
        if is_reopened := row["id"] in reopened:
            values |= triggered_again(row)
        if is_reopened or row["status"] in OPEN:
            event = EventKind.REOPENED if is_reopened else EventKind.JOINED
            of_event = {"occurrence_id": row["occurrence_id"], "period": row["period"]}
            changes.append(Change(row=row, event=event, values=values, **of_event))
    write_changes(connection, changes, run.origin, at=run.at)


def rows_ahead(
    connection: sa.Connection, tenant_id: str, found: Sequence[tuple[Alert, Problem]], *, until: str | None
) -> dict[str, dict[str, Any]]:
    """Return by id the alert that each occurrence would be part of, as it would be; of a new one nothing."""
    ahead: dict[str, dict[str, Any]] = {}
    for start in range(0, len(found), _BATCH):
        batch = found[start : start + _BATCH]
        rows = _rows_about(connection, tenant_id, [alert.subject for alert, _ in batch])
        of_tenant = outbox.c.tenant_id == tenant_id, outbox.c.id.in_([alert.alert_id for alert, _ in batch])
        recorded = connection.execute(sa.select(outbox.c.id, outbox.c.alert_id).where(*of_tenant))
        part_of = {row.id: row.alert_id for row in recorded}
        for alert, problem in batch:
            about = rows.get((alert.alert_type, problem.rule_name, alert.subject), [])
            row = _row_ahead(about, part_of.get(alert.alert_id), alert, problem, until or alert.period)
            if row is not None:
                ahead[alert.alert_id] = row
    return ahead


def _row_ahead(
    rows: Sequence[dict[str, Any]], part_of: str | None, alert: Alert, problem: Problem, until: str
) -> dict[str, Any] | None:
    if part_of is not None:
        row = next((row for row in rows if row["id"] == part_of), None)
        return None if row is None or alerts_again(_known_alert(row), until) else row
    how, other = join(map(_known_alert, rows), began=problem.began, period=alert.period, until=until)
    if how is Joining.JOIN and other is not None:
        return next(row for row in rows if row["id"] == other.alert_id)
    if how is Joining.CREATE_ENDED:
        return dict.fromkeys(alerts.c.keys()) | resolved(SYSTEM, None, Resolution.RECOVERED)
    return None


def known_about(
    connection: sa.Connection, tenant_id: str, subjects: Sequence[str]
) -> dict[_About, list[KnownAlert]]:
    """Return the alerts of runs about subjects, by type, rule and subject."""
    found = _rows_about(connection, tenant_id, subjects)
    return {about: [_known_alert(row) for row in rows] for about, rows in found.items()}


def _known(
    connection: sa.Connection, tenant_id: str, found: Sequence[RoutedAlert]
) -> dict[_About, list[dict[str, Any]]]:
    return _rows_about(connection, tenant_id, [item.alert.subject for item in found])


def _rows_about(
    connection: sa.Connection, tenant_id: str, subjects: Sequence[str]
) -> dict[_About, list[dict[str, Any]]]:
    query = sa.select(alerts).where(
        alerts.c.tenant_id == tenant_id,
        alerts.c.subject.in_(subjects),
        alerts.c.last_period.is_not(None),
    )
    known: dict[_About, list[dict[str, Any]]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        known[_row_about(row)].append(dict(row))
    return known


def _about(item: RoutedAlert) -> _About:
    return item.alert.alert_type, item.problem.rule_name, item.alert.subject


def _row_about(row: Mapping[Any, Any]) -> _About:
    return row["alert_type"], row["rule_name"], row["subject"]


def _newest_periods(connection: sa.Connection, tenant_id: str, subjects: Sequence[str]) -> dict[_About, str]:
    about = alerts.c.alert_type, alerts.c.rule_name, alerts.c.subject
    query = sa.select(*about, sa.func.max(alerts.c.last_period)).group_by(*about)
    found: dict[_About, str] = {}
    for start in range(0, len(subjects), _BATCH):
        some = alerts.c.subject.in_(subjects[start : start + _BATCH])
        for *key, period in connection.execute(query.where(alerts.c.tenant_id == tenant_id, some)):
            found[key[0], key[1], key[2]] = period
    return found


def _known_alert(row: Mapping[str, Any]) -> KnownAlert:
    reason = row["resolution_reason"]
    return KnownAlert(
        alert_id=row["id"],
        status=AlertStatus(row["status"]),
        resolution=reason and Resolution(reason),
        began=row["began"],
        last_period=row["last_period"],
        evaluated_period=row["evaluated_period"],
    )


def leave_alerts(connection: sa.Connection, run: RecordedRun, withdrawn: Mapping[str, Any]) -> None:
    """Note which occurrence of an alert (by its id) was withdrawn, and resolve it where none is left.

    `withdrawn` are rows with the occurrence's `id` and `period`.
    """
    ids = sorted(withdrawn)
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        still = outbox.c.alert_id.in_(batch), outbox.c.status != DeliveryStatus.WITHDRAWN
        left = set(connection.scalars(sa.select(outbox.c.alert_id).where(*still).distinct()))
        query = sa.select(alerts).where(alerts.c.tenant_id == run.tenant_id, alerts.c.id.in_(batch))
        changes = []
        for row in map(dict, connection.execute(query).mappings()):
            is_over = row["id"] not in left and row["status"] in OPEN
            changes.append(
                Change(
                    row=row,
                    event=EventKind.RESOLVED if is_over else EventKind.WITHDRAWN,
                    values=resolved(SYSTEM, run.at, Resolution.WITHDRAWN) if is_over else {},
                    reason=Resolution.WITHDRAWN if is_over else None,
                    occurrence_id=withdrawn[row["id"]].id,
                    period=withdrawn[row["id"]].period,
                )
            )
        write_changes(connection, changes, run.origin, at=run.at)


def _joining(run: RecordedRun, item: RoutedAlert, rows: Sequence[Mapping[str, Any]]) -> Change:
    """Return what an occurrence changes."""
    alert, problem = item.alert, item.problem
    of_event: dict[str, Any] = {"occurrence_id": alert.alert_id, "period": alert.period}
    until = run.until or alert.period
    how, other = join(map(_known_alert, rows), began=problem.began, period=alert.period, until=until)
    newest: dict[str, Any] = {
        "message": problem.message,
        "severity": problem.severity,
        "route": known_route(alert.route),
        "source_uri": run.source_uri,
        "last_period": alert.period,
    }
    if other is None or how in {Joining.CREATE, Joining.CREATE_ENDED}:
        row = newest | {
            "id": alert.alert_id,
            "tenant_id": run.tenant_id,
            "alert_type": alert.alert_type,
            "rule_name": problem.rule_name,
            "subject": alert.subject,
            "status": AlertStatus.TRIGGERED,
            "began": problem.began,
            "evaluated_period": until,
            "last_seen": Condition.ALERTING,
            "previous_alert_id": other and other.alert_id,
        }
        if how is Joining.CREATE:
            return Change(row=row, event=EventKind.TRIGGERED, is_new=True, **of_event)
        row |= resolved(SYSTEM, run.at, Resolution.RECOVERED)
        reason = Resolution.RECOVERED
        return Change(row=row, event=EventKind.RESOLVED, reason=reason, is_new=True, **of_event)
    row = dict(next(row for row in rows if row["id"] == other.alert_id))
    values: dict[str, Any] = {"began": min(row["began"], problem.began)}
    if alert.period > row["last_period"]:
        values |= newest
    if until >= row["evaluated_period"]:
        values |= {"evaluated_period": until, "last_seen": Condition.ALERTING}
    if how is Joining.REOPEN:
        values |= triggered_again(row)
    event = EventKind.REOPENED if how is Joining.REOPEN else EventKind.JOINED
    return Change(row=row, event=event, values=values, **of_event)
