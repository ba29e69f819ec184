"""Questions about alerts: one, many, what happened to one, and how many there are."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any

import sqlalchemy as sa

from service.domain.errors import BadCursorError
from service.domain.lifecycle.alert_status import OPEN, AlertStatus, Severity
from service.domain.lifecycle.managed_alert import AlertEvent, AlertFilter, AlertStats, ManagedAlert
from service.domain.run import Page
from service.store.alerts.rows import alert_row, known_route, managed_alerts
from service.store.cursors import FOREIGN, cursor_of, read_cursor, read_number
from service.store.part import Part, matching, reads
from service.store.schema.alert_tables import alert_events, alerts
from service.store.schema.tables import UtcTimestamp

_EVENT = (
    *("number", "at", "event", "from_status", "to_status", "by", "given_by", "note"),
    *("reason", "occurrence_id", "period", "request_id", "run_id"),
)


class Alerts(Part):
    """Questions; none changes anything."""

    @reads
    def get(self, alert_id: str) -> ManagedAlert:
        """Return an alert by its id, or by that of one of its occurrences; raises AlertNotFoundError."""
        return managed_alerts(self.connection, [alert_row(self.connection, self._sees(alerts), alert_id)])[0]

    @reads
    def list(self, wanted: AlertFilter, *, limit: int, cursor: str | None = None) -> Page[ManagedAlert]:
        """Return alerts, newest first; raises BadCursorError."""
        place = _place(cursor)
        query = sa.select(alerts).where(self._sees(alerts), *conditions(wanted))
        if place is not None:
            newest = sa.tuple_(alerts.c.created_at, alerts.c.id)
            query = query.where(newest < sa.tuple_(sa.literal(place[0], UtcTimestamp), sa.literal(place[1])))
        query = query.order_by(alerts.c.created_at.desc(), alerts.c.id.desc()).limit(limit + 1)
        rows = [dict(row) for row in self.connection.execute(query).mappings()]
        found = managed_alerts(self.connection, rows[:limit])
        more = None
        if len(rows) > limit:
            more = cursor_of([found[-1].created_at.isoformat(), found[-1].alert_id])
        return Page(items=tuple(found), next_cursor=more)

    @reads
    def events(self, alert_id: str, *, limit: int, cursor: str | None = None) -> Page[AlertEvent]:
        """Return what happened to an alert, oldest first; raises AlertNotFoundError and BadCursorError."""
        after = read_number(cursor)
        row = alert_row(self.connection, self._sees(alerts), alert_id)
        query = (
            sa.select(*(alert_events.c[name] for name in _EVENT))
            .where(alert_events.c.alert_id == row["id"], alert_events.c.number > after)
            .order_by(alert_events.c.number)
        )
        return self._page(query, lambda row: AlertEvent(**row), limit, lambda row: cursor_of(row["number"]))

    @reads
    def stats(self) -> AlertStats:
        """Return how many alerts there are, by status and by severity, and the oldest that is open."""
        oldest = [
            sa.select(sa.func.min(alerts.c.created_at)).where(self._sees(alerts), alerts.c.status == status)
            for status in sorted(OPEN)
        ]
        by_status = dict.fromkeys(AlertStatus, 0)
        by_severity = dict.fromkeys(Severity, 0)
        counting = sa.select(sa.func.count()).select_from(alerts).where(self._sees(alerts))
        # Each range of the index by itself takes SQLite little more than half as long as all in one GROUP BY.
        for status, severity in product(AlertStatus, Severity):
            of_both = alerts.c.status == status, alerts.c.severity == severity
            count = self.connection.execute(counting.where(*of_both)).scalar_one()
            by_status[status] += count
            by_severity[severity] += count
        since = [at for query in oldest if (at := self.connection.scalar(query)) is not None]
        return AlertStats(by_status=by_status, by_severity=by_severity, oldest_open=min(since, default=None))


def event_of(connection: sa.Connection, alert_id: str, number: int) -> AlertEvent:
    """Return one event of an alert."""
    of_alert = alert_events.c.alert_id == alert_id, alert_events.c.number == number
    query = sa.select(*(alert_events.c[name] for name in _EVENT)).where(*of_alert)
    return AlertEvent(**connection.execute(query).mappings().one())


def conditions(wanted: AlertFilter) -> Sequence[sa.ColumnElement[bool]]:
    """Return what a row must have to be let through."""
    values = {name: getattr(wanted, name) for name in ("status", "severity", "rule_name", "subject")}
    values["route"] = known_route(wanted.route)
    found = matching({alerts.c[name]: value for name, value in values.items()})
    return found if wanted.since is None else [*found, alerts.c.created_at >= wanted.since]


def _place(cursor: str | None) -> tuple[datetime, str] | None:
    last_seen: Any = read_cursor(cursor)
    if last_seen is None:
        return None
    match last_seen:
        case [str(text), str(alert_id)] if "\0" not in alert_id:
            try:
                at = datetime.fromisoformat(text)
                if at.tzinfo is not None:
                    return at.astimezone(UTC), alert_id
            except (ValueError, OverflowError):
                raise BadCursorError(FOREIGN) from None
    raise BadCursorError(FOREIGN)
