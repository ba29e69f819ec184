"""Sending: alerts are claimed, sent and settled one by one, and every step is durable before the next.

The hot verb is short text SQL over a batch: one transaction settles what has been answered and claims what
leaves next, so that many senders share one fsync.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from service.delivery import DeliveryStatus, Reason
from service.store.database import Database, DatabaseClock
from service.store.json_rows import json_rows, over_rows
from service.store.run_verbs import MonthLease, check_holds
from service.store.schema import IS_OPEN, UtcTimestamp, alert_outcomes, runs

_SETTLED: Final = {
    "alert_id": "text",
    "claim": "integer",
    "status": "text",
    "error": "text",
    "error_message": "text",
    "http_status": "integer",
    "retry_after_s": "double precision",
    "posted": "boolean",
    "claimed_at": "timestamptz",
    "settled_at": "timestamptz",
    "sent_at": "timestamptz",
    "not_before": "timestamptz",
}
_CLAIMED: Final = {"id": "text", "claims": "integer"}

# An answer belongs to the claim under which its POST was made. An `ok` that comes late, after that claim was
# given up for lost, is believed whatever has become of the row, unless it was claimed again; another late
# answer changes nothing.
_SETTLE = over_rows(
    """
    UPDATE alert_outcomes
    SET status = r.status, error = r.error, error_message = r.error_message, http_status = r.http_status,
        sent_at = r.sent_at, not_before = r.not_before, updated_at = r.settled_at
    FROM {rows}
    WHERE alert_outcomes.id = r.alert_id AND alert_outcomes.claims = r.claim
      AND alert_outcomes.status <> 'sent' AND (alert_outcomes.status = 'sending' OR r.status = 'sent')
    """,
    _SETTLED,
)

_RECORD_ATTEMPT = over_rows(
    """
    INSERT INTO attempts (alert_id, claim, run_id, claimed_at, settled_at, http_status, retry_after_s,
                          status, error, error_message)
    SELECT r.alert_id, r.claim, :run_id, r.claimed_at, r.settled_at, r.http_status, r.retry_after_s,
           r.status, r.error, r.error_message
    FROM {rows} WHERE r.posted
    ON CONFLICT (alert_id, claim) DO UPDATE
    SET settled_at = excluded.settled_at, http_status = excluded.http_status, status = excluded.status,
        error = NULL, error_message = NULL
    WHERE excluded.status = 'sent'
    """,
    _SETTLED,
)

_RENEW = (
    runs.update()
    .where(
        runs.c.run_id == sa.bindparam("b_run_id"),
        runs.c.status == "running",
        runs.c.epoch == sa.bindparam("b_epoch"),
        runs.c.cancelled_at.is_(None),
    )
    .values(expires_at=DatabaseClock() + sa.bindparam("b_lease_s", type_=sa.Double))
)

# SQLite would search for the plain run_id through all rows of the run: measured 15 times slower than by the
# ids alone, at 12,000 rows.
_CLAIM = {
    dialect: statement.bindparams(sa.bindparam("now", type_=UtcTimestamp))
    for dialect, statement in over_rows(
        """
        UPDATE alert_outcomes
        SET status = 'sending', claims = alert_outcomes.claims + 1, claimed_at = :now, updated_at = :now
        FROM {rows}
        WHERE alert_outcomes.id = r.id AND alert_outcomes.claims = r.claims
          AND alert_outcomes.run_id || '' = :run_id AND alert_outcomes.status = 'pending'
        RETURNING alert_outcomes.id
        """,
        _CLAIMED,
    ).items()
}

_COUNT_OPEN = sa.text(f"SELECT status, count(*) FROM alert_outcomes WHERE {IS_OPEN} GROUP BY status")  # noqa: S608  # a constant


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """An alert that is to be sent."""

    alert_id: str
    account_id: str
    channel: str
    position: int
    payload: str
    claims: int
    """How often it was claimed before; the next claim is this plus one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What becomes of a claimed alert."""

    alert_id: str
    claim: int
    status: DeliveryStatus
    claimed_at: datetime
    settled_at: datetime
    posted: bool
    """Whether there was a POST at all."""
    reason: Reason | None = None
    message: str | None = None
    http_status: int | None = None
    retry_after_s: float | None = None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftAlert:
    """An alert that a lane did not come to."""

    alert_id: str
    account_id: str
    channel: str


class SendVerbs:
    """What can be done with alerts that are in the outbox."""

    _database: Database

    async def pending(
        self, lease: MonthLease, channels: Sequence[str], *, after: int, limit: int
    ) -> list[OutboxEntry]:
        """Return the next alerts that a lane has to send, in the order of sending."""
        table = alert_outcomes.c
        query = (
            sa.select(
                table.id.label("alert_id"),
                table.account_id,
                table.channel,
                table.position,
                table.payload,
                table.claims,
            )
            .where(
                table.run_id == lease.run_id,
                table.status == DeliveryStatus.PENDING,
                table.channel.in_(channels),
                table.position > after,
            )
            .order_by(table.position)
            .limit(limit)
        )
        return await self._database.read(
            lambda connection: [OutboxEntry(**row) for row in connection.execute(query).mappings()]
        )

    async def settle_and_claim(
        self,
        lease: MonthLease,
        settlements: Sequence[Settlement],
        claims: Sequence[OutboxEntry],
        *,
        now: datetime,
        lease_s: float,
    ) -> set[str] | None:
        """Write down what was answered, and claim what leaves next: durable when this returns.

        Returns the ids of the alerts that are now this run's to post, and renews the lease with them; None
        when the run was cancelled, closed or resumed elsewhere: then only the settlements are written.
        """
        renewal = {"b_run_id": lease.run_id, "b_epoch": lease.epoch, "b_lease_s": lease_s}
        batch = [{"id": item.alert_id, "claims": item.claims} for item in claims]

        def work(connection: sa.Connection) -> set[str] | None:
            dialect = connection.dialect.name
            if settlements:
                settled = {"rows": json_rows(map(_settled, settlements))}
                connection.execute(_SETTLE[dialect], settled)
                connection.execute(_RECORD_ATTEMPT[dialect], {**settled, "run_id": lease.run_id})
            if not claims:
                return set()
            if connection.execute(_RENEW, renewal).rowcount == 0:
                return None
            claiming = {"rows": json_rows(batch), "run_id": lease.run_id, "now": now}
            return set(connection.execute(_CLAIM[dialect], claiming).scalars())

        return await self._database.write(work)

    async def end_lane(
        self,
        lease: MonthLease,
        channels: Sequence[str],
        *,
        status: DeliveryStatus,
        reason: Reason,
        message: str,
        now: datetime,
    ) -> list[LeftAlert]:
        """Say of all alerts that a lane did not come to what becomes of them, and return them in order.

        `status` is `failed` where the destination was given up, `pending` where only time ran out. Raises
        OvertakenError when the lease is lost.
        """
        table = alert_outcomes.c
        rest = (
            alert_outcomes.update()
            .where(
                table.run_id == lease.run_id,
                table.status == DeliveryStatus.PENDING,
                table.channel.in_(channels),
            )
            .values(status=status, error=reason, error_message=message, updated_at=now)
            .returning(table.position, table.id, table.account_id, table.channel)
        )

        def work(connection: sa.Connection) -> list[LeftAlert]:
            check_holds(connection, lease)
            return [
                LeftAlert(alert_id=alert_id, account_id=account_id, channel=channel)
                for _, alert_id, account_id, channel in sorted(connection.execute(rest))
            ]

        return await self._database.write(work)

    async def undelivered(self) -> dict[str, int]:
        """Count the alerts of all months that have not gone out, by status."""

        def work(connection: sa.Connection) -> dict[str, int]:
            counts: dict[str, int] = dict(connection.execute(_COUNT_OPEN).all())
            counts.pop(DeliveryStatus.SENDING, None)  # on its way is neither
            return counts

        return await self._database.read(work)


def _settled(item: Settlement) -> dict[str, Any]:
    settled_at = _text(item.settled_at)
    return {
        "alert_id": item.alert_id,
        "claim": item.claim,
        "status": item.status,
        "error": item.reason,
        "error_message": item.message,
        "http_status": item.http_status,
        "retry_after_s": item.retry_after_s,
        "posted": item.posted,
        "claimed_at": _text(item.claimed_at),
        "settled_at": settled_at,
        "sent_at": settled_at if item.status is DeliveryStatus.SENT else None,
        "not_before": item.not_before and _text(item.not_before),
    }


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(" ", "microseconds")
