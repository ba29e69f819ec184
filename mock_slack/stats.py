"""The statistics: what a test wants to know about the requests that came."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pydantic import BaseModel, ConfigDict, Field

from mock_slack.answer import Answer


class Counts(BaseModel):
    """The figures of one channel, or of all together.

    `requests` = `accepted` + the sum of `refused` + `dropped_before` + those still waiting for their answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int = Field(description="Requests that arrived.")
    accepted: int = Field(description="Messages posted: a 2xx that reports no error, sent or dropped after.")
    refused: dict[int, int] = Field(description="Requests refused, by status.")
    dropped_before: int = Field(description="Connections closed before the request was recorded.")
    dropped_after: int = Field(description="Connections closed unanswered after the request was recorded.")
    duplicates: dict[str, int] = Field(
        description="Alerts accepted more than once, and how many times (in total: over all channels)."
    )
    shortest_gap_after_429_s: float | None = Field(
        description="Shortest time from a 429 to the channel's next request; null when none followed."
    )
    requests_inside_retry_after: int = Field(
        description="Requests that arrived before the pause that a 429 had asked of their channel was over."
    )
    max_concurrent_requests: int = Field(description="Most requests open at the same time.")


class Report(BaseModel):
    """What `GET /stats` answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    total: Counts
    channels: dict[str, Counts]


class _Tally:
    """The running counts of one channel, or of all together."""

    def __init__(self) -> None:
        self.requests = 0
        self.open = 0
        self.max_open = 0
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self.dropped_before = 0
        self.dropped_after = 0

    def arrived(self) -> None:
        self.requests += 1
        self.open += 1
        self.max_open = max(self.max_open, self.open)

    def decided(self, alert: str, answer: Answer) -> None:
        if answer.drop == "before":
            self.dropped_before += 1
            return
        self.dropped_after += answer.drop == "after"
        if answer.accepted:
            self.accepted[alert] += 1
        else:
            self.refused[answer.status] += 1

    def counts(self, pauses: "list[_Pauses]") -> Counts:
        gaps = [each.shortest_gap for each in pauses if each.shortest_gap is not None]
        return Counts(
            requests=self.requests,
            accepted=self.accepted.total(),
            refused=dict(sorted(self.refused.items())),
            dropped_before=self.dropped_before,
            dropped_after=self.dropped_after,
            duplicates={alert: times for alert, times in self.accepted.items() if times > 1},
            shortest_gap_after_429_s=min(gaps, default=None),
            requests_inside_retry_after=sum(each.inside for each in pauses),
            max_concurrent_requests=self.max_open,
        )


class _Pauses:
    """How one channel's requests kept to the pauses that its 429s asked for."""

    def __init__(self) -> None:
        self.last_429: float | None = None
        self.until = float("-inf")
        self.shortest_gap: float | None = None
        self.inside = 0

    def arrived(self, now: float) -> None:
        self.inside += now < self.until
        if self.last_429 is not None:
            gap = now - self.last_429
            self.shortest_gap = gap if self.shortest_gap is None else min(gap, self.shortest_gap)

    def refused(self, now: float, pause_s: float | None) -> None:
        self.last_429 = now
        if pause_s is not None:
            self.until = max(self.until, now + pause_s)


class Visit:
    """One request on its way through the statistics; made by `Stats.visit`."""

    def __init__(self, tallies: tuple[_Tally, _Tally], pauses: _Pauses, clock: Callable[[], float]) -> None:
        self._tallies = tallies
        self._pauses = pauses
        self._clock = clock

    def decided(self, alert: str, answer: Answer) -> None:
        """Count what has become of the request, when that is settled."""
        for tally in self._tallies:
            tally.decided(alert, answer)

    def answered(self, answer: Answer) -> None:
        """Note that the client is being told now: from here on it is expected to keep to a 429's pause."""
        if answer.status == 429 and answer.drop is None:  # noqa: PLR2004  Too Many Requests
            self._pauses.refused(self._clock(), answer.pause_s())


class Stats:
    """Counts requests per channel and in total; `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Begin again at zero; requests under way are finished on the old counts."""
        self._total = _Tally()
        self._channels: defaultdict[str, _Tally] = defaultdict(_Tally)
        self._pauses: defaultdict[str, _Pauses] = defaultdict(_Pauses)

    @contextmanager
    def visit(self, channel: str) -> Iterator[Visit]:
        """Count a request of `channel` as arrived now, and as open until the block is left."""
        tallies = (self._total, self._channels[channel])
        pauses = self._pauses[channel]
        pauses.arrived(self._clock())
        for tally in tallies:
            tally.arrived()
        try:
            yield Visit(tallies, pauses, self._clock)
        finally:
            for tally in tallies:
                tally.open -= 1

    def report(self) -> Report:
        """Return the figures so far."""
        return Report(
            total=self._total.counts(list(self._pauses.values())),
            channels={
                channel: tally.counts([self._pauses[channel]]) for channel, tally in self._channels.items()
            },
        )
