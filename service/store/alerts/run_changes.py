"""What a run changed, as its own rows and the events of alerts have it; it never reads otherwise later."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from service.domain.errors import RunNotFoundError
from service.domain.lifecycle.alert_status import EventKind, Resolution
from service.domain.lifecycle.run_changes import ChangeKind, RunChanges, SubjectChange, in_order
from service.store.part import Part, reads
from service.store.schema.alert_tables import alert_events, alerts
from service.store.schema.tables import outbox, run_outcomes, run_withdrawals, runs

_OF_EVENT = {EventKind.TRIGGERED: ChangeKind.NEW, EventKind.REOPENED: ChangeKind.REOPENED}


class ChangesOfRuns(Part):
    """Questions about what runs changed."""

    @reads
    def of_run(self, run_id: str) -> RunChanges:
        """Return what a run changed; a dry run changes nothing. Raises RunNotFoundError."""
        query = sa.select(runs.c.run_id, runs.c.period, runs.c.recorded_at).where(
            runs.c.run_id == run_id.replace("\0", "\ufffd"), self._sees(runs)
        )
        run = self.connection.execute(query).one_or_none()
        if run is None:
            raise RunNotFoundError(f"no run has the id {run_id[:60]!r}")
        # Without a period nothing is evaluated: what somebody created is sent.
        is_evaluation = run.recorded_at is not None and run.period is not None
        found = changes_of(self.connection, [run.run_id]) if is_evaluation else []
        return RunChanges(run_id=run.run_id, period=run.period, changes=tuple(found))


def changes_of(connection: sa.Connection, run_ids: Sequence[str]) -> list[SubjectChange]:
    """Return what runs of one scope and source, the newest first, changed together; in order.

    An alert is there once for each kind of change, however many messages of one run are part of it.
    """
    found = (*_own(connection, run_ids), *_recovered(connection, run_ids), *withdrawn_by(connection, run_ids))
    return sorted({(one.change, one.alert_id, one.channel): one for one in found}.values(), key=in_order)


def _own(connection: sa.Connection, run_ids: Sequence[str]) -> Iterator[SubjectChange]:
    """Yield the accounts that the newest of the runs has."""
    began = began_by(connection, run_ids)
    query = (
        sa.select(
            outbox.c.alert_id,
            *(run_outcomes.c[name] for name in ("subject", "route", "channel", "facts")),
        )
        .join(outbox, outbox.c.id == run_outcomes.c.alert_id)
        .where(run_outcomes.c.run_id == run_ids[0], outbox.c.alert_id.is_not(None))
    )
    for row in connection.execute(query):
        yield _change(began.get(row.alert_id, ChangeKind.CONTINUING), row)


def began_by(connection: sa.Connection, run_ids: Sequence[str]) -> dict[str, ChangeKind]:
    """Return which alerts runs began, or reopened."""
    query = sa.select(alert_events.c.alert_id, alert_events.c.event).where(
        alert_events.c.run_id.in_(run_ids), alert_events.c.event.in_(list(_OF_EVENT))
    )
    return {row.alert_id: _OF_EVENT[EventKind(row.event)] for row in connection.execute(query)}


def _recovered(connection: sa.Connection, run_ids: Sequence[str]) -> Iterator[SubjectChange]:
    query = (
        sa.select(*(outbox.c[name] for name in ("alert_id", "subject", "route", "channel", "facts")))
        # As it was last alerted then: later months may have joined it since.
        .join(
            alert_events,
            sa.and_(alert_events.c.alert_id == outbox.c.alert_id, alert_events.c.period >= outbox.c.period),
        )
        .where(
            alert_events.c.run_id.in_(run_ids),
            alert_events.c.event == EventKind.RESOLVED,
            alert_events.c.reason == Resolution.RECOVERED,
            # One that begins as an old streak was never open.
            alert_events.c.from_status.is_not(None),
        )
        .order_by(outbox.c.period)
    )
    last = {row.alert_id: row for row in connection.execute(query)}
    for row in last.values():
        yield _change(ChangeKind.RECOVERED, row)


def last_occurrences(connection: sa.Connection, alert_ids: Sequence[str]) -> Iterator[SubjectChange]:
    """Yield alerts that would recover, as their newest occurrence has them."""
    query = (
        sa.select(*(outbox.c[name] for name in ("alert_id", "subject", "route", "channel", "facts")))
        .join(alerts, alerts.c.id == outbox.c.alert_id)
        .where(alerts.c.id.in_(alert_ids), outbox.c.period == alerts.c.last_period)
    )
    for row in connection.execute(query):
        yield _change(ChangeKind.RECOVERED, row)


def withdrawn_by(connection: sa.Connection, run_ids: Sequence[str]) -> Iterator[SubjectChange]:
    """Yield what the data no longer have, as those runs found it."""
    query = (
        sa.select(
            sa.func.coalesce(outbox.c.alert_id, run_withdrawals.c.alert_id).label("alert_id"),
            *(run_withdrawals.c[name] for name in ("subject", "route", "channel", "facts")),
        )
        .outerjoin(outbox, outbox.c.id == run_withdrawals.c.alert_id)
        .where(run_withdrawals.c.run_id.in_(run_ids))
    )
    for row in connection.execute(query):
        yield _change(ChangeKind.WITHDRAWN, row)


def _change(kind: ChangeKind, row: Any) -> SubjectChange:
    return change_of(kind, row, channel=row.channel, alert_id=row.alert_id)


def change_of(kind: ChangeKind, alert: Any, *, channel: str | None, alert_id: str) -> SubjectChange:
    """Return what happens to the subject of an occurrence, an alert or a row of one."""
    return SubjectChange(
        change=kind,
        alert_id=alert_id,
        subject=alert.subject,
        name=alert.facts.get("account_name"),
        route=alert.route,
        channel=channel,
        arr=alert.facts.get("arr"),
    )
