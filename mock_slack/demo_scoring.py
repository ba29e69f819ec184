"""The demo of scoring: 200 companies are scored, and the one at high risk is reported in the mock Slack.

`python -m mock_slack.demo_scoring` starts the mock and the service on free ports of this machine, with all
files in a temporary folder, and stops and removes both. Exits with 1 when something did not go as it should.
"""

import json
import secrets
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.error import HTTPError

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from mock_slack.side_by_side import get, run_command, service_beside_mock

ADMINISTRATOR: Final = "root@example.com"
CHANNEL: Final = "credit-risk"
PATIENCE_S: Final = 30.0
BETTER: Final = {
    "long_term_debt_to_total_capital": 12.0,
    "total_debt_to_ebitda": 1.1,
    "net_income_margin": 9.0,
    "ebit_to_interest_expense": 11.0,
    "return_on_assets": 8.0,
}
"""The next year's statement of the company that was in trouble."""

T = TypeVar("T")

console = Console(width=120 if not sys.stdout.isatty() else None, highlight=False)


@dataclass(frozen=True, slots=True)
class Api:
    """The service, and who asks it."""

    url: str
    token: str | None = None

    def ask(
        self, method: str, path: str, body: object = None, media_type: str = "application/json"
    ) -> tuple[int, Any]:
        """Return the status and the JSON of an answer; raises OSError where there is none."""
        headers = {"Content-Type": media_type}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310  # http to this machine
            f"{self.url}{path}", data=content, headers=headers, method=method
        )
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310  # as above
                return answer.status, json.load(answer)
        except HTTPError as refusal:
            return refusal.code, json.load(refusal)

    def data(self, method: str, path: str, body: object = None, media_type: str = "application/json") -> Any:
        """Return the data of an answer that is a success; exits with what else was answered."""
        status, answer = self.ask(method, f"/api/v1{path}", body, media_type)
        if not answer.get("success"):
            raise SystemExit(f"{method} {path} was answered {status}: {answer}")
        return answer["data"]


def main() -> int:
    """Run the demo and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="risk-alerts-demo-") as folder:
        here = Path(folder)
        file = here / "companies.csv"
        _say("1. Two hundred invented companies, one of which stands in the file twice")
        _show(run_command(here, "sample-data", "--kind", "companies", file.name))
        _say(
            "2. An administrator, who logs in to the service and names the channel for companies at high risk"
        )
        password = secrets.token_urlsafe(12)
        run_command(here, "keys", "jwt", "--file", "jwt.json")
        made = ("users", "new", ADMINISTRATOR, "--role", "super_admin", "--password-stdin")
        _show(run_command(here, *made, stdin=password))
        with service_beside_mock(here, JWT_KEYS_FILE=str(here / "jwt.json")) as (url, slack):
            console.print(f"   mock Slack at {slack}, service at {url}")
            return _watch(_logged_in(url, password), slack, file)


def _watch(api: Api, slack: str, file: Path) -> int:
    place = _with_channel(api)
    _say("3. POST /api/v1/predictions/annual/bulk: the whole file, scored in the background")
    first = _upload(api, place, file)
    (high,) = api.data("GET", "/predictions/annual?risk_level=HIGH")["predictions"]
    console.print(f"   one is HIGH: {escape(high['company_name'])}, {100 * high['probability']:.1f} %")
    messages = _messages(slack, 1)
    _say("4. The message, as it looks in Slack")
    for message in messages:
        _print_message(message["channel"], message["payload"])
    _say("5. The whole file once more: each row is a duplicate, and nothing is sent again")
    again = _upload(api, place, file)
    _say("6. The company's next statement is better: the alert that people work on is resolved")
    (before,) = api.ask("GET", "/alerts?status=triggered")[1]
    console.print(f"   {escape(before['message'])}")
    better = api.data(
        "POST",
        "/predictions/annual",
        {
            "organization_id": place,
            "company_symbol": high["company_symbol"],
            "company_name": high["company_name"],
            "reporting_year": high["reporting_year"] + 1,
            **BETTER,
        },
    )
    console.print(
        f"   {better['reporting_year']}: {100 * better['probability']:.1f} %, {better['risk_level']}"
    )
    after = api.ask("GET", f"/alerts/{before['id']}")[1]
    console.print(f"   the alert is {after['status']}: {after['resolution_reason']}")
    good = (
        (first["scored"], first["duplicate"]) == (200, 1)
        and again["duplicate"] == again["total"] == first["total"]
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
        f"   {changed['name']} has its companies at high risk reported in #{changed['default_risk_channel']}"
    )
    identifier: str = place["id"]
    return identifier


def _upload(api: Api, place: str, file: Path) -> dict[str, int]:
    """Have a file scored in the background, and return what became of its rows."""
    boundary = secrets.token_hex(16)
    parts = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="organization_id"\r\n\r\n{place}\r\n',
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"\r\n\r\n',
        file.read_text(encoding="utf-8"),
        f"\r\n--{boundary}--\r\n",
    )
    form = "".join(parts).encode()
    job = api.data("POST", "/predictions/annual/bulk", form, f"multipart/form-data; boundary={boundary}")
    console.print(f"   202: job {job['id']}, by model {job['model']['name']}")
    job = _once(lambda: api.data("GET", f"/jobs/{job['id']}"), lambda now: now["finished_at"] is not None)
    rows: dict[str, int] = job["rows"]
    sums = " + ".join(f"{rows[name]} {name}" for name in ("scored", "abstained", "duplicate", "invalid"))
    console.print(f"   {job['status']}: {rows['total']} rows = {sums}")
    return rows


def _messages(slack: str, count: int) -> list[dict[str, Any]]:
    """Return the messages that the mock has taken, once there are so many, or time is up."""

    def taken() -> list[dict[str, Any]]:
        records = get(f"{slack}/logs?limit=10000")["records"]
        return [record for record in records if record["status_code"] == HTTPStatus.OK]

    return _once(taken, lambda now: len(now) >= count)


def _once(ask: Callable[[], T], is_there: Callable[[T], bool]) -> T:
    """Ask until the answer is there, or time is up; returns the last answer."""
    give_up = time.monotonic() + PATIENCE_S
    while not is_there(answer := ask()) and time.monotonic() < give_up:
        time.sleep(0.1)
    return answer


def _print_message(channel: str, payload: dict[str, Any]) -> None:
    headline, *lines = payload["text"].splitlines()
    text = "\n".join((f"[bold]{escape(headline)}[/bold]", "", *map(escape, lines)))
    console.print(Panel(text, title=f"#{channel}", title_align="left", width=100))


def _show(said: str) -> None:
    for line in said.splitlines():
        console.print(f"   {escape(line)}")


def _say(text: str) -> None:
    console.print(f"\n[bold]{text}[/bold]")


if __name__ == "__main__":
    sys.exit(main())
