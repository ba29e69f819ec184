"""Secrets in files: read where the setting itself is unset, and never repeated in what is said of them."""

from pathlib import Path
from typing import Final

import pytest

from service.settings import Settings
from service.settings.problems import InvalidSettingsError
from service.settings.reading import read_settings

SECRETS: Final = {
    "SLACK_WEBHOOK_BASE_URL": "https://hooks.example.com/services/c4nary",
    "SLACK_WEBHOOK_URL": "https://hooks.example.com/services/c4nary-single",
    "SLACK_AUTH_TOKEN": "c4nary-token",
    "SMTP_URL": "smtp://user:c4nary-password@mail.example.com",
    "GCS_TOKEN": "c4nary-gcs",
    "DATABASE_URL": "postgresql://user:c4nary-password@db.example.com/alerts",
    "INTERNAL_SERVICE_KEY": "c4nary-of-a-service",
}


pytestmark = pytest.mark.usefixtures("nothing_set")


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_read_from_its_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the newline that an editor leaves; what is set in the environment wins over the file."""
    (tmp_path / "secret").write_text(f"{SECRETS[name]}\n")
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
    settings = read_settings()
    assert getattr(settings, name.lower()).get_secret_value() == SECRETS[name]
    assert SECRETS[name] in set(settings.secrets())
    assert "c4nary" not in repr(settings)
    monkeypatch.setenv(name, SECRETS[name].replace("c4nary", "other"))
    assert "other" in getattr(read_settings(), name.lower()).get_secret_value()


def test_every_secret_has_a_file() -> None:
    """Whoever adds a secret setting adds its file."""
    secret = {name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}
    assert {f"{name}_file" for name in secret} <= set(Settings.model_fields)


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfec4nary"])
def test_a_file_that_holds_no_secret_is_said(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, empty, or no text: one line with the setting and the path, and nothing of its content."""
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "secret"))
    with pytest.raises(InvalidSettingsError) as raised:
        read_settings()
    (problem,) = raised.value.problems
    assert problem.key == "DATABASE_URL_FILE"
    assert str(tmp_path / "secret") in problem.reason
    assert "c4nary" not in f"{raised.value!r}{problem!r}"


def test_what_is_wrong_in_a_file_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of the wrong kind is refused like one in the environment."""
    (tmp_path / "secret").write_text("c4nary no url")
    monkeypatch.setenv("SMTP_URL_FILE", str(tmp_path / "secret"))
    with pytest.raises(InvalidSettingsError) as raised:
        read_settings()
    assert "c4nary" not in f"{raised.value!r}{raised.value.problems!r}"
