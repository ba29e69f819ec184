"""OIDC: whom an issuer may vouch for, how its keys are kept, and what does not count as a token of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.access import oidc
from service.access.oidc import AGAIN_S, FRESH_S, STALE_S, Guest, Oidc, Vouched
from service.domain.identity.errors import UnauthenticatedError
from service.domain.identity.login_errors import IssuerUnreachableError
from service.domain.identity.permission import KeyScope
from tests.support.clocks import START, ManualClock
from tests.support.issuer import Issuer, Kind, running_issuer
from tests.support.tokens import parts_of, public_pem, rsa_key, signed_with_the_public_key, unsigned

NOW = int(START.timestamp())
GUEST = Guest(tenant_id="tenant", scopes=frozenset({KeyScope.READ, KeyScope.RUNS}))
GOOD: dict[str, Any] = {
    "aud": "https://alerts.example",
    "sub": "1130",
    "iat": NOW,
    "exp": NOW + 3600,
    "email": "Scheduler@project.iam.example",
    "email_verified": True,
}


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    """Run an issuer."""
    async with running_issuer() as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of the service; the issuer's tokens are made for its beginning."""
    return ManualClock()


@pytest.fixture
def door(issuer: Issuer, clock: ManualClock) -> Oidc:
    """Return what knows the issuer and one guest of it."""
    known = oidc.Issuer(
        url=issuer.url, audience="https://alerts.example", guests={"scheduler@project.iam.example": GUEST}
    )
    return Oidc((known,), clock)


async def refused(door: Oidc, issuer: Issuer, token: str) -> bool:
    """Return whether a token is refused, in the words that every one is."""
    with pytest.raises(UnauthenticatedError) as error:
        await door.vouched(token, issuer.url)
    return str(error.value) == UnauthenticatedError.example


@pytest.mark.parametrize("kind", ["RS256", "ES256"])
async def test_an_issuer_vouches_for_a_verified_address(door: Oidc, issuer: Issuer, kind: Kind) -> None:
    """Its e-mail address, whatever its case, leads to a tenant and scopes; the keys are fetched once."""
    issuer.rotate("one", kind)
    for _ in range(3):
        found = await door.vouched(issuer.token(**GOOD), issuer.url)
        assert found == Vouched(issuer=issuer.url, email="scheduler@project.iam.example", guest=GUEST)
    assert issuer.asked == ["/.well-known/openid-configuration", "/jwks"]
    assert door.knows(issuer.url)
    assert not door.knows(f"{issuer.url}/")


@pytest.mark.parametrize(
    "changed",
    [
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": None},
        {"email": "stranger@project.iam.example"},
        {"email": ""},
        {"email": None},
        {"email": ["scheduler@project.iam.example"]},
        {"aud": "https://another.example"},
        {"aud": None},
        {"iss": "https://accounts.google.com"},
        {"exp": NOW},
        {"exp": None},
        {"exp": "9999999999"},
        {"iat": NOW + 61},
        {"nbf": NOW + 61},
        {"sub": None},
    ],
)
async def test_other_claims_are_refused(door: Oidc, issuer: Issuer, changed: dict[str, Any]) -> None:
    """Not verified, not known, for somebody else, too old, too young, or incomplete."""
    claims = {name: value for name, value in (GOOD | changed).items() if value is not None}
    assert await refused(door, issuer, issuer.token(**claims))


async def test_forgeries_are_refused(door: Oidc, issuer: Issuer) -> None:
    """HS256 over the public key, `none`, another's key under the issuer's name, garbage."""
    header, claims = parts_of(issuer.token(**GOOD))
    mine = issuer.token(**GOOD)
    public = public_pem(rsa_key("first"))
    for token in (
        signed_with_the_public_key(header, claims, public),
        unsigned(header, claims),
        mine[:-6] + "AAAAAA",
        "a.b.c",
        "",
    ):
        assert await refused(door, issuer, token)
    issuer.rotate("forger")
    assert await refused(door, issuer, issuer.token(kid="first", **GOOD))


async def test_a_key_of_another_kind_is_not_taken(door: Oidc, issuer: Issuer) -> None:
    """Secrets, keys for encryption and keys without a name are published, and never verify."""
    issuer.more_keys = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB", "kid": "enc"},
        {"kty": "RSA"},
        {"kty": "EC", "crv": "P-0", "x": "AA", "y": "AA", "kid": "odd"},
    ]
    await door.vouched(issuer.token(**GOOD), issuer.url)
    for kid in ("secret", "enc", "odd"):
        assert await refused(door, issuer, issuer.token(kid=kid, **GOOD))


async def test_a_rotation_is_survived(door: Oidc, issuer: Issuer, clock: ManualClock) -> None:
    """A key that is not known is looked for at once, but not more often than every half minute."""
    await door.vouched(issuer.token(**GOOD), issuer.url)
    clock.advance(AGAIN_S)
    issuer.rotate("second")
    await door.vouched(issuer.token(**GOOD), issuer.url)
    asked = len(issuer.asked)
    for number in range(20):
        assert await refused(door, issuer, issuer.token(kid=f"stranger-{number}", **GOOD))
    assert len(issuer.asked) == asked
    issuer.rotate("third")
    assert await refused(door, issuer, issuer.token(**GOOD))
    clock.advance(AGAIN_S)
    await door.vouched(issuer.token(**GOOD), issuer.url)


async def test_many_first_tokens_ask_once(door: Oidc, issuer: Issuer) -> None:
    """Who comes while the keys are being fetched waits for them."""
    token = issuer.token(**GOOD)
    await asyncio.gather(*(door.vouched(token, issuer.url) for _ in range(20)))
    assert len(issuer.asked) == 2


async def test_an_issuer_that_is_away_is_no_reason_to_turn_guests_away(
    door: Oidc, issuer: Issuer, clock: ManualClock
) -> None:
    """Known keys serve on for a day; then nobody can tell, which is no verdict on the token."""
    lasting = GOOD | {"exp": NOW + 10 * 24 * 3600}
    await door.vouched(issuer.token(**lasting), issuer.url)
    issuer.status = 503
    for _ in range(3):
        clock.advance(FRESH_S)
        await door.vouched(issuer.token(**lasting), issuer.url)
    clock.advance(STALE_S)
    with pytest.raises(IssuerUnreachableError):
        await door.vouched(issuer.token(**lasting), issuer.url)
    issuer.status = 200
    clock.advance(AGAIN_S)
    await door.vouched(issuer.token(**lasting), issuer.url)


async def test_a_key_that_the_issuer_withdrew_ends(door: Oidc, issuer: Issuer, clock: ManualClock) -> None:
    """At the latest an hour later, when its keys are fetched again."""
    token = issuer.token(**GOOD | {"exp": NOW + 24 * 3600})
    await door.vouched(token, issuer.url)
    issuer.rotate("second")
    clock.advance(FRESH_S + 1)
    assert await refused(door, issuer, token)


@pytest.mark.parametrize(
    "broken",
    [
        {"issuer": "https://another.example"},
        {"jwks_uri": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "/nothing"},
    ],
)
async def test_a_configuration_that_is_not_the_issuers_is_not_followed(
    door: Oidc, issuer: Issuer, broken: dict[str, Any]
) -> None:
    """Its own name must stand in it, and where the keys are."""
    issuer.configuration = broken
    with pytest.raises(IssuerUnreachableError):
        await door.vouched(issuer.token(**GOOD), issuer.url)
    assert issuer.asked == ["/.well-known/openid-configuration"]


async def test_an_answer_without_end_is_not_read(door: Oidc, issuer: Issuer) -> None:
    """Keys are a few kilobytes."""
    issuer.configuration = {"jwks_uri": f"{issuer.url}/huge"}
    with pytest.raises(IssuerUnreachableError):
        await door.vouched(issuer.token(**GOOD), issuer.url)


async def test_nobody_there_is_unreachable(issuer: Issuer, clock: ManualClock) -> None:
    """And who comes within the next half minute is answered without asking again."""
    nobody = oidc.Issuer(url="http://127.0.0.1:9", audience="x", guests={})
    door = Oidc((nobody,), clock)
    for _ in range(2):
        with pytest.raises(IssuerUnreachableError):
            await door.vouched(issuer.token(**GOOD), nobody.url)
