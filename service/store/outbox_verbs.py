"""The outbox: alerts are recorded in one transaction, then claimed, sent and settled one by one.

The verbs of sending are short text SQL over a batch: one transaction settles what has been answered and
claims what leaves next, so that many senders share one fsync.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.alert import RISK_ALERT
from service.delivery import AmbiguousSends, DeliveryStatus, Outcome, Reason
from service.errors import OvertakenError
from service.month import Month
from service.replay import Decision, RoutedAlert, Standing, decide_action
from service.run_record import Action
from service.store.database import Database
from service.store.rows import facts_row
from service.store.run_verbs import MonthLease
from service.store.schema import UtcTimestamp, alert_outcomes, run_outcomes, runs

_BATCH: Final = 500
"""Rows per statement: long transactions stay interruptible for the event loop."""

_SETTLE = sa.text("""
    UPDATE alert_outcomes
    SET status = :status, error = :error, error_message = :error_message, http_status = :http_status,
        sent_at = :sent_at, not_before = :not_before, updated_at = :settled_at
    WHERE id = :alert_id AND claims = :claim
      AND (status = 'sending' OR (status = 'unknown' AND :status = 'sent'))
""").bindparams(*(sa.bindparam(name, type_=UtcTimestamp) for name in ("sent_at", "not_before", "settled_at")))

# A late `ok` of an attempt that was given up for lost completes its row; a late failure changes nothing.
_RECORD_ATTEMPT = sa.text("""
    INSERT INTO attempts (alert_id, claim, run_id, claimed_at, settled_at, http_status, retry_after_s,
                          status, error, error_message)
    VALUES (:alert_id, :claim, :run_id, :claimed_at, :settled_at, :http_status, :retry_after_s,
            :status, :error, :error_message)
    ON CONFLICT (alert_id, claim) DO UPDATE
    SET settled_at = excluded.settled_at, http_status = excluded.http_status, status = excluded.status,
        error = NULL, error_message = NULL
    WHERE excluded.status = 'sent'
""").bindparams(*(sa.bindparam(name, type_=UtcTimestamp) for name in ("claimed_at", "settled_at")))

_CLAIM = sa.text("""
    UPDATE alert_outcomes SET status = 'sending', claims = claims + 1, claimed_at = :now, updated_at = :now
    WHERE id = :alert_id AND run_id = :run_id AND claims = :claims AND status = 'pending'
""").bindparams(sa.bindparam("now", type_=UtcTimestamp))


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


class OutboxVerbs:
    """What can be done with alerts once they are evaluated."""

    _database: Database

    async def standings(self, month: Month) -> dict[str, Standing]:
        """Return what has become of every alert of a month, by alert id; nothing is changed."""
        return await self._database.read(lambda connection: _standings(connection, month))

    async def record_alerts(
        self, lease: MonthLease, routed: Sequence[RoutedAlert], *, ambiguous: AmbiguousSends, now: datetime
    ) -> list[Decision]:
        """Put a run's alerts into the outbox, all or none, and return what is done about each.

        `pending` and `failed` alerts of the month take on this evaluation; those that it no longer has are
        withdrawn; `sent` and (under `hold`) `unknown` ones keep what they were sent with. Raises
        OvertakenError when the lease is lost.
        """

        async def work(connection: AsyncConnection) -> list[Decision]:
            await _still_holds(connection, lease)
            standings = await _standings(connection, lease.month)
            ids = [item.alert.alert_id for item in routed]
            decisions = [
                decide_action(standings.get(alert_id), item.channel, ambiguous)
                for alert_id, item in zip(ids, routed, strict=True)
            ]
            await _upsert(connection, lease, routed, decisions, standings, now)
            evaluated = set(ids)
            gone = [
                alert_id
                for alert_id, standing in standings.items()
                if alert_id not in evaluated
                and standing.status in {DeliveryStatus.PENDING, DeliveryStatus.FAILED}
            ]
            await _withdraw(connection, gone, now)
            await _insert_run_outcomes(connection, lease.run_id, routed, decisions, sends=Outcome.PENDING)
            return decisions

        return await self._database.write(work)

    async def record_dry_run(
        self, run_id: str, month: Month, routed: Sequence[RoutedAlert], *, ambiguous: AmbiguousSends
    ) -> list[Decision]:
        """Store what a dry run would do about each alert; the outbox is only looked at."""

        async def work(connection: AsyncConnection) -> list[Decision]:
            standings = await _standings(connection, month)
            decisions = [
                decide_action(standings.get(item.alert.alert_id), item.channel, ambiguous) for item in routed
            ]
            await _insert_run_outcomes(connection, run_id, routed, decisions, sends=Outcome.WOULD_SEND)
            return decisions

        return await self._database.write(work)

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

        async def work(connection: AsyncConnection) -> list[OutboxEntry]:
            return [OutboxEntry(**row) for row in (await connection.execute(query)).mappings()]

        return await self._database.read(work)

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
        when another run has taken the month over, in which case only the settlements are written.
        """

        async def work(connection: AsyncConnection) -> set[str] | None:
            if settlements:
                await connection.execute(_SETTLE, [_settle_row(item) for item in settlements])
                if posts := [_attempt_row(item, lease.run_id) for item in settlements if item.posted]:
                    await connection.execute(_RECORD_ATTEMPT, posts)
            if not claims:
                return set()
            renewal = (
                runs.update()
                .where(runs.c.run_id == lease.run_id, runs.c.status == "running", runs.c.epoch == lease.epoch)
                .values(expires_at=self._database.clock + lease_s)
            )
            if (await connection.execute(renewal)).rowcount == 0:
                return None
            rows = [
                {"alert_id": item.alert_id, "claims": item.claims, "run_id": lease.run_id, "now": now}
                for item in claims
            ]
            claimed = await connection.execute(_CLAIM, rows)
            if claimed.rowcount == len(rows):
                return {item.alert_id for item in claims}
            return await _really_claimed(connection, claims)

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
        """Say of all alerts that a lane did not come to what becomes of them, and return them.

        `status` is `failed` where the destination was given up, `pending` where only time ran out.
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
            .returning(table.id.label("alert_id"), table.account_id, table.channel)
        )

        async def work(connection: AsyncConnection) -> list[LeftAlert]:
            return [LeftAlert(**row) for row in (await connection.execute(rest)).mappings()]

        return await self._database.write(work)

    async def undelivered(self) -> dict[str, int]:
        """Count the alerts of all months that have not gone out, by status."""
        open_statuses = [DeliveryStatus.PENDING, DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN]
        query = (
            sa.select(alert_outcomes.c.status, sa.func.count())
            .where(alert_outcomes.c.status.in_(open_statuses))
            .group_by(alert_outcomes.c.status)
        )

        async def work(connection: AsyncConnection) -> dict[str, int]:
            return dict((await connection.execute(query)).tuples().all())

        return await self._database.read(work)


async def _still_holds(connection: AsyncConnection, lease: MonthLease) -> None:
    query = sa.select(runs.c.status).where(runs.c.run_id == lease.run_id, runs.c.epoch == lease.epoch)
    if await connection.scalar(query) != "running":
        raise OvertakenError(f"run {lease.run_id} was closed by another process")


async def _standings(connection: AsyncConnection, month: Month) -> dict[str, Standing]:
    query = sa.select(alert_outcomes.c.id, alert_outcomes.c.status, alert_outcomes.c.error).where(
        alert_outcomes.c.month == str(month)
    )
    return {
        alert_id: Standing(status=DeliveryStatus(status), reason=Reason(error) if error else None)
        for alert_id, status, error in (await connection.execute(query)).tuples()
    }


async def _upsert(
    connection: AsyncConnection,
    lease: MonthLease,
    routed: Sequence[RoutedAlert],
    decisions: Sequence[Decision],
    standings: dict[str, Standing],
    now: datetime,
) -> None:
    fresh: list[dict[str, Any]] = []
    known: list[dict[str, Any]] = []
    for position, (item, decision) in enumerate(zip(routed, decisions, strict=True)):
        if decision.action not in {Action.SEND, Action.FAIL}:
            continue
        sends = decision.action is Action.SEND
        values = {
            **facts_row(item.alert),
            "run_id": lease.run_id,
            "channel": item.channel,
            "position": position,
            "payload": item.payload if sends else None,
            "status": DeliveryStatus.PENDING if sends else DeliveryStatus.FAILED,
            "error": decision.reason,
            "error_message": None if sends else unknown_region_text(item.alert.account_region),
            "http_status": None,
            "not_before": None,
            "updated_at": now,
        }
        if item.alert.alert_id in standings:
            known.append({**values, "b_id": item.alert.alert_id})
        else:
            identity = {"id": item.alert.alert_id, "account_id": item.alert.account_id, "created_at": now}
            fresh.append({**values, **identity, "month": str(lease.month), "alert_type": RISK_ALERT})
    for start in range(0, len(fresh), _BATCH):
        await connection.execute(alert_outcomes.insert(), fresh[start : start + _BATCH])
    renew = alert_outcomes.update().where(alert_outcomes.c.id == sa.bindparam("b_id"))
    for start in range(0, len(known), _BATCH):
        await connection.execute(renew, known[start : start + _BATCH])


async def _withdraw(connection: AsyncConnection, alert_ids: Sequence[str], now: datetime) -> None:
    for start in range(0, len(alert_ids), _BATCH):
        await connection.execute(
            alert_outcomes.update()
            .where(alert_outcomes.c.id.in_(alert_ids[start : start + _BATCH]))
            .values(status=DeliveryStatus.WITHDRAWN, error=None, error_message=None, updated_at=now)
        )


async def _insert_run_outcomes(
    connection: AsyncConnection,
    run_id: str,
    routed: Sequence[RoutedAlert],
    decisions: Sequence[Decision],
    *,
    sends: Outcome,
) -> None:
    outcome_of = {
        Action.SEND: sends,
        Action.SKIP_REPLAY: Outcome.SKIPPED_REPLAY,
        Action.HOLD: Outcome.UNKNOWN,
        Action.FAIL: Outcome.FAILED,
    }
    rows = [
        {
            **facts_row(item.alert),
            "run_id": run_id,
            "position": position,
            "alert_id": item.alert.alert_id,
            "account_id": item.alert.account_id,
            "channel": item.channel,
            "outcome": outcome_of[decision.action],
            "reason": decision.reason,
            "error_message": unknown_region_text(item.alert.account_region)
            if decision.action is Action.FAIL
            else None,
        }
        for position, (item, decision) in enumerate(zip(routed, decisions, strict=True))
    ]
    for start in range(0, len(rows), _BATCH):
        await connection.execute(run_outcomes.insert(), rows[start : start + _BATCH])


async def _really_claimed(connection: AsyncConnection, claims: Sequence[OutboxEntry]) -> set[str]:
    """Tell which of a batch were claimed, where a row was changed by somebody else meanwhile."""
    claim_of = {item.alert_id: item.claims + 1 for item in claims}
    query = sa.select(alert_outcomes.c.id, alert_outcomes.c.claims).where(
        alert_outcomes.c.id.in_(claim_of), alert_outcomes.c.status == DeliveryStatus.SENDING
    )
    found = await connection.execute(query)
    return {alert_id for alert_id, claim in found.tuples() if claim_of[alert_id] == claim}


def unknown_region_text(region: str | None) -> str:
    """Say why an alert has no channel."""
    if region is None or not region.strip():
        return "the account has no region"
    return f"no channel is configured for region {region[:100]!r}"


def _settle_row(item: Settlement) -> dict[str, Any]:
    sent = item.status is DeliveryStatus.SENT
    return {
        "alert_id": item.alert_id,
        "claim": item.claim,
        "status": item.status,
        "error": item.reason,
        "error_message": item.message,
        "http_status": item.http_status,
        "sent_at": item.settled_at if sent else None,
        "not_before": item.not_before,
        "settled_at": item.settled_at,
    }


def _attempt_row(item: Settlement, run_id: str) -> dict[str, Any]:
    return {
        "alert_id": item.alert_id,
        "claim": item.claim,
        "run_id": run_id,
        "claimed_at": item.claimed_at,
        "settled_at": item.settled_at,
        "http_status": item.http_status,
        "retry_after_s": item.retry_after_s,
        "status": item.status,
        "error": item.reason,
        "error_message": item.message,
    }
