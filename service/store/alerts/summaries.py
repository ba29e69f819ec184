"""Summaries: what a run changed, as a message for each channel, recorded in the transaction that ends it.

A run that changed nothing has none, such as a replay. What a run changed that died, failed or was cancelled
is in the summary of the next run of the same scope and source that succeeds.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.lifecycle.alert_status import EventKind
from service.domain.lifecycle.run_changes import ChangeKind, SubjectChange
from service.domain.lifecycle.summary import SummarizedRun, SummaryType
from service.domain.run import RunStatus
from service.store.alerts.run_changes import changes_of, withdrawn_by
from service.store.outbox.waiting import let_wait
from service.store.schema.alert_tables import alert_events
from service.store.schema.tables import runs

_RECORDED = (EventKind.TRIGGERED, EventKind.JOINED, EventKind.REOPENED, EventKind.RESOLVED)
"""What happens to an alert when a run records an occurrence of it."""
_NEWS = {ChangeKind.RECOVERED, ChangeKind.WITHDRAWN}


def let_summaries_wait(
    connection: sa.Connection, tenant_id: str, run_id: str, summary: SummaryType, *, now: datetime
) -> None:
    """Put a message for each channel in which a run changed something into the outbox.

    The run still holds its lease: all other runs of its scope that recorded anything did so before.
    """
    run = connection.execute(sa.select(runs).where(runs.c.run_id == run_id)).one()
    run_ids, summarized = _runs_since_the_last_one(connection, tenant_id, run)
    # What was sent stays sent, and each replay says again that the data no longer have it.
    known = {one.alert_id for one in withdrawn_by(connection, summarized)}
    by_channel: dict[str, dict[str, SubjectChange]] = defaultdict(dict)
    for one in changes_of(connection, run_ids):
        if one.channel is not None and not (one.change is ChangeKind.WITHDRAWN and one.alert_id in known):
            # What an earlier run took away, and the run has again, goes on: that stands first.
            by_channel[one.channel].setdefault(one.alert_id, one)
    recorded = sa.select(alert_events.c.alert_id).where(
        alert_events.c.run_id.in_(run_ids), alert_events.c.event.in_(_RECORDED)
    )
    moved = set(connection.scalars(recorded))
    of_run = SummarizedRun(tenant_id=tenant_id, run_id=run_id, period=run.period)
    for channel, changes in by_channel.items():
        if any(one.change in _NEWS or alert_id in moved for alert_id, one in changes.items()):
            message = summary.of_channel(of_run, channel, tuple(changes.values()))
            let_wait(connection, tenant_id, message, now=now)


def _runs_since_the_last_one(
    connection: sa.Connection, tenant_id: str, run: sa.Row[Any]
) -> tuple[Sequence[str], Sequence[str]]:
    """Return the run with those before it that failed, and have no summary, and the last that did not."""
    query = (
        sa.select(runs.c.run_id, runs.c.status)
        .where(
            runs.c.tenant_id == tenant_id,
            runs.c.scope == run.scope,
            runs.c.source_uri == run.source_uri,
            runs.c.recorded_at.is_not(None),
            runs.c.run_id != run.run_id,
        )
        .order_by(runs.c.epoch.desc())
    )
    run_ids = [run.run_id]
    for run_id, status in connection.execute(query):
        if status == RunStatus.SUCCEEDED:
            return run_ids, [run_id]
        run_ids.append(run_id)
    return run_ids, []
