"""The settings of alerts: what is one, which channel it goes to, and who is notified where there is none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from service.account_risk.severity import SEVERITY_RULES, SeverityRule
from service.default_risk.levels import RiskThresholds
from service.domain.lifecycle.alert_status import Severity
from service.settings.problems import in_one_line
from service.settings.value_types import Channel, HttpUrl, Json, Lower, MailAddresses, SmtpUrl

DEFAULT_REGION_CHANNELS: Mapping[str, str] = {
    "AMER": "amer-risk-alerts",
    "EMEA": "emea-risk-alerts",
    "APAC": "apac-risk-alerts",
}


def _thresholds(text: str) -> str:
    RiskThresholds.parse(text)
    return text


class _ConfigFile(BaseModel, defer_build=True):
    """What `CONFIG_FILE` may hold."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    regions: dict[str, Channel]


class SeveritySettings(BaseModel, defer_build=True):
    """What an account must have, all of it, to be of a severity."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)

    severity: Severity
    min_arr: int | None = None
    min_months: int | None = None


class AlertSettings(BaseModel, defer_build=True):
    """What is an alert, and whom it reaches."""

    arr_threshold: int = Field(10_000, description="Accounts with a lower ARR get no alert.")
    alert_on_unknown_arr: bool = Field(default=False, description="Also alert accounts whose ARR is unknown.")
    history_months: int = Field(
        120,
        ge=1,
        le=120_000,
        description="How many months back At Risk is counted, the target month included.",
    )
    severity_rules: Annotated[tuple[SeveritySettings, ...] | None, *Json] = Field(
        None,
        description="Severities by ARR and months, as JSON; the first that is met; unset: see docs/rules.md.",
    )
    region_channels: Annotated[dict[str, Channel] | None, *Json] = Field(
        None,
        description="Channel of each region, as JSON; unset: `amer-risk-alerts` for AMER, also EMEA, APAC.",
    )
    config_file: Path | None = Field(
        None, description='A JSON file with `{"regions": {…}}`, read when `REGION_CHANNELS` is unset.'
    )
    details_base_url: HttpUrl = Field(
        "https://app.yourcompany.com/accounts", description="The message links to `{base}/{account_id}`."
    )
    summary: bool = Field(
        default=False, description="After a month's run each channel gets one message with what it changed."
    )

    risk_thresholds: Annotated[str, AfterValidator(_thresholds)] = Field(
        "0.2,0.5",
        description=(
            "Probabilities: default risk is LOW up to and with the first, MEDIUM with the second, else HIGH."
        ),
    )
    prior: float | None = Field(
        None, gt=0, lt=1, description="Share of your companies that default; unset: as in the model's data."
    )

    # The support notice
    support_email: MailAddresses = Field(
        "support@quadsci.ai", description="Notified of accounts without a channel, and of channels given up."
    )
    support_email_from: MailAddresses = Field(
        "risk-alerts@localhost", description="Sender of the support notice."
    )
    support_notice: Annotated[Literal["changes", "always"], Lower] = Field(
        "changes",
        description="`changes`: a month's replays do not notify again of the same; `always`: each run does.",
    )
    smtp_url: SmtpUrl | None = Field(
        None,
        description="`smtp://user:password@host:587` or `smtps://…`; unset: files beside the database.",
    )

    def severities(self) -> tuple[SeverityRule, ...]:
        """Return the rules that say how severe an alert about an account is."""
        if self.severity_rules is None:
            return SEVERITY_RULES
        return tuple(SeverityRule(**rule.model_dump()) for rule in self.severity_rules)

    def channels_by_region(self) -> dict[str, str]:
        """Return the channel of each region; empty when an empty map was configured on purpose.

        Raises ValueError when `CONFIG_FILE` cannot be read or is not of its form.
        """
        if self.region_channels is not None:
            return {region: channel.lstrip("#") for region, channel in self.region_channels.items()}
        if self.config_file is None:
            return dict(DEFAULT_REGION_CHANNELS)
        try:
            regions = _ConfigFile.model_validate_json(self.config_file.read_bytes()).regions
        except OSError as problem:
            raise ValueError(f"CONFIG_FILE {self.config_file} cannot be read: {problem.strerror}") from None
        except ValidationError as problem:
            raise ValueError(f"CONFIG_FILE {self.config_file}: {in_one_line(problem)}") from None
        return {region: channel.lstrip("#") for region, channel in regions.items()}
