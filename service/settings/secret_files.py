"""Secrets in files, as orchestrators mount them: a secret setting is read from where its `_FILE` says."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, model_validator


def _of(name: str) -> Any:
    return Field(None, description=f"A file that holds `{name}`, read when that is unset.")


class SecretFileSettings(BaseModel, defer_build=True):
    """The files of secrets. `SLACK_WEBHOOKS` has had one of its own, in JSON, from the beginning."""

    slack_webhook_base_url_file: Path | None = _of("SLACK_WEBHOOK_BASE_URL")
    slack_webhook_url_file: Path | None = _of("SLACK_WEBHOOK_URL")
    slack_bot_token_file: Path | None = _of("SLACK_BOT_TOKEN")
    marker_key_file: Path | None = _of("MARKER_KEY")
    slack_signing_secret_file: Path | None = _of("SLACK_SIGNING_SECRET")
    slack_auth_token_file: Path | None = _of("SLACK_AUTH_TOKEN")
    smtp_url_file: Path | None = _of("SMTP_URL")
    gcs_token_file: Path | None = _of("GCS_TOKEN")
    database_url_file: Path | None = _of("DATABASE_URL")
    internal_service_key_file: Path | None = _of("INTERNAL_SERVICE_KEY")

    @model_validator(mode="before")
    @classmethod
    def _read_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Take each secret that is not set from its file; raises ValueError, without what is in it."""
        found = dict(values)
        for setting in SecretFileSettings.model_fields:
            path, name = found.get(setting), setting.removesuffix("_file")
            if path and not found.get(name):
                found[name] = _content(setting.upper(), Path(path))
        return found


def _content(setting: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as problem:
        raise ValueError(f"{setting} {path} cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{setting} {path} is not UTF-8") from None
    if not text:
        raise ValueError(f"{setting} {path} is empty")
    return text
