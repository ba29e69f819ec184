"""API keys: `ra_<id>_<secret><checksum>`, shown once and kept as a hash.

The id is no secret: it names the key in lists, logs and the audit. The checksum lets a mistyped key be
rejected, and a leaked one be recognised, without asking the database.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from service.domain.identity.permission import KeyScope

PREFIX: Final = "ra_"
_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH: Final = 12
_SECRET_LENGTH: Final = 43
"""Of 62 characters: 256 bits."""
_CHECKSUM_LENGTH: Final = 6
_KEY: Final = re.compile(
    rf"{PREFIX}(?P<id>[0-9A-Za-z]{{{_ID_LENGTH}}})_(?P<secret>[0-9A-Za-z]{{{_SECRET_LENGTH}}})"
    rf"(?P<checksum>[0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is kept, without its secret."""

    id: str
    tenant_id: str
    name: str
    scopes: frozenset[KeyScope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Return whether it opens anything at this time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class KeySecret:
    """A key as its holder has it."""

    id: str
    secret: str

    @classmethod
    def new(cls) -> Self:
        """Make one up."""
        return cls(id=_random(_ID_LENGTH), secret=_random(_SECRET_LENGTH))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a key; None where it is none, or was not copied whole."""
        match = _KEY.fullmatch(text)
        if match is None or match["checksum"] != _checksum(match["id"], match["secret"]):
            return None
        return cls(id=match["id"], secret=match["secret"])

    @property
    def text(self) -> str:
        """The key itself: for its holder, once."""
        return f"{PREFIX}{self.id}_{self.secret}{_checksum(self.id, self.secret)}"

    @property
    def digest(self) -> str:
        """What is kept of it. The secret is random and long: no slow hash is needed, and no salt."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def matches(self, digest: str) -> bool:
        """Return whether it is the one that was kept; how long that takes does not depend on the secret."""
        return hmac.compare_digest(self.digest, digest)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(key_id: str, secret: str) -> str:
    number = zlib.crc32(f"{key_id}_{secret}".encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
