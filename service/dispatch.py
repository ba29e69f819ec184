"""Dispatch: outbox → a bounded queue per lane → claim → POST → settle. No business logic.

One loop owns all decisions. Whatever was answered since its last turn is settled, and whatever may leave now
is claimed, in one transaction; then the claimed messages are posted side by side. What a lane may do is said
by `lane.decide`, what an answer means by `lane.judge`.
"""

import asyncio
import heapq
import math
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from service.channels import Channels
from service.clock import Clock
from service.delivery import DeliveryStatus, Outcome, Reason
from service.errors import OvertakenError
from service.lane import LaneState, Send, Stop, Tries, Wait, decide, has_free_sender, judge
from service.progress import Progress
from service.send_result import NotPosted, RateLimited, SendResult
from service.slack import SlackSender
from service.store import DatabaseBusyError, LeftAlert, MonthLease, OutboxEntry, Settlement, Store
from service.telemetry import Observer

QUEUE_SIZE: Final = 64
"""Alerts of one lane held in memory; the rest waits in the outbox."""
BUSY_PAUSE_S: Final = 0.5
FREEZE_MARGIN_S: Final = 1.0
LAST_MOMENT_S: Final = 1.0
"""No POST begins so shortly before the deadline that it could only end in doubt."""

_FINAL: Final = {
    DeliveryStatus.SENT: Outcome.SENT,
    DeliveryStatus.FAILED: Outcome.FAILED,
    DeliveryStatus.UNKNOWN: Outcome.UNKNOWN,
}
_WHY_LEFT: Final = {
    Reason.SLACK_UNREACHABLE: "the destination refused connections, so the rest of its alerts was not tried",
    Reason.DEADLINE: "the delivery deadline came first; the next run of the month sends it",
    Reason.STOPPED: "the service was stopped first; the next run of the month sends it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """How deliveries are made."""

    messages_per_second: float
    """Pace of each lane; 0 is unpaced."""
    concurrency: int
    timeout_s: float
    max_retries: int
    deadline_s: float
    """From the first claim."""
    lease_s: float


@dataclass(slots=True, kw_only=True)
class _Delivery:
    """An alert on its way through this run."""

    entry: OutboxEntry
    tries: Tries = field(default_factory=Tries)
    posts: int = 0
    send_by: float = math.inf


@dataclass(slots=True, kw_only=True)
class _Lane:
    """One destination: its queue, its retries, and its state."""

    name: str
    url: str
    channels: tuple[str, ...]
    state: LaneState
    queue: asyncio.Queue[OutboxEntry]
    fed: bool = False
    """Whether the outbox has nothing more for the queue."""
    retries: list[tuple[float, int, _Delivery]] = field(default_factory=list)
    """A heap by the time from which each may be tried again, then by its place in the order of sending."""
    ending: Stop | None = None
    ended: bool = False

    def ready_at(self, now: float) -> float | None:
        if not self.queue.empty():
            return min(now, self.retries[0][0]) if self.retries else now
        return self.retries[0][0] if self.retries else None

    def take(self, now: float) -> _Delivery:
        """Take the next message: a retry that is due goes before what has not been tried."""
        if self.retries and self.retries[0][0] <= now:
            return heapq.heappop(self.retries)[2]
        return _Delivery(entry=self.queue.get_nowait())

    def give_back(self, delivery: _Delivery, *, again_at: float) -> None:
        heapq.heappush(self.retries, (again_at, delivery.entry.position, delivery))


class Dispatch:
    """Delivers what one run has recorded, until the outbox is drained or time is up."""

    def __init__(
        self,
        *,
        store: Store,
        sender: SlackSender,
        channels: Channels,
        lease: MonthLease,
        policy: DeliveryPolicy,
        clock: Clock,
        observer: Observer,
        progress: Progress,
        stopping: asyncio.Event,
    ) -> None:
        self._store = store
        self._sender = sender
        self._lease = lease
        self._policy = policy
        self._clock = clock
        self._observer = observer
        self._progress = progress
        self._stopping = stopping
        self._deadline = math.inf
        self._wake = asyncio.Event()
        self._settlements: list[Settlement] = []
        self._aside: set[asyncio.Task[None]] = set()
        self._sends: set[asyncio.Task[None]] = set()
        self._lanes = _lanes_of(channels, policy)

    async def until_drained(self) -> None:
        """Send everything that may be sent; returns when nothing is on its way any more.

        Raises OvertakenError when another run took the month over, and DatabaseUnusableError. What is on its
        way then is still awaited and written down: a late `ok` is worth more than a doubt.
        """
        self._run_aside(self._watch_for_stop())
        for lane in self._lanes.values():
            self._run_aside(self._feed(lane))
        try:
            while not all(lane.ended for lane in self._lanes.values()):
                await self._turn()
        finally:
            for task in self._aside:
                task.cancel()
            await self._see_off()

    async def _turn(self) -> None:
        """Settle what was answered and send what may leave; else wait for the next thing to happen."""
        self._wake.clear()
        for task in [task for task in self._aside | self._sends if task.done()]:
            self._aside.discard(task)
            self._sends.discard(task)
            task.result()  # a failure there is a failure here
        now = self._clock.monotonic()
        picked, next_turn = self._pick(now)
        if self._settlements or picked:
            await self._settle_and_send(picked, now)
            return
        for lane in self._lanes.values():
            if lane.ending is not None and not lane.ended and lane.state.in_flight == 0:
                await self._end(lane, lane.ending)
                return
        await self._wait(next_turn - now)

    async def _see_off(self) -> None:
        """Wait for the POSTs that are on their way, each within its timeout, and write down their answers."""
        if self._sends:
            await asyncio.wait(self._sends)
        if self._settlements:
            settlements, self._settlements = self._settlements, []
            await self._store.settle_and_claim(
                self._lease, settlements, [], now=self._clock.now(), lease_s=self._policy.lease_s
            )

    def _run_aside(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._wake.set())
        self._aside.add(task)

    def _pick(self, now: float) -> tuple[list[tuple[_Lane, _Delivery]], float]:
        """Take every message whose turn has come while a sender is free; also say when the next turn is."""
        picked: list[tuple[_Lane, _Delivery]] = []
        next_turn = math.inf
        waiting = [lane for lane in self._lanes.values() if lane.ending is None]
        while waiting:
            for lane in tuple(waiting):
                in_flight = {name: other.state.in_flight for name, other in self._lanes.items()}
                decision = self._decide(lane, now)
                match decision:
                    case Send() if has_free_sender(
                        in_flight, lane.name, concurrency=self._policy.concurrency
                    ):
                        lane.state.in_flight += 1
                        lane.state.take_turn(now)
                        picked.append((lane, lane.take(now)))
                        continue
                    case Wait(until) if until is not None:
                        next_turn = min(next_turn, until)
                    case Stop():
                        lane.ending = decision
                waiting.remove(lane)
        return picked, next_turn

    def _decide(self, lane: _Lane, now: float) -> Send | Wait | Stop:
        if self._stopping.is_set():
            return Stop(Reason.STOPPED)
        return decide(
            lane.state,
            now,
            ready_at=lane.ready_at(now),
            drained=lane.fed,
            last_claim_at=self._deadline - min(LAST_MOMENT_S, self._policy.deadline_s / 10),
        )

    async def _settle_and_send(self, picked: list[tuple[_Lane, _Delivery]], now: float) -> None:
        settlements, self._settlements = self._settlements, []
        try:
            granted = await self._store.settle_and_claim(
                self._lease,
                settlements,
                [delivery.entry for _, delivery in picked],
                now=self._clock.now(),
                lease_s=self._policy.lease_s,
            )
        except DatabaseBusyError:
            # What was answered must not be forgotten: it is written as soon as the database can be had.
            self._settlements = settlements + self._settlements
            for lane, delivery in picked:
                lane.state.in_flight -= 1
                lane.give_back(delivery, again_at=now)
            if self._clock.monotonic() > self._deadline + self._policy.lease_s:
                raise
            await self._clock.sleep(BUSY_PAUSE_S)
            return
        if granted is None:
            raise OvertakenError(f"run {self._lease.run_id} was closed by another process")
        if picked and self._deadline == math.inf:
            self._deadline = now + self._policy.deadline_s
        for lane, delivery in picked:
            if delivery.entry.alert_id not in granted:
                lane.state.in_flight -= 1  # somebody settled or withdrew it meanwhile: it is not ours to send
                continue
            # The lease was renewed after `now`, so nobody can take over before LEASE_S from then.
            delivery.send_by = now + self._policy.lease_s - self._policy.timeout_s - FREEZE_MARGIN_S
            send = asyncio.create_task(self._send(lane, delivery))
            send.add_done_callback(lambda _: self._wake.set())
            self._sends.add(send)

    async def _send(self, lane: _Lane, delivery: _Delivery) -> None:
        """Post one claimed message and note what becomes of it."""
        claimed_at = self._clock.now()
        now = self._clock.monotonic()
        result: SendResult
        if now > delivery.send_by or now < lane.state.paused_until:
            result = NotPosted()
        else:
            # Past the deadline nobody waits for an answer: the run has to end whatever Slack does.
            patience = max(0.001, min(self._policy.timeout_s, self._deadline - now))
            result = await self._sender.post(lane.url, delivery.entry.payload, timeout_s=patience)
            delivery.posts += 1
        now = self._clock.monotonic()
        verdict = judge(
            result,
            delivery.tries,
            lane.state,
            now=now,
            max_retries=self._policy.max_retries,
            jitter=self._clock.jitter(),
        )
        entry = delivery.entry
        settled_at = self._clock.now()
        claim = entry.claims + 1
        wait_s = None if verdict.again_at is None else max(0.0, verdict.again_at - now)
        self._settlements.append(
            Settlement(
                alert_id=entry.alert_id,
                claim=claim,
                status=verdict.status,
                claimed_at=claimed_at,
                settled_at=settled_at,
                posted=not isinstance(result, NotPosted),
                reason=verdict.reason,
                message=verdict.message,
                http_status=getattr(result, "http_status", None),
                retry_after_s=result.retry_after_s if isinstance(result, RateLimited) else None,
                not_before=None if wait_s is None else settled_at + timedelta(seconds=min(wait_s, 1e9)),
            )
        )
        delivery.entry = replace(entry, claims=claim)
        lane.state.in_flight -= 1
        if verdict.again_at is not None:
            lane.give_back(delivery, again_at=verdict.again_at)
        self._tell(lane, delivery, result, self._settlements[-1], wait_s)

    def _tell(
        self,
        lane: _Lane,
        delivery: _Delivery,
        result: SendResult,
        settlement: Settlement,
        wait_s: float | None,
    ) -> None:
        entry, run_id = delivery.entry, self._lease.run_id
        if isinstance(result, RateLimited):
            self._observer.lane_paused(
                run_id=run_id, channel=lane.name, reason=Reason.RATE_LIMITED, pause_s=result.retry_after_s
            )
        outcome = _FINAL.get(settlement.status)
        if outcome is None:
            if settlement.posted:
                self._observer.alert_retried(
                    run_id=run_id,
                    alert=entry,
                    channel=entry.channel,
                    reason=settlement.reason,
                    http_status=settlement.http_status,
                    attempts=delivery.posts,
                    wait_s=wait_s or 0.0,
                )
            return
        self._progress.alerts_settled += 1
        if outcome is Outcome.SENT:
            self._progress.sent_by_channel[entry.channel] += 1
        elif outcome is Outcome.FAILED:
            self._progress.alerts_failed += 1
        self._observer.alert_settled(
            run_id=run_id,
            alert=entry,
            channel=entry.channel,
            outcome=outcome,
            reason=settlement.reason,
            http_status=settlement.http_status,
            attempts=delivery.posts,
        )

    async def _end(self, lane: _Lane, stop: Stop) -> None:
        """Say of every alert that the lane did not come to what becomes of it."""
        if stop.reason is not None:
            given_up = stop.reason is Reason.SLACK_UNREACHABLE
            left = await self._store.end_lane(
                self._lease,
                lane.channels,
                status=DeliveryStatus.FAILED if given_up else DeliveryStatus.PENDING,
                reason=stop.reason,
                message=_WHY_LEFT[stop.reason],
                now=self._clock.now(),
            )
            self._observer.lane_ended(
                run_id=self._lease.run_id, channel=lane.name, reason=stop.reason, alerts_left=len(left)
            )
            self._tell_left(lane, left, Outcome.FAILED if given_up else Outcome.UNSENT, stop.reason)
        lane.ended = True

    def _tell_left(self, lane: _Lane, left: list[LeftAlert], outcome: Outcome, reason: Reason) -> None:
        posts = {delivery.entry.alert_id: delivery.posts for _, _, delivery in lane.retries}
        for alert in left:
            self._progress.alerts_settled += 1
            self._progress.alerts_failed += outcome is Outcome.FAILED
            self._observer.alert_settled(
                run_id=self._lease.run_id,
                alert=alert,
                channel=alert.channel,
                outcome=outcome,
                reason=reason,
                http_status=None,
                attempts=posts.get(alert.alert_id, 0),
            )

    async def _feed(self, lane: _Lane) -> None:
        """Move a lane's alerts from the outbox into its queue, in order, as the queue has room."""
        position = -1
        while page := await self._store.pending(self._lease, lane.channels, after=position, limit=QUEUE_SIZE):
            for entry in page:
                await lane.queue.put(entry)
                self._wake.set()
            position = page[-1].position
        lane.fed = True
        self._wake.set()

    async def _watch_for_stop(self) -> None:
        await self._stopping.wait()
        self._wake.set()

    async def _wait(self, seconds: float) -> None:
        """Return after `seconds`, or as soon as something has happened."""
        if seconds == math.inf:
            await self._wake.wait()
            return
        waits = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(self._clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _lanes_of(channels: Channels, policy: DeliveryPolicy) -> Mapping[str, _Lane]:
    channels_of: dict[str, list[str]] = {}
    for channel in channels.names:
        channels_of.setdefault(channels.lane_of(channel), []).append(channel)
    interval = 1 / policy.messages_per_second if policy.messages_per_second else 0.0
    return {
        name: _Lane(
            name=name,
            url=channels.url_of(name),
            channels=tuple(names),
            state=LaneState(interval=interval),
            queue=asyncio.Queue(QUEUE_SIZE),
        )
        for name, names in channels_of.items()
    }
