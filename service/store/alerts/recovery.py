"""Recovery: what an evaluation says of the accounts of open alerts that do not alert ends or marks these.

What counts is the order of the data's periods, never the time of a run: each alert knows the newest period
that was evaluated with regard to it, and an older one changes nothing.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from service.domain.alert import Alert
from service.domain.evaluation import AnyEvaluation, Condition, Lasting
from service.domain.lifecycle.alert_status import OPEN, EventKind, Resolution
from service.domain.lifecycle.message_state import MessageState
from service.domain.lifecycle.problem import Problem
from service.domain.lifecycle.run_changes import SubjectChange, in_order
from service.store.alerts.changing import SYSTEM, Change, resolved, write_changes
from service.store.alerts.joining import RecordedRun, rows_ahead
from service.store.alerts.run_changes import last_occurrences
from service.store.outbox.message_states import shown_states
from service.store.part import Part, reads
from service.store.schema.alert_tables import alerts
from service.store.schema.tables import outbox

_BATCH: Final = 500
_MARKS: Final = {
    Condition.NOT_SEEN: EventKind.NOT_SEEN,
    Condition.BELOW_THRESHOLD: EventKind.BELOW_THRESHOLD,
    Condition.UNKNOWN_ARR: EventKind.UNKNOWN_ARR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an evaluation of a period says of the subjects of open alerts of a type."""

    alert_type: str
    period: str
    """Or how far it goes, where something is `lasting`."""
    conditions: Mapping[str, Condition]
    """Of those subjects that do not alert."""
    lasting: Lasting | None = None

    @classmethod
    def of(cls, evaluation: AnyEvaluation, alert_type: str, period: str | None) -> "Seen | None":
        """Return what an evaluation says; None where it is of no period, and so of no time."""
        until = evaluation.until or period
        if until is None:
            return None
        return cls(
            alert_type=alert_type,
            period=until,
            conditions=evaluation.conditions,
            lasting=evaluation.lasting,
        )


class OpenAlerts(Part):
    """The open alerts, as an evaluation needs to know them."""

    @reads
    def watched(self, alert_type: str, *, source_uri: str, period: str | None) -> list[str]:
        """Return the subjects of open alerts of which a period of a source has the last word."""
        if period is None:
            return []
        query = sa.select(alerts.c.subject).where(*self._heard_by(alert_type, period))
        of_source = query.where(alerts.c.source_uri == source_uri).order_by(alerts.c.subject)
        return list(self.connection.scalars(of_source))

    @reads
    def states(self, found: Sequence[tuple[Alert, Problem]], *, until: str | None) -> dict[str, MessageState]:
        """Return by id what the messages of occurrences would say of their alerts, where that is anything.

        `until` is how far the data were evaluated; None: as far as the period of each.
        """
        ahead = rows_ahead(self.connection, self._tenant_id, found, until=until)
        return shown_states(self.connection, self._tenant_id, ahead)

    @reads
    def recovering(self, seen: Seen | None, *, source_uri: str) -> list[SubjectChange]:
        """Return whose alert a run over a source would end as recovered, by ARR; nothing is changed."""
        if seen is None:
            return []
        over = [
            row["id"]
            for row, condition in _said(self.connection, self._tenant_id, source_uri, seen)
            if condition is Condition.RECOVERED
        ]
        if seen.lasting is not None:
            rows = _concerned(self.connection, self._tenant_id, seen.alert_type, seen.lasting)
            over += [row["id"] for row in rows if _is_over(row, seen.lasting)]
        found: list[SubjectChange] = []
        for start in range(0, len(over), _BATCH):
            found += last_occurrences(self.connection, over[start : start + _BATCH])
        return sorted(found, key=in_order)

    def _heard_by(self, alert_type: str, period: str) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            alerts.c.tenant_id == self._tenant_id,
            alerts.c.status.in_(OPEN),
            alerts.c.alert_type == alert_type,
            alerts.c.evaluated_period <= period,
        )


def recover(connection: sa.Connection, run: RecordedRun, seen: Seen) -> None:
    """End the open alerts whose subject has recovered, and mark those of which it cannot be said.

    In the transaction that records the run, after its occurrences have joined theirs.
    """
    said = list(_said(connection, run.tenant_id, run.source_uri, seen))
    changes = [_change(run, row, condition, seen.period) for row, condition in said]
    write_changes(connection, changes, run.origin, at=run.at)
    if seen.lasting is not None:
        _end_what_is_over(connection, run, seen.alert_type, seen.lasting)


def _said(
    connection: sa.Connection, tenant_id: str, source_uri: str, seen: Seen
) -> Iterator[tuple[dict[str, Any], Condition]]:
    """Yield the open alerts of which something is said that was not said before, and what."""
    subjects = sorted(seen.conditions)
    for start in range(0, len(subjects), _BATCH):
        query = sa.select(alerts).where(
            alerts.c.tenant_id == tenant_id,
            alerts.c.status.in_(OPEN),
            alerts.c.alert_type == seen.alert_type,
            alerts.c.subject.in_(subjects[start : start + _BATCH]),
            alerts.c.source_uri == source_uri,
            alerts.c.evaluated_period <= seen.period,
        )
        for row in map(dict, connection.execute(query).mappings()):
            condition = seen.conditions[row["subject"]]
            if (row["last_seen"], row["evaluated_period"]) != (condition, seen.period):
                yield row, condition


def _end_what_is_over(connection: sa.Connection, run: RecordedRun, alert_type: str, lasting: Lasting) -> None:
    """End the open alerts whose problem does not last; of those that do, note how far that is known."""
    rows = _concerned(connection, run.tenant_id, alert_type, lasting)
    over = [row for row in rows if _is_over(row, lasting)]
    changes = [_change(run, row, Condition.RECOVERED, lasting.until) for row in over]
    write_changes(connection, changes, run.origin, at=run.at)
    # Nothing that anybody sees, and no event: it keeps an older run from ending what a newer one saw last.
    known = alerts.update().where(alerts.c.id == sa.bindparam("alert_id"))
    lasts = [
        {"alert_id": row["id"], "evaluated_period": lasting.until}
        for row in rows
        if row["subject"] in lasting.subjects and row["evaluated_period"] < lasting.until
    ]
    if lasts:
        connection.execute(known, lasts)


def _concerned(
    connection: sa.Connection, tenant_id: str, alert_type: str, lasting: Lasting
) -> list[dict[str, Any]]:
    query = sa.select(alerts).where(
        alerts.c.tenant_id == tenant_id,
        alerts.c.status.in_(OPEN),
        alerts.c.alert_type == alert_type,
        alerts.c.rule_name.in_(list(lasting.rules)),
        alerts.c.subject.startswith(lasting.begins, autoescape=True),
        alerts.c.evaluated_period <= lasting.until,
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _is_over(row: Mapping[str, Any], lasting: Lasting) -> bool:
    if row["subject"] in lasting.subjects:
        return False
    if (row["last_seen"], row["evaluated_period"]) == (Condition.RECOVERED, lasting.until):
        return False  # that was said before, and a person has reopened it since
    return row["subject"] in lasting.ended or row["evaluated_period"] <= lasting.rules[row["rule_name"]]


def see_again(
    connection: sa.Connection, run: RecordedRun, period: str, occurrence_ids: Collection[str]
) -> None:
    """Take the marks from open alerts whose occurrence of the period is found again, as it was recorded."""
    query = (
        sa.select(alerts, outbox.c.id.label("occurrence_id"))
        .join(outbox, outbox.c.alert_id == alerts.c.id)
        .where(
            outbox.c.tenant_id == run.tenant_id,
            outbox.c.scope == run.scope,
            alerts.c.status.in_(OPEN),
            alerts.c.last_seen.in_(list(_MARKS)),
            alerts.c.evaluated_period <= period,
        )
    )
    found = [dict(row) for row in connection.execute(query).mappings()]
    changes = [
        Change(
            row=row,
            event=EventKind.JOINED,
            values={"last_seen": Condition.ALERTING, "evaluated_period": period},
            occurrence_id=row["occurrence_id"],
            period=period,
        )
        for row in found
        if row["occurrence_id"] in occurrence_ids
    ]
    write_changes(connection, changes, run.origin, at=run.at)


def _change(run: RecordedRun, row: Mapping[str, Any], condition: Condition, period: str) -> Change:
    values: dict[str, Any] = {"last_seen": condition, "evaluated_period": period}
    if condition in _MARKS:
        return Change(row=row, event=_MARKS[condition], values=values, period=period)
    return Change(
        row=row,
        event=EventKind.RESOLVED,
        values=values | resolved(SYSTEM, run.at, Resolution.RECOVERED),
        reason=Resolution.RECOVERED,
        period=period,
    )
