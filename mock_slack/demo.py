"""The demo: a month's alerts from a sample file to the mock Slack, run twice, for a person to watch.

`python -m mock_slack.demo` starts the mock and the service on free ports of this machine, with everything in
a temporary folder, and stops and removes both. Exits with 1 when something did not go as it should.
"""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from mock_slack.side_by_side import get, post, service_beside_mock

MONTH: Final = "2026-01-01"
SHOWN: Final = 3

console = Console(width=120 if not sys.stdout.isatty() else None, highlight=False)


def main() -> int:
    """Run the demo and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="risk-alerts-demo-") as folder:
        here = Path(folder)
        source = here / "monthly_account_status.parquet"
        _say("1. A sample source: one row per account and month, with duplicates, gaps and missing values")
        _command("sample-data", str(source), "--month", MONTH)
        _say("2. The mock Slack (10 % of its answers are 429, 5 % are 500) and the service")
        with service_beside_mock(here) as (service, slack):
            console.print(
                f"   mock Slack at {slack}, service at {service}: {get(f'{service}/health')['status']}"
            )
            request = {"source_uri": f"file://{source}", "month": MONTH}
            return _watch(service, slack, request)


def _watch(service: str, slack: str, request: dict[str, Any]) -> int:
    _say("3. POST /preview: what a run would do; nothing is sent, claimed or written")
    preview = post(f"{service}/preview", request)
    actions = Counter(alert["action"] for alert in preview["alerts"])
    console.print(f"   {preview['total']} alerts: {_counted(actions)}")
    for channel, seconds in preview["seconds_by_channel"].items():
        console.print(f"   {channel}: about {seconds} s at the demo's pace")

    _say("4. POST /runs: the same for real; the answer comes when the queue has drained")
    started = time.monotonic()
    run = get(f"{service}/runs/{post(f'{service}/runs', request)['run_id']}")
    console.print(f"   run {run['run_id']} {run['status']} after {time.monotonic() - started:.1f} s")
    _print_ledger(run)

    _say(f"5. {SHOWN} of the messages, as they look in Slack")
    records = get(f"{slack}/logs?limit=10000")["records"]
    accepted = [record for record in records if record["status_code"] == HTTPStatus.OK]
    for record in accepted[:SHOWN]:
        _print_message(record["channel"], record["payload"])

    _say("6. Where each alert went")
    alerts = get(f"{service}/runs/{run['run_id']}/alerts?limit=500")["alerts"]
    _print_alerts(alerts)

    _say("7. POST /runs again: what was sent stays sent")
    replay = get(f"{service}/runs/{post(f'{service}/runs', request)['run_id']}")
    total = get(f"{slack}/stats")["total"]
    counts = replay["counts"]
    console.print(
        f"   replay {replay['run_id']}: sent {counts['alerts_sent']}, skipped {counts['skipped_replay']}, "
        f"unknown region {counts['unknown_region']}"
    )
    console.print(
        f"   The mock has accepted {total['accepted']} messages in all, "
        f"{sum(total['duplicates'].values())} of them twice; it refused {_counted(total['refused'])}."
    )
    good = (
        run["status"] == replay["status"] == "succeeded"
        and preview["total"] == run["counts"]["alerts"]
        and run["counts"]["alerts_sent"] == total["accepted"] == counts["skipped_replay"]
        and counts["alerts_sent"] == 0
        and not total["duplicates"]
    )
    _say("Every alert was sent once; the replay sent nothing." if good else "Something is wrong: see above.")
    return 0 if good else 1


def _print_ledger(run: dict[str, Any]) -> None:
    ledger = run["ledger"]
    rows = Table(title="Ledger", title_justify="left", show_header=False, box=None, padding=(0, 2))
    rows.add_row(
        "rows",
        f"{ledger['rows_in_source']:,} = {ledger['outside_window']:,} outside the window"
        f" + {ledger['rows_scanned']:,} scanned",
    )
    rows.add_row(
        "scanned",
        f"{ledger['rows_scanned']:,} = {sum(ledger['invalid'].values()):,} invalid"
        f" + {ledger['duplicates']:,} duplicates + {ledger['account_months']:,} account months",
    )
    rows.add_row(
        "At Risk",
        f"{ledger['at_risk']} = {ledger['below_threshold']} below the ARR threshold"
        f" + {ledger['unknown_arr']} of unknown ARR + {ledger['alerts']} alerts",
    )
    outcomes = " + ".join(f"{count} {outcome}" for outcome, count in ledger["outcomes"].items() if count)
    rows.add_row("alerts", f"{ledger['alerts']} = {outcomes}")
    console.print(rows)
    for warning in run["warnings"]:
        console.print(f"   warning: {escape(warning['detail'])}")


def _print_message(channel: str, payload: dict[str, Any]) -> None:
    header, facts, link = payload["blocks"]
    lines = [f"[bold]{escape(_shown(header['text']['text']))}[/bold]", ""]
    lines += [escape(_shown(field["text"])) for field in facts["fields"]]
    url, _, label = link["text"]["text"].strip("<>").partition("|")
    lines += ["", f"[blue underline]{escape(label)}[/blue underline]  {escape(_shown(url))}"]
    console.print(Panel("\n".join(lines), title=f"#{channel}", title_align="left", width=88))


def _print_alerts(alerts: list[dict[str, Any]]) -> None:
    table = Table()
    for name in ("Account", "Name", "ARR", "At Risk for", "Channel", "Outcome", "POSTs"):
        right = name in {"ARR", "POSTs"}
        width = 24 if name == "Name" else None
        table.add_column(name, no_wrap=True, max_width=width, justify="right" if right else "left")
    for alert in alerts:
        outcome = alert["outcome"] if alert["reason"] is None else f"{alert['outcome']}: {alert['reason']}"
        months = alert["duration_months"]
        table.add_row(
            alert["account_id"],
            escape(" ".join(alert["account_name"].split())),
            f"${alert['arr']:,}" if alert["arr"] is not None else "Unknown",
            "1 month" if months == 1 else f"{months} months",
            alert["channel"] or "none",
            outcome,
            str(alert["attempts"]),
        )
    console.print(table)
    nowhere = sum(alert["channel"] is None for alert in alerts)
    console.print(f"   {nowhere} alerts have a region without a channel: support was notified of them.")


def _shown(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in counts.items() if count) or "none"


def _say(text: str) -> None:
    console.print(f"\n[bold]{escape(text)}[/bold]")


def _command(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "service", *arguments], check=True)  # noqa: S603  # our own command


if __name__ == "__main__":
    raise SystemExit(main())
