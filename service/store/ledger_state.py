"""The state of the ledger in a few numbers: what Prometheus reads also of batch jobs, which end too early."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from service.domain.default_risk.job import JobStatus
from service.domain.lifecycle.alert_status import OPEN
from service.store.part import Part, reads
from service.store.schema.alert_tables import alerts
from service.store.schema.job_tables import jobs
from service.store.schema.tables import IS_OPEN, outbox, runs

_UNDER_WAY: Final = (JobStatus.WAITING, JobStatus.RUNNING)

Counts: TypeAlias = Mapping[tuple[str, ...], int]
Moments: TypeAlias = Mapping[tuple[str, ...], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerState:
    """Numbers of rows as of one moment, over all that the scope sees; what is not named is 0."""

    runs: Counts
    """The runs that are kept, by kind and status."""
    last_ends: Moments
    """When the last run of a kind came to its end, by kind and status."""
    undelivered: Counts
    """Alerts in the outbox that have not gone out, or may not have, by status."""
    oldest: Moments
    """When the oldest of them was recorded."""
    jobs: Counts
    """The jobs that have not ended, by status."""
    open_alerts: Counts
    """The alerts that people have to work on, by status and severity."""


class LedgerStates(Part):
    """The question how the ledger is."""

    @reads
    def now(self) -> LedgerState:
        """Return the state, in one transaction; each part of it has an index."""
        ended_at = sa.func.max(runs.c.finished_at)
        of_runs = self._counted(sa.select(runs.c.kind, runs.c.status, sa.func.count(), ended_at), runs)
        # In the words of the index over what is open.
        waiting = sa.select(outbox.c.status, sa.func.count(), sa.func.min(outbox.c.created_at))
        of_outbox = self._counted(waiting.where(sa.text(IS_OPEN)), outbox)
        worked_on = sa.select(alerts.c.status, alerts.c.severity, sa.func.count(), sa.null())
        of_alerts = self._counted(worked_on.where(alerts.c.status.in_(sorted(OPEN))), alerts)
        of_jobs = self._counted(
            sa.select(jobs.c.status, sa.func.count(), sa.null()).where(jobs.c.status.in_(_UNDER_WAY)), jobs
        )
        return LedgerState(
            runs={key: count for key, (count, _) in of_runs.items()},
            last_ends={key: at for key, (_, at) in of_runs.items() if at is not None},
            undelivered={key: count for key, (count, _) in of_outbox.items()},
            oldest={key: at for key, (_, at) in of_outbox.items()},
            jobs={key: count for key, (count, _) in of_jobs.items()},
            open_alerts={key: count for key, (count, _) in of_alerts.items()},
        )

    def _counted(self, query: sa.Select[Any], table: sa.Table) -> Mapping[tuple[str, ...], tuple[int, Any]]:
        """Return the last two columns of a question, a count and a moment, by those before them."""
        *by, _, _ = query.selected_columns
        rows = self.connection.execute(query.where(self._sees(table)).group_by(*by))
        return {tuple(key): (count, moment) for *key, count, moment in rows}
