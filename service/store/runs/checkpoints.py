"""Checkpoints: what a run leaves for the one of the same lease that begins where it ended.

Whether one is outdated is not written down but seen: each knows the digest of the one that it follows, and
does not match it any more once that was left again with another content.
"""

from datetime import datetime

import sqlalchemy as sa

from service.domain.evaluation import Checkpoint, CheckpointFound
from service.store.part import Part, reads
from service.store.schema.tables import checkpoints


class Checkpoints(Part):
    """What runs have left."""

    @reads
    def at(self, lease: str, instant: str) -> CheckpointFound | None:
        """Return the checkpoint that was left at an instant; None where there is none."""
        column = checkpoints.c
        of_lease = sa.and_(column.tenant_id == self._tenant_id, column.lease == lease)
        content = sa.select(column.content).where(of_lease, column.until == instant)
        found = self.connection.scalar(content)
        if found is None:
            return None
        chain = (
            sa.select(column.until, column.begins, column.digest, column.follows)
            .where(of_lease, column.until <= instant)
            .order_by(column.until)
        )
        left = {
            until: (begins, digest, follows)
            for until, begins, digest, follows in self.connection.execute(chain)
        }
        return CheckpointFound(
            content=bytes(found), digest=left[instant][1], outdated=_outdated(left, instant)
        )


def write_checkpoint(
    connection: sa.Connection, tenant_id: str, lease: str, run_id: str, checkpoint: Checkpoint, now: datetime
) -> None:
    """Leave a checkpoint, in the place of one that was left at the same instant."""
    of_instant = sa.and_(
        checkpoints.c.tenant_id == tenant_id,
        checkpoints.c.lease == lease,
        checkpoints.c.until == checkpoint.until,
    )
    connection.execute(checkpoints.delete().where(of_instant))
    connection.execute(
        checkpoints.insert().values(
            tenant_id=tenant_id,
            lease=lease,
            until=checkpoint.until,
            begins=checkpoint.begins,
            run_id=run_id,
            digest=checkpoint.digest,
            follows=checkpoint.follows,
            content=checkpoint.content,
            left_at=now,
        )
    )


def _outdated(left: dict[str, tuple[str, str, str | None]], instant: str) -> tuple[tuple[str, str], ...]:
    """Return the periods to evaluate again, oldest first: all from the last one that does not match."""
    periods: list[tuple[str, str]] = []
    to_repeat = 0
    at = instant
    while at in left:
        begins, _, follows = left[at]
        periods.append((begins, at))
        before = left.get(begins)
        if before is not None and before[1] != follows:
            to_repeat = len(periods)
        at = begins
    return tuple(reversed(periods[:to_repeat]))
