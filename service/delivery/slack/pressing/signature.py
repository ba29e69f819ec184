"""The signature of a request: by it the service knows that Slack has sent it. Pure.

How Slack signs (docs.slack.dev/authentication/verifying-requests-from-slack) is left to its own library.
"""

from collections.abc import Sequence

from slack_sdk.signature import Clock, SignatureVerifier


class _At(Clock):
    """The clock of the verifier, which stands."""

    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now


def is_signed(
    secret: str, body: bytes, *, timestamps: Sequence[str], signatures: Sequence[str], now: float
) -> bool:
    """Return whether `body` is signed, and that within five minutes of `now`, seconds since 1970.

    `timestamps` and `signatures` are all values of the two headers: one each, or it is not Slack's.
    """
    if len(timestamps) != 1 or len(signatures) != 1:
        return False
    verifier = SignatureVerifier(secret, _At(now))
    try:
        return verifier.is_valid(body, timestamps[0], signatures[0])
    except (ArithmeticError, TypeError, ValueError):
        return False  # a timestamp that is no number, or a body or signature in other letters than Slack's
