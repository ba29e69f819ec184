"""OIDC: ID tokens of issuers that were configured, and the e-mail addresses that may come with them.

An issuer's keys are fetched when its first token comes, and kept: a key that is not among them is looked for
again, though not at every token, so that issuers may rotate and strangers cannot make this service ask.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog

from service.access.access_tokens import check_times
from service.domain.identity.errors import UnauthenticatedError
from service.domain.identity.login_errors import IssuerUnreachableError
from service.domain.identity.permission import KeyScope
from service.runtime.clock import Clock

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from jwt import PyJWK

ALGORITHMS: Final = ("RS256", "ES256")
SKEW_S: Final = 60
"""By so much may an issuer's clock differ from this machine's."""
FRESH_S: Final = 3600.0
"""Keys older than this are fetched again; the old ones serve on where that fails."""
STALE_S: Final = 24 * 3600.0
"""But no longer than this: a key that an issuer has withdrawn must end some time."""
AGAIN_S: Final = 30.0
"""At the soonest are an issuer's keys fetched again after so many seconds, whatever comes."""
_TIMEOUT_S: Final = 5.0
_MAX_BYTES: Final = 512 * 1024
_WELL_KNOWN: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Guest:
    """What somebody may do whom an issuer vouches for."""

    tenant_id: str
    scopes: frozenset[KeyScope]


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer, and whom it may vouch for."""

    url: str
    """As it stands in `iss`."""
    audience: str
    guests: Mapping[str, Guest]
    """By their e-mail addresses, in lower case."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """Somebody whom an issuer vouches for."""

    issuer: str
    email: str
    guest: Guest


@dataclass(slots=True)
class _Keys:
    """The keys of one issuer, as far as they are known."""

    by_kid: Mapping[str, "PyJWK"] = field(default_factory=dict)
    fetched_at: float | None = None
    tried_at: float | None = None
    fetching: asyncio.Lock = field(default_factory=asyncio.Lock)


class IssuerError(Exception):
    """An issuer's answer cannot be used; the message is for the log."""


class Oidc:
    """Verifies the ID tokens of the issuers that were configured."""

    def __init__(self, issuers: tuple[Issuer, ...], clock: Clock) -> None:
        self._issuers = {issuer.url: issuer for issuer in issuers}
        self._keys = {issuer.url: _Keys() for issuer in issuers}
        self._clock = clock

    def knows(self, issuer: str) -> bool:
        """Return whether an issuer is one of those that were configured."""
        return issuer in self._issuers

    async def vouched(self, token: str, issuer_url: str) -> Vouched:
        """Return whom a token of a known issuer is about.

        Raises UnauthenticatedError, whatever is wrong with the token, and IssuerUnreachableError where no
        keys are known and none can be had.
        """
        import jwt  # noqa: PLC0415  # only where tokens come

        issuer = self._issuers[issuer_url]
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = header["alg"], header["kid"]
            key = await self._key(issuer, kid) if algorithm in ALGORITHMS else None
            if key is None or key.algorithm_name != algorithm:
                raise UnauthenticatedError(UnauthenticatedError.example)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=issuer.url,
                audience=issuer.audience,
                # The times are looked at below, by this process's own clock.
                options={
                    "require": ["iss", "aud", "sub", "iat", "exp"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            check_times(claims, now=self._clock.now().timestamp(), skew_s=SKEW_S)
            email = claims["email"].lower() if claims["email_verified"] is True else ""
            return Vouched(issuer=issuer.url, email=email, guest=issuer.guests[email])
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, AttributeError):
            raise UnauthenticatedError(UnauthenticatedError.example) from None

    async def _key(self, issuer: Issuer, kid: str) -> "PyJWK | None":
        """Return an issuer's key, None where it has none of this name; raises IssuerUnreachableError."""
        keys = self._keys[issuer.url]
        if self._is_due(keys, kid):
            async with keys.fetching:
                # Whoever waited finds what the first has fetched.
                if self._is_due(keys, kid):
                    await self._fetch(issuer, keys)
        if keys.fetched_at is None or self._age(keys.fetched_at) > STALE_S:
            raise IssuerUnreachableError(IssuerUnreachableError.example)
        return keys.by_kid.get(kid)

    def _age(self, moment: float) -> float:
        return self._clock.monotonic() - moment

    def _is_due(self, keys: _Keys, kid: str) -> bool:
        if keys.tried_at is not None and self._age(keys.tried_at) < AGAIN_S:
            return False
        return keys.fetched_at is None or self._age(keys.fetched_at) > FRESH_S or kid not in keys.by_kid

    async def _fetch(self, issuer: Issuer, keys: _Keys) -> None:
        """Fetch the keys; where that fails, those that are known stay, and the log says why."""
        import aiohttp  # noqa: PLC0415  # see above

        try:
            timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
            async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
                about = await _json(session, issuer.url.rstrip("/") + _WELL_KNOWN)
                keys.by_kid = _usable(await _json(session, _keys_address(about, issuer.url)))
        except (aiohttp.ClientError, TimeoutError, OSError, IssuerError) as problem:
            structlog.get_logger().warning(
                "issuer_keys_not_fetched",
                issuer=issuer.url,
                detail=f"{type(problem).__name__}: {problem}"[:300],
            )
        else:
            keys.fetched_at = self._clock.monotonic()
        finally:
            keys.tried_at = self._clock.monotonic()


def _keys_address(configuration: Mapping[str, Any], issuer: str) -> str:
    """Return where an issuer's keys are; raises IssuerError."""
    if configuration.get("issuer") != issuer:
        raise IssuerError("its configuration is another issuer's")
    address = configuration.get("jwks_uri")
    # An issuer of https is never left for plain http.
    schemes = ("https://",) if issuer.startswith("https://") else ("https://", "http://")
    if not isinstance(address, str) or not address.startswith(schemes):
        raise IssuerError("its configuration names no https:// address of its keys")
    return address


async def _json(session: "ClientSession", address: str) -> Mapping[str, Any]:
    """Return the JSON object at an address; raises IssuerError, aiohttp.ClientError and TimeoutError."""
    import orjson  # noqa: PLC0415  # see above

    async with session.get(address, allow_redirects=False) as response:
        if response.status != 200:  # noqa: PLR2004  # as HTTP has it
            raise IssuerError(f"it answered {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > _MAX_BYTES:
                raise IssuerError("its answer is too large")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise IssuerError("its answer is no JSON") from None
    if not isinstance(found, dict):
        raise IssuerError("its answer is no JSON object")
    return found


def _usable(jwks: Mapping[str, Any]) -> Mapping[str, "PyJWK"]:
    """Return the keys of a JWK Set that can verify; others are left out, but one there must be."""
    from jwt import PyJWK  # noqa: PLC0415  # see above
    from jwt.exceptions import PyJWTError  # noqa: PLC0415  # see above

    found: dict[str, PyJWK] = {}
    listed = jwks.get("keys")
    for each in listed if isinstance(listed, list) else []:
        try:
            if (
                each["kty"] in {"RSA", "EC"}
                and each.get("use", "sig") == "sig"
                and isinstance(each["kid"], str)
            ):
                found[each["kid"]] = PyJWK(each)
        except (PyJWTError, KeyError, TypeError, ValueError, AttributeError):
            continue
    if not found:
        raise IssuerError("it has no key that can be used")
    return found
