"""Access tokens: what is accepted, and the ways in which forgers and clocks are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from service.access.access_tokens import AUDIENCE, AccessTokens
from service.access.signing_keys import SigningKeys, add_key
from service.domain.identity.errors import UnauthenticatedError
from tests.support.clocks import START, ManualClock
from tests.support.tokens import parts_of, public_pem, rsa_key, signed_with_the_public_key, unsigned

USER, FAMILY = "4f5b6f0e-user", "9d1e-family"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a file of keys."""
    folder = tmp_path_factory.mktemp("tokens")
    add_key(folder / "jwt.json")
    return folder


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of the service."""
    return ManualClock()


@pytest.fixture
def tokens(folder: Path, clock: ManualClock) -> AccessTokens:
    """Return what makes and verifies the tokens."""
    return AccessTokens(keys=SigningKeys(folder / "jwt.json", clock), issuer="here", clock=clock)


def refused(tokens: AccessTokens, token: str) -> bool:
    """Return whether a token is refused, in the words that every one is."""
    with pytest.raises(UnauthenticatedError) as error:
        tokens.verified(token)
    return str(error.value) == UnauthenticatedError.example and error.value.__cause__ is None


def test_a_token_says_who_and_for_how_long(tokens: AccessTokens) -> None:
    """Who (`sub`), of which log-in (`sid`), made by whom for whom, an id of its own; and no role."""
    token = tokens.issue(USER, FAMILY)
    header, claims = parts_of(token)
    assert header == {"alg": "RS256", "kid": tokens.keys.signing().kid, "typ": "at+jwt"}
    assert set(claims) == {"iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp"}
    assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"]) == ("here", AUDIENCE, 15 * 60)
    assert claims["iat"] == int(START.timestamp())
    found = tokens.verified(token)
    assert (found.user_id, found.family_id, found.token_id) == (USER, FAMILY, claims["jti"])
    assert parts_of(tokens.issue(USER, FAMILY))[1]["jti"] != claims["jti"]


def test_it_ends_after_fifteen_minutes(tokens: AccessTokens, clock: ManualClock) -> None:
    """To the second, by the clock that was given."""
    token = tokens.issue(USER, FAMILY)
    clock.advance(15 * 60 - 1)
    tokens.verified(token)
    clock.advance(1)
    assert refused(tokens, token)


def test_it_does_not_begin_before_it_was_made(tokens: AccessTokens, clock: ManualClock) -> None:
    """Two processes' clocks may differ by half a minute, and no more."""
    clock.advance(31)
    token = tokens.issue(USER, FAMILY)
    clock.advance(-1)
    tokens.verified(token)
    clock.advance(-30)
    assert refused(tokens, token)


def test_a_retired_key_verifies_nothing(tmp_path: Path, clock: ManualClock) -> None:
    """One rotation keeps everybody in, two end what was signed before."""
    path = tmp_path / "jwt.json"
    add_key(path)
    tokens = AccessTokens(keys=SigningKeys(path, clock), issuer="here", clock=clock)
    token = tokens.issue(USER, FAMILY)
    add_key(path)
    clock.advance(1)
    tokens.verified(token)
    add_key(path)
    clock.advance(1)
    assert refused(tokens, token)


def test_a_token_seen_before_is_looked_at_again(folder: Path, clock: ManualClock) -> None:
    """Its times are, each time, and every other text than its own; and only so many are remembered."""
    tokens = AccessTokens(SigningKeys(folder / "jwt.json", clock), "here", clock, remembered=2)
    seen = [tokens.issue(USER, f"{n}") for n in range(4)]
    for token in (*seen, *reversed(seen)):
        assert tokens.verified(token) == tokens.verified(token)
        assert refused(tokens, token[:-6] + "AAAAAA")
    assert [tokens.verified(token).family_id for token in seen] == ["0", "1", "2", "3"]
    assert len(tokens._signed) == 2
    clock.advance(15 * 60)
    assert all(refused(tokens, token) for token in seen)


def test_a_token_of_another_deployment_is_refused(
    tokens: AccessTokens, folder: Path, tmp_path: Path, clock: ManualClock
) -> None:
    """Whether it has keys of its own, or was wrongly given the same ones under its own name."""
    add_key(tmp_path / "other.json")
    for path, issuer in ((tmp_path / "other.json", "here"), (folder / "jwt.json", "there")):
        other = AccessTokens(keys=SigningKeys(path, clock), issuer=issuer, clock=clock)
        assert refused(tokens, other.issue(USER, FAMILY))


Forge = Callable[[AccessTokens, dict[str, Any], dict[str, Any]], str]


def _signed(
    tokens: AccessTokens, header: dict[str, Any], claims: dict[str, Any], *, key: Any = None, **changed: Any
) -> str:
    private = key or tokens.keys.signing().private
    return jwt.encode(
        {name: value for name, value in (claims | changed).items() if value is not None},
        private,
        algorithm=header["alg"],
        headers={"kid": header.get("kid"), "typ": header.get("typ")},
    )


@pytest.mark.parametrize(
    "forge",
    [
        lambda tokens, header, claims: signed_with_the_public_key(
            header, claims, public_pem(tokens.keys.signing().private)
        ),
        lambda _, header, claims: unsigned(header, claims),
        lambda tokens, header, claims: _signed(tokens, header | {"alg": "RS512"}, claims),
        lambda tokens, header, claims: _signed(tokens, header | {"alg": "PS256"}, claims),
        lambda tokens, header, claims: _signed(tokens, header, claims, key=rsa_key("forger")),
        lambda tokens, header, claims: _signed(tokens, header | {"kid": "another"}, claims),
        lambda tokens, header, claims: _signed(tokens, header | {"kid": "../../etc/passwd"}, claims),
        lambda tokens, header, claims: _signed(tokens, header | {"typ": "JWT"}, claims),
        lambda tokens, header, claims: _signed(tokens, header, claims, aud="another"),
        lambda tokens, header, claims: _signed(tokens, header, claims, iss="another"),
        lambda tokens, header, claims: _signed(tokens, header, claims, sub=None),
        lambda tokens, header, claims: _signed(tokens, header, claims, sub=7),
        lambda tokens, header, claims: _signed(tokens, header, claims, sid=7),
        lambda tokens, header, claims: _signed(tokens, header, claims, sid=None),
        lambda tokens, header, claims: _signed(tokens, header, claims, exp=None),
        lambda tokens, header, claims: _signed(tokens, header, claims, exp="9999999999"),
        lambda tokens, header, claims: _signed(tokens, header, claims, exp=True),
        lambda tokens, header, claims: _signed(tokens, header, claims, exp=float("nan")),
        lambda tokens, header, claims: _signed(tokens, header, claims, nbf=9999999999),
        lambda tokens, header, claims: _signed(tokens, header, claims, iat=9999999999),
        lambda tokens, *_: tokens.issue(USER, FAMILY)[:-6] + "AAAAAA",
        lambda tokens, *_: tokens.issue(USER, FAMILY).rpartition(".")[0] + ".",
    ],
)
def test_a_forged_token_is_refused(tokens: AccessTokens, forge: Forge) -> None:
    """HS256 over the public key, `none`, other algorithms and keys, other claims: all in the same words."""
    header, claims = parts_of(tokens.issue(USER, FAMILY))
    assert refused(tokens, forge(tokens, header, claims))


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b.c", "é.é.é", "ra_x_y", "e30.e30.e30", "bnVsbA.bnVsbA.", "W10.W10.W10", "\x00"],
)
def test_what_is_no_token_is_refused(tokens: AccessTokens, text: str) -> None:
    """Garbage is answered like a forgery."""
    assert refused(tokens, text)


def test_names_that_are_no_text_are_refused(tokens: AccessTokens) -> None:
    """A header may hold anything that JSON can."""
    header, claims = parts_of(tokens.issue(USER, FAMILY))
    for kid in ("[]", "{}", "7", "null", "true"):
        token = unsigned(header | {"kid": json.loads(kid)}, claims)
        assert refused(tokens, token)
