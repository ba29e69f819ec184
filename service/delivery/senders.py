"""The senders: how many POSTs a process has on their way, shared by its runs lane by lane."""

from collections import Counter
from collections.abc import Callable, Mapping


def has_free_sender(in_flight: Mapping[str, int], lane: str, *, concurrency: int) -> bool:
    """Return whether `lane` may use one more of the `concurrency` senders.

    One sender is kept for every lane and the rest is shared, so that no lane, however slow its destination,
    can hold every sender. With fewer senders than lanes, a lane may hold all but one.
    """
    total = sum(in_flight.values())
    shared = concurrency - len(in_flight)
    if shared < 0:
        return total < concurrency and in_flight[lane] < max(1, concurrency - 1)
    return in_flight[lane] == 0 or sum(max(0, held - 1) for held in in_flight.values()) < shared


class Senders:
    """Who holds how many; a lane is known by its destination, so that runs of different months share it."""

    def __init__(self, concurrency: int) -> None:
        """Prepare `concurrency` senders for all runs together."""
        self._concurrency = concurrency
        self._in_flight: dict[str, int] = {}
        """By lane, of those that some run still has alerts for."""
        self._runs: Counter[str] = Counter()
        self._waiting: set[Callable[[], None]] = set()

    def join(self, lane: str) -> None:
        """Keep a sender for this lane from here on: a run has alerts for it."""
        self._runs[lane] += 1
        self._in_flight.setdefault(lane, 0)

    def leave(self, lane: str, *, held: int = 0) -> None:
        """Keep it no longer on behalf of that run, and give back what it still held."""
        self._in_flight[lane] -= held
        self._runs[lane] -= 1
        if not self._runs[lane]:
            del self._in_flight[lane]
        self._wake()

    def take(self, lane: str, *, wake: Callable[[], None]) -> bool:
        """Take a sender for a lane if it may have one more; else `wake` is called when one comes free."""
        if has_free_sender(self._in_flight, lane, concurrency=self._concurrency):
            self._in_flight[lane] += 1
            return True
        self._waiting.add(wake)
        return False

    def give_back(self, lane: str) -> None:
        """Give a sender back."""
        self._in_flight[lane] -= 1
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for wake in waiting:
            wake()
