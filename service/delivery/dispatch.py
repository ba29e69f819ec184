"""Dispatch: outbox → a bounded queue per lane → claim → POST → settle. No business logic.

One loop does it all. Whatever was answered since its last turn is settled, and whatever may leave now
is claimed, in one transaction; then the claimed messages are posted side by side. What a lane may do is said
by `lane.next_move`, what follows from an answer by `lane.follow_up`.
"""

import asyncio
import math
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final

from service.delivery.channels import Channels
from service.delivery.lane import Send, Stop, Wait, follow_up
from service.delivery.lane_queue import Delivery, OutgoingLane, feed, outgoing_lanes
from service.delivery.policy import DeliveryPolicy
from service.delivery.reporting import Answered, DeliveryReport, GivenUpLane, answered, given_up_lane
from service.delivery.slack.outgoing import MessageSender
from service.delivery.slack.send_result import NotPosted, Retry
from service.domain.delivery_status import DeliveryStatus, Outcome, Reason
from service.domain.errors import DatabaseUnusableError, InterruptedRunError, OvertakenError
from service.domain.progress import Progress
from service.runtime.clock import Clock
from service.runtime.first_of import first_of
from service.runtime.garbage import rare_collections
from service.store.outbox.send import Claimed, Outbox
from service.store.patience import BUSY_PATIENCE_S, BUSY_PAUSE_S, TRANSIENT, retry_while_unavailable
from service.store.runs.state import Lease
from service.telemetry.events import Events

FREEZE_MARGIN_S: Final = 1.0
SETTLING_S: Final = 1.0
"""Of a stopping process's grace, what is kept for writing down the answers."""
LAST_MOMENT_S: Final = 1.0
"""No POST begins so shortly before the deadline that it could only end in doubt."""


class Dispatch:
    """Delivers what one run has recorded, until the outbox is drained or time is up."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        sender: MessageSender,
        channels: Channels,
        reached: Sequence[str] = (),
        lease: Lease,
        policy: DeliveryPolicy,
        clock: Clock,
        events: Events,
        progress: Progress,
        halt: asyncio.Event,
        stopping: asyncio.Event,
    ) -> None:
        """Prepare; `halt` is set to end the delivery, and `stopping` too where the whole process ends."""
        self._outbox = outbox
        self._sender = sender
        self._lease = lease
        self._policy = policy
        self._clock = clock
        self._report = DeliveryReport(run_id=lease.run_id, events=events, progress=progress)
        self._halt = halt
        self._stopping = stopping
        self._deadline = math.inf
        self._last_claim_at = math.inf
        self._busy_since: float | None = None
        self._wake = asyncio.Event()
        self._answered: list[Answered] = []
        self._given_up: list[GivenUpLane] = []
        self._background: set[asyncio.Task[object]] = set()
        self._sends: set[asyncio.Task[None]] = set()
        self._lanes = outgoing_lanes(channels, reached, messages_per_second=policy.messages_per_second)
        self._shared_lanes = {name: lane.shared for lane in self._lanes.values() for name in lane.channels}

    async def until_drained(self) -> tuple[GivenUpLane, ...]:
        """Send everything that may be sent; returns when nothing is on its way any more.

        Returns the lanes whose destination failed until they were given up. Raises OvertakenError when the
        run was closed, cancelled or resumed elsewhere, InterruptedRunError when it has to halt, and
        DatabaseUnusableError. What is on its way then is awaited and written down: a late `ok` beats a doubt.
        """
        for lane in self._lanes.values():
            self._sender.senders.join(lane.shared.key)
        try:
            await self._deliver()
        finally:
            for lane in self._lanes.values():
                if not lane.ended:
                    self._leave(lane)
        return tuple(self._given_up)

    async def _deliver(self) -> None:
        self._start_background(self._halt.wait())
        for lane in self._lanes.values():
            self._start_background(feed(lane, self._outbox, self._lease, clock=self._clock, wake=self._wake))
        try:
            with rare_collections():
                while not all(lane.ended for lane in self._lanes.values()):
                    await self._turn()
        finally:
            for task in self._background:
                task.cancel()
            await asyncio.gather(*self._background, return_exceptions=True)
            await self._drain_in_flight()

    async def _turn(self) -> None:
        """Settle what was answered and send what may leave; else wait for the next thing to happen."""
        self._wake.clear()
        if self._halt.is_set():
            raise InterruptedRunError("the service was stopped before all alerts had left")
        for task in [task for task in self._background | self._sends if task.done()]:
            self._background.discard(task)
            self._sends.discard(task)
            task.result()  # a failure there is a failure here
        now = self._clock.monotonic()
        picked, next_turn = self._pick(now)
        if self._answered or picked:
            await self._settle_and_send(picked, now)
            return
        for lane in self._lanes.values():
            if lane.ending is not None and not lane.ended and lane.state.in_flight == 0:
                await self._end(lane, lane.ending)
                return
        await self._wait(next_turn - now)

    async def _drain_in_flight(self) -> None:
        """Wait for the POSTs that are on their way, each within its timeout, and write down their answers.

        A process that was asked to stop has less time than a POST may take: what is not answered within its
        grace stays `sending`, and becomes a doubt when the run is released.
        """
        if self._sends:
            await first_of(
                asyncio.wait(self._sends), self._grace_is_over(self._policy.shutdown_grace_s - SETTLING_S)
            )
            for send in self._sends:
                send.cancel()
            await asyncio.gather(*self._sends, return_exceptions=True)
        give_up_at = self._clock.monotonic() + self._policy.lease_s
        while self._answered:
            try:
                await self._write([])
            except DatabaseUnusableError:
                # Unwritten, these alerts would be in doubt for ever: a disk may have room again in a moment.
                if self._clock.monotonic() >= give_up_at:
                    raise
                await self._clock.sleep(BUSY_PAUSE_S)

    def _start_background(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._wake.set())
        self._background.add(task)

    def _pick(self, now: float) -> tuple[list[tuple[OutgoingLane, Delivery]], float]:
        """Take every message whose turn has come while a sender is free; also say when the next turn is."""
        picked: list[tuple[OutgoingLane, Delivery]] = []
        next_turn = math.inf
        waiting = [lane for lane in self._lanes.values() if lane.ending is None]
        while waiting:
            for lane in tuple(waiting):
                match move := lane.next_move(now, last_claim_at=self._last_claim_at):
                    case Send() if self._sender.senders.take(lane.shared.key, wake=self._wake.set):
                        lane.state.in_flight += 1
                        lane.state.take_turn(now)
                        delivery = lane.take(now)
                        delivery.is_probe = lane.state.outage.is_on
                        picked.append((lane, delivery))
                        continue
                    case Wait(until) if until is not None:
                        next_turn = min(next_turn, until)
                    case Stop():
                        lane.ending = move
                waiting.remove(lane)
        return picked, next_turn

    async def _settle_and_send(self, picked: list[tuple[OutgoingLane, Delivery]], now: float) -> None:
        try:
            claimed = await self._write([delivery for _, delivery in picked])
        except TRANSIENT:
            for lane, delivery in picked:
                self._let_go(lane)
                lane.give_back(delivery, again_at=now)
            self._busy_since = now if self._busy_since is None else self._busy_since
            if self._clock.monotonic() - self._busy_since > BUSY_PATIENCE_S:
                raise
            await self._clock.sleep(BUSY_PAUSE_S)
            return
        self._busy_since = None
        if claimed.is_overtaken:
            raise OvertakenError(f"run {self._lease.run_id} was closed, cancelled or taken over")
        if picked and self._deadline == math.inf:
            self._deadline = now + claimed.left_s
            self._last_claim_at = self._deadline - min(LAST_MOMENT_S, self._policy.deadline_s / 10)
        answered_at = self._clock.monotonic()
        for lane, delivery in picked:
            wait_s = claimed.waits.get(delivery.entry.alert_id)
            if wait_s is not None:
                # Other runs use the lane as well, or one has to pause: the database knows its next turn.
                self._let_go(lane)
                lane.state.next_turn = answered_at + wait_s
                lane.give_back(delivery, again_at=now)
                continue
            if delivery.entry.alert_id not in claimed.alert_ids:
                self._let_go(lane)  # somebody settled or withdrew it meanwhile: it is not ours to send
                continue
            # The lease was renewed after `now`, so nobody can take over before LEASE_S from then.
            delivery.send_by = now + self._policy.lease_s - self._policy.timeout_s - FREEZE_MARGIN_S
            send = asyncio.create_task(self._send(lane, delivery))
            send.add_done_callback(lambda _: self._wake.set())
            self._sends.add(send)

    async def _write(self, picked: Sequence[Delivery]) -> Claimed:
        """Settle what was answered and claim what was picked, in one transaction; then report it."""
        answered, self._answered = self._answered, []
        try:
            claimed = await self._outbox.settle_and_claim(
                self._lease,
                [each.settlement for each in answered],
                [delivery.entry for delivery in picked],
                now=self._clock.now(),
                lease_s=self._policy.lease_s,
                left_s=min(self._policy.deadline_s, self._deadline - self._clock.monotonic()),
                lanes=self._shared_lanes,
            )
        except BaseException:
            # Whatever it was, what was answered must not be forgotten; to settle it twice does no harm.
            self._answered = answered + self._answered
            raise
        for each in answered:
            if each.entry.alert_id in claimed.settled:
                self._report.written(each)
        return claimed

    async def _send(self, lane: OutgoingLane, delivery: Delivery) -> None:
        """Post one claimed message and note what becomes of it."""
        claimed_at = self._clock.now()

        def may_leave() -> bool:
            now = self._clock.monotonic()
            return lane.state.may_leave(now) and now <= min(delivery.send_by, self._last_claim_at)

        # Past the deadline nobody waits for an answer: the run has to end whatever Slack does.
        timeout_s = min(self._policy.timeout_s, self._deadline - self._clock.monotonic())
        result = await self._sender.send(delivery.message(lane), timeout_s=timeout_s, may_leave=may_leave)
        now = self._clock.monotonic()
        after = follow_up(
            result,
            delivery.tries,
            lane.state,
            now=now,
            max_retries=self._policy.max_retries,
            jitter=self._clock.jitter(),
            is_probe=delivery.is_probe,
        )
        wait_s = None if after.again_at is None else max(0.0, after.again_at - now)
        if delivery.unsure_since is None and isinstance(result, Retry) and result.may_have_arrived:
            delivery.unsure_since = claimed_at
        delivery.posts += not isinstance(result, NotPosted)
        self._answered.append(
            answered(
                lane,
                delivery,
                result,
                after,
                claimed_at=claimed_at,
                settled_at=self._clock.now(),
                wait_s=wait_s,
            )
        )
        delivery.entry = replace(delivery.entry, claims=delivery.entry.claims + 1)
        self._let_go(lane)
        if after.again_at is not None:
            lane.give_back(delivery, again_at=after.again_at)

    def _let_go(self, lane: OutgoingLane) -> None:
        """Give back the sender that one message of a lane had."""
        lane.state.in_flight -= 1
        self._sender.senders.give_back(lane.shared.key)

    async def _end(self, lane: OutgoingLane, stop: Stop) -> None:
        """Say of every alert that the lane did not come to what becomes of it."""
        if (reason := stop.reason) is not None:
            is_failed = reason not in {Reason.DEADLINE, Reason.ANSWERS_UNREADABLE}
            why = lane.state.outage.why_untried(reason)
            untried = await retry_while_unavailable(
                self._clock,
                lambda: self._outbox.end_lane(
                    self._lease,
                    lane.channels,
                    status=DeliveryStatus.FAILED if is_failed else DeliveryStatus.PENDING,
                    reason=reason,
                    message=why,
                    now=self._clock.now(),
                ),
            )
            self._report.untried(lane, untried, Outcome.FAILED if is_failed else Outcome.UNSENT, reason)
            if given_up := given_up_lane(lane, reason, len(untried)):
                self._given_up.append(given_up)
        self._leave(lane)

    def _leave(self, lane: OutgoingLane) -> None:
        """Be through with a lane, and keep none of its senders."""
        lane.ended = True
        self._sender.senders.leave(lane.shared.key, held=lane.state.in_flight)

    async def _grace_is_over(self, grace_s: float) -> None:
        await self._stopping.wait()
        await self._clock.sleep(grace_s)

    async def _wait(self, seconds: float) -> None:
        """Return after `seconds`, or as soon as something has happened."""
        if seconds == math.inf:
            await self._wake.wait()
            return
        await first_of(self._wake.wait(), self._clock.sleep(seconds))
