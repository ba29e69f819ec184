"""Retention: what is too old for anybody to ask about is deleted, a little at a time.

What replays need stays for good: the outbox, how people settled doubts, and every run that the outbox names,
with its outcomes, and every prediction. What goes is all other runs (failed, rehearsed, replayed), the story
of each POST, and jobs with what became of their rows.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from service.domain.run import RunStatus
from service.store.database.database import DatabaseClock
from service.store.part import Part
from service.store.runs.idempotency import KEPT_S
from service.store.schema.job_tables import job_rows, jobs
from service.store.schema.tables import (
    attempts,
    checkpoints,
    idempotency_keys,
    outbox,
    run_outcomes,
    run_withdrawals,
    runs,
)

MOST_ROWS: Final = 1000
"""How many rows one transaction deletes: nobody else can write meanwhile."""
MOST_RUNS: Final = 100


class Retention(Part):
    """Deletes what is old."""

    async def prune(self, *, before: datetime) -> dict[str, int]:
        """Delete some of what is older than `before`, in one short transaction.

        Returns how many rows of which table; nothing once there is nothing left to delete.
        """

        def is_left(connection: sa.Connection) -> bool:
            return any(
                connection.scalar(sa.select(sa.literal(1)).select_from(table).where(is_old).limit(1))
                for table, is_old in self._old(connection, before)
            )

        def work(connection: sa.Connection) -> dict[str, int]:
            removed: dict[str, int] = {}
            room = MOST_ROWS
            for table, is_old in self._old(connection, before):
                if count := _delete(connection, table, is_old, most=room):
                    removed[str(table.name)] = count
                    room -= count
                if not room:
                    break
            return removed

        # A look first: the sweep of an idle service must not stand in line with the writers.
        return await self.database.write(work) if await self.database.read(is_left) else {}

    def _old(
        self, connection: sa.Connection, before: datetime
    ) -> Iterator[tuple[sa.Table, sa.ColumnElement[bool]]]:
        """Yield what may go: a run's own rows first, so that none is left without its run."""
        tenant_id = self._tenant_id
        # Each looked up by itself: joined, PostgreSQL might read the whole outbox for a few runs.
        named = sa.select(sa.literal(1)).where(outbox.c.run_id == runs.c.run_id).limit(1)
        has_ended = sa.and_(runs.c.tenant_id == tenant_id, runs.c.status != RunStatus.RUNNING)
        is_unnamed = named.scalar_subquery().is_(None)
        old_runs = sa.select(runs.c.run_id).where(has_ended, runs.c.started_at < before, is_unnamed)
        if ids := list(connection.scalars(old_runs.limit(MOST_RUNS))):
            for table in (run_outcomes, run_withdrawals, runs):
                yield table, table.c.run_id.in_(ids)
        # A run at work counts its attempts.
        at_work = sa.exists().where(runs.c.run_id == attempts.c.run_id, runs.c.status == RunStatus.RUNNING)
        of_tenant = sa.exists().where(outbox.c.id == attempts.c.alert_id, outbox.c.tenant_id == tenant_id)
        yield attempts, sa.and_(attempts.c.settled_at < before, ~at_work, of_tenant)
        later = checkpoints.alias()
        # The last one of a lease is where its next run begins, however long ago that was left.
        is_passed = sa.exists().where(
            later.c.tenant_id == checkpoints.c.tenant_id,
            later.c.lease == checkpoints.c.lease,
            later.c.until > checkpoints.c.until,
        )
        is_old = sa.and_(checkpoints.c.tenant_id == tenant_id, checkpoints.c.left_at < before)
        yield checkpoints, sa.and_(is_old, is_passed)
        old_jobs = sa.select(jobs.c.id).where(jobs.c.tenant_id == tenant_id, jobs.c.finished_at < before)
        if job_ids := list(connection.scalars(old_jobs.limit(MOST_RUNS))):
            # What was predicted stays; an upload went with the end of its job.
            yield job_rows, job_rows.c.job_id.in_(job_ids)
            yield jobs, jobs.c.id.in_(job_ids)
        is_forgotten = idempotency_keys.c.created_at <= DatabaseClock() - KEPT_S
        yield idempotency_keys, sa.and_(idempotency_keys.c.tenant_id == tenant_id, is_forgotten)


def _delete(
    connection: sa.Connection, table: sa.Table, condition: sa.ColumnElement[bool], *, most: int
) -> int:
    keys = tuple(table.primary_key)
    some = sa.select(*keys).where(condition).limit(most)
    return connection.execute(table.delete().where(sa.tuple_(*keys).in_(some))).rowcount
