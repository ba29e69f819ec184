"""Bearer tokens that are JWTs: this deployment's own access tokens, and ID tokens of configured issuers."""

import base64
from dataclasses import dataclass
from typing import Final

import orjson

from service.access.oidc import Oidc
from service.access.people import People
from service.domain.identity.errors import UnauthenticatedError
from service.domain.identity.principal import Principal, PrincipalKind
from service.store.access.sessions import Sessions

LONGEST: Final = 8_192
"""More than any issuer's token; it is read before its signature is known to be good."""
_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class JwtDoor:
    """Who a JWT is about."""

    people: People
    oidc: Oidc
    sessions: Sessions

    async def principal(self, token: str) -> Principal:
        """Return who brings a token; raises UnauthenticatedError and IssuerUnreachableError."""
        issuer = _issuer(token)
        if not self.oidc.knows(issuer):
            return await self.people.principal(self.sessions, token)
        vouched = await self.oidc.vouched(token, issuer)
        return Principal(
            kind=PrincipalKind.OIDC,
            id=vouched.email,
            tenant_id=vouched.guest.tenant_id,
            scopes=vouched.guest.scopes,
        )


def _issuer(token: str) -> str:
    """Return whom a token names as its issuer, which says only who is to verify it."""
    # By hand: the library would take the whole token apart twice.
    parts = token.split(".")
    if len(token) > LONGEST or len(parts) != _PARTS:
        raise UnauthenticatedError(UnauthenticatedError.example)
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        raise UnauthenticatedError(UnauthenticatedError.example) from None
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else ""
