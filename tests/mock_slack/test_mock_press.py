"""Pressing a button: the app hears of it as Slack says it does, and may answer the person who pressed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from slack_sdk.signature import Clock, SignatureVerifier

from mock_slack.running import RunningMock
from tests.support.http_servers import QuietHandler, serving

AMER = "amer-risk-alerts"
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
BUTTON = {"type": "button", "text": {"type": "plain_text", "text": "OK"}, "action_id": "ok", "value": "a1"}


def post(url: str, **request: Any) -> httpx2.Response:
    """POST to this machine."""
    with httpx2.Client(trust_env=False, verify=False) as client:
        return client.post(url, **request)


@contextmanager
def app(status: int = 200, body: bytes = b"") -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Serve an app that is pressed; yields its request URL, and the headers and bodies that came."""
    came: list[tuple[dict[str, str], bytes]] = []

    class Pressed(QuietHandler):
        def do_POST(self) -> None:  # noqa: N802  # the name that http.server calls
            came.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(status, body)

    with serving(Pressed) as url:
        yield f"{url}/slack/interactions", came


def with_button(slack: RunningMock, **changes: Any) -> str:
    """Post a message with a button, and return its timestamp."""
    message = {"channel": AMER, "text": "hello", "blocks": [{"type": "actions", "elements": [BUTTON]}]}
    headers = {"Authorization": "Bearer xoxb-1"}
    said = post(f"{slack.api_url}/chat.postMessage", json=message | changes, headers=headers).json()
    assert said["ok"], said
    return str(said["ts"])


def test_a_press_is_what_slack_sends(slack: RunningMock) -> None:
    """A form with `payload`, signed so that Slack's own library takes it."""
    ts = with_button(slack)
    with app(body=b"taken") as (url, came):
        said = slack.press(request_url=url, signing_secret=SECRET, channel=AMER, action_id="ok")
    assert (said["status"], said["body"], said["error"]) == (200, "taken", None)
    ((headers, body),) = came
    assert SignatureVerifier(SECRET).is_valid_request(body, headers)
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    (text,) = parse_qs(body.decode(), strict_parsing=True)["payload"]
    payload = json.loads(text)
    assert payload["type"] == "block_actions"
    assert payload["user"] == {"id": "U0ANN", "username": "ann", "name": "ann", "team_id": "T0MOCK"}
    assert payload["team"]["id"] == "T0MOCK"
    assert payload["container"]["message_ts"] == payload["message"]["ts"] == ts
    assert payload["container"]["channel_id"] == payload["channel"]["id"]
    (action,) = payload["actions"]
    assert {key: action[key] for key in ("type", "action_id", "value")} == {
        "type": "button",
        "action_id": "ok",
        "value": "a1",
    }
    assert said["request"]["body"] == body.decode()


class _Now(Clock):
    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now


def test_a_press_may_be_forged_or_stale(slack: RunningMock) -> None:
    """A signature of somebody else, or one that was good ten minutes ago."""
    with_button(slack)
    press = {"signing_secret": SECRET, "channel": AMER, "action_id": "ok"}
    with app(status=401) as (url, came):
        slack.press(request_url=url, signature="v0=" + "0" * 64, **press)
        said = slack.press(request_url=url, clock_off_s=-600, **press)
    assert said["status"] == 401
    (forged, body), (stale, late_body) = came
    assert not SignatureVerifier(SECRET).is_valid_request(body, forged)
    assert not SignatureVerifier(SECRET).is_valid_request(late_body, stale)
    then = int(stale["X-Slack-Request-Timestamp"])
    assert SignatureVerifier(SECRET, _Now(then)).is_valid_request(late_body, stale)


@pytest.mark.parametrize(
    "changes", [{"action_id": "none"}, {"channel": "none"}, {"ts": "1.000000"}, {"user": "U0NOBODY"}]
)
def test_only_what_is_there_can_be_pressed(slack: RunningMock, changes: dict[str, str]) -> None:
    """By somebody who is there; nothing is sent."""
    with_button(slack)
    press = {"signing_secret": SECRET, "channel": AMER, "action_id": "ok"} | changes
    with app() as (url, came), pytest.raises(RuntimeError, match="422"):
        slack.press(request_url=url, **press)
    assert came == []


def test_the_newest_message_is_pressed_unless_another_is_named(slack: RunningMock) -> None:
    """A person presses what is at the bottom, a test what it means."""
    first, second = with_button(slack), with_button(slack)
    with_button(slack, blocks=[{"type": "divider"}])
    press = {"signing_secret": SECRET, "channel": AMER, "action_id": "ok"}
    with app() as (url, came):
        slack.press(request_url=url, **press)
        slack.press(request_url=url, ts=first, user="U0BOB", **press)
    payloads = [json.loads(parse_qs(body.decode())["payload"][0]) for _, body in came]
    assert [(each["user"]["id"], each["message"]["ts"]) for each in payloads] == [
        ("U0ANN", second),
        ("U0BOB", first),
    ]


def test_an_app_that_is_not_there_is_an_error(slack: RunningMock) -> None:
    """Slack shows a warning to whoever pressed."""
    with_button(slack)
    press = {"signing_secret": SECRET, "channel": AMER, "action_id": "ok"}
    said = slack.press(request_url="http://127.0.0.1:9/x", **press)
    assert (said["status"], said["error"]) == (None, "ClientConnectorError")


def test_the_app_may_answer_who_pressed(slack: RunningMock) -> None:
    """Five times, at the URL that came with the press; what is no object, or goes elsewhere, is refused."""
    ts = with_button(slack)
    press = {"signing_secret": SECRET, "channel": AMER, "action_id": "ok"}
    with app() as (url, came):
        slack.press(request_url=url, **press)
    response_url = json.loads(parse_qs(came[0][1].decode())["payload"][0])["response_url"]
    assert urlsplit(response_url).netloc == urlsplit(slack.url).netloc
    said = {"response_type": "ephemeral", "text": "no"}
    assert post(response_url, content=b"no").json() == {"ok": False, "error": "invalid_payload"}
    assert [post(response_url, json=said).status_code for _ in range(6)] == [200] * 5 + [404]
    assert post(f"{response_url}0", json=said).json() == {"ok": False, "error": "expired_url"}
    assert slack.answers() == [{"user": "U0ANN", "channel": AMER, "ts": ts, "answer": said}] * 5
    slack.reset()
    assert slack.answers() == []


def test_people_are_as_a_test_says(slack: RunningMock) -> None:
    """Another e-mail, another workspace, deleted, a bot; and somebody new."""
    slack.behave(people={"U0ANN": {"email": "a@example.org", "deleted": True}, "U0NEW": {"is_bot": True}})

    def info(user: str) -> dict[str, Any]:
        headers = {"Authorization": "Bearer xoxb-1"}
        said = post(f"{slack.api_url}/users.info", json={"user": user}, headers=headers).json()
        known: dict[str, Any] = said["user"]
        return known

    assert (info("U0ANN")["profile"]["email"], info("U0ANN")["deleted"]) == ("a@example.org", True)
    assert (info("U0NEW")["is_bot"], info("U0NEW")["team_id"]) == (True, "T0MOCK")
    assert not info("U0BOB")["deleted"]
