"""The history: what can be asked about runs, their alerts, and one alert over all runs."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
import sqlalchemy as sa

from service.domain.alert import Alert, AlertRecord
from service.domain.delivery_status import Outcome, Reason
from service.domain.errors import BadCursorError, RunNotFoundError
from service.domain.run import Page, RunAlert, RunRecord, RunStatus, WithdrawnAlert
from service.store.cursors import FOREIGN, cursor_of, read_cursor, read_number
from service.store.outbox.doubts import alert_record
from service.store.part import Part, cleaned, matching, reads
from service.store.rows import run_alert, run_record, withdrawn_alert
from service.store.runs.state import IS_RELEASED, count_outcomes
from service.store.schema.tables import (
    ALERT,
    UtcTimestamp,
    attempts,
    outbox,
    run_outcomes,
    run_withdrawals,
    runs,
)

SAMPLES: Final = 10
_BY_SUBJECT: Final = (run_withdrawals.c.subject, run_withdrawals.c.alert_id)
_TROUBLES: Final = (Outcome.FAILED, Outcome.UNKNOWN)

# While a run is at work its own rows have no outcome yet: they are seen through the outbox.
_LIVE = sa.case(
    (outbox.c.status.in_(["sent", "failed", "unknown"]), outbox.c.status),
    else_=Outcome.PENDING,
)
_OUTCOME = sa.case((run_outcomes.c.outcome == Outcome.PENDING, _LIVE), else_=run_outcomes.c.outcome).label(
    "outcome"
)
_UNDECIDED = run_outcomes.c.outcome == Outcome.PENDING
_POSTS = (
    sa.select(sa.func.count())
    .where(attempts.c.alert_id == run_outcomes.c.alert_id, attempts.c.run_id == run_outcomes.c.run_id)
    .scalar_subquery()
)
_ALERTS = sa.select(
    run_outcomes.c.position,
    run_outcomes.c.alert_id,
    *(run_outcomes.c[name] for name in ALERT),
    run_outcomes.c.channel,
    _OUTCOME,
    sa.case((_UNDECIDED, outbox.c.error), else_=run_outcomes.c.reason).label("reason"),
    sa.case((_UNDECIDED, outbox.c.error_message), else_=run_outcomes.c.error_message).label("error_message"),
    sa.case((_UNDECIDED, outbox.c.http_status), else_=run_outcomes.c.http_status).label("http_status"),
    sa.case((_UNDECIDED, _POSTS), else_=run_outcomes.c.attempts).label("attempts"),
    run_outcomes.c.restated,
).select_from(run_outcomes.outerjoin(outbox, outbox.c.id == run_outcomes.c.alert_id))


_SHOWN_STATUS = sa.case((IS_RELEASED, RunStatus.RELEASED), else_=runs.c.status).label("status")
_RUNS = sa.select(*(column for column in runs.c if column.name != "status"), _SHOWN_STATUS)


class History(Part):
    """Questions; none changes anything."""

    @reads
    def get_run(self, run_id: str) -> RunRecord:
        """Return all that is known of a run, with samples of what is listed elsewhere in full.

        Raises RunNotFoundError.
        """
        row = _run_row(self.connection, self._sees(runs), run_id)
        of_run = _ALERTS.where(run_outcomes.c.run_id == run_id).order_by(run_outcomes.c.position)
        troubled = of_run.where(_OUTCOME.in_(_TROUBLES))
        restated = of_run.where(run_outcomes.c.restated.is_not(None))
        withdrawn = _withdrawn_of(run_id).limit(SAMPLES)
        outcomes = _outcomes(self.connection, row)
        # Looking for the few among very many would take long where there is none.
        is_troubled = any(outcomes.get(outcome) for outcome in _TROUBLES)
        return run_record(
            row,
            outcomes,
            sample_alerts=_run_alerts(self.connection, of_run.limit(SAMPLES)),
            sample_errors=_run_alerts(self.connection, troubled.limit(SAMPLES)) if is_troubled else (),
            sample_withdrawn=tuple(withdrawn_alert(found) for found in _mappings(self.connection, withdrawn)),
            sample_restated=_run_alerts(self.connection, restated.limit(SAMPLES)) if row["restated"] else (),
        )

    @reads
    def get_alert(self, alert_id: str) -> AlertRecord:
        """Return all that is known of an alert over all runs; raises AlertNotFoundError."""
        return alert_record(self.connection, self._sees(outbox), alert_id)

    @reads
    def alerts_without_channel(self, run_id: str) -> list[Alert]:
        """Return the alerts of a run whose route leads to no channel, in the order of sending."""
        query = _ALERTS.where(
            run_outcomes.c.run_id == run_id, run_outcomes.c.reason == Reason.UNKNOWN_REGION
        ).order_by(run_outcomes.c.position)
        _run_row(self.connection, self._sees(runs), run_id)
        return [row.alert for row in _run_alerts(self.connection, query)]

    @reads
    def list_runs(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        period: str | None = None,
        status: RunStatus | None = None,
        kind: str | None = None,
    ) -> Page[RunRecord]:
        """Return runs, newest first; raises BadCursorError."""
        of_tenant = self._sees(runs)
        newest_first = runs.c.started_at.desc(), runs.c.run_id.desc()
        query = _RUNS.where(of_tenant, *matching({runs.c.period: period})).order_by(*newest_first)
        if status is not None:
            query = query.where(_has_status(status))
        if kind is not None:
            query = query.where(runs.c.kind == kind)
        last_seen = _read_id_cursor(cursor)
        if last_seen is not None:
            last = sa.select(runs.c.started_at, runs.c.run_id).where(of_tenant, runs.c.run_id == last_seen)
            found = (self.connection.execute(last)).one_or_none()
            if found is None:
                raise BadCursorError(FOREIGN)
            place = sa.tuple_(sa.literal(found.started_at, UtcTimestamp), sa.literal(found.run_id))
            query = query.where(sa.tuple_(runs.c.started_at, runs.c.run_id) < place)
        return self._page(
            query,
            lambda row: run_record(row, _outcomes(self.connection, row)),
            limit,
            lambda row: cursor_of(row["run_id"]),
        )

    @reads
    def list_alerts(
        self,
        run_id: str,
        *,
        limit: int,
        outcome: Outcome | None = None,
        route: str | None = None,
        restated: bool = False,
        cursor: str | None = None,
    ) -> Page[RunAlert]:
        """Return alerts of a run in the order of sending; raises RunNotFoundError, BadCursorError."""
        asked = matching({run_outcomes.c.run_id: run_id, run_outcomes.c.route: route})
        query = _ALERTS.where(*asked, run_outcomes.c.position > read_number(cursor))
        if outcome is not None:
            query = query.where(sa.literal(outcome) == _OUTCOME)
        if restated:
            query = query.where(run_outcomes.c.restated.is_not(None))
        _run_row(self.connection, self._sees(runs), run_id)
        return self._page(
            query.order_by(run_outcomes.c.position), run_alert, limit, lambda row: cursor_of(row["position"])
        )

    @reads
    def list_withdrawn(self, run_id: str, *, limit: int, cursor: str | None = None) -> Page[WithdrawnAlert]:
        """Return what a run withdrew or no longer has, by subject.

        Raises RunNotFoundError, BadCursorError.
        """
        query = _withdrawn_of(run_id)
        last_seen = _read_id_cursor(cursor)
        _run_row(self.connection, self._sees(runs), run_id)
        if last_seen is not None:
            # The cursor has not the subject itself, which may be of any length.
            last = sa.select(run_withdrawals.c.subject).where(
                run_withdrawals.c.run_id == run_id, run_withdrawals.c.alert_id == last_seen
            )
            subject = self.connection.scalar(last)
            if subject is None:
                raise BadCursorError(FOREIGN)
            place = sa.tuple_(sa.literal(subject), sa.literal(last_seen))
            query = query.where(sa.tuple_(*_BY_SUBJECT) > place)
        return self._page(query, withdrawn_alert, limit, lambda row: cursor_of(row["alert_id"]))


def _withdrawn_of(run_id: str) -> sa.Select[Any]:
    of_run = sa.select(run_withdrawals).where(run_withdrawals.c.run_id == cleaned(run_id))
    return of_run.order_by(*_BY_SUBJECT)


def _has_status(status: RunStatus) -> sa.ColumnElement[bool]:
    if status is RunStatus.RELEASED:
        return IS_RELEASED
    stored = runs.c.status == status
    return sa.and_(stored, ~IS_RELEASED) if status is RunStatus.RUNNING else stored


def _run_row(connection: sa.Connection, is_seen: sa.ColumnElement[bool], run_id: str) -> Mapping[str, Any]:
    query = _RUNS.where(runs.c.run_id == cleaned(run_id), is_seen)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise RunNotFoundError(f"no run has the id {run_id[:60]!r}")
    return dict(row)


def _outcomes(connection: sa.Connection, row: Mapping[str, Any]) -> dict[str, int]:
    """Return a run's alerts per outcome: as it was closed, or as it stands at this moment."""
    if row["outcome_counts"] is not None:
        return dict(orjson.loads(row["outcome_counts"]))
    outcomes = count_outcomes(connection, row["run_id"])
    if outcomes.pop(Outcome.PENDING, 0):
        live = (
            sa.select(_LIVE, sa.func.count())
            .select_from(run_outcomes.join(outbox, outbox.c.id == run_outcomes.c.alert_id))
            .where(run_outcomes.c.run_id == row["run_id"], _UNDECIDED)
            .group_by(_LIVE)
        )
        for outcome, count in connection.execute(live):
            outcomes[outcome] = outcomes.get(outcome, 0) + count
    return outcomes


def _run_alerts(connection: sa.Connection, query: sa.Select[Any]) -> tuple[RunAlert, ...]:
    return tuple(run_alert(row) for row in _mappings(connection, query))


def _mappings(connection: sa.Connection, query: sa.Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in (connection.execute(query)).mappings()]


def _read_id_cursor(cursor: str | None) -> str | None:
    last_seen = read_cursor(cursor)
    if last_seen is not None and (not isinstance(last_seen, str) or "\0" in last_seen):
        raise BadCursorError(FOREIGN)
    return last_seen
