"""The support notices: of what support has been notified, so that it is not of the same again."""

from dataclasses import dataclass

import sqlalchemy as sa

from service.domain.delivery_status import Reason
from service.domain.evaluation import RunWarning
from service.domain.run import RunStatus
from service.store.part import Part, reads
from service.store.rows import run_warnings
from service.store.schema.tables import run_outcomes, runs


@dataclass(frozen=True, slots=True)
class LastNotice:
    """What support was last notified of."""

    alert_ids: frozenset[str]
    """Of the alerts without a channel."""
    warnings: tuple[RunWarning, ...]
    """All of that run; those of channels that were given up are among them."""


class Notices(Part):
    """Which notices there have been."""

    @reads
    def last(self, run_id: str) -> LastNotice | None:
        """Return what support knows since the last run of the same scope; None where it knows of nothing.

        What was over by then is not known any more: when it comes back, it is news.
        """
        scope = sa.select(runs.c.scope).where(runs.c.run_id == run_id).scalar_subquery()
        last = (
            sa.select(runs.c.run_id, runs.c.support_notified_at, runs.c.warnings)
            .where(
                runs.c.tenant_id == self._tenant_id,
                runs.c.scope == scope,
                runs.c.run_id != run_id,
                ~runs.c.dry_run,
                # One that was cut short says nothing of how things stood at its end.
                (runs.c.status == RunStatus.SUCCEEDED) | runs.c.support_notified_at.is_not(None),
            )
            .order_by(runs.c.epoch.desc())
            .limit(1)
        )
        row = self.connection.execute(last).one_or_none()
        if row is None or row.support_notified_at is None:
            return None
        nowhere = sa.select(run_outcomes.c.alert_id).where(
            run_outcomes.c.run_id == row.run_id, run_outcomes.c.reason == Reason.UNKNOWN_REGION
        )
        return LastNotice(frozenset(self.connection.scalars(nowhere)), run_warnings(row.warnings))
