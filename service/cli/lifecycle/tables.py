"""Alerts laid out for a person."""

from collections.abc import Sequence
from typing import Final

from service.api.schemas.managed_alert import AlertEventOut, ManagedAlertOut, StatsOut
from service.cli.layout import Columns, console, moment_text, print_table, safe

_ALERTS: Final[Columns] = {
    "Alert": lambda each: each.id,
    "Status": lambda each: each.status,
    "Severity": lambda each: each.severity,
    "Rule": lambda each: each.rule_name,
    "Message": lambda each: each.message,
    "Created": lambda each: moment_text(each.created_at),
    "By": lambda each: each.resolved_by or each.acknowledged_by,
}
_OCCURRENCES: Final[Columns] = {
    "Occurrence": lambda each: each.id,
    "Period": lambda each: each.period,
    "Delivery": lambda each: each.delivery.status,
    "Reason": lambda each: each.delivery.reason,
    "Channel": lambda each: each.delivery.channel or "none",
    "Sent": lambda each: each.delivery.sent_at and moment_text(each.delivery.sent_at),
    "Settled": lambda each: "; ".join(f"as {how.settled_as} by {how.by}" for how in each.delivery.settled),
}
_IN_SLACK: Final[Columns] = {
    "In Slack": lambda each: (
        each.delivery.slack_ts and f"{each.delivery.slack_channel} {each.delivery.slack_ts}"
    ),
    "Changed": lambda each: each.delivery.slack_updated_at and moment_text(each.delivery.slack_updated_at),
    "Not changed": lambda each: each.delivery.slack_update_error,
}
"""Where a bot's messages stand, and since when they show what has become of their alert."""
_EVENTS: Final[Columns] = {
    "Number": lambda event: event.number,
    "Event": lambda event: event.event,
    "At": lambda event: moment_text(event.at),
    "By": lambda event: event.by,
    "Reason": lambda event: event.reason,
    "Note": lambda event: event.note,
    "Run": lambda event: event.run_id,
}


def print_list(alerts: Sequence[ManagedAlertOut], next_cursor: str | None) -> None:
    """Print a page of alerts."""
    out = console()
    print_table(out, None, _ALERTS, alerts)
    if next_cursor is not None:
        out.print(safe(f"More: --cursor {next_cursor}"))


def print_one(alert: ManagedAlertOut, events: Sequence[AlertEventOut]) -> None:
    """Print an alert, its occurrences, and what happened to it."""
    out = console()
    values = {
        "Alert": alert.id,
        "Rule": alert.rule_name,
        "Message": alert.message,
        "Severity": alert.severity,
        "Status": alert.status,
        "Subject": alert.subject,
        "Route": alert.route,
        "Last seen": alert.last_seen,
        "Acknowledged": _who(alert.acknowledged_by, alert.acknowledgment_note),
        "Resolved": _who(alert.resolved_by, alert.resolution_note),
        "Why": alert.resolution_reason,
        "Before it": alert.previous_alert_id,
        "Delivery": alert.delivery and alert.delivery.status,
        "Reason": alert.delivery and alert.delivery.reason,
        "Error": alert.delivery and alert.delivery.error_message,
    }
    for name, value in values.items():
        if value not in {None, ""}:
            out.print(safe(f"{name:<13} {value}"))
    if alert.occurrences:
        has_place = any(each.delivery.slack_ts for each in alert.occurrences)
        columns = {**_OCCURRENCES, **(_IN_SLACK if has_place else {})}
        print_table(out, "Occurrences", columns, alert.occurrences)
    print_table(out, "Events", _EVENTS, events)


def print_counts(counts: StatsOut) -> None:
    """Print how many alerts there are."""
    out = console()
    values: dict[str, int] = {
        "alerts": counts.total,
        "triggered": counts.triggered,
        "acknowledged": counts.acknowledged,
        "resolved": counts.resolved,
        **{str(severity): count for severity, count in counts.by_severity.items()},
    }
    for name, count in values.items():
        out.print(f"{name:<13} {count:,}")
    if counts.oldest_open is not None:
        out.print(safe(f"The oldest that is open is of {moment_text(counts.oldest_open)}"))


def _who(by: str | None, note: str | None) -> str:
    return "" if by is None else f"by {by}{f': {note}' if note else ''}"
