"""Sending: alerts are claimed, sent and settled one by one, and every step is durable before the next.

The hot verb is short text SQL over a batch: one transaction settles what has been answered and claims what
leaves next, so that many senders share one fsync.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from service.domain.delivery_status import DeliveryStatus, Reason, Step, check_transition
from service.store.outbox.earlier import EarlierMessage, earlier_messages
from service.store.outbox.lane_turns import SharedLane, Turns, pause_lanes, renew_lease, take_turns
from service.store.part import Part, reads, writes
from service.store.runs.state import WAITS_FOR_THE_NEXT_RUN, Lease, check_holds
from service.store.schema.tables import outbox
from service.store.sql import NamedSql, json_rows

_SQL: Final = NamedSql(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """An alert that is to be sent."""

    alert_id: str
    alert_type: str
    subject: str
    channel: str
    position: int
    payload: str
    claims: int
    """How often it was claimed before; the next claim is this plus one."""
    retries: int = 0
    """What it has spent in this run, before it was resumed."""
    rate_limits: int = 0
    not_before: datetime | None = None
    """When it may be tried again, by the clock of the process that tried it."""
    claimed_at: datetime | None = None
    """When it was last claimed, by the clock of that process."""
    earlier: EarlierMessage | None = None
    """The message before it about the same, where that was asked for."""


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
    retries: int = 0
    """What the alert has spent in its run so far."""
    rate_limits: int = 0
    not_before: datetime | None = None
    lane: str | None = None
    """The key of the lane that pauses for all processes when there is a Retry-After."""
    slack_channel: str | None = None
    """Where a bot's message stands, by the channel's id, and its timestamp there."""
    slack_ts: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What was written down; an alert that is neither granted nor waits is somebody else's, or settled."""

    settled: set[str] = field(default_factory=set)
    """The alerts whose answers are in the ledger now: a late one may have changed nothing."""
    is_overtaken: bool = False
    """Whether the run was cancelled, closed or resumed elsewhere: then nothing was claimed."""
    alert_ids: set[str] = field(default_factory=set)
    """These are now the run's to post."""
    waits: Mapping[str, float] = field(default_factory=dict)
    """These are not, because others use their lane: in how many seconds its next turn comes."""
    left_s: float = math.inf
    """Until the run's delivery deadline; less than was asked for where the run was resumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UntriedAlert:
    """An alert that a lane did not come to."""

    alert_id: str
    alert_type: str
    subject: str
    channel: str


class Outbox(Part):
    """The alerts that are to be sent, and what becomes of each."""

    @reads
    def channels(self, lease: Lease) -> list[str]:
        """Return the channels that a run's alerts are still to go to."""
        query = (
            sa.select(outbox.c.channel)
            .distinct()
            .where(
                outbox.c.tenant_id == self._tenant_id,
                outbox.c.run_id == lease.run_id,
                outbox.c.status == DeliveryStatus.PENDING,
            )
            .order_by(outbox.c.channel)
        )
        return [channel for channel in self.connection.scalars(query) if channel is not None]

    @reads
    def pending(
        self, lease: Lease, channels: Sequence[str], *, after: int, limit: int, linked: bool = False
    ) -> list[OutboxEntry]:
        """Return the next alerts that a lane has to send, in the order of sending.

        With `linked` each comes with the message before it about the same, where one stands in Slack.
        """
        table = outbox.c
        query = (
            sa.select(
                table.id.label("alert_id"),
                *(
                    table[each.name]
                    for each in fields(OutboxEntry)
                    if each.name not in {"alert_id", "earlier"}
                ),
            )
            .where(
                table.tenant_id == self._tenant_id,
                table.run_id == lease.run_id,
                table.status == DeliveryStatus.PENDING,
                table.channel.in_(channels),
                table.position > after,
                ~WAITS_FOR_THE_NEXT_RUN,
            )
            .order_by(table.position)
            .limit(limit)
        )
        entries = [OutboxEntry(**row) for row in self.connection.execute(query).mappings()]
        if not linked:
            return entries
        earlier = earlier_messages(self.connection, self._tenant_id, [each.alert_id for each in entries])
        return [replace(each, earlier=earlier.get(each.alert_id)) for each in entries]

    @writes
    def settle_and_claim(
        self,
        lease: Lease,
        settlements: Sequence[Settlement],
        claims: Sequence[OutboxEntry],
        *,
        now: datetime,
        lease_s: float,
        left_s: float = math.inf,
        lanes: Mapping[str, SharedLane] = MappingProxyType({}),
    ) -> Claimed:
        """Write down what was answered, and claim what leaves next: durable when this returns.

        `lanes` has the lane of each channel; alerts of channels that it does not name wait for no turn. With
        the claims the lease is renewed, and `left_s` is kept, the seconds until the run's delivery deadline,
        unless an earlier claim left it less. An overtaken run's settlements are written all the same.
        """
        wanted = _wanted(claims, lanes)
        tenant = {"tenant_id": self._tenant_id}
        pauses = [
            # Its answer came a while before this is written.
            (item.lane, item.retry_after_s - (now - item.settled_at).total_seconds())
            for item in settlements
            if item.lane is not None and item.retry_after_s is not None
        ]
        written: set[str] = set()
        if settlements:
            settled = {**tenant, "rows": json_rows(map(_settled, settlements))}
            written = set(_SQL.execute(self.connection, "settle", settled).scalars())
            if len(written) < len(settlements):
                written.update(_SQL.execute(self.connection, "stands", settled).scalars())
            _SQL.execute(self.connection, "record_attempts", {**settled, "run_id": lease.run_id})
        if pauses:
            pause_lanes(self.connection, pauses)
        if not claims:
            return Claimed(settled=written)
        renewed = renew_lease(
            self.connection, self._tenant_id, lease, list(wanted), lease_s=lease_s, left_s=left_s
        )
        if renewed is None:
            return Claimed(settled=written, is_overtaken=True)
        turns = take_turns(self.connection, wanted, now=renewed.now, standing=renewed.lanes)
        due, waits = _sorted_out(claims, lanes, turns)
        batch = json_rows({"id": item.alert_id, "claims": item.claims} for item in due)
        claiming = {**tenant, "rows": batch, "run_id": lease.run_id, "now": now}
        granted = _SQL.execute(self.connection, "claim", claiming).scalars() if due else ()
        left_s = renewed.delivery_left_s
        return Claimed(settled=written, alert_ids=set(granted), waits=waits, left_s=left_s)

    @writes
    def end_lane(
        self,
        lease: Lease,
        channels: Sequence[str],
        *,
        status: DeliveryStatus,
        reason: Reason,
        message: str,
        now: datetime,
    ) -> list[UntriedAlert]:
        """Say of all alerts that a lane did not come to what becomes of them, and return them in order.

        `status` is `failed` where the destination was given up, `pending` where only time ran out. Raises
        OvertakenError when the lease is lost.
        """
        check_transition(Step.END_LANE, DeliveryStatus.PENDING, status)
        table = outbox.c
        rest = (
            outbox.update()
            .where(
                table.tenant_id == self._tenant_id,
                table.run_id == lease.run_id,
                table.status == DeliveryStatus.PENDING,
                table.channel.in_(channels),
            )
            .values(status=status, error=reason, error_message=message, updated_at=now)
            .returning(table.position, table.id, table.alert_type, table.subject, table.channel)
        )
        check_holds(self.connection, self._tenant_id, lease)
        return [
            UntriedAlert(alert_id=alert_id, alert_type=alert_type, subject=subject, channel=channel)
            for _, alert_id, alert_type, subject, channel in sorted(self.connection.execute(rest))
        ]

    @reads
    def undelivered(self) -> dict[str, int]:
        """Count the tenant's alerts that have not gone out, by status."""
        found = _SQL.execute(self.connection, "undelivered", {"tenant_id": self._tenant_id})
        counts: dict[str, int] = {row.status: row.alerts for row in found}
        counts.pop(DeliveryStatus.SENDING, None)  # on its way is neither
        return counts


def _wanted(
    claims: Sequence[OutboxEntry], lanes: Mapping[str, SharedLane]
) -> dict[str, tuple[SharedLane, int]]:
    """Count the turns that the claims need of each lane, by its key."""
    wanted: dict[str, tuple[SharedLane, int]] = {}
    for channel, count in Counter([item.channel for item in claims]).items():
        if (lane := lanes.get(channel)) is not None:
            wanted[lane.key] = lane, count + wanted.get(lane.key, (lane, 0))[1]
    return wanted


def _sorted_out(
    claims: Sequence[OutboxEntry], lanes: Mapping[str, SharedLane], turns: Mapping[str, Turns]
) -> tuple[Sequence[OutboxEntry], dict[str, float]]:
    """Return those that a lane lets out now, first come first served, and how long each other one waits."""
    if sum(of_lane.granted for of_lane in turns.values()) == len(claims):
        return claims, {}
    due: list[OutboxEntry] = []
    waits: dict[str, float] = {}
    for item in claims:
        lane = lanes.get(item.channel)
        if lane is None:
            due.append(item)
        elif turns[lane.key].granted:
            turns[lane.key].granted -= 1
            due.append(item)
        else:
            waits[item.alert_id] = turns[lane.key].wait_s
    return due, waits


def _settled(item: Settlement) -> dict[str, Any]:
    check_transition(Step.SETTLE, DeliveryStatus.SENDING, item.status)
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
        "retries": item.retries,
        "rate_limits": item.rate_limits,
        "not_before": item.not_before and _text(item.not_before),
        "slack_channel": item.slack_channel,
        "slack_ts": item.slack_ts,
    }


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(" ", "microseconds")
