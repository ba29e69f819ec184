"""The keys that access tokens are signed with: a file of at most two, of which the first signs.

The file is a JWK Set (RFC 7517) with private RSA keys. A new key comes first, and the one before it still
verifies until the next is made: whoever rotates twice in less than a token's life logs people out.
"""

import hashlib
import json
import math
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from service.domain.identity.login_errors import SigningKeysError
from service.runtime.clock import Clock
from service.runtime.private_files import make_private_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

LIVE_KEYS: Final = 2
_BITS: Final = 2048
_LOOK_S: Final = 1.0
"""A rotation made beside this process is noticed after so many seconds."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, and the name under which tokens refer to it."""

    kid: str
    private: "RSAPrivateKey"
    public: "RSAPublicKey"
    """What verifies; made once, since to derive it takes longer than to verify."""


class SigningKeys:
    """The keys of one file; read when they are first needed, and again when the file has changed."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._seen: tuple[int, int, int] | None = None
        self._looked_at = -math.inf
        self._keys: Mapping[str, SigningKey] = {}

    def check(self) -> None:
        """Read the keys; raises SigningKeysError."""
        self._seen = _identity(self._path)
        self._keys = read_keys(self._path)
        self._looked_at = self._clock.monotonic()

    def signing(self) -> SigningKey:
        """Return the key that signs."""
        self._look()
        return next(iter(self._keys.values()))

    def verifying(self, kid: str) -> SigningKey | None:
        """Return the key of this name, or None where there is none (any more)."""
        self._look()
        return self._keys.get(kid)

    def _look(self) -> None:
        if self._seen is None:
            self.check()
        now = self._clock.monotonic()
        if now - self._looked_at < _LOOK_S:
            return
        self._looked_at = now
        # Half a file, or none, is what a careless copy leaves for a moment: the keys that are known stay.
        with suppress(SigningKeysError):
            seen = _identity(self._path)
            if seen != self._seen:
                self._keys = read_keys(self._path)
                self._seen = seen


def read_keys(path: Path) -> Mapping[str, SigningKey]:
    """Return the keys of a file by their names, the signing one first; raises SigningKeysError."""
    from jwt.algorithms import RSAAlgorithm  # noqa: PLC0415  # only where somebody logs in

    keys: dict[str, Any] = {}
    try:
        for each in json.loads(path.read_bytes())["keys"][:LIVE_KEYS]:
            keys[str(each["kid"])] = RSAAlgorithm.from_jwk(each)
    except OSError as problem:
        raise SigningKeysError(f"{path} cannot be read: {problem.strerror}") from None
    except Exception:  # noqa: BLE001  # whatever the libraries say of it could repeat what is in the file
        raise SigningKeysError(f"{path} must hold a JWK Set: make it with `risk-alerts keys jwt`") from None
    if not keys:
        raise SigningKeysError(f"{path} has no key: make one with `risk-alerts keys jwt`")
    if not all(hasattr(key, "private_numbers") and key.key_size >= _BITS for key in keys.values()):
        raise SigningKeysError(f"{path} must hold private RSA keys of {_BITS} bits or more")
    return {kid: SigningKey(kid, private, private.public_key()) for kid, private in keys.items()}


def add_key(path: Path) -> tuple[str, list[str]]:
    """Put a new key first in the file, which is made where there is none; only its owner can read it.

    Returns the new key's name, and those of the keys that still verify. Raises SigningKeysError and OSError.
    """
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415  # see read_keys
    from jwt.algorithms import RSAAlgorithm  # noqa: PLC0415  # see read_keys

    older = list(read_keys(path)) if path.exists() else []
    kept = json.loads(path.read_bytes())["keys"][: LIVE_KEYS - 1] if older else []
    private = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    jwk: dict[str, Any] = RSAAlgorithm.to_jwk(private, as_dict=True)
    kid = _thumbprint(jwk)
    new = {"kid": kid, "use": "sig", "alg": "RS256"} | {
        name: value for name, value in jwk.items() if name != "key_ops"
    }
    make_private_folder(path.absolute().parent)
    _replace(path, json.dumps({"keys": [new, *kept]}, indent=1).encode())
    return kid, older[: LIVE_KEYS - 1]


def _replace(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    # mkstemp makes it for its owner alone.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _identity(path: Path) -> tuple[int, int, int]:
    try:
        found: os.stat_result = path.stat()
    except OSError as problem:
        raise SigningKeysError(f"{path} cannot be read: {problem.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise SigningKeysError(f"{path} is no file")
    return found.st_ino, found.st_mtime_ns, found.st_size


def _thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return a key's name: the start of its thumbprint, which depends on nothing but the key (RFC 7638)."""
    essential = {name: jwk[name] for name in ("e", "kty", "n")}
    digest = hashlib.sha256(json.dumps(essential, sort_keys=True, separators=(",", ":")).encode())
    return digest.hexdigest()[:16]
