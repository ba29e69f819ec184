"""Every setting, read once from the environment and handed down as plain values.

Secrets are typed so that they never print. An empty string counts as unset.
"""

from collections.abc import Iterator
from typing import Self
from urllib.parse import urlsplit

from pydantic import SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.settings.access import AccessSettings
from service.settings.alerts import AlertSettings
from service.settings.database import DatabaseSettings
from service.settings.process import ProcessSettings
from service.settings.runs import RunSettings
from service.settings.secret_files import SecretFileSettings
from service.settings.slack import SlackSettings
from service.settings.sources import SourceSettings

_LONG_ENOUGH_PATH = 12
"""A shorter path of a URL is no secret that a webhook would have."""


class Settings(
    SlackSettings,
    RunSettings,
    AlertSettings,
    SourceSettings,
    AccessSettings,
    DatabaseSettings,
    ProcessSettings,
    SecretFileSettings,
    BaseSettings,
):
    """The settings of one process. Raises pydantic.ValidationError (without the values) when one is wrong.

    The sections are built as parts of it alone (`defer_build`): none is ever made by itself.
    """

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True, frozen=True
    )

    @model_validator(mode="after")
    def _lease_outlives_a_post(self) -> Self:
        # A process that froze must find its claim expired before another run may take over (design: send_by).
        if self.lease_s < self.slack_timeout_s + 2:
            raise ValueError("LEASE_S must exceed SLACK_TIMEOUT_S by at least 2 seconds")
        return self

    @model_validator(mode="after")
    def _files_are_read(self) -> Self:
        channels, webhooks = self.channels_by_region(), self.webhooks_by_channel()
        if webhooks and self.slack_webhook_base_url is None:
            missing = sorted(set(channels.values()) - set(webhooks))
            if missing:
                name = "SLACK_WEBHOOKS" if self.slack_webhooks is not None else "SLACK_WEBHOOKS_FILE"
                raise ValueError(f"{name} has no webhook for {', '.join(missing)}")
        return self

    @model_validator(mode="after")
    def _a_bot_marks_its_messages(self) -> Self:
        if self.slack_bot_token is not None and self.marker_key is None:
            raise ValueError("MARKER_KEY must be set where SLACK_BOT_TOKEN is")
        if self.slack_signing_secret is not None and self.slack_bot_token is None:
            raise ValueError("SLACK_SIGNING_SECRET is of no use without SLACK_BOT_TOKEN")
        return self

    def secrets(self) -> Iterator[str]:
        """Yield every secret that is set, whole and in the parts that betray it, for the redactor."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                yield from _parts(value.get_secret_value())
        for webhook in self.webhooks_by_channel().values():
            yield from _parts(webhook)


def _parts(secret: str) -> Iterator[str]:
    """Yield a secret, whole and in the parts that give it away."""
    yield secret
    if "://" not in secret:
        return
    url = urlsplit(secret)
    if url.password:
        yield url.password
    # HTTP clients name the path alone in some of their messages, and a webhook's path is its secret.
    if url.scheme in {"http", "https"} and len(url.path) >= _LONG_ENOUGH_PATH:
        yield url.path
