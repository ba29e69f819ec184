"""Limits: so many at once in this process, and one more is rejected."""

from service.domain.errors import TooManyRunsError


class Places:
    """A number of places; for the event loop's thread only."""

    def __init__(self, count: int, *, of: str) -> None:
        self._free = self._count = count
        self._of = of

    def take(self) -> None:
        """Take a place at once, to be left again; raises TooManyRunsError where none is free."""
        if not self._free:
            raise TooManyRunsError(
                f"{self._count} {self._of} are under way, as many as MAX_CONCURRENT_RUNS allows"
            )
        self._free -= 1

    def leave(self) -> None:
        """Give a place back."""
        self._free += 1
