"""Lane queues: the alerts of one run on their way, lane by lane, fed from the outbox."""

import asyncio
import hashlib
import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from service.delivery.channels import Channels, Destination
from service.delivery.lane import LaneState, Send, Stop, Tries, Wait, next_move
from service.delivery.slack.outgoing import OutgoingMessage
from service.domain.pace import LONGEST_BACKOFF_S
from service.runtime.clock import Clock
from service.store.outbox.lane_turns import SharedLane
from service.store.outbox.send import Outbox, OutboxEntry
from service.store.patience import retry_while_unavailable
from service.store.runs.state import Lease

QUEUE_SIZE: Final = 64
"""Alerts of one lane held in memory; the rest waits in the outbox."""


@dataclass(slots=True, kw_only=True)
class Delivery:
    """An alert on its way through this run."""

    entry: OutboxEntry
    tries: Tries
    posts: int = 0
    is_probe: bool = False
    """Whether it is on its way during an outage of its lane."""
    unsure_since: datetime | None = None
    """When the first POST of it was claimed that may have arrived although its answer was a 5xx."""
    send_by: float = math.inf
    """The moment after which its claim may have been taken over, so that it must not be posted any more."""

    @classmethod
    def of(cls, entry: OutboxEntry) -> "Delivery":
        """Return the delivery of what the outbox has, with what it has spent before its run was resumed."""
        tries = Tries(place=entry.position, retries=entry.retries, rate_limits=entry.rate_limits)
        was_tried = entry.retries or entry.not_before is not None
        return cls(entry=entry, tries=tries, unsure_since=entry.claimed_at if was_tried else None)

    def message(self, lane: "OutgoingLane") -> OutgoingMessage:
        """Return what is posted under the claim that was just made."""
        return OutgoingMessage(
            url=lane.url,
            channel=lane.name,
            payload=self.entry.payload,
            occurrence=self.entry.alert_id,
            claim=self.entry.claims + 1,
            unsure_since=self.unsure_since,
            earlier=self.entry.earlier,
        )


@dataclass(slots=True, kw_only=True)
class OutgoingLane:
    """One destination: its queue, its retries, and its state."""

    name: str
    url: str
    """A secret, unless a bot posts."""
    channels: tuple[str, ...]
    state: LaneState
    shared: SharedLane
    """The same destination as every other process knows it."""
    linked: bool = False
    """Whether each message leads to the one before it about the same."""
    queue: asyncio.Queue[OutboxEntry] = field(default_factory=lambda: asyncio.Queue(QUEUE_SIZE))
    fed: bool = False
    """Whether the outbox has nothing more for the queue."""
    retries: list[tuple[float, int, Delivery]] = field(default_factory=list)
    """A heap by the time from which each may be tried again, then by its place in the order of sending."""
    ending: Stop | None = None
    """Why nothing leaves any more, while what is on its way is still awaited."""
    ended: bool = False

    def ready_at(self, now: float) -> float | None:
        """Say when the next message may leave as far as the message is concerned; None: there is none now."""
        if not self.queue.empty():
            return min(now, self.retries[0][0]) if self.retries else now
        return self.retries[0][0] if self.retries else None

    def take(self, now: float) -> Delivery:
        """Take the next message: a retry that is due goes before what has not been tried."""
        if self.retries and self.retries[0][0] <= now:
            return heapq.heappop(self.retries)[2]
        return Delivery.of(self.queue.get_nowait())

    def next_move(self, now: float, *, last_claim_at: float) -> Send | Wait | Stop:
        """Say what the lane does next; nothing leaves after `last_claim_at`."""
        ready_at = self.ready_at(now)
        return next_move(self.state, now, ready_at=ready_at, drained=self.fed, last_claim_at=last_claim_at)

    def give_back(self, delivery: Delivery, *, again_at: float) -> None:
        """Keep a message that is to be tried (again) from `again_at` on."""
        heapq.heappush(self.retries, (again_at, delivery.entry.position, delivery))


async def feed(
    lane: OutgoingLane, outbox: Outbox, lease: Lease, *, clock: Clock, wake: asyncio.Event
) -> None:
    """Move a lane's alerts from the outbox into its queue, in order, as the queue has room."""
    position = -1

    async def next_page() -> list[OutboxEntry]:
        return await outbox.pending(
            lease, lane.channels, after=position, limit=QUEUE_SIZE, linked=lane.linked
        )

    while page := await retry_while_unavailable(clock, next_page):
        for entry in page:
            # What the process before has tried waits out its backoff; a pause is the lane's.
            wait_s = (entry.not_before - clock.now()).total_seconds() if entry.not_before else 0.0
            if wait_s > 0:
                again_at = clock.monotonic() + min(wait_s, LONGEST_BACKOFF_S)
                lane.give_back(Delivery.of(entry), again_at=again_at)
            else:
                await lane.queue.put(entry)
            wake.set()
        position = page[-1].position
    lane.fed = True


def outgoing_lanes(
    channels: Channels, reached: Sequence[str] = (), *, messages_per_second: float
) -> Mapping[str, OutgoingLane]:
    """Return a lane for every destination, by name; channels that share a webhook share its lane.

    `reached` are channels besides those that regions lead to; one without a webhook gets no lane.
    """
    channels_of: dict[str, list[str]] = {}
    named = (channel for channel in reached if channels.named(channel) is not None)
    for channel in dict.fromkeys((*channels.names, *named)):
        channels_of.setdefault(channels.lane_of(channel), []).append(channel)
    return {
        name: OutgoingLane(
            name=name,
            url=channels.url_of(name),
            channels=tuple(names),
            state=LaneState(interval=shared.interval),
            shared=shared,
            linked=channels.destination is Destination.BOT,
        )
        for name, names in channels_of.items()
        for shared in (shared_lane(channels, name, messages_per_second=messages_per_second),)
    }


def method_lane(channels: Channels, method: str, *, interval: float) -> SharedLane:
    """Return a method of the bot as all processes know it, with its pace and pauses over all channels."""
    key = hashlib.sha256(f"{channels.bot_token} method {method}".encode()).hexdigest()
    return SharedLane(key=key, interval=interval)


def shared_lane(channels: Channels, name: str, *, messages_per_second: float) -> SharedLane:
    """Return a lane as all processes know it."""
    key = hashlib.sha256(channels.secret_of(name).encode()).hexdigest()
    return SharedLane(key=key, interval=1 / messages_per_second if messages_per_second else 0.0)
