"""Access tokens: who somebody is, for fifteen minutes; what they may do, the database says each time."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from service.access.signing_keys import SigningKeys
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
        import jwt  # noqa: PLC0415  # see above

        try:
            header = jwt.get_unverified_header(token)
            key = self.keys.verifying(header["kid"]) if header.get("typ") == _TYPE else None
            if key is None:
                raise UnauthenticatedError(UnauthenticatedError.example)
            claims: dict[str, Any] = jwt.decode(
                token,
                key.public,
                algorithms=["RS256"],
                issuer=self.issuer,
                audience=AUDIENCE,
                # The times are looked at below, by this process's own clock.
                options={
                    "require": list(_REQUIRED),
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            check_times(claims, now=self.clock.now().timestamp(), skew_s=SKEW_S)
            return AccessToken(user_id=claims["sub"], family_id=_text(claims["sid"]), token_id=claims["jti"])
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            raise UnauthenticatedError(UnauthenticatedError.example) from None


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
