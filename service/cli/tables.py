"""Tables: the API's answers, laid out for a person."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Final

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.api.schemas.alert import AlertFactsOut, AlertOut, RestatementOut, SettledOut, WithdrawnOut
from service.api.schemas.evaluation import CountsOut, LedgerOut, WarningOut
from service.api.schemas.preview import PreviewOut
from service.api.schemas.run import RunOut, RunsOut
from service.delivery.channels import Destination
from service.delivery.route_check import CheckedRoute
from service.telemetry.terminal import harmless

_WIDTH_OF_A_PIPE: Final = 200
_LONGEST_VALUE: Final = 40
"""A name of thousands of characters would push everything else off the screen."""


def print_tables(answer: BaseModel) -> None:
    """Print one of the API's answers."""
    out = _console()
    match answer:
        case RunOut():
            _print_run(out, answer)
        case RunsOut():
            _print_runs(out, answer)
        case PreviewOut():
            _print_preview(out, answer)
        case AlertOut():
            _print_settled(out, [answer])
        case SettledOut():
            _print_settled(out, answer.settled)
        case _:
            raise TypeError(f"there is no table for {type(answer).__name__}")


def _print_run(out: Console, run: RunOut) -> None:
    mode = " (dry run)" if run.dry_run else ""
    out.print(
        _safe(f"Run {run.run_id}{mode}: {run.status}, {_month(run.month)}, {_duration(run)}"), style="bold"
    )
    out.print(_safe(run.source_uri))
    if run.error is not None:
        out.print(_safe(f"{run.error.code}: {run.error.detail}"), style="red")
    if run.progress is not None:
        seen = run.progress
        out.print(
            _safe(
                f"{seen.phase}: rows {seen.rows_done:,} of {seen.rows_total:,}, "
                f"alerts {seen.alerts_settled:,} of {seen.alerts_queued:,}"
            )
        )
    out.print(_counts(run.counts, dry_run=run.dry_run))
    if run.ledger is not None:
        _print_ledger(out, run.ledger)
    _print_warnings(out, run.warnings)
    if run.sample_errors:
        table = _table("Not delivered", "Account", "Name", "Channel", "Reason", "HTTP", "Attempts")
        for row in run.sample_errors:
            _add(
                table,
                row.account_id,
                row.account_name,
                row.channel or f"none for region {row.account_region or 'null'}",
                row.reason or row.outcome,
                row.http_status,
                row.attempts,
            )
        out.print(table)
    _print_withdrawn(out, run.sample_withdrawn, run.counts.withdrawn)
    if run.sample_restated:
        table = _table(
            _title("Sent, and restated since", run.sample_restated, run.counts.restated), *_FACTS, "Sent as"
        )
        for row in run.sample_restated:
            _add(table, *_facts(row), _restated(row.restated))
        out.print(table)
    if run.sample_alerts:
        table = _table("Alerts (the first of them)", *_FACTS, "Channel", "Outcome")
        for row in run.sample_alerts:
            _add(table, *_facts(row), row.channel or "none", row.outcome)
        out.print(table)


def print_routes(destination: Destination, routes: Sequence[CheckedRoute]) -> None:
    """Print what the webhook of each channel answered."""
    out = _console()
    table = _table(f"Routes by {destination}", "Channel", "Regions", "Status", "Answer")
    for route in routes:
        _add(table, route.channel, ", ".join(route.regions), route.status, route.answer)
    out.print(table)


def _print_preview(out: Console, preview: PreviewOut) -> None:
    out.print(_safe(f"Preview of {_month(preview.month)}: {preview.total:,} alerts"), style="bold")
    out.print(_safe(preview.source_uri))
    out.print(f"plan digest: {preview.plan_digest} (run --plan-digest executes exactly this plan or nothing)")
    if preview.alerts:
        table = _table(None, *_FACTS, "Channel", "Action", "Reason")
        for row in preview.alerts:
            why = row.reason or (_restated(row.restated) and f"sent as {_restated(row.restated)}")
            _add(table, *_facts(row), row.channel or "none", row.action, why)
        out.print(table)
    if preview.total > len(preview.alerts):
        out.print(f"… and {preview.total - len(preview.alerts):,} more (--limit)")
    _print_withdrawn(out, preview.withdrawn, preview.counts.withdrawn)
    _print_ledger(out, preview.ledger)
    _print_warnings(out, preview.warnings)
    for channel, seconds in sorted(preview.seconds_by_channel.items()):
        out.print(_safe(f"{channel}: about {seconds:,.0f} s at the configured pace"))


def _print_runs(out: Console, page: RunsOut) -> None:
    columns = (
        "Run",
        "Month",
        "Status",
        "Started",
        "Took",
        "Alerts",
        "Sent",
        "Replayed",
        "Failed",
        "In doubt",
    )
    table = _table(None, *columns, "Unsent", "Error")
    for run in page.runs:
        counts = run.counts
        _add(
            table,
            f"{run.run_id}{' (dry)' if run.dry_run else ''}",
            _month(run.month),
            run.status,
            _moment(run.started_at),
            _duration(run),
            counts.alerts,
            counts.alerts_sent,
            counts.skipped_replay,
            counts.failed_deliveries,
            counts.unknown,
            counts.unsent,
            "" if run.error is None else run.error.code,
        )
    out.print(table)
    if page.next_cursor is not None:
        out.print(_safe(f"More: --cursor {page.next_cursor}"))


def _print_settled(out: Console, alerts: Sequence[AlertOut]) -> None:
    if not alerts:
        out.print("None of its alerts is in doubt.")
        return
    table = _table(None, "Alert", "Account", "Name", "Channel", "Status", "Settled as", "By", "At")
    for row in alerts:
        last = row.settled[-1]
        _add(
            table,
            row.alert_id,
            row.account_id,
            row.account_name,
            row.channel,
            row.status,
            last.settled_as,
            last.by,
            _moment(last.at),
        )
    out.print(table)


_FACTS = ("Account", "Name", "Region", "ARR", "At risk for", "Since", "Renewal", "Owner")


def _facts(alert: AlertFactsOut) -> tuple[object, ...]:
    months = f"{alert.duration_months}{'+' if alert.duration_is_minimum else ''}"
    return (
        alert.account_id,
        alert.account_name,
        alert.account_region or "null",
        "unknown" if alert.arr is None else f"{alert.arr:,}",
        f"{months} month{'' if months == '1' else 's'}",
        _month(alert.risk_start_month),
        "unknown" if alert.renewal_date is None else alert.renewal_date.isoformat(),
        alert.account_owner or "",
    )


def _counts(counts: CountsOut, *, dry_run: bool) -> Table:
    table = _table(None, "Alerts", "Would send" if dry_run else "Sent", "Replayed", "Failed")
    for name in ("of them unknown region", "In doubt", "Unsent"):
        table.add_column(name)
    # Rare, and no alerts of this run: only where there are any.
    rare = {"Withdrawn": counts.withdrawn, "Restated": counts.restated}
    rare = {name: count for name, count in rare.items() if count}
    for name in rare:
        table.add_column(name)
    _add(
        table,
        counts.alerts,
        counts.would_send if dry_run else counts.alerts_sent,
        counts.skipped_replay,
        counts.failed_deliveries,
        counts.unknown_region,
        counts.unknown,
        counts.unsent,
        *rare.values(),
    )
    return table


def _print_withdrawn(out: Console, withdrawn: Sequence[WithdrawnOut], count: int) -> None:
    if not withdrawn:
        return
    table = _table(_title("No longer in the data", withdrawn, count), *_FACTS, "Channel", "Until now")
    for row in withdrawn:
        _add(table, *_facts(row), row.channel or "none", row.status)
    out.print(table)


def _title(text: str, shown: Sequence[object], count: int) -> str:
    return text if len(shown) == count else f"{text} (the first {len(shown)} of {count:,})"


def _restated(restated: RestatementOut | None) -> str:
    """Say how an alert was sent, where it reads otherwise now."""
    if restated is None:
        return ""
    parts = []
    if restated.arr is not None:
        parts.append("unknown ARR" if restated.arr[0] is None else f"ARR {restated.arr[0]:,}")
    if restated.duration_months is not None:
        parts.append(f"{restated.duration_months[0]} months")
    return ", ".join(parts)


def _print_ledger(out: Console, ledger: LedgerOut) -> None:
    invalid = sum(ledger.invalid.values())
    outcomes = " + ".join(f"{count:,} {outcome}" for outcome, count in ledger.outcomes.items() if count)
    out.print(
        f"{ledger.rows_in_source:,} rows = {ledger.outside_window:,} outside the window "
        f"+ {ledger.rows_scanned:,} scanned"
    )
    out.print(
        f"{ledger.rows_scanned:,} scanned = {invalid:,} invalid + {ledger.duplicates:,} duplicates "
        f"+ {ledger.account_months:,} account months"
    )
    out.print(
        f"{ledger.at_risk:,} At Risk = {ledger.below_threshold:,} below the threshold "
        f"+ {ledger.unknown_arr:,} of unknown ARR + {ledger.alerts:,} alerts"
    )
    out.print(f"{ledger.alerts:,} alerts = {outcomes or 0}")
    for reason, count in ledger.invalid.items():
        out.print(_safe(f"  invalid: {count:,} {reason}"))


def _print_warnings(out: Console, warnings: Iterable[WarningOut]) -> None:
    for warning in warnings:
        out.print(_safe(f"warning: {warning.code} ({warning.count:,}): {warning.detail}"), style="yellow")


def _console() -> Console:
    console = Console(highlight=False)
    # Without a terminal nobody's window is too narrow.
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_OF_A_PIPE)


def _table(title: str | None, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    return table


def _add(table: Table, *values: object) -> None:
    table.add_row(*(_safe(_shortened("" if value is None else str(value))) for value in values))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _safe(text: str) -> Text:
    # A value from data may hold escape sequences, which a terminal would obey, or rich's own markup.
    return Text(harmless(text))


def _month(month: date) -> str:
    return month.isoformat()


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


def _duration(run: RunOut) -> str:
    if run.finished_at is None:
        return "not finished"
    return f"{(run.finished_at - run.started_at).total_seconds():.1f} s"
