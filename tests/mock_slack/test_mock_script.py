"""Scripted answers: what a test lays down is what the next requests get."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.mock_slack.harness import Mock


def test_scripted_answers_are_given_in_order_and_run_out(mock: Mock) -> None:
    """The next N answers of a channel are the script's, then the mock is itself again."""
    mock.script({"status": 500, "body": "oops", "times": 2}, {"status": 403, "body": "action_prohibited"})
    mock.script({"status": 410, "body": "channel_is_archived"})
    assert mock.http.get("/script").json() == {"waiting": {"amer": 4}}
    assert [mock.post({"text": "x"}) for _ in range(5)] == [
        (500, "oops"),
        (500, "oops"),
        (403, "action_prohibited"),
        (410, "channel_is_archived"),
        (200, "ok"),
    ]
    assert mock.http.get("/script").json() == {"waiting": {}}


def test_a_script_is_its_channels_alone(mock: Mock) -> None:
    """Other channels do not notice."""
    mock.script({"status": 500})
    assert mock.post({"text": "x"}, "emea") == (200, "ok")
    assert mock.post({"text": "x"}, "amer")[0] == 500


def test_a_script_wins_over_faults_tokens_channels_and_checks(start_mock: Callable[..., Mock]) -> None:
    """Whatever the request and the settings, the scripted answer is the answer."""
    mock = start_mock(fail_rate_500=1, auth_token="t", channels="emea")
    mock.script({"status": 202, "body": ""})
    assert mock.post(b"{broken") == (202, "")


@pytest.mark.parametrize(
    "value",
    ["0", "0.5", "-1", "NaN", "inf", "soon", "", "3600", "Fri, 31 Dec 9999 23:59:59 GMT"],
)
def test_a_scripted_header_is_sent_as_it_is(mock: Mock, value: str) -> None:
    """Retry-After can be every kind of wrong, and the log shows what was sent."""
    mock.script({"status": 429, "headers": {"Retry-After": value}})
    response = mock.http.post("/hooks/amer", json={"text": "x"})
    assert dict(response.headers.raw)[b"retry-after"].decode() == value
    logged = mock.records()[0].retry_after
    assert logged == (float(value) if value in {"0", "0.5", "-1", "3600"} else value)


@pytest.mark.parametrize("status", [200, 201, 204, 205, 302, 304, 400, 404, 418, 429, 500, 503, 599])
def test_every_kind_of_status_can_be_answered(mock: Mock, status: int) -> None:
    """A status without more says `ok` only where it means success and may have a body."""
    mock.script({"status": status})
    response = mock.http.post("/hooks/amer", json={"text": "x"}, follow_redirects=False)
    assert response.status_code == status
    assert response.text == ("ok" if status in {200, 201} else "")


def test_a_body_may_be_json(mock: Mock) -> None:
    """An object is sent as JSON, as Slack's Web API would answer."""
    mock.script({"body": {"ok": False, "error": "invalid_auth"}})
    response = mock.http.post("/hooks/amer", json={"text": "x"})
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"ok": False, "error": "invalid_auth"}


def test_a_late_answer_still_comes(mock: Mock) -> None:
    """A delay changes nothing but the time."""
    mock.script({"status": 503, "delay_s": 0.01})
    assert mock.post({"text": "x"}) == (503, "")


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        "x",
        [5],
        [{"state": 500}],
        [{"status": 199}],
        [{"status": 600}],
        [{"delay_s": -1}],
        [{"drop": "maybe"}],
        [{"times": 0}],
        [{"body": 5}],
        [{"headers": {"a b": "c"}}],
        [{"headers": {"a": "b\r\nc: d"}}],
        [{"headers": {"a": "\u20ac"}}],
        [{"headers": {"Content-Length": "1"}}],
        [{"status": 500}, {"status": 1}],
    ],
)
def test_a_wrong_script_is_refused_whole(mock: Mock, body: Any) -> None:
    """A step that cannot be played is a 422 that says where, and none of the script is kept."""
    response = mock.http.post("/script/amer", json=body)
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "body"
    assert mock.http.get("/script").json() == {"waiting": {}}


def test_scripts_can_be_forgotten(mock: Mock) -> None:
    """One channel's script, or all, can be taken back."""
    for channel in ("amer", "emea", "apac"):
        mock.script({"status": 500}, channel=channel)
    assert mock.http.delete("/script/amer").status_code == 204
    assert mock.http.get("/script").json() == {"waiting": {"emea": 1, "apac": 1}}
    assert mock.http.delete("/script").status_code == 204
    assert mock.http.get("/script").json() == {"waiting": {}}
    assert mock.post({"text": "x"}) == (200, "ok")


def test_dropping_needs_uvicorn_and_says_so(mock: Mock) -> None:
    """Under a server whose connection cannot be reached a drop is a clear 501, not a wrong answer."""
    mock.script({"drop": "before"})
    status, body = mock.post({"text": "x"})
    assert status == 501
    assert "uvicorn" in body
