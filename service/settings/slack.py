"""The settings of Slack: its webhooks, and how they are used."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from service.settings.problems import in_one_line
from service.settings.value_types import (
    BotToken,
    Channel,
    HeaderSecret,
    HttpUrl,
    Json,
    MarkerKey,
    SigningSecret,
    WebhookBaseUrl,
    WebhookUrl,
)

_WEBHOOKS = TypeAdapter(dict[Channel, WebhookUrl], config=ConfigDict(hide_input_in_errors=True))


def _webhooks_in(path: Path) -> dict[str, SecretStr]:
    try:
        return _WEBHOOKS.validate_json(path.read_bytes())
    except OSError as problem:
        raise ValueError(f"SLACK_WEBHOOKS_FILE {path} cannot be read: {problem.strerror}") from problem
    except ValidationError as problem:
        raise ValueError(f"SLACK_WEBHOOKS_FILE {path}: {in_one_line(problem)}") from None


class SlackSettings(BaseModel, defer_build=True):
    """Where messages are posted, and how fast."""

    slack_webhook_base_url: WebhookBaseUrl | None = Field(
        None, description="The mock's way: alerts are posted to `{base}/{channel}`; wins over all below."
    )
    slack_webhooks: Annotated[dict[Channel, WebhookUrl] | None, *Json] = Field(
        None, description='The webhook of each channel, as JSON: `{"amer-risk-alerts": "https://…"}`.'
    )
    slack_webhooks_file: Path | None = Field(
        None, description="A JSON file with the same, read when `SLACK_WEBHOOKS` is unset."
    )
    slack_bot_token: BotToken | None = Field(
        None,
        description="A bot's token (`xoxb-…`): it posts by `chat.postMessage`, and can show what arrived.",
    )
    slack_api_url: HttpUrl = Field(
        "https://slack.com/api", description="Where the bot's methods are called; a mock has another address."
    )
    marker_key: MarkerKey | None = Field(
        None, description="Signs what the bot marks its messages with; needed with `SLACK_BOT_TOKEN`."
    )
    slack_signing_secret: SigningSecret | None = Field(
        None, description="By it Slack's requests are known: the bot's messages then carry buttons."
    )
    reconcile_after_s: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="So long after its POST's timeout a message that is not in the history never arrived.",
    )
    reconcile_for_s: float = Field(
        180.0,
        ge=0,
        le=3600,
        description="How long a run looks in the history for its alerts in doubt; 0: `serve` does.",
    )
    slack_webhook_url: WebhookUrl | None = Field(
        None, description="One webhook, and so one channel, for all alerts; the message then names its own."
    )
    slack_auth_token: HeaderSecret | None = Field(
        None, description="Sent as `X-Mock-Slack-Token`, for a mock that requires it."
    )
    slack_messages_per_second: float = Field(
        1.0,
        ge=0,
        le=10_000,
        description="Pace of each lane (a webhook, or a bot's channel), over all processes; 0 = unpaced.",
    )
    slack_concurrency: int = Field(
        8, ge=1, le=256, description="Most POSTs in flight, over all lanes and runs of a process."
    )
    slack_timeout_s: float = Field(10.0, gt=0, le=300, description="Timeout of one POST, in seconds.")
    slack_max_retries: int = Field(
        3, ge=0, le=10, description="Retries after a 5xx or a connection that could not be made."
    )

    def webhooks_by_channel(self) -> dict[str, str]:
        """Return the webhook of each channel; empty when there are none.

        Raises ValueError when `SLACK_WEBHOOKS_FILE` cannot be read or is not of its form.
        """
        webhooks = self.slack_webhooks
        if webhooks is None and self.slack_webhooks_file is not None:
            webhooks = _webhooks_in(self.slack_webhooks_file)
        return {channel.lstrip("#"): url.get_secret_value() for channel, url in (webhooks or {}).items()}
