"""Access tokens: who somebody is, for fifteen minutes; what they may do, the database says each time."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from service.access.signing_keys import SigningKey, SigningKeys
from service.domain.identity.errors import UnauthenticatedError
from service.runtime.clock import Clock

LIFETIME: Final = timedelta(minutes=15)
AUDIENCE: Final = "risk-alerts-api"
SKEW_S: Final = 30
"""By so much may the clocks of two processes differ that sign and verify for each other."""
_TYPE: Final = "at+jwt"
"""RFC 9068: so that no other kind of token, signed with the same key, is taken for one."""
_REQUIRED: Final = ("iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a token says, once its signature and its times are found good."""

    user_id: str
    family_id: str
    """The log-in that it comes from: when that ends, so does the token."""
    token_id: str


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """Makes and verifies the access tokens of one deployment."""

    keys: SigningKeys
    issuer: str
    clock: Clock
    remembered: int = 1_000
    """So many tokens' signatures are not looked at again, which takes as long as a look into the database."""
    _signed: dict[bytes, tuple[SigningKey, dict[str, Any]]] = field(default_factory=dict)
    """The claims of tokens that were verified, with the key that they were signed with, by their digests."""

    def issue(self, user_id: str, family_id: str) -> str:
        """Return a token for a user, good for `LIFETIME`."""
        import jwt  # noqa: PLC0415  # only where somebody logs in

        key = self.keys.signing()
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": family_id,
            "jti": secrets.token_hex(16),
            "iat": now,
            "nbf": now,
            "exp": now + int(LIFETIME.total_seconds()),
        }
        return jwt.encode(claims, key.private, algorithm="RS256", headers={"kid": key.kid, "typ": _TYPE})

    def verified(self, token: str) -> AccessToken:
        """Return what a token says; raises UnauthenticatedError, whatever is wrong with it."""
        try:
            claims = self._claims(token)
            check_times(claims, now=self.clock.now().timestamp(), skew_s=SKEW_S)
            return AccessToken(user_id=claims["sub"], family_id=_text(claims["sid"]), token_id=claims["jti"])
        except (KeyError, TypeError, ValueError):
            raise UnauthenticatedError(UnauthenticatedError.example) from None

    def _claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that a live key has signed; raises ValueError and KeyError.

        Somebody at work shows one token many times: its signature is looked at once while its key lives.
        """
        import jwt  # noqa: PLC0415  # see above

        digest = hashlib.sha256(token.encode()).digest()
        key, claims = self._signed.get(digest, (None, {}))
        if key is not None and self.keys.verifying(key.kid) is key:
            return claims
        try:
            header = jwt.get_unverified_header(token)
            key = self.keys.verifying(header["kid"]) if header.get("typ") == _TYPE else None
            if key is None:
                raise ValueError("of no live key")
            claims = jwt.decode(
                token,
                key.public,
                algorithms=["RS256"],
                issuer=self.issuer,
                audience=AUDIENCE,
                # The times are looked at each time, by this process's own clock.
                options={
                    "require": list(_REQUIRED),
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError:
            raise ValueError("not a token of this deployment") from None
        while len(self._signed) >= self.remembered:
            self._signed.pop(next(iter(self._signed)))
        self._signed[digest] = key, claims
        return claims


def check_times(claims: dict[str, Any], *, now: float, skew_s: float) -> None:
    """Check that a token is valid now; raises ValueError, and TypeError for times that are no numbers.

    It has ended at `exp`, without allowance; `nbf` and `iat` may lie ahead by as much as clocks differ.
    """
    if not all(type(claims[name]) in {int, float} for name in ("exp", "nbf", "iat") if name in claims):
        raise TypeError("times are numbers")
    # Said in this way round, NaN is neither.
    if not now < claims["exp"]:
        raise ValueError("expired")
    if not all(begins <= now + skew_s for begins in (claims.get("nbf", 0), claims["iat"])):
        raise ValueError("not yet valid")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("must be text")
    return value
