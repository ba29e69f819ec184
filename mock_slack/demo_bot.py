"""The demo of a bot: answers get lost, and it looks into the channels; a button is pressed under a message.

`python -m mock_slack.demo_bot` starts the mock and the service on free ports of this machine, with everything
in a temporary folder, and stops and removes both. Exits with 1 when something did not go as it should.
"""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from mock_slack.side_by_side import get, post, service_beside_mock
from mock_slack.web_api.conversations import USUAL

MONTH: Final = "2026-01-01"
AMER: Final = "amer-risk-alerts"
CHANGE_LIMIT_S: Final = 30.0
BOT: Final = {
    "SLACK_WEBHOOK_BASE_URL": "",
    "SLACK_BOT_TOKEN": "xoxb-demo",
    "MARKER_KEY": "a key that signs what the bot posts",
    "SLACK_SIGNING_SECRET": "what Slack signs its requests with",
    "AMBIGUOUS_SENDS": "resend",
    "SLACK_TIMEOUT_S": "2",
    "RECONCILE_AFTER_S": "1",
}

console = Console(width=120 if not sys.stdout.isatty() else None, highlight=False)


def main() -> int:
    """Run the demo and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="risk-alerts-demo-") as folder:
        here = Path(folder)
        source = here / "monthly_account_status.parquet"
        _say("1. A sample source, the mock Slack (10 % of its answers are 429, 5 % are 500) and the service")
        _command("sample-data", str(source), "--month", MONTH)
        with service_beside_mock(here, messages_per_second=20, **BOT) as (service, slack):
            console.print(f"   mock Slack at {slack}, service at {service}, which posts as a bot")
            return _watch(service, slack, {"source_uri": source.as_uri(), "month": MONTH})


def _watch(service: str, slack: str, request: dict[str, Any]) -> int:
    _say("2. Two answers will get lost: of one message that Slack has, and of one that it never gets")
    post(f"{slack}/script/{AMER}", [{"drop": "after"}, {"drop": "before"}])
    _say("3. POST /runs: the bot sends what there is, then looks into the channel for the two")
    run = get(f"{service}/runs/{post(f'{service}/runs', request)['run_id']}")
    counts = run["counts"]
    console.print(
        f"   run {run['run_id']} {run['status']}: {counts['alerts_sent']} sent, "
        f"{counts['unknown']} in doubt, {counts['unknown_region']} without a channel"
    )
    settled = _settled(service, run)
    for words in settled:
        console.print(f"   {words}")
    _say("4. What stands in the channels")
    messages = {name: get(f"{slack}/web-api/messages/{name}")["messages"] for name in USUAL}
    for name, found in messages.items():
        console.print(f"   #{name}: {len(found)} messages")
    subjects = Counter(each["blocks"][0]["block_id"] for found in messages.values() for each in found)
    _say("5. Ann presses Acknowledge under a message: the alert is hers, and the message says so")
    taken = messages[AMER][0]
    alert_id = taken["blocks"][0]["block_id"].rpartition(".")[2]
    app = {"request_url": f"{service}/slack/interactions", "signing_secret": BOT["SLACK_SIGNING_SECRET"]}
    button = {"channel": AMER, "ts": taken["ts"], "action_id": "acknowledge", "user": "U0ANN"}
    status = post(f"{slack}/press", app | button)["status"]
    alert = get(f"{service}/alerts/{alert_id}")
    console.print(
        f"   Slack is answered {status}, the alert is {alert['status']} by {alert['acknowledged_by']}"
    )
    changed = _changed(slack, taken)
    for line in changed.splitlines()[:3]:
        console.print(f"   {line}")
    _say("6. POST /runs again: what was sent stays sent")
    replay = get(f"{service}/runs/{post(f'{service}/runs', request)['run_id']}")["counts"]
    console.print(f"   sent {replay['alerts_sent']}, skipped {replay['skipped_replay']}")
    good = (
        len(settled) == 2  # noqa: PLR2004  # the two of step 2
        and counts["unknown"] == 0
        and "Acknowledged by <@U0ANN>" in changed
        and set(subjects.values()) == {1}
        and len(subjects) == counts["alerts_sent"] == replay["skipped_replay"]
        and replay["alerts_sent"] == 0
    )
    said = "Every alert stands in its channel once, and nobody had to look."
    _say(said if good else "Something is wrong: see above.")
    return 0 if good else 1


def _changed(slack: str, message: dict[str, Any]) -> str:
    """Wait until a message reads otherwise, and return how."""
    give_up = time.monotonic() + CHANGE_LIMIT_S
    while True:
        found = get(f"{slack}/web-api/messages/{AMER}")["messages"]
        text = next(str(each["text"]) for each in found if each["ts"] == message["ts"])
        if text != message["text"] or time.monotonic() > give_up:
            return text
        time.sleep(0.1)


def _settled(service: str, run: dict[str, Any]) -> list[str]:
    """Return what the reconciler decided about the alerts of a run, in words."""
    rows = get(f"{service}/runs/{run['run_id']}/alerts?limit=500")["alerts"]
    words: list[str] = []
    for row in rows:
        if row["channel"] == AMER:
            for occurrence in get(f"{service}/alerts/{row['alert_id']}")["occurrences"]:
                words += [
                    f"{row['account_id']}: {each['as']} by {each['by']}, {each['note']}"
                    for each in occurrence["delivery"]["settled"]
                ]
    return words


def _say(text: str) -> None:
    console.print(f"\n[bold]{text}[/bold]")


def _command(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "service", *arguments], check=True)  # noqa: S603  # our own command


if __name__ == "__main__":
    raise SystemExit(main())
