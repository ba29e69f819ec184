"""The signature of a request: by it the service knows that Slack has sent it. Pure.

`v0=` and the HMAC-SHA256 of `v0:{timestamp}:{body}`, the body as it came over the wire
(docs.slack.dev/authentication/verifying-requests-from-slack).
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

MOST_SKEW_S: Final = 300.0
"""A request that was signed longer ago, or is to be signed later, may be a recorded one."""
_MOST_DIGITS: Final = 12


def is_signed(
    secret: str, body: bytes, *, timestamps: Sequence[str], signatures: Sequence[str], now: float
) -> bool:
    """Return whether `body` is signed, and that within five minutes of `now`, seconds since 1970.

    `timestamps` and `signatures` are all values of the two headers: one each, or it is not Slack's.
    """
    if len(timestamps) != 1 or len(signatures) != 1 or not _is_number(timestamps[0]):
        return False
    signed = f"v0:{timestamps[0]}:".encode() + body
    right = f"v0={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"
    is_right = hmac.compare_digest(signatures[0].encode("utf-8", "replace"), right.encode())
    return is_right and abs(now - int(timestamps[0])) <= MOST_SKEW_S


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
