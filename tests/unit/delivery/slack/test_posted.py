"""The answer to a bot's message: every word of Slack's has one meaning."""

import json
from typing import Any

import pytest

from service.delivery.slack.posted import DOUBTFUL, PASSING, REASONS, classify_posted
from service.delivery.slack.send_result import InDoubt, RateLimited, Rejected, Retry, Sent
from service.domain.delivery_status import Reason


def classified(answer: Any, pause_s: float | None = None) -> object:
    """Classify what stands in a 200."""
    return classify_posted(200, json.dumps(answer).encode(), pause_s)


def test_a_delivery_says_where_the_message_stands() -> None:
    """Its channel, by id, and its timestamp there."""
    said = {"ok": True, "channel": "C0A", "ts": "1700000000.000100", "message": {}}
    assert classified(said) == Sent(http_status=200, channel="C0A", ts="1700000000.000100")


@pytest.mark.parametrize(
    "answer",
    [
        {"ok": True},
        {"ok": True, "channel": "C0A"},
        {"ok": True, "channel": "C0A", "ts": 1.5},
        {"ok": "true", "channel": "C0A", "ts": "1.5"},
        {"channel": "C0A", "ts": "1.5"},
        {},
        [],
        "ok",
        None,
    ],
)
def test_what_is_neither_yes_nor_no_is_a_doubt(answer: object) -> None:
    """The message may be there: nothing says that it is not."""
    result = classified(answer)
    assert isinstance(result, InDoubt)
    assert (result.reason, result.unreadable) == (Reason.RESPONSE_LOST, True)


@pytest.mark.parametrize("body", [b"", b"ok", b"<html>", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_a_doubt(body: bytes) -> None:
    """A proxy's page in place of an answer."""
    assert isinstance(classify_posted(200, body, None), InDoubt)


@pytest.mark.parametrize("word", sorted(DOUBTFUL))
def test_what_slack_could_not_finish_is_a_doubt(word: str) -> None:
    """It says itself that part of the work may have been done; that can be read, though."""
    result = classified({"ok": False, "error": word})
    assert isinstance(result, InDoubt)
    assert (result.message, result.unreadable) == (f"Slack said {word}", False)


@pytest.mark.parametrize("word", sorted(REASONS))
def test_a_word_has_its_reason(word: str) -> None:
    """It is rejected for that, and the word is repeated."""
    result = classified({"ok": False, "error": word})
    assert result == Rejected(reason=REASONS[word], message=f"Slack said {word}", http_status=200)


def test_the_reasons_that_people_meet() -> None:
    """The bot is not in the channel, the channel is gone, the token is revoked, the blocks are wrong."""
    assert REASONS["not_in_channel"] is Reason.FORBIDDEN
    assert REASONS["channel_not_found"] is Reason.NOT_FOUND
    assert REASONS["is_archived"] is Reason.GONE
    assert REASONS["token_revoked"] is REASONS["invalid_auth"] is Reason.UNAUTHORIZED
    assert REASONS["invalid_blocks"] is Reason.BAD_REQUEST
    assert REASONS["msg_too_long"] is Reason.PAYLOAD_TOO_LARGE


@pytest.mark.parametrize("error", ["a_word_of_tomorrow", "no", None, 5, "xoxb-secret", "two words"])
def test_an_unknown_word_is_rejected_and_a_secret_never_repeated(error: object) -> None:
    """Slack's own word is kept; what does not look like one is not."""
    result = classified({"ok": False, "error": error})
    assert isinstance(result, Rejected)
    assert result.reason is Reason.REJECTED
    is_word = error in {"a_word_of_tomorrow", "no"}
    assert result.message == (f"Slack said {error}" if is_word else "Slack said no word that it has")


@pytest.mark.parametrize("word", ["ratelimited", "rate_limited"])
def test_a_limit_is_waited_for(word: str) -> None:
    """For as long as Slack says, or as after any failure where it does not."""
    said = {"ok": False, "error": word}
    assert classified(said, 7.5) == RateLimited(retry_after_s=7.5, http_status=200)
    result = classified(said)
    assert isinstance(result, Retry)
    assert result.reason is Reason.RATE_LIMITED


@pytest.mark.parametrize("word", sorted(PASSING))
def test_what_passes_is_tried_again(word: str) -> None:
    """Slack says that nothing was done."""
    result = classified({"ok": False, "error": word})
    assert isinstance(result, Retry)
    assert result.reason is Reason.SERVER_ERROR
