"""Limits: how often somebody may change something, and how often a log-in may fail, in this process.

The limits and how they are spelled are the library's; what they count by is kept here, since its own memory
has the wall clock's time and looks through all of itself at every count.
"""

import math
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.domain.identity.login_errors import TooManyRequestsError
from service.runtime.clock import Clock

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.strategies import FixedWindowRateLimiter

MOST_KEYS: Final = 50_000
"""Callers that are remembered; beyond that the one whose count began first is forgotten."""
_MANY: Final = 20
"""So much more may fail from one address over all accounts, or for one account from all addresses."""


@dataclass(slots=True)
class Attempt:
    """A log-in under way."""

    has_failed: bool = True
    """Until whoever makes it says otherwise."""


class Throttle:
    """Counts, and refuses who has counted too often; for the event loop's thread only."""

    def __init__(self, *, changes: str, failed_logins: str, clock: Clock) -> None:
        """Take the limits as `limits` spells them, such as `10/15 minutes`."""
        self._changes = changes
        self._failed_logins = failed_logins
        self._clock = clock
        self._under_way: Counter[str] = Counter()
        self._made: _Limits | None = None

    async def change(self, who: str) -> None:
        """Count a request that changes something; raises TooManyRequestsError."""
        limits = self._limits
        if not await limits.limiter.hit(limits.changes, who):
            raise await self._refusal("changes", [(limits.changes, who)])

    @asynccontextmanager
    async def attempt(self, account: str, address: str) -> AsyncIterator[Attempt]:
        """Hold a log-in, which counts when it has failed; raises TooManyRequestsError before it begins.

        Those under way count as if they had failed, so that guesses made at once are not free. An account
        is not closed to its owner by who fails at it elsewhere, unless that is very often.
        """
        limits = self._limits
        counted = [
            (limits.failed_logins, f"{account} {address}"),
            (limits.many_failed_logins, f"account {account}"),
            (limits.many_failed_logins, f"address {address}"),
        ]
        for item, key in counted:
            stats = await limits.limiter.get_window_stats(item, key)
            if stats.remaining <= self._under_way[key]:
                raise await self._refusal("log-ins that failed", [(item, key)])
        keys = [key for _, key in counted]
        self._under_way.update(keys)
        attempt = Attempt()
        try:
            yield attempt
        finally:
            self._under_way.subtract(keys)
            self._under_way += Counter()  # without those at zero
            if attempt.has_failed:
                for item, key in counted:
                    await limits.limiter.hit(item, key)

    async def _refusal(
        self, what: str, counted: Sequence[tuple["RateLimitItem", str]]
    ) -> TooManyRequestsError:
        ends = [(await self._limits.limiter.get_window_stats(*each)).reset_time for each in counted]
        wait_s = max(1, math.ceil(max(ends) - self._clock.monotonic()))
        return TooManyRequestsError(f"too many {what}: try again in {wait_s} s", wait_s=wait_s)

    @property
    def _limits(self) -> "_Limits":
        if self._made is None:
            self._made = _limits(self._changes, self._failed_logins, self._clock)
        return self._made


@dataclass(frozen=True, slots=True)
class _Limits:
    """The limits, made when the first request needs them: the library takes a while to be imported."""

    limiter: "FixedWindowRateLimiter"
    changes: "RateLimitItem"
    failed_logins: "RateLimitItem"
    many_failed_logins: "RateLimitItem"


def _limits(changes: str, failed_logins: str, clock: Clock) -> _Limits:
    from limits import parse  # noqa: PLC0415  # see _Limits
    from limits.aio.strategies import FixedWindowRateLimiter  # noqa: PLC0415  # see _Limits

    from service.access.throttle_memory import ThrottleMemory  # noqa: PLC0415  # see _Limits

    few = parse(failed_logins)
    many = type(few)(few.amount * _MANY, few.multiples, namespace="MANY")
    return _Limits(
        limiter=FixedWindowRateLimiter(ThrottleMemory(clock.monotonic, most_keys=MOST_KEYS)),
        changes=parse(changes),
        failed_logins=few,
        many_failed_logins=many,
    )
