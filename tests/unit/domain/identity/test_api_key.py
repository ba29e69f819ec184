"""API keys: of one spelling, whole or nothing, and with nothing of the secret in what is kept or shown."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.identity.api_key import KeySecret

KEY: Final = KeySecret.new()


def test_a_key_is_read_as_it_was_made() -> None:
    """Prefix, id, secret, checksum; no two are alike."""
    assert KEY.text.startswith(f"ra_{KEY.id}_{KEY.secret}")
    assert KeySecret.parse(KEY.text) == KEY
    assert KEY.matches(KEY.digest)
    other = KeySecret.new()
    assert (other.id, other.secret) != (KEY.id, KEY.secret)
    assert not KEY.matches(other.digest)


def test_what_is_kept_or_printed_has_nothing_of_the_secret() -> None:
    """The digest is a SHA-256, and a key that comes into a log by mistake does not show what it opens."""
    assert len(KEY.digest) == 64
    assert KEY.secret not in KEY.digest + repr(KEY)


@given(st.integers(0, len(KEY.text) - 1), st.characters(codec="ascii"))
def test_one_wrong_character_is_no_key(place: int, character: str) -> None:
    """Whatever was mistyped: the database is not even asked."""
    text = KEY.text[:place] + character + KEY.text[place + 1 :]
    assert (KeySecret.parse(text) is None) == (text != KEY.text)


@pytest.mark.parametrize("text", ["", "ra_", "{:.50}", "{}0", " {}", "{}\n"])
def test_half_a_key_is_no_key(text: str) -> None:
    """Nothing before it and nothing after it."""
    assert KeySecret.parse(text.format(KEY.text)) is None
