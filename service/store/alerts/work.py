"""The work on alerts: what people, and other services, change of them."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from service.domain.alert import RecordedAlert
from service.domain.errors import AlertNotFoundError, RefusedError
from service.domain.lifecycle.alert_status import (
    CREATED,
    AlertStatus,
    AlertStep,
    EventKind,
    Resolution,
    end_of,
)
from service.domain.lifecycle.errors import (
    AlreadyAcknowledgedError,
    AlreadyResolvedError,
    IllegalTransitionError,
    NotAsExpectedError,
    TooManyAlertsError,
)
from service.domain.lifecycle.managed_alert import (
    AlertEvent,
    AlertFilter,
    BulkResult,
    ManagedAlert,
    NewAlert,
    Refusal,
)
from service.store.alerts.alerts import conditions, event_of
from service.store.alerts.changing import (
    Change,
    Origin,
    resolved,
    triggered_again,
    write_change,
    write_changes,
)
from service.store.alerts.rows import alert_row, managed_alerts, plain_id
from service.store.audit import database_time
from service.store.outbox.waiting import let_wait
from service.store.part import Part, cleaned, writes
from service.store.schema.alert_tables import IS_OPEN, alert_events, alerts

MOST_AT_ONCE: Final = 1000
_EVENT_OF: Final = {
    AlertStep.ACKNOWLEDGE: EventKind.ACKNOWLEDGED,
    AlertStep.UNACKNOWLEDGE: EventKind.UNACKNOWLEDGED,
    AlertStep.RESOLVE: EventKind.RESOLVED,
    AlertStep.REOPEN: EventKind.REOPENED,
}
_OF_STATUS: Final = (EventKind.TRIGGERED, *_EVENT_OF.values())


def _occurrence(row: Mapping[str, Any], at: datetime) -> RecordedAlert:
    """Return the one occurrence of an alert that was created, with all that its message says."""
    names = "rule_name", "message", "severity", "subject"
    return RecordedAlert(
        alert_id=row["id"],
        alert_type=CREATED,
        # Not what it is about: two may be of that at one time.
        subject=row["id"],
        period=at.isoformat(),
        route=row["route"],
        facts={name: row[name] for name in names} | {"named_channel": row["channel"]},
    )


class AlertWork(Part):
    """Changes; each is one transaction, and names who made it."""

    @writes
    def create(self, new: NewAlert, *, by: str, given_by: str | None = None) -> tuple[ManagedAlert, bool]:
        """Create an alert, and return it and whether it is new.

        It is not where one with the same key, or of the same rule and subject, is open: that one gets an
        event, and keeps its notes and status.
        """
        origin = self._origin(by, given_by)
        at = database_time(self.connection)
        if (found := self._open_like(self.connection, new)) is not None:
            repeated = Change(row=found, event=EventKind.REPEATED, note=new.message)
            write_changes(self.connection, [repeated], origin, at=at)
            return self._read(self.connection, found["id"]), False
        row = asdict(new) | {
            "id": uuid.uuid4().hex,
            "tenant_id": self._tenant_id,
            "alert_type": CREATED,
            "status": AlertStatus.TRIGGERED,
            "previous_alert_id": self._last_like(self.connection, new),
        }
        created = Change(row=row, event=EventKind.TRIGGERED, is_new=True)
        write_changes(self.connection, [created], origin, at=at)
        if not {row["route"], row["channel"]} <= {None}:
            let_wait(self.connection, self._tenant_id, _occurrence(row, at), now=at, part_of=row["id"])
        return self._read(self.connection, row["id"]), True

    @writes
    def take(
        self, alert_id: str, step: AlertStep, *, note: str | None, by: str, given_by: str | None = None
    ) -> tuple[ManagedAlert, bool]:
        """Take a step, and return the alert and whether this changed it.

        It did not where the same person took the same step before. Raises AlertNotFoundError, and
        AlreadyAcknowledgedError, AlreadyResolvedError or IllegalTransitionError with who and when.
        """
        origin = self._origin(by, given_by)
        row = alert_row(self.connection, self._sees(alerts), alert_id)
        changed = _take(self.connection, row, step, origin, note)
        return self._read(self.connection, row["id"]), changed

    @writes
    def note(self, alert_id: str, note: str, *, by: str, given_by: str | None = None) -> AlertEvent:
        """Add a note to an alert, whatever its status; raises AlertNotFoundError."""
        origin = self._origin(by, given_by)
        row = alert_row(self.connection, self._sees(alerts), alert_id)
        noted = Change(row=row, event=EventKind.NOTED, note=cleaned(note))
        write_changes(self.connection, [noted], origin, at=database_time(self.connection))
        return event_of(self.connection, row["id"], row["version"] + 1)

    @writes
    def take_many(
        self,
        step: AlertStep,
        *,
        of: Sequence[str] | AlertFilter,
        expected: int | None,
        note: str | None,
        by: str,
        given_by: str | None = None,
    ) -> BulkResult:
        """Take a step for alerts by their ids or a filter, in one transaction; the illegal ones are refused.

        Raises TooManyAlertsError, and NotAsExpectedError where another number than `expected` is matched.
        """
        origin = self._origin(by, given_by)
        rows, refused = self._matched(self.connection, of)
        if len(rows) > MOST_AT_ONCE:
            raise TooManyAlertsError(f"more than {MOST_AT_ONCE:,} alerts are matched; narrow the filter")
        if expected not in {None, len(rows)}:
            raise NotAsExpectedError(f"{len(rows)} alerts are matched, and {expected} were expected")
        changed = 0
        for row in rows:
            try:
                changed += _take(self.connection, row, step, origin, note)
            except RefusedError as error:
                refused.append(Refusal(alert_id=row["id"], error=error.code, detail=error.detail))
        absent = sum(each.error == AlertNotFoundError.code for each in refused)
        unchanged = len(rows) - changed - (len(refused) - absent)
        return BulkResult(matched=len(rows), changed=changed, unchanged=unchanged, refused=tuple(refused))

    def _matched(
        self, connection: sa.Connection, of: Sequence[str] | AlertFilter
    ) -> tuple[list[dict[str, Any]], list[Refusal]]:
        query = sa.select(alerts).where(self._sees(alerts))
        if isinstance(of, AlertFilter):
            query = query.where(*conditions(of)).order_by(alerts.c.created_at.desc(), alerts.c.id.desc())
            found = connection.execute(query.limit(MOST_AT_ONCE + 1)).mappings()
            return [dict(row) for row in found], []
        rows: dict[str, dict[str, Any]] = {}
        refused = []
        ids = dict.fromkeys(map(plain_id, of))
        if len(ids) > MOST_AT_ONCE:  # each is looked up, and nobody else can write meanwhile
            raise TooManyAlertsError(f"more than {MOST_AT_ONCE:,} alerts are named; name fewer at once")
        for alert_id in ids:
            try:
                row = alert_row(connection, self._sees(alerts), alert_id)
                rows[row["id"]] = row
            except AlertNotFoundError as error:
                refused.append(Refusal(alert_id=alert_id, error=error.code, detail=error.detail))
        return list(rows.values()), refused

    def _origin(self, by: str, given_by: str | None) -> Origin:
        given = given_by and cleaned(given_by)
        return Origin(by=cleaned(by), given_by=given, request_id=self._actor.request_id)

    def _read(self, connection: sa.Connection, alert_id: str) -> ManagedAlert:
        return managed_alerts(connection, [alert_row(connection, self._sees(alerts), alert_id)])[0]

    def _open_like(self, connection: sa.Connection, new: NewAlert) -> dict[str, Any] | None:
        query = sa.select(alerts).where(
            alerts.c.tenant_id == self._tenant_id, alerts.c.alert_type == CREATED, sa.text(IS_OPEN)
        )
        alike = []
        if new.dedup_key is not None:
            alike.append(query.where(alerts.c.dedup_key == new.dedup_key, alerts.c.dedup_key.is_not(None)))
        if new.subject is not None:
            alike.append(query.where(alerts.c.subject == new.subject, alerts.c.rule_name == new.rule_name))
        found = (connection.execute(each.limit(1)).mappings().first() for each in alike)
        return next((dict(row) for row in found if row is not None), None)

    def _last_like(self, connection: sa.Connection, new: NewAlert) -> str | None:
        if new.subject is None:
            return None
        query = (
            sa.select(alerts.c.id)
            .where(
                alerts.c.tenant_id == self._tenant_id,
                alerts.c.alert_type == CREATED,
                alerts.c.subject == new.subject,
                alerts.c.rule_name == new.rule_name,
            )
            .order_by(alerts.c.created_at.desc())
        )
        return connection.scalar(query.limit(1))


def _take(
    connection: sa.Connection, row: dict[str, Any], step: AlertStep, origin: Origin, note: str | None
) -> bool:
    """Take a step for an alert as it was just read; False where the same person had taken it."""
    at = database_time(connection)
    note = note and cleaned(note)
    end = end_of(step, AlertStatus(row["status"]))
    if end is None:
        last = _last_of_status(connection, row["id"])
        if last is not None and last.run_id is None and (last.event, last.by) == (_EVENT_OF[step], origin.by):
            return False
        raise _refusal(row, step, last)
    if step is AlertStep.REOPEN and _has_newer(connection, row):
        raise IllegalTransitionError("there is a newer alert about the same: it cannot be reopened")
    change = Change(
        row=row,
        event=_EVENT_OF[step],
        values=_values(row, step, origin.by, note, at),
        note=note,
        reason=Resolution.PERSON if step is AlertStep.RESOLVE else None,
    )
    if not write_change(connection, change, origin, at=at):
        raise IllegalTransitionError("the alert has changed meanwhile: look again")
    return True


def _values(row: dict[str, Any], step: AlertStep, by: str, note: str | None, at: datetime) -> dict[str, Any]:
    match step:
        case AlertStep.ACKNOWLEDGE:
            status = AlertStatus.ACKNOWLEDGED
            return _acknowledged(status, at, by, note)
        case AlertStep.UNACKNOWLEDGE:
            return _acknowledged(AlertStatus.TRIGGERED, None, None, None)
        case AlertStep.RESOLVE:
            return resolved(by, at, Resolution.PERSON, note)
    return triggered_again(row)


def _acknowledged(
    status: AlertStatus, at: datetime | None, by: str | None, note: str | None
) -> dict[str, Any]:
    of_it = {"acknowledged_at": at, "acknowledged_by": by, "acknowledgment_note": note}
    return {"status": status, **of_it}


def _last_of_status(connection: sa.Connection, alert_id: str) -> sa.Row[Any] | None:
    query = (
        sa.select(alert_events)
        .where(alert_events.c.alert_id == alert_id, alert_events.c.event.in_(_OF_STATUS))
        .order_by(alert_events.c.number.desc())
    )
    return connection.execute(query.limit(1)).first()


def _refusal(row: dict[str, Any], step: AlertStep, last: sa.Row[Any] | None) -> RefusedError:
    status = AlertStatus(row["status"])
    stands = f"the alert is {status}"
    if last is not None:
        stands += f" since {last.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}, by {last.by}"
    if status is AlertStatus.RESOLVED and step is not AlertStep.UNACKNOWLEDGE:
        return AlreadyResolvedError(stands)
    if step is AlertStep.ACKNOWLEDGE:
        return AlreadyAcknowledgedError(stands)
    return IllegalTransitionError(f"{stands}: it cannot {step}")


def _has_newer(connection: sa.Connection, row: dict[str, Any]) -> bool:
    """Return whether another alert about the same came later: of several only the newest is ever open."""
    # Compared with None a column would be asked for NULL: all that are about nothing are not about the same.
    same = []
    if row["subject"] is not None:
        same.append(sa.and_(alerts.c.subject == row["subject"], alerts.c.rule_name == row["rule_name"]))
    if row["dedup_key"] is not None:
        same.append(alerts.c.dedup_key == row["dedup_key"])
    if not same:
        return False
    is_later = alerts.c.created_at > row["created_at"]
    if row["last_period"] is not None:
        is_later = alerts.c.last_period > row["last_period"]
    query = sa.select(alerts.c.id).where(
        alerts.c.tenant_id == row["tenant_id"],
        alerts.c.alert_type == row["alert_type"],
        alerts.c.id != row["id"],
        sa.or_(*same),
        sa.or_(is_later, sa.text(IS_OPEN)),
    )
    return connection.scalar(query.limit(1)) is not None
