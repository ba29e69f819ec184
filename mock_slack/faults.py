"""Seeded faults: which messages Slack refuses in a run, the same ones whenever the run is repeated."""

from collections import Counter
from hashlib import blake2b

from mock_slack.answer import ROLLUP_ERROR, Answer, rate_limited
from mock_slack.settings import Settings


class Faults:
    """Draws faults by a hash of the seed, the alert and how often the alert has been here.

    Nothing else goes in, no clock and no shared generator, so a run meets the same faults in whatever order
    and however concurrently its messages arrive.
    """

    def __init__(self, settings: Settings, seed: int) -> None:
        self._rate_429 = settings.fail_rate_429
        self._rate_any = settings.fail_rate_429 + settings.fail_rate_500
        self._shortest = settings.min_retry_after
        self._longest = settings.max_retry_after
        self._seed = seed
        self._sights: Counter[str] = Counter()

    def draw(self, alert: str) -> Answer | None:
        """Count one more sight of `alert` and return its fault, or None when it is let through."""
        self._sights[alert] += 1
        key = f"{self._seed}\n{self._sights[alert]}\n{alert}".encode()
        digest = blake2b(key, digest_size=16).digest()
        kind, length = _share(digest[:8]), _share(digest[8:])
        if kind < self._rate_429:
            return rate_limited(self._retry_after(length))
        if kind < self._rate_any:
            return ROLLUP_ERROR
        return None

    def _retry_after(self, share: float) -> float:
        low, high = self._shortest, self._longest
        if low.is_integer() and high.is_integer():
            # Slack asks for whole seconds; fractions are only for tests that ask for them.
            return low + int(share * (high - low + 1))
        return min(high, max(low, round(low + share * (high - low), 3)))


def _share(eight_bytes: bytes) -> float:
    """Map eight bytes evenly to [0, 1), using the 53 bits a float can tell apart."""
    return (int.from_bytes(eight_bytes, "big") >> 11) * 2.0**-53
