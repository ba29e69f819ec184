"""The type `risk_alert`: how an account At Risk is reported. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Final
from urllib.parse import quote

from service.account_risk.account_at_risk import RISK_ALERT, AccountAtRisk
from service.account_risk.severity import SEVERITY_RULES, SeverityRule, severity_of
from service.domain.alert import Alert, Fact
from service.domain.alert_type import Line, Message, Notice, Routes
from service.domain.lifecycle.problem import Problem

RULE_NAME: Final = "account_at_risk"
_HEADLINE: Final = "🚩 At Risk:"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskAlert:
    """What is particular to alerts of accounts At Risk. They are sent by ARR, highest first, null last."""

    details_base_url: str
    """The page of an account is this and its id."""
    severity_rules: Sequence[SeverityRule] = SEVERITY_RULES

    name: ClassVar[str] = RISK_ALERT
    restatable: ClassVar[Collection[str]] = ("arr", "duration_months")

    @property
    def wording(self) -> Mapping[str, Fact]:
        """The messages depend on where accounts have their page."""
        return {"details_base_url": self.details_base_url}

    def message(self, alert: Alert) -> Message:
        """Return what a customer-success team reads."""
        account = AccountAtRisk.of(alert)
        return Message(
            headline=_HEADLINE,
            name=account.account_name,
            key=account.account_id,
            lines=(
                Line(label="Region", value=account.account_region, if_blank="Unknown"),
                Line(label="At Risk for", value=duration_text(account)),
                Line(label="ARR", value=arr_text(account.arr)),
                Line(label="Renewal date", value=_date_text(account.renewal_date)),
                Line(label="Owner", value=account.account_owner),
            ),
            url=details_url(account.account_id, self.details_base_url),
            link_text="Account details",
            without_link="the account id is too long for a link",
        )

    def problem(self, alert: Alert) -> Problem:
        """Return what the account's team works on: one streak At Risk is one alert."""
        account = AccountAtRisk.of(alert)
        return Problem(
            rule_name=RULE_NAME,
            message=f"{_HEADLINE} {account.account_name} ({account.account_id})",
            severity=severity_of(self.severity_rules, account.arr, account.duration_months),
            began=str(account.risk_start_month),
        )

    def channel(self, alert: Alert, routes: Routes) -> str | None:
        """Return the channel of the account's region."""
        return routes.of(alert.route)

    def why_unrouted(self, alert: Alert) -> str:
        """Say why an account has no channel."""
        route = alert.route
        if route is None or not route.strip():
            return "the account has no region"
        return f"no channel is configured for region {route[:100]!r}"

    def notice(self, count: int, period: str | None) -> Notice:
        """Return what support reads above the list of accounts."""
        accounts = "1 account" if count == 1 else f"{count} accounts"
        return Notice(
            subject=f"Risk alerts {period}: {accounts} without a Slack channel",
            explanation=(
                f"{accounts} At Risk could not be reported: their region has no Slack channel.",
                "They go out with the next run of the month once the region is corrected or gets a channel.",
            ),
            about=f"Month: {period}",
        )

    def notice_line(self, alert: Alert) -> str:
        """Return an account's line of that list."""
        account = AccountAtRisk.of(alert)
        region = "null" if account.account_region is None else repr(account.account_region[:100])
        values = (
            f"{_plain(account.account_id)}  {_plain(account.account_name)}",
            f"region {region}",
            f"ARR {arr_text(account.arr)}",
            f"owner {_plain(account.account_owner or 'unknown')}",
        )
        return " | ".join(values)


def duration_text(account: AccountAtRisk) -> str:
    """Say for how long the account has been At Risk: `3 months (since 2025-11-01)`."""
    if account.duration_is_minimum:
        return f"{account.duration_months}+ months (since {account.risk_start_month} or earlier)"
    months = "1 month" if account.duration_months == 1 else f"{account.duration_months} months"
    return f"{months} (since {account.risk_start_month})"


def arr_text(arr: int | None) -> str:
    """Say the ARR as `$10,211`, or `Unknown`."""
    if arr is None:
        return "Unknown"
    return f"-${-arr:,}" if arr < 0 else f"${arr:,}"


def details_url(account_id: str, base_url: str) -> str:
    """Return the account's page; the id is percent-encoded whole, so `/`, `?` and `..` stay inside it."""
    encoded = quote(account_id, safe="", errors="replace")
    if encoded.strip(".") == "":  # a browser would take `.` and `..` for steps in the path
        encoded = encoded.replace(".", "%2E")
    return f"{base_url.rstrip('/')}/{encoded}"


def _date_text(day: date | None) -> str:
    return "Unknown" if day is None else day.isoformat()


def _plain(value: str) -> str:
    """Keep a value from the source on its line, and within reason."""
    text = "".join(character if character.isprintable() else " " for character in value[:200])
    return text.encode("utf-8", "replace").decode("utf-8")
