"""The reconciler: looks for alerts in doubt where they would stand, and settles those that it can.

An alert that is found was sent. One that is missing twice, the second time long enough after its POST for
Slack's history to have caught up, is what `AMBIGUOUS_SENDS` says. A history that cannot be read settles
nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from service.delivery.slack.answer import WebApiError
from service.delivery.slack.bot import CLOCKS_DIFFER_S, Bot
from service.delivery.slack.history import Place
from service.delivery.slack.marker import Marker
from service.domain.delivery_status import AmbiguousSends, SettleAs
from service.runs.context import App
from service.runs.interventions import decided
from service.store.outbox.reconciling import Doubt
from service.store.patience import retry_while_unavailable
from service.telemetry.delivery_events import DoubtsReconciled


class Finding(StrEnum):
    """What was found out about a doubt."""

    FOUND = "found"
    RESEND = "resend"
    HELD = "held"
    UNREAD = "unread"
    """Its history could not be read, or there was no time left."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Reconciles for one app; counts what it finds, alert by alert."""

    app: App
    run_id: str | None
    """The run that it works for, if any."""
    until: float
    """Monotonic seconds: nothing is waited for that comes later."""
    findings: Counter[Finding] = field(default_factory=Counter)
    unreadable: dict[str, str] = field(default_factory=dict)
    """Why, by channel."""

    async def reconcile(self, doubts: Sequence[Doubt]) -> None:
        """Look for all of them, each channel's together; raises DatabaseUnusableError."""
        if not doubts:
            return  # Slack is not asked, and nothing opened for it
        by_channel: defaultdict[str, list[Doubt]] = defaultdict(list)
        for doubt in doubts:
            by_channel[doubt.channel].append(doubt)
        missing: list[tuple[datetime, str, list[Doubt], datetime]] = []
        for channel, of_channel in by_channel.items():
            looked_at = self.app.clock.now()
            # Each look may take as long as Slack: a run has its end, and a sweep comes again.
            if self.run_id is not None and self.app.clock.monotonic() > self.until:
                await self._unread(channel, of_channel, "not looked for yet: no time was left")
                continue
            if absent := await self._look(channel, of_channel):
                missing.append((self._due(absent), channel, absent, looked_at))
        for due, channel, absent, looked_at in sorted(missing, key=lambda each: each[0]):
            await self._look_again(channel, absent, due=due, looked_at=looked_at)
        event = DoubtsReconciled(run_id=self.run_id, **self.answer(), unreadable=self.unreadable)
        self.app.events.emit(event)

    def answer(self) -> dict[str, int]:
        """Count the findings, each by its name."""
        return {str(finding): self.findings[finding] for finding in Finding}

    def _due(self, doubts: Sequence[Doubt]) -> datetime:
        """Return from when on a message that is still missing never arrived."""
        after_s = self.app.delivery.timeout_s + self.app.policy.reconcile_after_s
        return max(doubt.claimed_at for doubt in doubts) + timedelta(seconds=after_s)

    async def _look(self, channel: str, doubts: Sequence[Doubt]) -> list[Doubt]:
        """Read a channel's history, settle what stands there and return the rest; none where it is unread."""
        oldest = min(doubt.claimed_at for doubt in doubts).timestamp() - CLOCKS_DIFFER_S
        bot = await self.app.sender()
        if not isinstance(bot, Bot):
            raise TypeError("only a bot can read what stands in a channel")
        try:
            history = await bot.history(channel, oldest=oldest, patient_until=self.until)
        except WebApiError as problem:
            await self._unread(channel, doubts, f"the history could not be read: {problem}")
            return []
        absent: list[Doubt] = []
        for doubt in doubts:
            if (place := _place(history, doubt)) is None:
                absent.append(doubt)
            else:
                note = f"found in {place.channel_id} at {place.ts}"
                await self._settle(doubt, SettleAs.SENT, Finding.FOUND, note=note, place=place)
        return absent

    async def _look_again(
        self, channel: str, doubts: Sequence[Doubt], *, due: datetime, looked_at: datetime
    ) -> None:
        clock = self.app.clock
        wait_s = max(0.0, (due - clock.now()).total_seconds())
        if wait_s and clock.monotonic() + wait_s > self.until:
            why = f"not found at {looked_at:%H:%M:%S} UTC, and not looked for again yet"
            await self._unread(channel, doubts, why)
            return
        await clock.sleep(wait_s)
        again_at = clock.now()
        for doubt in await self._look(channel, doubts):
            note = (
                f"not in the channel's history at {looked_at:%Y-%m-%d %H:%M:%S} and {again_at:%H:%M:%S} UTC, "
                f"{(again_at - doubt.claimed_at).total_seconds():.0f} s after its claim"
            )
            if self.app.policy.ambiguous_sends is AmbiguousSends.RESEND:
                await self._settle(doubt, SettleAs.RESEND, Finding.RESEND, note=note)
            elif await self._write(doubt, note, is_final=True):
                self.findings[Finding.HELD] += 1

    async def _unread(self, channel: str, doubts: Sequence[Doubt], why: str) -> None:
        self.unreadable[channel] = why
        for doubt in doubts:
            await self._write(doubt, why, is_final=False)
        self.findings[Finding.UNREAD] += len(doubts)

    async def _write(self, doubt: Doubt, evidence: str, *, is_final: bool) -> bool:
        store, clock = self.app.store.reconciling, self.app.clock
        return await retry_while_unavailable(
            clock, lambda: store.note(doubt, evidence, is_final=is_final, now=clock.now())
        )

    async def _settle(
        self, doubt: Doubt, settle_as: SettleAs, finding: Finding, *, note: str, place: Place | None = None
    ) -> None:
        store, clock = self.app.store.reconciling, self.app.clock
        where = None if place is None else (place.channel_id, place.ts)
        record = await retry_while_unavailable(
            clock, lambda: store.decide(doubt, settle_as, note=note, place=where, now=clock.now())
        )
        if record is not None:  # else somebody was faster
            self.findings[finding] += 1
            self.app.events.emit(decided(record))


def _place(history: dict[Marker, Place], doubt: Doubt) -> Place | None:
    """Return where an alert stands, by whichever of its claims that nobody has decided about."""
    claims = range(doubt.claim, doubt.settled_claim, -1)
    return next(
        (place for claim in claims if (place := history.get(Marker(doubt.alert_id, claim)))),
        None,
    )


async def reconcile_run(app: App, run_id: str, *, until: float) -> int:
    """Settle what a run left in doubt, as far as can be until then; return how many it is to send again."""
    doubts = await retry_while_unavailable(app.clock, lambda: app.store.reconciling.in_doubt(run_id))
    reconciler = Reconciler(app, run_id, until)
    await reconciler.reconcile(doubts)
    return reconciler.findings[Finding.RESEND]


async def reconcile_all(app: App, *, since: datetime | None = None, scope: str | None = None) -> Reconciler:
    """Settle what runs (of a scope) that have ended left in doubt, as far as can be in `RECONCILE_FOR_S`.

    Raises DatabaseUnusableError.
    """
    also_held = app.policy.ambiguous_sends is AmbiguousSends.RESEND  # the policy was another one then
    doubts = await app.store.reconciling.in_doubt(None, since=since, scope=scope, also_held=also_held)
    reconciler = Reconciler(app, None, app.clock.monotonic() + app.policy.reconcile_for_s)
    await reconciler.reconcile(doubts)
    return reconciler
