"""Runs whose process has died, stopped, or is told to stop: closed, resumed, released, cancelled."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.domain.delivery_status import DeliveryStatus
from service.domain.month import Month
from service.store.database.database import Database, DatabaseClock
from service.store.runs.state import (
    IS_RELEASED,
    WAITS_FOR_THE_NEXT_RUN,
    MonthLease,
    close_dead,
    expired,
    lose_what_is_on_its_way,
    take_month,
    update_running,
)
from service.store.schema.tables import alert_outcomes, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class RescuedRun:
    """A run that was closed because nothing had been heard of it; `in_doubt` alerts may have arrived."""

    run_id: str
    in_doubt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedRun:
    """A run that another process began and this one brings to its end; `in_doubt` alerts may have arrived."""

    lease: MonthLease
    month: Month
    in_doubt: int
    to_send: int
    """Alerts that are still in the outbox."""
    support_notified: bool
    """Whether support has been told what has no channel."""


class Rescue:
    """What any process can do about runs whose own process has died or stopped."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def close_dead(
        self, *, now: datetime, resumable_since: datetime | None = None, at_work: Collection[str] = ()
    ) -> list[RescuedRun]:
        """Close every run whose process has died, but for those that `resumable` names.

        Those that the asking process has `at_work` itself are left alone.
        """

        def dead(connection: sa.Connection) -> list[str]:
            spared = _resumable(connection, resumable_since) if resumable_since else []
            return [run_id for run_id in expired(connection, at_work) if run_id not in spared]

        def work(connection: sa.Connection) -> list[RescuedRun]:
            return [
                RescuedRun(run_id=run_id, in_doubt=close_dead(connection, run_id, now))
                for run_id in dead(connection)
            ]

        # A look first: the sweep of an idle service must not stand in line with the writers.
        return await self._database.write(work) if await self._database.read(dead) else []

    async def resumable(self, *, since: datetime) -> list[str]:
        """Return the runs whose process died after their alerts were recorded, begun `since` then."""
        return await self._database.read(lambda connection: _resumable(connection, since))

    async def resume(
        self, run_id: str, *, since: datetime, now: datetime, lease_s: float
    ) -> ResumedRun | None:
        """Take over a run that `resumable` named; None when somebody else was faster."""

        def work(connection: sa.Connection) -> ResumedRun | None:
            if run_id not in _resumable(connection, since):
                return None
            row = connection.execute(sa.select(runs).where(runs.c.run_id == run_id)).one()
            in_doubt = lose_what_is_on_its_way(connection, run_id, now)
            month = Month.parse(row.month)
            lease = take_month(connection, run_id, month)
            update_running(connection, run_id, {"expires_at": DatabaseClock() + lease_s})
            to_send = sa.select(sa.func.count()).where(
                alert_outcomes.c.run_id == run_id,
                alert_outcomes.c.status == DeliveryStatus.PENDING,
                ~WAITS_FOR_THE_NEXT_RUN,
            )
            return ResumedRun(
                lease=lease,
                month=month,
                in_doubt=in_doubt,
                to_send=connection.scalar(to_send) or 0,
                support_notified=row.noticed_at is not None,
            )

        return await self._database.write(work)


def _resumable(connection: sa.Connection, since: datetime) -> list[str]:
    resumable = sa.select(runs.c.run_id).where(IS_RELEASED, runs.c.started_at >= since)
    return list(connection.scalars(resumable))
