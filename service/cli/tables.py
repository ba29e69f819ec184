"""Tables: the API's answers, laid out for a person."""

from collections.abc import Iterable, Sequence
from operator import attrgetter, itemgetter

from rich.console import Console
from rich.table import Table

from service.api.schemas.alert import (
    AlertFactsOut,
    AlertOut,
    AlertsOut,
    RestatementOut,
    SettledOut,
    WithdrawnOut,
)
from service.api.schemas.evaluation import (
    ChangesOut,
    CountsOut,
    LedgerOut,
    LogLedgerOut,
    OutboxLedgerOut,
    WarningOut,
)
from service.api.schemas.preview import PreviewAlertOut, PreviewOut
from service.api.schemas.run import RunOut, RunsOut
from service.cli.layout import Columns, console, moment_text, print_table, safe, table_of
from service.cli.lifecycle.changes import changed_columns, print_changes
from service.cli.logs.answers import about, log_columns, print_log_ledger
from service.delivery.channels import Destination
from service.delivery.route_check import CheckedRoute


def print_tables(answer: object) -> None:
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
            print_table(out, None, _of(_ALERTS, answer.alerts), answer.alerts)
            if answer.next_cursor is not None:
                out.print(safe(f"More: --cursor {answer.next_cursor}"))
        case AlertOut():
            _print_settled(out, [answer])
        case ChangesOut():
            print_changes(answer, also_continuing=True)
        case SettledOut():
            _print_settled(out, answer.settled)
        case _:
            raise TypeError(f"there is no table for {type(answer).__name__}")


def _print_run(out: Console, run: RunOut) -> None:
    mode = " (dry run)" if run.dry_run else ""
    first = [warning for warning in run.warnings if warning.code == "all_deliveries_failed"]
    _print_warnings(out, first)
    out.print(safe(f"Run {run.run_id}{mode}: {run.status}, {about(run)}, {_duration(run)}"), style="bold")
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
        print_table(out, "Not delivered", _of(_ERRORS, run.sample_errors), run.sample_errors)
    _print_withdrawn(out, run.sample_withdrawn, run.counts.withdrawn)
    if run.sample_restated:
        title = _title("Sent, and restated since", run.sample_restated, run.counts.restated)
        print_table(out, title, _of(_RESTATED, run.sample_restated), run.sample_restated)
    if run.sample_alerts:
        columns = _of(_ALERTS, run.sample_alerts)
        print_table(out, "Alerts (the first of them)", columns, run.sample_alerts)


def print_routes(destination: Destination, routes: Sequence[CheckedRoute]) -> None:
    """Print what the webhook of each channel answered."""
    print_table(console(), f"Routes by {destination}", _ROUTES, routes)


def _print_preview(out: Console, preview: PreviewOut) -> None:
    out.print(safe(f"Preview of {about(preview)}: {preview.total:,} alerts"), style="bold")
    out.print(safe(preview.source_uri))
    out.print(f"plan digest: {preview.plan_digest} (a run with --plan-digest sends exactly this or nothing)")
    if preview.alerts:
        print_table(out, None, _of(_PREVIEW, preview.alerts), preview.alerts)
    if preview.total > len(preview.alerts):
        out.print(f"… and {preview.total - len(preview.alerts):,} more (--limit)")
    _print_withdrawn(out, preview.withdrawn, preview.counts.withdrawn)
    if preview.recovered:
        title = _title("Would recover", preview.recovered, preview.recovered_total)
        print_table(out, title, changed_columns(preview.recovered), preview.recovered)
    for summary in preview.summaries:
        out.print(safe(f"#{summary.channel} would read:"), style="bold")
        out.print(safe(str(summary.message["text"])))
    _print_ledger(out, preview.ledger)
    _print_warnings(out, preview.warnings)
    for channel, seconds in sorted(preview.seconds_by_channel.items()):
        if seconds:
            out.print(safe(f"{channel}: about {seconds:,.0f} s at the configured pace"))


def _print_runs(out: Console, page: RunsOut) -> None:
    print_table(out, None, _RUNS, page.runs)
    if page.next_cursor is not None:
        out.print(safe(f"More: --cursor {page.next_cursor}"))


def _print_settled(out: Console, alerts: Sequence[AlertOut]) -> None:
    if not alerts:
        out.print("None of its alerts is in doubt.")
        return
    print_table(out, None, _of(_SETTLED, alerts), alerts)


def _counts(counts: CountsOut, *, dry_run: bool) -> Table:
    shown = {
        "Alerts": counts.alerts,
        "Would send" if dry_run else "Sent": counts.would_send if dry_run else counts.alerts_sent,
        "Replayed": counts.skipped_replay,
        "Failed": counts.failed_deliveries,
        "of them without a channel": counts.unknown_region,
        "In doubt": counts.unknown,
        "Unsent": counts.unsent,
    }
    # Rare, and no alerts of this run: only where there are any.
    rare = {"Withdrawn": counts.withdrawn, "Restated": counts.restated, "In a digest": counts.in_digest}
    shown |= {name: count for name, count in rare.items() if count}
    return table_of(None, {name: itemgetter(name) for name in shown}, [shown], wraps=True)


def _print_withdrawn(out: Console, withdrawn: Sequence[WithdrawnOut], count: int) -> None:
    if not withdrawn:
        return
    title = _title("No longer in the data", withdrawn, count)
    print_table(out, title, _of(_WITHDRAWN, withdrawn), withdrawn)


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
    of_logs = ("last", "peak", "events", "episodes")
    parts += [f"{name} {value[0]}" for name in of_logs if (value := getattr(restated, name)) is not None]
    return ", ".join(parts)


def _print_ledger(out: Console, ledger: LedgerOut | LogLedgerOut | OutboxLedgerOut) -> None:
    if isinstance(ledger, LogLedgerOut):
        print_log_ledger(out, ledger)
        return
    if isinstance(ledger, LedgerOut):
        _print_rows(out, ledger)
    outcomes = " + ".join(f"{count:,} {outcome}" for outcome, count in ledger.outcomes.items() if count)
    out.print(f"{ledger.alerts:,} alerts = {outcomes or 0}")


def _print_rows(out: Console, ledger: LedgerOut) -> None:
    invalid = sum(ledger.invalid.values())
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
    for reason, count in ledger.invalid.items():
        out.print(safe(f"  invalid: {count:,} {reason}"))


def _print_warnings(out: Console, warnings: Iterable[WarningOut]) -> None:
    for warning in warnings:
        out.print(safe(f"warning: {warning.code} ({warning.count:,}): {warning.detail}"), style="yellow")


def _duration(run: RunOut) -> str:
    if run.finished_at is None:
        return "not finished"
    return f"{(run.finished_at - run.started_at).total_seconds():.1f} s"


def _at_risk_for(alert: AlertFactsOut) -> str:
    months = f"{alert.duration_months}{'+' if alert.duration_is_minimum else ''}"
    return f"{months} month{'' if months == '1' else 's'}"


def _sent_as(alert: PreviewAlertOut) -> str:
    before = _restated(alert.restated)
    return before and f"sent as {before}"


def _without_channel(row: AlertFactsOut) -> str:
    return "none" if row.account_id is None else f"none for region {row.account_region or 'null'}"


def _of(columns: Columns, rows: Sequence[AlertFactsOut]) -> Columns:
    """Return what is shown of rows: of episodes other facts than of accounts."""
    is_of_logs = bool(rows) and rows[0].alert_type == "log_rule"
    return log_columns(columns, instead_of=_FACTS) if is_of_logs else columns


_ALERT: Columns = {"Alert": attrgetter("alert_id")}
_CHANNEL: Columns = {"Channel": lambda row: row.channel or "none"}
_FACTS: Columns = {
    "Account": attrgetter("account_id"),
    "Name": attrgetter("account_name"),
    "Region": lambda row: row.account_region or "null",
    "ARR": lambda row: "unknown" if row.arr is None else f"{row.arr:,}",
    "At risk for": _at_risk_for,
    "Since": attrgetter("risk_start_month"),
    "Renewal": lambda row: row.renewal_date or "unknown",
    "Owner": attrgetter("account_owner"),
}
_ALERTS: Columns = {
    **_ALERT,
    "Outcome": attrgetter("outcome"),
    "Account": attrgetter("account_id"),
    "Reason": attrgetter("reason"),
    **_CHANNEL,
    **_FACTS,
}
_ERRORS: Columns = {
    **_ALERT,
    "Account": attrgetter("account_id"),
    "Name": attrgetter("account_name"),
    "Channel": lambda row: row.channel or _without_channel(row),
    "Reason": lambda row: row.reason or row.outcome,
    "HTTP": attrgetter("http_status"),
    "Attempts": attrgetter("attempts"),
}
_PREVIEW: Columns = {
    **_FACTS,
    **_CHANNEL,
    "Action": attrgetter("action"),
    "Reason": lambda row: row.reason or _sent_as(row),
}
_RESTATED: Columns = {**_ALERT, "Sent as": lambda row: _restated(row.restated), **_FACTS}
_ROUTES: Columns = {
    "Channel": attrgetter("channel"),
    "Regions": lambda row: ", ".join(row.regions),
    "Status": attrgetter("status"),
    "Answer": attrgetter("answer"),
}
_RUNS: Columns = {
    "Run": attrgetter("run_id"),
    "Period": about,
    "Status": lambda run: f"{run.status}{' (dry)' if run.dry_run else ''}",
    "Alerts": attrgetter("counts.alerts"),
    "Sent": attrgetter("counts.alerts_sent"),
    "Failed": attrgetter("counts.failed_deliveries"),
    "In doubt": attrgetter("counts.unknown"),
    "Unsent": attrgetter("counts.unsent"),
    "Replayed": attrgetter("counts.skipped_replay"),
    "Error": lambda run: run.error and run.error.code,
    "Started": lambda run: moment_text(run.started_at),
    "Took": _duration,
}
_SETTLED: Columns = {
    **_ALERT,
    "Account": attrgetter("account_id"),
    "Name": attrgetter("account_name"),
    "Channel": attrgetter("channel"),
    "Status": attrgetter("status"),
    "Settled as": lambda row: row.settled[-1].settled_as,
    "By": lambda row: row.settled[-1].by,
    "At": lambda row: moment_text(row.settled[-1].at),
}
_WITHDRAWN: Columns = {**_ALERT, "Until now": attrgetter("status"), **_CHANNEL, **_FACTS}
