"""Summaries: what a run changed, as a message for each channel, recorded in the transaction that ends it.

A run that changed nothing has none, such as a replay. What a run changed that died, failed or was cancelled
is in the summary of the next run of the same scope and source that succeeds.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final, NamedTuple

import sqlalchemy as sa

from service.domain.alert import Alert
from service.domain.lifecycle.alert_status import EventKind
from service.domain.lifecycle.problem import Joining, KnownAlert, Problem, alerts_again, join
from service.domain.lifecycle.run_changes import ChangeKind, SubjectChange
from service.domain.lifecycle.summary import SummarizedRun, SummaryType
from service.domain.run import RunStatus
from service.store.alerts.joining import known_about
from service.store.alerts.run_changes import began_by, change_of, changes_of, withdrawn_by
from service.store.outbox.waiting import let_wait
from service.store.part import Part, reads
from service.store.schema.alert_tables import alert_events
from service.store.schema.tables import outbox, runs

_RECORDED = (EventKind.TRIGGERED, EventKind.JOINED, EventKind.REOPENED, EventKind.RESOLVED)
"""What happens to an alert when a run records an occurrence of it."""
_BATCH: Final = 500
_NEWS = {ChangeKind.RECOVERED, ChangeKind.WITHDRAWN}


def let_summaries_wait(
    connection: sa.Connection, tenant_id: str, run_id: str, summary: SummaryType, *, now: datetime
) -> None:
    """Put a message for each channel in which a run changed something into the outbox.

    The run still holds its lease: all other runs of its scope that recorded anything did so before.
    """
    run = connection.execute(sa.select(runs).where(runs.c.run_id == run_id)).one()
    untold, summarized = _runs_since_the_last_one(connection, tenant_id, run.scope, run.source_uri, run_id)
    run_ids = [run_id, *untold]
    # What was sent stays sent, and each replay says again that the data no longer have it.
    known = {one.alert_id for one in withdrawn_by(connection, summarized)}
    by_channel: dict[str, dict[str, SubjectChange]] = defaultdict(dict)
    for one in changes_of(connection, run_ids):
        if one.channel is not None and not (one.change is ChangeKind.WITHDRAWN and one.alert_id in known):
            # What an earlier run took away, and the run has again, goes on: that stands first.
            by_channel[one.channel].setdefault(one.alert_id, one)
    moved = _moved_by(connection, run_ids)
    of_run = SummarizedRun(tenant_id=tenant_id, run_id=run_id, period=run.period)
    for channel, changes in by_channel.items():
        if any(one.change in _NEWS or alert_id in moved for alert_id, one in changes.items()):
            message = summary.of_channel(of_run, channel, tuple(changes.values()))
            let_wait(connection, tenant_id, message, now=now)


class Foreseen(NamedTuple):
    """An alert that a run would have."""

    alert: Alert
    problem: Problem
    channel: str | None


class Summaries(Part):
    """What a run would have to say."""

    @reads
    def ahead(
        self, found: Sequence[Foreseen], withdrawn: Sequence[str], *, scope: str, source_uri: str
    ) -> list[tuple[SubjectChange, bool]]:
        """Return what a run would change of those that it finds, and of the alerts that it would withdraw.

        With each comes whether that is news.
        """
        connection, tenant_id = self.connection, self._tenant_id
        untold, summarized = _runs_since_the_last_one(connection, tenant_id, scope, source_uri)
        began, moved = began_by(connection, untold), _moved_by(connection, untold)
        query = sa.select(outbox.c.id, outbox.c.alert_id).where(
            outbox.c.tenant_id == tenant_id, outbox.c.scope == scope
        )
        known: dict[str, str] = {row.id: row.alert_id for row in connection.execute(query)}
        changes: list[tuple[SubjectChange, bool]] = []
        for start in range(0, len(found), _BATCH):
            batch = found[start : start + _BATCH]
            about = known_about(connection, tenant_id, [one.alert.subject for one in batch])
            for alert, problem, channel in batch:
                others = about.get((alert.alert_type, problem.rule_name, alert.subject), [])
                alert_id = known.get(alert.alert_id)
                kind = began.get(alert_id or "") or _kind_ahead(
                    others, alert, problem, is_known=alert_id is not None
                )
                is_news = alert_id is None or alert_id in moved or kind is ChangeKind.REOPENED
                changes.append((change_of(kind, alert, channel=channel, alert_id=alert.alert_id), is_news))
        said = {one.alert_id for one in withdrawn_by(connection, summarized)}
        for start in range(0, len(withdrawn), _BATCH):
            rows = sa.select(outbox).where(outbox.c.id.in_(withdrawn[start : start + _BATCH]))
            changes += [
                (change_of(ChangeKind.WITHDRAWN, row, channel=row.channel, alert_id=row.alert_id), True)
                for row in connection.execute(rows)
                if row.alert_id not in said
            ]
        return changes


def _kind_ahead(known: Sequence[KnownAlert], alert: Alert, problem: Problem, *, is_known: bool) -> ChangeKind:
    if not is_known:
        how, _ = join(known, began=problem.began, period=alert.period)
        return {Joining.CREATE: ChangeKind.NEW, Joining.REOPEN: ChangeKind.REOPENED}.get(
            how, ChangeKind.CONTINUING
        )
    newest = max(known, key=attrgetter("last_period"), default=None)
    is_again = (
        newest is not None and newest.last_period == alert.period and alerts_again(newest, alert.period)
    )
    return ChangeKind.REOPENED if is_again else ChangeKind.CONTINUING


def _moved_by(connection: sa.Connection, run_ids: Sequence[str]) -> set[str]:
    recorded = sa.select(alert_events.c.alert_id).where(
        alert_events.c.run_id.in_(run_ids), alert_events.c.event.in_(_RECORDED)
    )
    return set(connection.scalars(recorded))


def _runs_since_the_last_one(
    connection: sa.Connection, tenant_id: str, scope: str, source_uri: str, this_run: str = ""
) -> tuple[Sequence[str], Sequence[str]]:
    """Return the runs before this one that failed, and have no summary, and the last that did not."""
    query = (
        sa.select(runs.c.run_id, runs.c.status)
        .where(
            runs.c.tenant_id == tenant_id,
            runs.c.scope == scope,
            runs.c.source_uri == source_uri,
            runs.c.recorded_at.is_not(None),
            runs.c.run_id != this_run,
        )
        .order_by(runs.c.epoch.desc())
    )
    run_ids: list[str] = []
    for run_id, status in connection.execute(query):
        if status == RunStatus.SUCCEEDED:
            return run_ids, [run_id]
        run_ids.append(run_id)
    return run_ids, []
