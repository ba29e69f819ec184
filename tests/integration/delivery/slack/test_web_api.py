"""Calls of Slack's Web API: an answer is read, or why there is none is said in a word."""

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.delivery.slack.answer import NO_ANSWER, WebApiError
from service.delivery.slack.sender import SlackSender
from service.delivery.slack.web_api import UNNAMED_PAUSE_S, WebApi
from service.runtime.clock import SystemClock


@pytest.fixture
def api(sender: SlackSender, slack: RunningMock) -> WebApi:
    """Return the Web API of the mock."""
    return WebApi(slack=sender, url=slack.api_url, token="xoxb-c4nary", clock=SystemClock(), timeout_s=10)


async def test_pages_are_read_to_the_last(api: WebApi) -> None:
    """One after the other, each once."""
    pages = [page async for page in api.pages("conversations.list", limit="2")]
    assert [len(page["channels"]) for page in pages] == [2, 1]


@pytest.mark.parametrize(
    ("step", "word", "pause_s"),
    [
        (Step(body={"ok": False, "error": "invalid_auth"}), "invalid_auth", None),
        (Step(body={"ok": False, "error": "two words"}), "http_200", None),
        (Step(body={"ok": False, "error": "missing_scope", "needed": "a:b"}), "missing_scope", None),
        (Step(body={"ok": "yes"}), "http_200", None),
        (Step(body="<html>"), "http_200", None),
        (Step(status=503, body="down"), "http_503", None),
        (Step(status=302, headers={"Location": "http://127.0.0.1:9/"}), "http_302", None),
        (Step(drop="before"), NO_ANSWER, None),
        (Step(status=429, headers={"Retry-After": "7"}), "ratelimited", 7),
        (Step(status=429, headers={"Retry-After": "soon"}), "ratelimited", UNNAMED_PAUSE_S),
        (Step(body={"ok": False, "error": "ratelimited"}, headers={"Retry-After": "3"}), "ratelimited", 3),
    ],
)
async def test_what_is_no_answer_is_a_word(
    api: WebApi, slack: RunningMock, step: Step, word: str, pause_s: float | None
) -> None:
    """Slack's own where it is one, and with it when to ask again; a redirect is never followed."""
    slack.script("auth.test", step)
    with pytest.raises(WebApiError) as refused:
        await api.call("auth.test")
    assert (refused.value.word, refused.value.retry_after_s) == (word, pause_s)
    assert "c4nary" not in f"{refused.value} {refused.value!r} {api!r}"


async def test_a_scope_that_is_missing_is_named(api: WebApi, slack: RunningMock) -> None:
    """So that a person knows what to add."""
    slack.behave(scopes=[])
    with pytest.raises(WebApiError, match=r"^missing_scope \(channels:read\)$"):
        await api.call("conversations.list")


async def test_a_page_that_leads_nowhere_is_not_the_last(api: WebApi, slack: RunningMock) -> None:
    """Where Slack has more, and does not say how to get it, nothing was read to its end."""
    slack.script("conversations.history", Step(body={"ok": True, "messages": [], "has_more": True}))
    with pytest.raises(WebApiError, match="no_next_cursor"):
        _ = [page async for page in api.pages("conversations.history", channel="C0A")]


@pytest.mark.parametrize("cursor", [{}, {"next_cursor": ""}, {"next_cursor": 5}, None])
async def test_a_last_page_is_last(api: WebApi, slack: RunningMock, cursor: object) -> None:
    """However Slack says that no page follows."""
    slack.script("conversations.list", Step(body={"ok": True, "response_metadata": cursor}))
    assert len([page async for page in api.pages("conversations.list")]) == 1
