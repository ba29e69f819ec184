"""Signing keys: a file for its owner alone, two live keys, and rotation beside a running service."""

import json
from pathlib import Path

import pytest

from service.access.signing_keys import SigningKeys, add_key, read_keys
from service.domain.identity.login_errors import SigningKeysError
from tests.support.clocks import ManualClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a first key was made."""
    path = tmp_path / "keys" / "jwt.json"
    add_key(path)
    return path


def test_only_their_owner_can_read_them(path: Path) -> None:
    """The file, and a folder that was made for it; nothing else is left behind."""
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["jwt.json"]


def test_a_new_key_comes_first_and_the_one_before_stays(path: Path) -> None:
    """At most two are live: the third makes the first end."""
    [first] = read_keys(path)
    second, kept = add_key(path)
    assert (list(read_keys(path)), kept) == ([second, first], [first])
    third, kept = add_key(path)
    assert (list(read_keys(path)), kept) == ([third, second], [second])
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_running_service_notices_a_rotation(path: Path) -> None:
    """Within a second, without a restart, and a key that was dropped verifies nothing any more."""
    clock = ManualClock()
    keys = SigningKeys(path, clock)
    first = keys.signing().kid
    second, _ = add_key(path)
    third, _ = add_key(path)
    assert keys.signing().kid == first
    clock.advance(1)
    assert keys.signing().kid == third
    assert keys.verifying(second) is not None
    assert keys.verifying(first) is None


@pytest.mark.parametrize("content", [b"", b"{", None])
def test_a_file_that_is_broken_for_a_moment_changes_nothing(path: Path, content: bytes | None) -> None:
    """A copy under way, or a mount that is being replaced, logs nobody out."""
    clock = ManualClock()
    keys = SigningKeys(path, clock)
    first, whole = keys.signing().kid, path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    clock.advance(1)
    assert keys.signing().kid == first
    path.write_bytes(whole)
    second, _ = add_key(path)
    clock.advance(1)
    assert keys.signing().kid == second


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "must hold a JWK Set"),
        ("[]", "must hold a JWK Set"),
        ('{"keys": []}', "has no key"),
        ('{"keys": [{"kty": "RSA", "canary": 1}]}', "must hold a JWK Set"),
        ('{"keys": [{"kty": "oct", "k": "Y2FuYXJ5", "kid": "a"}]}', "must hold"),
    ],
)
def test_what_is_no_file_of_keys_is_refused_without_repeating_it(
    tmp_path: Path, content: str, says: str
) -> None:
    """The message names the file and the command, and nothing that stands in the file."""
    path = tmp_path / "jwt.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SigningKeysError, match=says) as refused:
        SigningKeys(path, ManualClock()).check()
    assert str(path) in str(refused.value)
    assert "canary" not in str(refused.value).lower().replace(str(path), "")
    assert refused.value.__cause__ is None


def test_public_and_short_keys_sign_nothing(path: Path, tmp_path: Path) -> None:
    """A public half in the file is a mistake that would be found at the first log-in only."""
    [key] = json.loads(path.read_bytes())["keys"]
    public = tmp_path / "public.json"
    public.write_text(json.dumps({"keys": [{name: key[name] for name in ("kty", "n", "e", "kid")}]}))
    with pytest.raises(SigningKeysError, match="private RSA keys of 2048 bits"):
        read_keys(public)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A folder in its place, too."""
    for missing in (tmp_path / "none.json", tmp_path):
        with pytest.raises(SigningKeysError, match=str(missing)):
            SigningKeys(missing, ManualClock()).check()
