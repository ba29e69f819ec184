"""What the tables of runs and alerts say of logs, where they speak of accounts and months otherwise."""

from typing import Any, Final

from rich.console import Console

from service.api.schemas.evaluation import LogLedgerOut
from service.api.schemas.preview import PreviewOut
from service.api.schemas.run import RunOut
from service.cli.layout import Columns, moment_text, safe


def about(answer: RunOut | PreviewOut) -> str:
    """Return what a run is about: a month, or a period of a stream."""
    if answer.from_ is None or answer.until is None:
        return str(answer.month or "")
    return f"{answer.stream} {moment_text(answer.from_)} to {moment_text(answer.until)}"


def log_columns(columns: Columns, *, instead_of: Columns) -> Columns:
    """Return columns with the facts of episodes in the place of others."""
    kept = {name: shown for name, shown in columns.items() if name not in instead_of}
    return {**kept, **_EPISODES}


def _group(row: Any) -> object:
    alerts = row.facts.get("alerts_in_digest")
    return row.facts.get("group") or "all" if alerts is None else f"digest of {alerts:,} alerts"


_EPISODES: Final[Columns] = {
    "Rule": lambda row: row.facts.get("rule"),
    "Group": _group,
    "Start": lambda row: row.facts.get("start") or row.facts.get("period"),
    "Last": lambda row: row.facts.get("last"),
    "Peak": lambda row: row.facts.get("peak"),
    "Events": lambda row: row.facts.get("events"),
    "Repeat": lambda row: row.facts.get("repeat"),
}


def print_log_ledger(out: Console, ledger: LogLedgerOut) -> None:
    """Print what became of the rows of a log."""
    outcomes = " + ".join(f"{count:,} {outcome}" for outcome, count in ledger.outcomes.items() if count)
    out.print(
        f"{ledger.rows_in_source:,} rows = {ledger.malformed:,} malformed + {ledger.unmatched:,} unmatched "
        f"+ {ledger.matched:,} matched"
    )
    for name, rule in ledger.rules.items():
        unusable = rule.time_null + rule.time_unparsable + rule.time_out_of_range
        out.print(
            safe(
                f"{name}: {rule.matched:,} matched = {unusable:,} without a usable time "
                f"+ {rule.outside_period:,} outside the period + {rule.late:,} late "
                f"+ {rule.duplicates:,} duplicates + {rule.counted:,} counted"
            )
        )
        out.print(
            safe(
                f"{name}: {rule.episodes:,} episodes = {rule.continued:,} continued + {rule.alerts:,} alerts"
            )
        )
    more = f" + {ledger.reminders:,} reminders + {ledger.digests:,} digests"
    begun = sum(rule.alerts for rule in ledger.rules.values())
    out.print(f"{ledger.alerts:,} alerts = {begun:,} episodes{more} = {outcomes or 0}")
