"""Every setting, read once from the environment and handed down as plain values.

Secrets are typed so that they never print. An empty string counts as unset.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.domain.delivery_status import AmbiguousSends
from service.domain.errors import BadSourceUriError
from service.domain.tenant import DEFAULT_TENANT
from service.setting_types import (
    Channel,
    DatabaseUrl,
    HeaderSecret,
    HostName,
    HttpUrl,
    MailAddresses,
    SingleLine,
    SingleLineSecret,
    SmtpUrl,
    TenantId,
    WebhookBaseUrl,
    WebhookUrl,
)
from service.sources.allowed import AllowedSources

DEFAULT_REGION_CHANNELS: Mapping[str, str] = {
    "AMER": "amer-risk-alerts",
    "EMEA": "emea-risk-alerts",
    "APAC": "apac-risk-alerts",
}

_LONG_ENOUGH_PATH = 12
"""A shorter path of a URL is no secret that a webhook would have."""


class _ConfigFile(BaseModel):
    """What `CONFIG_FILE` may hold."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    regions: dict[str, Channel]


_WEBHOOKS = TypeAdapter(dict[Channel, WebhookUrl], config=ConfigDict(hide_input_in_errors=True))


def _webhooks_in(path: Path) -> dict[str, SecretStr]:
    try:
        return _WEBHOOKS.validate_json(path.read_bytes())
    except OSError as problem:
        raise ValueError(f"SLACK_WEBHOOKS_FILE {path} cannot be read: {problem.strerror}") from problem
    except ValidationError:
        # Not from the error: it would repeat what is in the file.
        raise ValueError(f"SLACK_WEBHOOKS_FILE {path} must hold JSON: {{channel: https URL}}") from None


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


class Settings(BaseSettings):
    """The settings of one process. Raises pydantic.ValidationError (without the values) when one is wrong."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True, frozen=True
    )

    # Slack
    slack_webhook_base_url: WebhookBaseUrl | None = Field(
        None, description="The mock's way: alerts are posted to `{base}/{channel}`; wins over the two below."
    )
    slack_webhooks: dict[Channel, WebhookUrl] | None = Field(
        None, description='The webhook of each channel, as JSON: `{"amer-risk-alerts": "https://…"}`.'
    )
    slack_webhooks_file: Path | None = Field(
        None, description="A JSON file with the same, read when `SLACK_WEBHOOKS` is unset."
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
        description="Pace of each lane (one lane per webhook), over all processes; 0 = unpaced.",
    )
    slack_concurrency: int = Field(
        8, ge=1, le=256, description="Most POSTs in flight, over all lanes and runs of a process."
    )
    slack_timeout_s: float = Field(10.0, gt=0, le=300, description="Timeout of one POST, in seconds.")
    slack_max_retries: int = Field(
        3, ge=0, le=10, description="Retries after a 5xx or a connection that could not be made."
    )
    shutdown_grace_s: float = Field(
        8.0, ge=2, le=3600, description="Time allowed for requests in flight after SIGTERM, in seconds."
    )
    resume_within_h: float = Field(
        24.0,
        ge=0,
        le=8760,
        description="A run whose process died is resumed if it began within this many hours.",
    )
    delivery_deadline_s: float = Field(
        600.0,
        gt=0,
        description="A run's deliveries end this many seconds after its first claim, downtime not counted.",
    )
    ambiguous_sends: AmbiguousSends = Field(
        AmbiguousSends.HOLD,
        description="What a run does with alerts in doubt: `hold` them for a person, or `resend` them.",
    )
    lease_s: float = Field(
        30.0,
        gt=0,
        allow_inf_nan=False,
        description="A run without a heartbeat for this many seconds is resumed, closed or taken over.",
    )

    # What is an alert, and where it goes
    arr_threshold: int = Field(10_000, description="Accounts with a lower ARR get no alert.")
    alert_on_unknown_arr: bool = Field(default=False, description="Also alert accounts whose ARR is unknown.")
    history_months: int = Field(
        120,
        ge=1,
        le=120_000,
        description="How many months back At Risk is counted, the target month included.",
    )
    region_channels: dict[str, Channel] | None = Field(
        None, description='Channel of each region, as JSON: `{"AMER": "amer-risk-alerts"}`.'
    )
    config_file: Path | None = Field(
        None, description='A JSON file with `{"regions": {…}}`, read when `REGION_CHANNELS` is unset.'
    )
    details_base_url: HttpUrl = Field(
        "https://app.yourcompany.com/accounts", description="The message links to `{base}/{account_id}`."
    )

    # The support notice
    support_email: MailAddresses = Field(
        "support@quadsci.ai", description="Notified of accounts without a channel, and of channels given up."
    )
    support_email_from: MailAddresses = Field(
        "risk-alerts@localhost", description="Sender of the support notice."
    )
    smtp_url: SmtpUrl | None = Field(
        None,
        description="`smtp://user:password@host:587` or `smtps://…`; unset: files beside the database.",
    )

    # Sources
    allowed_sources: tuple[str, ...] | None = Field(
        None, description="JSON list of the URI prefixes that may be read; unset: any file, gs or s3 source."
    )
    storage_timeout_s: float = Field(15.0, gt=0, description="Timeout of one storage operation, in seconds.")
    source_max_files: int = Field(
        100_000, ge=1, description="Files and folders that one source may have; with more it is refused."
    )
    gcs_token: SingleLineSecret | None = Field(
        None, description="Unset: application default credentials; `anon`: none; or a key file's path."
    )
    gcs_endpoint_url: HttpUrl | None = Field(
        None, description="Endpoint for gs://, for example an emulator's."
    )
    s3_endpoint_url: HttpUrl | None = Field(
        None, description="Endpoint for s3://, for example an emulator's."
    )
    s3_anon: bool = Field(default=False, description="Read s3:// without credentials.")
    scan_threads: int | None = Field(None, ge=1, le=256, description="Scan threads; unset: one per core.")
    memory_limit_mb: int | None = Field(
        None,
        ge=1,
        description="Memory for evaluations, which go one by one: one that needs more fails and says so.",
    )

    evaluate_on: Annotated[SingleLine, Field(pattern=r"^(tcp|tls)://\S+$")] | None = Field(
        None,
        description="Dask scheduler to evaluate on, such as `tcp://scheduler:8786`; unset: this process.",
    )

    # The API
    max_concurrent_runs: int = Field(
        8,
        ge=1,
        le=1_000,
        description="Most concurrent runs of the API, and most previews; more are answered 429.",
    )

    allowed_hosts: tuple[HostName, ...] | None = Field(
        None,
        description="JSON list of hosts that requests may name beside loopback: `name`, `*.name` or `*`.",
    )

    # The database
    database_url: DatabaseUrl = Field(
        SecretStr("sqlite:///data/risk_alerts.db"), description="The database of the ledger and the outbox."
    )
    tenant_id: TenantId = Field(
        DEFAULT_TENANT, description="Whose runs and alerts these are, a UUID; those of others are not seen."
    )
    keep_runs_days: int = Field(
        400,
        ge=1,
        le=36_500,
        description="Runs and attempts older than this are deleted, but never what replays need.",
    )
    allow_ephemeral_database: bool = Field(
        default=False,
        description="Allow real runs on SQLite inside a Cloud Run, ECS or Lambda container.",
    )
    k_service: str | None = Field(None, description="Set by Cloud Run for services.")
    cloud_run_job: str | None = Field(None, description="Set by Cloud Run for jobs.")
    ecs_container_metadata_uri_v4: str | None = Field(None, description="Set by ECS, Fargate included.")
    aws_lambda_function_name: str | None = Field(None, description="Set by Lambda.")
    kubernetes_service_host: str | None = Field(
        None, description="Set by Kubernetes, where a volume may or may not outlive the pod: a warning."
    )

    # Logs
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest severity that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto`: console on a terminal, JSON otherwise."
    )
    google_cloud_project: SingleLine | None = Field(
        None,
        validation_alias=AliasChoices("google_cloud_project", "GOOGLE_CLOUD_PROJECT"),
        description="Project id for the trace field of log lines.",
    )

    @model_validator(mode="after")
    def _lease_outlives_a_post(self) -> Self:
        # A process that froze must find its claim expired before another run may take over (design: send_by).
        if self.lease_s < self.slack_timeout_s + 2:
            raise ValueError("LEASE_S must exceed SLACK_TIMEOUT_S by at least 2 seconds")
        return self

    @field_validator("allowed_sources")
    @classmethod
    def _are_prefixes(cls, sources: tuple[str, ...] | None) -> tuple[str, ...] | None:
        try:
            AllowedSources.parse(sources)
        except BadSourceUriError as problem:
            raise ValueError(problem.detail) from None
        return sources

    @model_validator(mode="after")
    def _files_are_read(self) -> Self:
        channels, webhooks = self.channels_by_region(), self.webhooks_by_channel()
        if webhooks and self.slack_webhook_base_url is None:
            missing = sorted(set(channels.values()) - set(webhooks))
            if missing:
                raise ValueError(f"SLACK_WEBHOOKS has no webhook for {', '.join(missing)}")
        return self

    def sqlite_path(self) -> Path | None:
        """Return the file that the ledger is, as the URL has it; None where it lives on a server."""
        scheme, _, path = self.database_url.get_secret_value().partition(":///")
        return Path(path.split("?")[0].removeprefix("file:")) if scheme.startswith("sqlite") else None

    def database_shown(self) -> str:
        """Return where the ledger lives, for people: a file's whole path, or a server without its secrets."""
        if path := self.sqlite_path():
            return str(path.absolute())
        url = urlsplit(self.database_url.get_secret_value())
        user = f"{url.username}@" if url.username else ""
        # A password may stand in the query as well.
        return f"{url.scheme}://{user}{url.netloc.rpartition('@')[2]}{url.path}"

    def secrets(self) -> Iterator[str]:
        """Yield every secret that is set, whole and in the parts that betray it, for the redactor."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                yield from _parts(value.get_secret_value())
        for webhook in self.webhooks_by_channel().values():
            yield from _parts(webhook)

    def webhooks_by_channel(self) -> dict[str, str]:
        """Return the webhook of each channel; empty when there are none.

        Raises ValueError when `SLACK_WEBHOOKS_FILE` cannot be read or is not of its form.
        """
        webhooks = self.slack_webhooks
        if webhooks is None and self.slack_webhooks_file is not None:
            webhooks = _webhooks_in(self.slack_webhooks_file)
        return {channel.lstrip("#"): url.get_secret_value() for channel, url in (webhooks or {}).items()}

    def channels_by_region(self) -> dict[str, str]:
        """Return the channel of each region; empty when an empty map was configured on purpose.

        Raises ValueError when `CONFIG_FILE` cannot be read or is not of its form.
        """
        if self.region_channels is not None:
            return {region: channel.lstrip("#") for region, channel in self.region_channels.items()}
        if self.config_file is None:
            return dict(DEFAULT_REGION_CHANNELS)
        try:
            content = json.loads(self.config_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise ValueError(f"CONFIG_FILE {self.config_file} cannot be read: {problem}") from problem
        regions = _ConfigFile.model_validate(content).regions
        return {region: channel.lstrip("#") for region, channel in regions.items()}
