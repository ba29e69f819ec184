"""The Web API as a bot meets it: its answers are Slack's, and what goes wrong is a word in `ok: false`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from mock_slack.web_api.conversations import channel_id
from tests.mock_slack.harness import Mock, alert

StartMock = Callable[..., Mock]
AMER = "amer-risk-alerts"
TOKEN = "xoxb-1"
MARKED = {"event_type": "risk_alert", "event_payload": {"marker": "m1"}}


def call(mock: Mock, method: str, *, token: str = TOKEN, **arguments: Any) -> dict[str, Any]:
    """Call a method with JSON and return what it says; the HTTP status is 200."""
    response = mock.http.post(
        f"/api/{method}", json=arguments, headers={"Authorization": f"Bearer {token}"} if token else {}
    )
    assert response.status_code == 200
    said: dict[str, Any] = response.json()
    return said


def posted(mock: Mock, text: str = "hello", channel: str = AMER, **more: Any) -> dict[str, Any]:
    """Post a message and return the answer, which takes it."""
    said = call(mock, "chat.postMessage", channel=channel, text=text, **more)
    assert said["ok"], said
    return said


def ids(mock: Mock) -> dict[str, str]:
    """Return the id of each channel."""
    return {each["name"]: each["id"] for each in call(mock, "conversations.list")["channels"]}


def history(mock: Mock, channel: str = AMER, **arguments: Any) -> list[str]:
    """Read a channel to its end, page by page, and return the texts, newest first."""
    texts: list[str] = []
    cursor = ""
    while True:
        said = call(mock, "conversations.history", channel=ids(mock)[channel], cursor=cursor, **arguments)
        assert said["ok"], said
        texts += [each["text"] for each in said["messages"]]
        if not said["has_more"]:
            return texts
        cursor = said["response_metadata"]["next_cursor"]


def test_a_message_is_in_the_channel_under_the_timestamp_that_was_answered(mock: Mock) -> None:
    """By id and by name, as JSON and as a form; the log has it as it has a webhook's."""
    first = posted(mock, **{"metadata": MARKED, **alert("a1")})
    second = posted(mock, channel=first["channel"])
    form = urlencode({"channel": f"#{AMER}", "text": "ü", "blocks": orjson.dumps(alert("a2")["blocks"])})
    headers = {"Authorization": "Bearer x", "Content-Type": "application/x-www-form-urlencoded"}
    third = mock.http.post("/api/chat.postMessage", content=form, headers=headers).json()
    stamps = [each["ts"] for each in (first, second, third)]
    assert stamps == sorted(set(stamps))
    shown = mock.http.get(f"/web-api/messages/{AMER}").json()["messages"]
    assert [(each["ts"], each["text"]) for each in shown] == [
        *zip(stamps, ["at risk", "hello", "ü"], strict=True)
    ]
    assert {each["bot_id"] for each in shown} == {call(mock, "auth.test")["bot_id"]}
    assert [(each.channel, each.method) for each in mock.records()] == [(AMER, "chat.postMessage")] * 3
    assert mock.counts(AMER).accepted == 3


def test_a_message_is_found_with_its_metadata_only_when_they_are_asked_for(mock: Mock) -> None:
    """Slack leaves them out unless told otherwise."""
    channel = posted(mock, metadata=MARKED)["channel"]
    (plain,) = call(mock, "conversations.history", channel=channel)["messages"]
    (whole,) = call(mock, "conversations.history", channel=channel, include_all_metadata=True)["messages"]
    assert "metadata" not in plain
    assert whole["metadata"] == MARKED


def test_a_channel_is_read_to_its_end_by_pages(mock: Mock) -> None:
    """Newest first, between two moments, with no message twice and none left out."""
    for number in range(7):
        mock.clock.now += 1
        posted(mock, str(number))
    assert history(mock, limit=3) == list("6543210")
    assert history(mock, limit=2, oldest=mock.clock.now - 3) == list("6543")
    assert history(mock, latest=str(mock.clock.now - 4)) == list("210")
    mock.http.put("/web-api", json={"history_page": 2})
    assert history(mock, limit=15) == list("6543210")


def test_history_lags(mock: Mock) -> None:
    """What was posted is not found before its time, though it is in the channel."""
    mock.http.put("/web-api", json={"history_lag_s": 5})
    posted(mock)
    assert history(mock) == []
    mock.clock.now += 5
    assert history(mock) == ["hello"]


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("chat.postMessage", {"text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "C0NONE", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": ["a"], "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": AMER}, "no_text"),
        ("chat.postMessage", {"channel": AMER, "text": 5}, "invalid_arguments"),
        ("chat.postMessage", {"channel": AMER, "blocks": [{"type": "marquee"}]}, "invalid_blocks"),
        ("chat.postMessage", {"channel": AMER, "text": "x", "metadata": {"a": 1}}, "invalid_metadata_format"),
        (
            "chat.postMessage",
            {
                "channel": AMER,
                "text": "x",
                "metadata": {"event_type": "a", "event_payload": {"b": "c" * 16_000}},
            },
            "metadata_too_large",
        ),
        ("chat.update", {"channel": AMER, "ts": "1.0", "text": "x"}, "channel_not_found"),
        ("chat.update", {"channel": channel_id(AMER), "ts": "1.0", "text": "x"}, "message_not_found"),
        ("conversations.history", {"channel": AMER}, "channel_not_found"),
        ("users.info", {"user": "U0NOBODY"}, "user_not_found"),
        ("chat.explode", {}, "unknown_method"),
    ],
)
def test_what_cannot_be_done_is_a_word(
    mock: Mock, method: str, arguments: dict[str, Any], error: str
) -> None:
    """With HTTP 200, as Slack has it, and nothing is in the channel."""
    said = call(mock, method, **arguments)
    assert (said["ok"], said["error"]) == (False, error)
    assert mock.http.get(f"/web-api/messages/{AMER}").json() == {"messages": []}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"limit": 0}, "invalid_limit"),
        ({"cursor": "!"}, "invalid_cursor"),
        ({"oldest": "x"}, "invalid_ts_oldest"),
    ],
)
def test_history_refuses_what_it_does_not_understand(
    mock: Mock, arguments: dict[str, Any], error: str
) -> None:
    """Each argument by its own word."""
    said = call(mock, "conversations.history", channel=ids(mock)[AMER], **arguments)
    assert (said["ok"], said["error"]) == (False, error)


def test_a_token_is_wanted(start_mock: StartMock) -> None:
    """None at all, another one, and the right one; it is never shown."""
    mock = start_mock(bot_token="xoxb-canary")
    assert call(mock, "auth.test", token="")["error"] == "not_authed"
    assert call(mock, "auth.test", token="xoxb-other")["error"] == "invalid_auth"
    assert call(mock, "auth.test", token="xoxb-canary")["ok"]
    assert "canary" not in mock.http.get("/health").text


def test_scopes_membership_and_archives_are_kept(mock: Mock) -> None:
    """What the token does not allow names the scope; what the bot is no member of it cannot use."""
    scopes = ["chat:write", "channels:read"]
    mock.http.put(
        "/web-api", json={"scopes": scopes, "absent_from": [AMER], "archived": ["emea-risk-alerts"]}
    )
    listed = call(mock, "conversations.list")["channels"]
    assert {each["name"]: (each["is_member"], each["is_archived"]) for each in listed} == {
        "amer-risk-alerts": (False, False),
        "apac-risk-alerts": (True, False),
        "emea-risk-alerts": (True, True),
    }
    said = call(mock, "conversations.history", channel=listed[0]["id"])
    assert (said["error"], said["needed"]) == ("missing_scope", "channels:history")
    assert call(mock, "chat.postMessage", channel=AMER, text="x")["error"] == "not_in_channel"
    assert call(mock, "chat.postMessage", channel="emea-risk-alerts", text="x")["error"] == "is_archived"
    mock.http.put("/web-api", json={"absent_from": [AMER]})
    assert call(mock, "conversations.history", channel=listed[0]["id"])["error"] == "not_in_channel"


def test_a_method_that_is_called_too_often_asks_for_a_pause(mock: Mock) -> None:
    """The restricted app's one call a minute: a 429 with Retry-After, which binds no other method."""
    mock.http.put("/web-api", json={"calls_per_minute": {"conversations.list": 1}})
    assert call(mock, "conversations.list")["ok"]
    mock.clock.now += 20
    response = mock.http.get("/api/conversations.list", headers={"Authorization": "Bearer x"})
    assert (response.status_code, response.headers["retry-after"]) == (429, "40")
    assert response.json()["error"] == "ratelimited"
    assert call(mock, "auth.test")["ok"]
    assert mock.http.get("/web-api/calls").json() == {"auth.test": 1, "conversations.list": 2}


def test_messages_of_one_channel_keep_the_rate(start_mock: StartMock) -> None:
    """One a second and channel, as for webhooks."""
    mock = start_mock(rate_limit=1)
    posted(mock)
    headers = {"Authorization": "Bearer x"}
    late = mock.http.post("/api/chat.postMessage", json={"channel": AMER, "text": "x"}, headers=headers)
    assert (late.status_code, late.headers["retry-after"]) == (429, "1")
    posted(mock, channel="emea-risk-alerts")


def test_a_script_can_post_and_say_otherwise(mock: Mock) -> None:
    """A delay or a drop leaves the answer to the method; another one stands, and posts only if it says so."""
    mock.script(
        {"delay_s": 0},
        {"status": 503},
        {"body": {"ok": False, "error": "fatal_error"}, "posted": True},
        channel=AMER,
    )
    assert posted(mock, "1")["ts"]
    headers = {"Authorization": "Bearer x"}
    refused = mock.http.post("/api/chat.postMessage", json={"channel": AMER, "text": "2"}, headers=headers)
    assert refused.status_code == 503
    assert call(mock, "chat.postMessage", channel=AMER, text="3")["error"] == "fatal_error"
    assert history(mock) == ["3", "1"]
    mock.script({"body": {"ok": False, "error": "internal_error"}}, channel="conversations.history")
    assert call(mock, "conversations.history", channel=ids(mock)[AMER])["error"] == "internal_error"


def test_a_bad_day_is_a_bots_too(start_mock: StartMock) -> None:
    """The seeded faults, in the Web API's words."""
    mock = start_mock(fail_rate_429=1, min_retry_after=2, max_retry_after=2)
    headers = {"Authorization": "Bearer x"}
    answer = mock.http.post("/api/chat.postMessage", json={"channel": AMER, "text": "x"}, headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")


def test_a_message_is_changed_where_it_stands(mock: Mock) -> None:
    """It keeps its timestamp and its metadata, and says that it was edited."""
    said = posted(mock, metadata=MARKED)
    changed = call(mock, "chat.update", channel=said["channel"], ts=said["ts"], text="done")
    assert (changed["ok"], changed["ts"]) == (True, said["ts"])
    (shown,) = mock.http.get(f"/web-api/messages/{AMER}").json()["messages"]
    assert (shown["text"], shown["metadata"], "edited" in shown) == ("done", MARKED, True)
    assert [each.method for each in mock.records()] == ["chat.postMessage", "chat.update"]


def test_people_are_known_by_what_slack_says_of_them(mock: Mock) -> None:
    """An e-mail only where the token may see it; strangers, bots and the deleted are marked."""
    ann = call(mock, "users.info", user="U0ANN")["user"]
    assert (ann["profile"]["email"], ann["is_stranger"]) == ("ann@example.com", False)
    assert call(mock, "users.info", user="U0STRANGER")["user"]["is_stranger"]
    mock.http.put("/web-api", json={"scopes": ["users:read"]})
    assert "email" not in call(mock, "users.info", user="U0ANN")["user"]["profile"]


def test_a_reset_empties_the_channels(mock: Mock, log_path: Path) -> None:
    """Messages, calls and behaviour are as at the start."""
    mock.http.put("/web-api", json={"scopes": []})
    mock.http.post("/reset")
    assert mock.http.get(f"/web-api/messages/{AMER}").json() == {"messages": []}
    assert mock.http.get("/web-api/calls").json() == {}
    posted(mock)
    assert log_path.is_file()
