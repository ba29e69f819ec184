"""Tables: the API's answers, laid out for a person."""

from collections.abc import Iterable, Sequence

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from service.api.schemas.alert import (
    AlertFactsOut,
    AlertOut,
    AlertsOut,
    RestatementOut,
    RunAlertOut,
    SettledOut,
    WithdrawnOut,
)
from service.api.schemas.evaluation import CountsOut, LedgerOut, WarningOut
from service.api.schemas.preview import PreviewOut
from service.api.schemas.run import RunOut, RunsOut
from service.cli.layout import add_row, console, moment_text, month_text, new_table, print_table, safe
from service.delivery.channels import Destination
from service.delivery.route_check import CheckedRoute


def print_tables(answer: BaseModel) -> None:
    """Print one of the API's answers."""
    out = console()
    match answer:
        case RunOut():
            _print_run(out, answer)
        case RunsOut():
            _print_runs(out, answer)
        case PreviewOut():
            _print_preview(out, answer)
        case AlertsOut():
            _print_alerts(out, None, answer.alerts)
            if answer.next_cursor is not None:
                out.print(safe(f"More: --cursor {answer.next_cursor}"))
        case AlertOut():
            _print_settled(out, [answer])
        case SettledOut():
            _print_settled(out, answer.settled)
        case _:
            raise TypeError(f"there is no table for {type(answer).__name__}")


def _print_run(out: Console, run: RunOut) -> None:
    mode = " (dry run)" if run.dry_run else ""
    first = [warning for warning in run.warnings if warning.code == "all_deliveries_failed"]
    _print_warnings(out, first)
    out.print(
        safe(f"Run {run.run_id}{mode}: {run.status}, {month_text(run.month)}, {_duration(run)}"), style="bold"
    )
    out.print(safe(run.source_uri))
    if run.error is not None:
        out.print(safe(f"{run.error.code}: {run.error.detail}"), style="red")
    if run.progress is not None:
        seen = run.progress
        out.print(
            safe(
                f"{seen.phase}: rows {seen.rows_done:,} of {seen.rows_total:,}, "
                f"alerts {seen.alerts_settled:,} of {seen.alerts_queued:,}"
            )
        )
    out.print(_counts(run.counts, dry_run=run.dry_run))
    if run.ledger is not None:
        _print_ledger(out, run.ledger)
    _print_warnings(out, (warning for warning in run.warnings if warning not in first))
    if run.sample_errors:
        table = new_table(
            "Not delivered", "Alert", "Account", "Name", "Channel", "Reason", "HTTP", "Attempts"
        )
        for row in run.sample_errors:
            add_row(
                table,
                row.alert_id,
                row.account_id,
                row.account_name,
                row.channel or f"none for region {row.account_region or 'null'}",
                row.reason or row.outcome,
                row.http_status,
                row.attempts,
            )
        print_table(out, table)
    _print_withdrawn(out, run.sample_withdrawn, run.counts.withdrawn)
    if run.sample_restated:
        table = new_table(
            _title("Sent, and restated since", run.sample_restated, run.counts.restated),
            *("Alert", "Sent as", *_FACTS),
        )
        for row in run.sample_restated:
            add_row(table, row.alert_id, _restated(row.restated), *_facts(row))
        print_table(out, table)
    if run.sample_alerts:
        _print_alerts(out, "Alerts (the first of them)", run.sample_alerts)


def print_alert(alert: AlertOut) -> None:
    """Print what has become of one alert, and who settled it."""
    out = console()
    values = {
        "Alert": alert.alert_id,
        **dict(zip(_FACTS, _facts(alert), strict=True)),
        "Month": month_text(alert.month),
        "Channel": alert.channel or "none",
        "Status": alert.status,
        "Reason": alert.reason,
        "Error": alert.error_message,
        "HTTP": alert.http_status,
        "Last claimed": None if alert.claimed_at is None else moment_text(alert.claimed_at),
        "Sent": None if alert.sent_at is None else moment_text(alert.sent_at),
        "Updated": moment_text(alert.updated_at),
        "Run": alert.run_id,
    }
    for name, value in values.items():
        if value not in {None, ""}:
            out.print(safe(f"{name:<13} {value}"))
    for settled in alert.settled:
        note = f": {settled.note}" if settled.note else ""
        out.print(
            safe(f"{'Settled':<13} as {settled.settled_as} by {settled.by}, {moment_text(settled.at)}{note}")
        )


def print_routes(destination: Destination, routes: Sequence[CheckedRoute]) -> None:
    """Print what the webhook of each channel answered."""
    out = console()
    table = new_table(f"Routes by {destination}", "Channel", "Regions", "Status", "Answer")
    for route in routes:
        add_row(table, route.channel, ", ".join(route.regions), route.status, route.answer)
    print_table(out, table)


def _print_preview(out: Console, preview: PreviewOut) -> None:
    out.print(safe(f"Preview of {month_text(preview.month)}: {preview.total:,} alerts"), style="bold")
    out.print(safe(preview.source_uri))
    out.print(f"plan digest: {preview.plan_digest} (run --plan-digest executes exactly this plan or nothing)")
    if preview.alerts:
        table = new_table(None, *_FACTS, "Channel", "Action", "Reason")
        for row in preview.alerts:
            why = row.reason or (_restated(row.restated) and f"sent as {_restated(row.restated)}")
            add_row(table, *_facts(row), row.channel or "none", row.action, why)
        print_table(out, table)
    if preview.total > len(preview.alerts):
        out.print(f"… and {preview.total - len(preview.alerts):,} more (--limit)")
    _print_withdrawn(out, preview.withdrawn, preview.counts.withdrawn)
    _print_ledger(out, preview.ledger)
    _print_warnings(out, preview.warnings)
    for channel, seconds in sorted(preview.seconds_by_channel.items()):
        out.print(safe(f"{channel}: about {seconds:,.0f} s at the configured pace"))


def _print_runs(out: Console, page: RunsOut) -> None:
    columns = (
        "Run",
        "Month",
        "Status",
        "Alerts",
        "Sent",
        "Failed",
        "In doubt",
        "Unsent",
    )
    table = new_table(None, *columns, "Replayed", "Error", "Started", "Took")
    for run in page.runs:
        counts = run.counts
        add_row(
            table,
            run.run_id,
            month_text(run.month),
            f"{run.status}{' (dry)' if run.dry_run else ''}",
            counts.alerts,
            counts.alerts_sent,
            counts.failed_deliveries,
            counts.unknown,
            counts.unsent,
            counts.skipped_replay,
            "" if run.error is None else run.error.code,
            moment_text(run.started_at),
            _duration(run),
        )
    print_table(out, table)
    if page.next_cursor is not None:
        out.print(safe(f"More: --cursor {page.next_cursor}"))


def _print_settled(out: Console, alerts: Sequence[AlertOut]) -> None:
    if not alerts:
        out.print("None of its alerts is in doubt.")
        return
    table = new_table(None, "Alert", "Account", "Name", "Channel", "Status", "Settled as", "By", "At")
    for row in alerts:
        last = row.settled[-1]
        add_row(
            table,
            row.alert_id,
            row.account_id,
            row.account_name,
            row.channel,
            row.status,
            last.settled_as,
            last.by,
            moment_text(last.at),
        )
    print_table(out, table)


def _print_alerts(out: Console, title: str | None, alerts: Sequence[RunAlertOut]) -> None:
    table = new_table(title, "Alert", "Outcome", "Account", "Reason", "Channel", *_FACTS[1:])
    for row in alerts:
        account, *facts = _facts(row)
        add_row(table, row.alert_id, row.outcome, account, row.reason, row.channel or "none", *facts)
    print_table(out, table)


_FACTS = ("Account", "Name", "Region", "ARR", "At risk for", "Since", "Renewal", "Owner")


def _facts(alert: AlertFactsOut) -> tuple[object, ...]:
    months = f"{alert.duration_months}{'+' if alert.duration_is_minimum else ''}"
    return (
        alert.account_id,
        alert.account_name,
        alert.account_region or "null",
        "unknown" if alert.arr is None else f"{alert.arr:,}",
        f"{months} month{'' if months == '1' else 's'}",
        month_text(alert.risk_start_month),
        "unknown" if alert.renewal_date is None else alert.renewal_date.isoformat(),
        alert.account_owner or "",
    )


def _counts(counts: CountsOut, *, dry_run: bool) -> Table:
    table = new_table(None, "Alerts", "Would send" if dry_run else "Sent", "Replayed", "Failed")
    for name in ("of them unknown region", "In doubt", "Unsent"):
        table.add_column(name)
    # Rare, and no alerts of this run: only where there are any.
    rare = {"Withdrawn": counts.withdrawn, "Restated": counts.restated}
    rare = {name: count for name, count in rare.items() if count}
    for name in rare:
        table.add_column(name)
    add_row(
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
    table = new_table(
        _title("No longer in the data", withdrawn, count), "Alert", "Until now", "Channel", *_FACTS
    )
    for row in withdrawn:
        add_row(table, row.alert_id, row.status, row.channel or "none", *_facts(row))
    print_table(out, table)


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
        out.print(safe(f"  invalid: {count:,} {reason}"))


def _print_warnings(out: Console, warnings: Iterable[WarningOut]) -> None:
    for warning in warnings:
        out.print(safe(f"warning: {warning.code} ({warning.count:,}): {warning.detail}"), style="yellow")


def _duration(run: RunOut) -> str:
    if run.finished_at is None:
        return "not finished"
    return f"{(run.finished_at - run.started_at).total_seconds():.1f} s"
