"""Doubts as the reconciler settles them: each claim once, whoever comes first."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.domain.alert import AlertRecord
from service.domain.delivery_status import RECONCILER, DeliveryStatus, SettleAs
from service.domain.run import RunStatus
from service.store.outbox.doubts import Doubts, alert_record
from service.store.part import reads, writes
from service.store.schema.tables import IS_OPEN, doubt_settlements, outbox, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A claim of which nobody knows whether Slack has its message."""

    alert_id: str
    channel: str
    claim: int
    claimed_at: datetime
    settled_claim: int
    """The last claim before that somebody decided about; 0: none."""


class Reconciling(Doubts):
    """The alerts in doubt, as the reconciler settles them."""

    @reads
    def in_doubt(
        self,
        run_id: str | None,
        *,
        since: datetime | None = None,
        scope: str | None = None,
        also_held: bool = False,
    ) -> list[Doubt]:
        """Return what a run has left in doubt, or, without one, all whose runs have ended; oldest first.

        What was looked for to the end, and is held, is left out unless asked for, and so is what was claimed
        before `since`, or is of another `scope`.
        """
        table = outbox.c
        decided = sa.select(sa.func.max(doubt_settlements.c.claim)).where(
            doubt_settlements.c.alert_id == table.id
        )
        at_work = sa.exists().where(runs.c.run_id == table.run_id, runs.c.status == RunStatus.RUNNING)
        query = (
            sa.select(
                table.id.label("alert_id"),
                table.channel,
                table.claims.label("claim"),
                table.claimed_at,
                sa.func.coalesce(decided.scalar_subquery(), 0).label("settled_claim"),
            )
            .where(
                table.tenant_id == self._tenant_id,
                table.status == DeliveryStatus.UNKNOWN,
                table.channel.is_not(None),
                table.claimed_at.is_not(None),
                sa.true() if also_held else sa.func.coalesce(table.reconciled_claim, 0) != table.claims,
                ~at_work if run_id is None else table.run_id == run_id,
            )
            .order_by(table.claimed_at, table.id)
        )
        if run_id is None:
            query = query.where(sa.text(IS_OPEN))  # the words of the index over what is open
        if scope is not None:
            query = query.where(table.scope == scope)
        if since is not None:
            query = query.where(table.claimed_at >= since)
        return [Doubt(**row) for row in self.connection.execute(query).mappings()]

    @writes
    def decide(
        self,
        doubt: Doubt,
        settle_as: SettleAs,
        *,
        note: str,
        place: tuple[str, str] | None = None,
        now: datetime,
    ) -> AlertRecord | None:
        """Settle a doubt by what was found, or was not; None where somebody else has done so.

        `place` is the id of the channel that the message is in, and its timestamp.
        """
        changed = self._settle(
            doubt.alert_id,
            settle_as,
            by=RECONCILER,
            given_by=None,
            note=note,
            now=now,
            claim=doubt.claim,
            place=place,
        )
        return alert_record(self.connection, self._sees(outbox), doubt.alert_id) if changed else None

    @writes
    def note(self, doubt: Doubt, evidence: str, *, is_final: bool, now: datetime) -> bool:
        """Keep with a doubt what is known of it; one that is final is not looked for again."""
        table = outbox.c
        noted = self.connection.execute(
            outbox.update()
            .where(
                table.tenant_id == self._tenant_id,
                table.id == doubt.alert_id,
                table.claims == doubt.claim,
                table.status == DeliveryStatus.UNKNOWN,
            )
            .values(
                error_message=evidence,
                reconciled_claim=doubt.claim if is_final else table.reconciled_claim,
                updated_at=now,
            )
        )
        return noted.rowcount == 1
