"""The signature: what Slack has signed within five minutes is taken, and nothing else is."""

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.slack.pressing.signature import is_signed

SECRETS = st.text(min_size=1, max_size=40).filter(lambda text: text.strip() and text.isprintable())
BODIES = st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
NOW = 1_770_000_000


def slacks(secret: str, body: bytes, timestamp: str = str(NOW)) -> str:
    """Return the signature that Slack makes, as its documentation describes it."""
    signed = b"v0:" + timestamp.encode() + b":" + body
    return f"v0={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def is_taken(
    secret: str, body: bytes, signature: str, timestamp: str = str(NOW), *, now: float = NOW
) -> bool:
    """Return whether a request with one of each header is taken."""
    return is_signed(secret, body, timestamps=[timestamp], signatures=[signature], now=now)


@given(secret=SECRETS, body=BODIES, skew=st.integers(-700, 700))
def test_what_slack_signs_is_taken_for_five_minutes(secret: str, body: bytes, skew: int) -> None:
    """To the second, and before its time no longer than after it."""
    assert is_taken(secret, body, slacks(secret, body), now=NOW + skew) is (abs(skew) <= 300)


@given(data=st.data(), secret=SECRETS, body=BODIES)
def test_whatever_is_changed_it_is_not_taken(data: st.DataObject, secret: str, body: bytes) -> None:
    """The body, the moment, the secret or the signature."""
    signature = slacks(secret, body)
    assert not is_taken(secret, data.draw(BODIES.filter(lambda other: other != body)), signature)
    assert not is_taken(data.draw(SECRETS.filter(lambda other: other != secret)), body, signature)
    assert not is_taken(secret, body, signature, str(NOW + data.draw(st.integers(1, 200))))
    place = data.draw(st.integers(0, len(signature) - 1))
    digit = data.draw(st.characters().filter(lambda other: other != signature[place]))
    assert not is_taken(secret, body, signature[:place] + digit + signature[place + 1 :])


@given(timestamp=st.text(max_size=20), signature=st.text(max_size=80))
def test_headers_that_are_none_are_refused(timestamp: str, signature: str) -> None:
    """Whatever they hold: letters, other scripts' digits, nothing."""
    assert not is_taken("a signing secret", b"payload=", signature, timestamp)


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamps": []},
        {"signatures": []},
        {"timestamps": [str(NOW)] * 2},
        {"timestamps": [f" {NOW}"]},
        {"timestamps": [f"+{NOW}"]},
        {"timestamps": ["9" * 400]},
        {"timestamps": ["\u0661\u0667"]},
        {"signatures": [""]},
        {"signatures": ["v0="]},
        {"signatures": ["v0=\u00e9"]},
    ],
)
def test_each_header_is_there_once_and_well_formed(changes: dict[str, Any]) -> None:
    """A second value might be the one that somebody else looks at."""
    good: dict[str, Any] = {"timestamps": [str(NOW)], "signatures": [slacks("secret", b"x")], "now": NOW}
    assert is_signed("secret", b"x", **good)
    assert not is_signed("secret", b"x", **good | changes)


def test_a_body_in_other_letters_is_not_taken() -> None:
    """Slack sends forms, which are ASCII; bytes that are no text at all are no error of ours."""
    assert not is_taken("secret", b"\xff", slacks("secret", b"\xff"))
