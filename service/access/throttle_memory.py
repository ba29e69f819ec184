"""The memory of the limits: counts by an injected clock, of a size that nobody can make it exceed."""

from collections.abc import Callable

from limits.aio.storage import Storage


class ThrottleMemory(Storage):
    """Counts within windows, as the library's strategies ask for it."""

    STORAGE_SCHEME: list[str] | None = None

    def __init__(self, now: Callable[[], float], *, most_keys: int) -> None:
        super().__init__()
        self._now = now
        self._most_keys = most_keys
        self._counts: dict[str, tuple[int, float]] = {}
        """Count, and when its window ends; in the order in which the windows began."""

    @property
    def base_exceptions(self) -> type[Exception]:
        """What may go wrong: nothing."""
        return ValueError

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, in a window that lasts `expiry` seconds from its first count; returns the count."""
        count = await self.get(key)
        ends = self._counts[key][1] if count else self._now() + expiry
        if not count and len(self._counts) >= self._most_keys:
            self._forget()
        self._counts[key] = count + amount, ends
        return count + amount

    async def get(self, key: str) -> int:
        """Return the count of the window that is open."""
        count, ends = self._counts.get(key, (0, 0.0))
        if count and ends <= self._now():
            del self._counts[key]
            return 0
        return count

    async def get_expiry(self, key: str) -> float:
        """Return when a key's window ends."""
        return self._counts.get(key, (0, self._now()))[1]

    async def check(self) -> bool:
        """Return whether it works."""
        return True

    async def reset(self) -> int | None:
        """Forget everything."""
        count = len(self._counts)
        self._counts.clear()
        return count

    async def clear(self, key: str) -> None:
        """Forget a key."""
        self._counts.pop(key, None)

    def _forget(self) -> None:
        """Make room: without those whose windows have ended, or else without the oldest tenth."""
        now = self._now()
        self._counts = {key: kept for key, kept in self._counts.items() if kept[1] > now}
        if len(self._counts) >= self._most_keys:
            for key in list(self._counts)[: max(1, self._most_keys // 10)]:
                del self._counts[key]
