"""The demo of logs: two days of events, with a burst over midnight, to the mock Slack, for a person to watch.

`python -m mock_slack.demo_logs` starts the mock and the service on free ports of this machine, with all files
in a temporary folder, and stops and removes both. Exits with 1 when something did not go as it should.
"""

import shutil
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from mock_slack.side_by_side import get, post, service_beside_mock

FIRST: Final = date(2026, 1, 1)
RULES: Final = Path(__file__).resolve().parent.parent / "log_rules.toml"

console = Console(width=120 if not sys.stdout.isatty() else None, highlight=False)


def main() -> int:
    """Run the demo and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="risk-alerts-demo-") as folder:
        here = Path(folder)
        _say("1. Two days of a sample log: each begins and ends with errors that only together are a burst")
        days = [FIRST, FIRST + timedelta(days=1)]
        for day in days:
            _sample_day(here / f"{day}.csv.gz", day)
        (here / "rules").mkdir()
        shutil.copy(RULES, here / "rules" / "mobile.toml")
        _say("2. The mock Slack (10 % of its answers are 429, 5 % are 500) and the service, with the rules")
        with service_beside_mock(here, RULES_FOLDER=str(here / "rules")) as (service, slack):
            console.print(f"   mock Slack at {slack}, service at {service}")
            return _watch(service, slack, [_request(here, day) for day in days])


def _watch(service: str, slack: str, requests: list[dict[str, Any]]) -> int:
    _say("3. POST /runs for the first day, then for the second, which begins with what the first has left")
    runs = [_run(service, request) for request in requests]
    _say("4. The messages, as they look in Slack")
    records = get(f"{slack}/logs?limit=10000")["records"]
    accepted = [record for record in records if record["status_code"] == HTTPStatus.OK]
    for record in accepted:
        _print_message(record["channel"], record["payload"])
    listed = [_alerts(service, run) for run in runs]
    midnight = (FIRST + timedelta(days=1)).isoformat()
    over_midnight = [
        alert
        for alert in listed[1]
        if alert["facts"]["onset"] < midnight and alert["facts"]["start"] >= midnight
    ]
    for alert in over_midnight:
        facts = alert["facts"]
        console.print(
            f"   {facts['rule']}: {facts['peak']} events within {facts['window']}, "
            f"the first of them at {facts['onset']}: neither day has enough of them alone"
        )
    _say("5. POST /runs for both days again: what was sent stays sent")
    replays = [_run(service, request) for request in requests]
    total = get(f"{slack}/stats")["total"]
    sent = sum(run["counts"]["alerts_sent"] for run in runs)
    good = (
        all(run["status"] == "succeeded" for run in (*runs, *replays))
        and bool(over_midnight)
        and total["accepted"] == sent == sum(run["counts"]["skipped_replay"] for run in replays)
        and not any(run["counts"]["alerts_sent"] for run in replays)
        and not total["duplicates"]
    )
    said = "The burst over midnight was one alert of each rule, and the replays sent nothing."
    _say(said if good else "Something is wrong: see above.")
    return 0 if good else 1


def _request(folder: Path, day: date) -> dict[str, Any]:
    return {
        "kind": "log_rules",
        "rules": "mobile",
        "source_uri": (folder / f"{day}.csv.gz").as_uri(),
        "from": f"{day}T00:00:00Z",
        "until": f"{day + timedelta(days=1)}T00:00:00Z",
    }


def _run(service: str, request: dict[str, Any]) -> dict[str, Any]:
    run: dict[str, Any] = get(f"{service}/runs/{post(f'{service}/runs', request)['run_id']}")
    counts, ledger = run["counts"], run["ledger"]
    console.print(
        f"   {run['from']} to {run['until']}: {ledger['rows_in_source']:,} rows, "
        f"{ledger['matched']:,} matched; {counts['alerts']} alerts: "
        f"{counts['alerts_sent']} sent, {counts['skipped_replay']} sent before"
    )
    for warning in run["warnings"]:
        console.print(f"   warning: {escape(warning['detail'])}")
    return run


def _alerts(service: str, run: dict[str, Any]) -> list[dict[str, Any]]:
    alerts: list[dict[str, Any]] = get(f"{service}/runs/{run['run_id']}/alerts?limit=500")["alerts"]
    return alerts


def _print_message(channel: str, payload: dict[str, Any]) -> None:
    header, facts = payload["blocks"]
    lines = [f"[bold]{escape(header['text']['text'])}[/bold]", ""]
    lines += [escape(field["text"]) for field in facts["fields"]]
    console.print(Panel("\n".join(lines), title=f"#{channel}", title_align="left", width=88))


def _sample_day(path: Path, day: date) -> None:
    command = [sys.executable, "-m", "service", "sample-data", "--kind", "logs", str(path), "--day", str(day)]
    subprocess.run(command, check=True)  # noqa: S603  # this project's own command


def _say(text: str) -> None:
    console.print(f"\n[bold]{text}[/bold]")


if __name__ == "__main__":
    sys.exit(main())
