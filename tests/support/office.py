"""An office: a service whose bot has posted a month's alerts, and people who press their buttons."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from mock_slack.running import RunningMock, running_mock
from service.domain.identity.permission import KeyScope, Role
from service.store.store import Store
from tests.support.clocks import START
from tests.support.house import AMER, MARKER_KEY
from tests.support.identities import a_key, in_store
from tests.support.people import add_person, all_seeing
from tests.support.rows import accounts, write_source
from tests.support.served import RunningService, running_service, settings
from tests.support.waiting import wait_until

SIGNING_SECRET: Final = "8f742231b10e8888abcd99yyyzzz85a5"
MEMBERS: Final = {"ann": Role.ORG_MEMBER, "bob": Role.TENANT_ADMIN, "viewer": Role.USER}
_ALERTS: Final = 40


@dataclass(frozen=True, slots=True)
class Office:
    """What the tests do there."""

    service: RunningService
    slack: RunningMock
    folder: Path
    headers: dict[str, str]
    """An identity, where one is asked for."""
    fresh: Iterator[str] = field(repr=False)
    """Alerts that nobody has worked on."""

    @property
    def request_url(self) -> str:
        """Where the service hears of presses."""
        return str(self.service.client.base_url.join("/slack/interactions"))

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """Return what the API answers."""
        return self.service.client.request(method, path, headers=self.headers, **more).json()

    def press(self, alert_id: str, step: str = "acknowledge", **press: Any) -> dict[str, Any]:
        """Press a button under an alert's message, as Ann unless somebody else is named."""
        press = {"signing_secret": SIGNING_SECRET, "request_url": self.request_url} | press
        press["ts"] = self._ts(alert_id)
        return self.slack.press(channel=AMER, action_id=step, **press)

    def answered(self, alert_id: str, step: str = "acknowledge", **press: Any) -> str:
        """Press a button, and return what the one who pressed it then reads."""
        known = len(self.answers_about(alert_id))
        said = self.press(alert_id, step, **press)
        assert (said["status"], said["body"], said["error"]) == (200, "", None), said
        (answer,) = wait_until(lambda: self.answers_about(alert_id)[known:], what="somebody is answered")
        assert answer["user"] == press.get("user", "U0ANN")
        assert answer["answer"].keys() == {"response_type", "replace_original", "text"}
        assert (answer["answer"]["response_type"], answer["answer"]["replace_original"]) == (
            "ephemeral",
            False,
        )
        return str(answer["answer"]["text"])

    def answers_about(self, alert_id: str) -> list[dict[str, Any]]:
        """Return what has been answered to presses under an alert's message."""
        ts = self._ts(alert_id)
        return [each for each in self.slack.answers() if each["ts"] == ts]

    def _ts(self, alert_id: str) -> str:
        messages = self.slack.messages(AMER)
        (ts,) = (each["ts"] for each in messages if each["blocks"][0]["block_id"].endswith(alert_id))
        return str(ts)

    def status(self, alert_id: str) -> tuple[str, str | None]:
        """Return where the work on an alert stands, and who acknowledged it."""
        alert = self.ask("GET", f"/alerts/{alert_id}")
        return alert["status"], alert["acknowledged_by"]

    def events(self, alert_id: str) -> list[dict[str, Any]]:
        """Return what has happened to an alert."""
        events: list[dict[str, Any]] = self.ask("GET", f"/alerts/{alert_id}/events")
        return events

    def sent(self, body: bytes, **headers: str) -> httpx2.Response:
        """Send a request about a press as it is; underscores in the names of headers stand for hyphens."""
        form = {"content-type": "application/x-www-form-urlencoded"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.service.client.post("/slack/interactions", content=body, headers=form | named)


@contextmanager
def open_office(folder: Path, *, closed: bool = False, **changes: Any) -> Iterator[Office]:
    """Serve an office until the block is left; a closed one asks everybody who they are.

    In a closed one there are `MEMBERS`, somebody whose account has ended (`left`), and somebody of another
    tenant (`foreigner`).
    """
    with running_mock() as slack:
        bot: dict[str, Any] = {"slack_webhook_base_url": None, "slack_bot_token": "xoxb-1"}
        bot |= {"slack_api_url": slack.api_url, "marker_key": MARKER_KEY}
        bot |= {"slack_signing_secret": SIGNING_SECRET, **changes}
        with running_service(settings(folder, **bot)) as service:
            source = write_source(folder / "accounts.parquet", accounts(_ALERTS))
            assert service.run(source)["counts"]["alerts_sent"] == _ALERTS
            blocks = [each["blocks"] for each in slack.messages(AMER)]
            fresh = iter([each[0]["block_id"].split(".")[1] for each in blocks])
            headers = {}
            if closed:
                in_store(folder, _move_in)
                key = a_key(folder, KeyScope.READ, KeyScope.ALERTS)
                headers = {"Authorization": f"Bearer {key.text}"}
            yield Office(service, slack, folder, headers, fresh)


async def _move_in(store: Store) -> None:
    for name, role in MEMBERS.items():
        await add_person(store, name, role)
    users = all_seeing(store).access.users
    left = await add_person(store, "left", Role.TENANT_ADMIN)
    await users.update(left.id, "user.deactivate", now=START, is_active=False)
    other = await all_seeing(store).access.tenants.create(name="other", code="other", now=START)
    await add_person(store, "foreigner", Role.TENANT_ADMIN, tenant_id=other.id)
