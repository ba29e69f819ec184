"""The demo of scoring: 60 companies are scored, and the one at high risk is reported in the mock Slack.

`python -m mock_slack.demo_scoring` starts the mock and the service on free ports of this machine, with all
files in a temporary folder, and stops and removes both. Exits with 1 when something did not go as it should.
"""

import csv
import json
import secrets
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from mock_slack.side_by_side import get, run_command, service_beside_mock

ADMINISTRATOR: Final = "root@example.com"
CHANNEL: Final = "credit-risk"
SAMPLE: Final = ("--kind", "companies", "companies.csv", "--companies", "60", "--seed", "12")
"""One of them is at high risk."""
PATIENCE_S: Final = 30.0
BETTER: Final = {
    "long_term_debt_to_total_capital": 12.0,
    "total_debt_to_ebitda": 1.1,
    "net_income_margin": 9.0,
    "ebit_to_interest_expense": 11.0,
    "return_on_assets": 8.0,
}
"""The next year's statement of the company that was in trouble."""

console = Console(width=120 if not sys.stdout.isatty() else None, highlight=False)


@dataclass(frozen=True, slots=True)
class Api:
    """The service, and who asks it."""

    url: str
    token: str | None = None

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Return the status and the JSON of an answer; raises OSError where there is none."""
        headers = {"Content-Type": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310  # http to this machine
            f"{self.url}{path}", data=content, headers=headers, method=method
        )
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310  # as above
                return answer.status, json.load(answer)
        except HTTPError as refusal:
            return refusal.code, json.load(refusal)

    def data(self, method: str, path: str, body: object = None) -> Any:
        """Return the data of an answer that is a success; exits with what else was answered."""
        status, answer = self.ask(method, f"/api/v1{path}", body)
        if not answer.get("success"):
            raise SystemExit(f"{method} {path} was answered {status}: {answer}")
        return answer["data"]


def main() -> int:
    """Run the demo and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="risk-alerts-demo-") as folder:
        here = Path(folder)
        _say("1. Sixty invented companies, one of which stands in the file twice")
        _show(run_command(here, "sample-data", *SAMPLE))
        _say(
            "2. An administrator, who logs in to the service and names the channel for companies at high risk"
        )
        password = secrets.token_urlsafe(12)
        run_command(here, "keys", "jwt", "--file", "jwt.json")
        made = ("users", "new", ADMINISTRATOR, "--role", "super_admin", "--password-stdin")
        _show(run_command(here, *made, stdin=password))
        with service_beside_mock(here, JWT_KEYS_FILE=str(here / "jwt.json")) as (url, slack):
            console.print(f"   mock Slack at {slack}, service at {url}")
            return _watch(_logged_in(url, password), slack, _rows(here / "companies.csv"))


def _watch(api: Api, slack: str, rows: list[dict[str, str]]) -> int:
    place = _with_channel(api)
    _say("3. POST /api/v1/predictions/annual for each row of the file")
    first = _predict(api, place, rows)
    messages = _messages(slack, 1)
    _say("4. The message, as it looks in Slack")
    for message in messages:
        _print_message(message["channel"], message["payload"])
    _say("5. The whole file once more: each prediction is there already, and nobody is told twice")
    again = _predict(api, place, rows)
    _say("6. The company's next statement is better: the alert that people work on is resolved")
    (before,) = api.ask("GET", "/alerts?status=triggered")[1]
    console.print(f"   {escape(before['message'])}")
    high = next(row for row in rows if row["company_symbol"] in before["message"])
    better = api.data(
        "POST",
        "/predictions/annual",
        {
            "organization_id": place,
            "company_symbol": high["company_symbol"],
            "company_name": high["company_name"],
            "reporting_year": int(high["reporting_year"]) + 1,
            **BETTER,
        },
    )
    console.print(
        f"   {better['reporting_year']}: {100 * better['probability']:.1f} %, {better['risk_level']}"
    )
    after = api.ask("GET", f"/alerts/{before['id']}")[1]
    console.print(f"   the alert is {after['status']}: {after['resolution_reason']}")
    good = (
        first[HTTPStatus.CREATED] == len(rows) - 1
        and first[HTTPStatus.CONFLICT] == 1
        and again == {HTTPStatus.CONFLICT: len(rows)}
        and len(_messages(slack, 1)) == 1
        and (after["status"], after["resolution_reason"]) == ("resolved", "recovered")
    )
    said = "One company at high risk was one message, and its recovery ended the alert."
    _say(said if good else "Something is wrong: see above.")
    return 0 if good else 1


def _logged_in(url: str, password: str) -> Api:
    """Return the service as the administrator asks it."""
    log_in = {"email": ADMINISTRATOR, "password": password}
    return Api(url, Api(url).data("POST", "/auth/login", log_in)["access_token"])


def _with_channel(api: Api) -> str:
    """Return the id of an organisation whose companies at high risk are reported."""
    tenant_id = api.data("GET", "/auth/me")["tenant_id"]
    place = api.data("POST", f"/tenants/{tenant_id}/organizations", {"name": "Lending", "code": "lending"})
    channel = {"default_risk_channel": CHANNEL}
    changed = api.data("PATCH", f"/organizations/{place['id']}", channel)
    console.print(
        f"   {changed['name']} is told of companies at high risk in #{changed['default_risk_channel']}"
    )
    identifier: str = place["id"]
    return identifier


def _predict(api: Api, place: str, rows: list[dict[str, str]]) -> Counter[int]:
    """Predict each row, print what was answered, and return how often each status was."""
    answered: Counter[int] = Counter()
    levels: Counter[str] = Counter()
    for row in rows:
        body = row | {"organization_id": place, "reporting_year": int(row["reporting_year"])}
        status, answer = api.ask("POST", "/api/v1/predictions/annual", body)
        answered[status] += 1
        if status == HTTPStatus.CREATED:
            levels[answer["data"]["risk_level"] or "abstained"] += 1
    texts = [f"{levels[level]} {level}" for level in ("LOW", "MEDIUM", "HIGH", "abstained") if levels[level]]
    if answered[HTTPStatus.CONFLICT]:
        texts.append(f"{answered[HTTPStatus.CONFLICT]} predicted before (409)")
    console.print(f"   {len(rows)} rows: {', '.join(texts)}")
    return answered


def _messages(slack: str, count: int) -> list[dict[str, Any]]:
    """Return the messages that the mock has taken, once there are so many, or time is up."""
    give_up = time.monotonic() + PATIENCE_S
    while True:
        records = get(f"{slack}/logs?limit=10000")["records"]
        taken = [record for record in records if record["status_code"] == HTTPStatus.OK]
        if len(taken) >= count or time.monotonic() > give_up:
            return taken
        time.sleep(0.1)


def _print_message(channel: str, payload: dict[str, Any]) -> None:
    headline, *lines = payload["text"].splitlines()
    text = "\n".join((f"[bold]{escape(headline)}[/bold]", "", *map(escape, lines)))
    console.print(Panel(text, title=f"#{channel}", title_align="left", width=100))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _show(said: str) -> None:
    for line in said.splitlines():
        console.print(f"   {escape(line)}")


def _say(text: str) -> None:
    console.print(f"\n[bold]{text}[/bold]")


if __name__ == "__main__":
    sys.exit(main())
