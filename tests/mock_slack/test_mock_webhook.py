"""What a message is answered when nothing is scripted and no fault is drawn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from tests.mock_slack.harness import Mock, alert

StartMock = Callable[..., Mock]


@pytest.mark.parametrize("path", ["/slack/webhook/amer", "/hooks/amer"])
def test_a_message_is_answered_ok_in_plain_text(mock: Mock, path: str) -> None:
    """Both webhook addresses answer a valid message the way Slack does."""
    response = mock.http.post(path, json={"text": "hello"})
    assert (response.status_code, response.text) == (200, "ok")
    assert response.headers["content-type"].startswith("text/plain")


def test_a_message_may_come_as_a_form_field(mock: Mock) -> None:
    """Slack also takes the JSON in the form field `payload`."""
    body = urlencode({"payload": '{"text": "1 & 2 = ✓"}'}).encode()
    assert mock.post(body) == (200, "ok")
    assert mock.records()[0].payload == {"text": "1 & 2 = ✓"}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "invalid_payload"),
        (b"{not json", "invalid_payload"),
        (b'"text"', "invalid_payload"),
        (b'[{"text": "x"}]', "invalid_payload"),
        (b'{"text": "\xff"}', "invalid_payload"),
        (b'{"text": NaN}', "invalid_payload"),
        (b"payload=%7B", "invalid_payload"),
        (b'{"text": 5}', "invalid_payload"),
        (b'{"text": "x", "attachments": ["x"]}', "invalid_payload"),
        (b'{"text": "x", "attachments": 7}', "invalid_payload"),
        (b'{"a":' * 400 + b"1" + b"}" * 400, "invalid_payload"),
        (b"{}", "no_text"),
        (b'{"text": ""}', "no_text"),
        (b'{"text": " \\n "}', "no_text"),
        (b'{"text": null, "blocks": [], "attachments": []}', "no_text"),
        (b'{"text": "x", "blocks": {"type": "divider"}}', "invalid_blocks_format"),
        (b'{"text": "x", "blocks": [{"type": "marquee"}]}', "invalid_blocks"),
        (b'{"text": "x", "attachments": [{"blocks": [{"type": "marquee"}]}]}', "invalid_blocks"),
        (orjson.dumps({"text": "x", "attachments": [{}] * 101}), "too_many_attachments"),
    ],
)
def test_a_message_slack_cannot_post_is_refused_by_name(mock: Mock, body: bytes, error: str) -> None:
    """Each kind of bad message gets Slack's own error, and is recorded."""
    assert mock.post(body) == (400, error)
    assert [record.status_code for record in mock.records()] == [400]


@pytest.mark.parametrize(
    "payload",
    [
        {"blocks": [{"type": "divider"}]},
        {"attachments": [{"color": "#f00", "blocks": [{"type": "divider"}]}]},
        {"text": "x", "attachments": [{}] * 100},
        {"text": "x", "unfurl_links": False, "username": "bot"},
    ],
)
def test_a_message_slack_can_post_is_accepted(mock: Mock, payload: dict[str, Any]) -> None:
    """Text is not needed where blocks or attachments speak, and fields for the message as a whole pass."""
    assert mock.post(payload) == (200, "ok")


def test_the_refusal_says_why_in_a_header_and_in_the_log(mock: Mock) -> None:
    """Slack says only `invalid_blocks`; the mock names the place, whatever characters it quotes."""
    blocks = [{"type": "divider", "naïve\r\nSet-Cookie": 1}]
    response = mock.http.post("/hooks/amer", json={"text": "x", "blocks": blocks})
    assert response.headers["x-mock-slack-reason"].startswith(r"blocks/0/divider/na\xefve\r\nSet-Cookie: ")
    assert str(mock.records()[0].reason).startswith("blocks/0/divider/naïve\r\nSet-Cookie: ")


def test_a_token_is_wanted_when_set(start_mock: StartMock) -> None:
    """Without the right token every message is `invalid_token`, a valid one too; the token is never shown."""
    mock = start_mock(auth_token="canary-42")
    assert mock.post({"text": "x"}) == (403, "invalid_token")
    assert mock.post({"text": "x"}, **{"X-Mock-Slack-Token": "wrong"}) == (403, "invalid_token")
    assert mock.post({"text": "x"}, **{"X-Mock-Slack-Token": "canary-42"}) == (200, "ok")
    health = mock.http.get("/health")
    assert health.json()["wants_token"] is True
    assert "canary" not in health.text


def test_only_the_channels_that_exist_are_found(start_mock: StartMock) -> None:
    """A channel that is not configured is Slack's 404."""
    mock = start_mock(channels="amer, emea")
    assert mock.post({"text": "x"}, "emea") == (200, "ok")
    assert mock.post({"text": "x"}, "apac") == (404, "channel_not_found")


def test_the_rate_limit_asks_for_the_time_that_is_left(start_mock: StartMock) -> None:
    """One message a second and channel passes, a timer's 50 ms early too; others hear how long to wait."""
    mock = start_mock(rate_limit=1)
    assert mock.post({"text": "1"}) == (200, "ok")
    assert mock.post({"text": "1"}, "emea") == (200, "ok")
    mock.clock.now += 0.25
    response = mock.http.post("/hooks/amer", json={"text": "2"})
    assert response.status_code == 429
    assert response.headers["retry-after"] == "0.75"
    assert response.json() == {"retry_after": 0.75, "ok": False, "error": "rate_limited"}
    mock.clock.now += 0.71
    assert mock.post({"text": "2"}) == (200, "ok")
    mock.clock.now += 0.96
    assert mock.post({"text": "3"})[0] == 429, "an early message does not move the next one forward"
    mock.clock.now += 0.1
    assert mock.post({"text": "3"}) == (200, "ok")


def test_health_shows_the_seed_that_was_drawn(mock: Mock) -> None:
    """A run with faults can be repeated even if nobody chose its seed."""
    health = mock.http.get("/health").json()
    assert health["ok"] is True
    assert isinstance(health["seed"], int)


def test_nothing_is_written_before_the_first_message(mock: Mock, log_path: Path) -> None:
    """Starting the mock and asking it things leaves no file and no folder."""
    mock.http.get("/health")
    assert mock.records() == []
    assert not log_path.parent.exists()
    mock.post(alert("a"))
    assert log_path.is_file()
