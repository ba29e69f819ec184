"""The marker: by it the service knows a message of its own in a channel's history. Pure.

Slack shows the metadata of a message to every app of the workspace, so that a marker holds nothing but the
hash that an occurrence is known by, the claim, and a signature that nobody can make without `MARKER_KEY`.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Final

EVENT_TYPE: Final = "risk_alert"
_SIGNED: Final = "risk-alerts marker 1\n{}.{}"
_SIGNATURE_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Marker:
    """Which POST a message is of."""

    occurrence: str
    claim: int


@dataclass(frozen=True, slots=True, repr=False)
class Markers:
    """Makes and reads markers; `key` is a secret."""

    key: str

    def metadata(self, marker: Marker) -> dict[str, Any]:
        """Return a message's metadata."""
        text = f"{marker.occurrence}.{marker.claim}.{self._signature(marker)}"
        return {"event_type": EVENT_TYPE, "event_payload": {"marker": text}}

    def read(self, metadata: object) -> Marker | None:
        """Return the marker that metadata hold; None where they hold none, or one that is not ours."""
        match metadata:
            case {"event_type": str(kind), "event_payload": {"marker": str(text)}} if kind == EVENT_TYPE:
                occurrence, claim, signature = (*text.split("."), "", "", "")[:3]
            case _:
                return None
        if not (claim.isascii() and claim.isdecimal() and len(claim) < 10):  # noqa: PLR2004  # digits
            return None
        marker = Marker(occurrence, int(claim))
        is_ours = hmac.compare_digest(signature.encode(), self._signature(marker).encode())
        return marker if is_ours else None

    def _signature(self, marker: Marker) -> str:
        text = _SIGNED.format(marker.occurrence, marker.claim)
        digest = hmac.new(self.key.encode(), text.encode("utf-8", "replace"), hashlib.sha256)
        return digest.hexdigest()[:_SIGNATURE_DIGITS]
