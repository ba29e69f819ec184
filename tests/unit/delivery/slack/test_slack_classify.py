"""Every answer that Slack, a proxy or anybody else may give means exactly one thing for an alert."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.slack.send_result import RateLimited, Rejected, Retry, SendResult, Sent
from service.delivery.slack.sender import (
    BODY_LIMIT,
    LONGEST_RETRY_AFTER_S,
    classify_failure,
    classify_success,
    usable_retry_after,
)
from service.domain.delivery_status import Reason

NOW: Final = datetime(2026, 2, 1, 9, 0, tzinfo=UTC)
SECRET: Final = "https://hooks.example.com/services/T0CANARY/B0CANARY/s3cr3tPath"

OWN_REASONS: Final = {
    400: Reason.BAD_REQUEST,
    401: Reason.UNAUTHORIZED,
    403: Reason.FORBIDDEN,
    404: Reason.NOT_FOUND,
    405: Reason.METHOD_NOT_ALLOWED,
    408: Reason.REQUEST_TIMEOUT,
    409: Reason.CONFLICT,
    410: Reason.GONE,
    413: Reason.PAYLOAD_TOO_LARGE,
    422: Reason.UNPROCESSABLE,
}
NOT_A_SUCCESS: Final = [status for status in range(100, 1000) if not 200 <= status < 300]


def beginning(value: object) -> str:
    """Return a test's id: the beginning of what it is about."""
    return repr(value)[:40]


def failure(status: int, body: str = "", *, retry_after: str | None = None) -> SendResult:
    """Classify an answer outside 2xx."""
    return classify_failure(status, body, retry_after=retry_after, now=NOW)


def expected(status: int) -> tuple[type[Retry | Rejected], Reason]:
    """Say what the specification makes of a status; a 429 here names no time."""
    if status == 429:
        return Retry, Reason.RATE_LIMITED
    if 500 <= status <= 599:
        return Retry, Reason.SERVER_ERROR
    if 300 <= status <= 399:
        return Rejected, Reason.REDIRECTED
    if 400 <= status <= 499:
        return Rejected, OWN_REASONS.get(status, Reason.CLIENT_ERROR)
    return Rejected, Reason.UNEXPECTED_STATUS


def test_every_status_is_classified() -> None:
    """5xx and a 429 without a time are tried again, everything else is final, each with its reason."""
    for status in NOT_A_SUCCESS:
        result = failure(status)
        kind, reason = expected(status)
        assert isinstance(result, kind), status
        assert (result.reason, result.http_status) == (reason, status)
        assert str(status) in result.message


def test_retry_after_counts_for_a_429_only() -> None:
    """A Retry-After on any other answer changes nothing, a 503 included: that backs off."""
    changed = [status for status in NOT_A_SUCCESS if failure(status, retry_after="7") != failure(status)]
    assert changed == [429]


def test_named_reasons_are_distinct() -> None:
    """No two of the 4xx that have a reason of their own share it."""
    reasons = [failure(status) for status in OWN_REASONS]
    assert len({result.reason for result in reasons if isinstance(result, Rejected)}) == len(OWN_REASONS)


# The bodies of a 2xx


def test_every_2xx_that_says_ok_is_a_delivery() -> None:
    """Any success with Slack's own answer counts."""
    for status in range(200, 300):
        assert classify_success(status, b"ok") == Sent(http_status=status)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"ok", b"ok\n", b" ok \r\n", b"\n", b"{}", b'{"ok": true}', b'{"ok":true,"ts":"1.2"}'),
        *(b' {"ok": true}\n', b'{"ok": null}', b'{"ok": true, "error": null}', b'{"warning": "x"}'),
    ],
)
def test_bodies_that_report_no_error_are_deliveries(body: bytes) -> None:
    """Empty, `ok`, or a JSON object that reports no error."""
    assert classify_success(200, body) == Sent(http_status=200)


@pytest.mark.parametrize(
    "body",
    [
        *(b"invalid_token", b"no_service", b"OK", b"Ok", b"okay", b"ok ok", b"true", b"false", b"null", b"0"),
        *(b'"ok"', b"[]", b'["ok"]', b'{"ok": false}', b'{"ok": false, "error": "invalid_auth"}'),
        *(b'{"ok": true, "error": "x"}', b'{"error": "x"}', b'{"error": {"code": 1}}', b'{"ok": true'),
        *(b"<html><body>ok</body></html>", b"<!DOCTYPE html>", b"\xff\xfe", b"\x00", b"ok\x00"),
        *(b"[" * BODY_LIMIT, b'{"a":' * 10_000, b"9" * 10_000, b"\xef\xbb\xbf{}"),
    ],
    ids=beginning,
)
def test_any_other_body_is_a_failure(body: bytes) -> None:
    """A 200 that does not say that the message was taken is not a delivery, and nothing breaks on it."""
    result = classify_success(200, body)
    assert isinstance(result, Rejected)
    assert (result.reason, result.http_status) == (Reason.UNEXPECTED_BODY, 200)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_only_ok_and_objects_pass(body: bytes) -> None:
    """Arbitrary bytes are a delivery only if they are blank, `ok`, or a JSON object without an error."""
    if isinstance(classify_success(200, body), Sent):
        text = body.decode("utf-8", "replace").strip()
        assert text in {"", "ok"} or isinstance(orjson.loads(text), dict)


@pytest.mark.parametrize("filler", [b" ", b"x"])
def test_a_body_beyond_the_limit_is_a_failure(filler: bytes) -> None:
    """What was not read to its end cannot be trusted, blank as its beginning may be."""
    assert isinstance(classify_success(200, filler * (BODY_LIMIT + 1)), Rejected)
    assert isinstance(classify_success(200, b'{"ok": true}' + filler * BODY_LIMIT), Rejected)


# What is repeated of a body


@pytest.mark.parametrize("word", ["invalid_token", "channel_not_found", "no_text", "invalid_blocks"])
def test_slacks_own_word_is_repeated(word: str) -> None:
    """Slack's word for an error helps a person and stands in the message, from text and from JSON alike."""
    as_json = orjson.dumps({"ok": False, "error": word})
    for result in (failure(400, f"{word}\n"), classify_success(200, word.encode())):
        assert isinstance(result, Rejected)
        assert word in result.message
    result = classify_success(200, as_json)
    assert isinstance(result, Rejected)
    assert word in result.message


@pytest.mark.parametrize("status", [400, 404, 429, 500, 302, 600])
@pytest.mark.parametrize(
    "body",
    [
        f"POST {SECRET} failed",
        SECRET,
        "/services/T0CANARY/B0CANARY/s3cr3tPath",
        f'{{"error": "{SECRET}"}}',
        "s3cr3tPath",
        "error_a\ns3cr3tPath",
    ],
)
def test_an_echoed_url_is_not_repeated(status: int, body: str) -> None:
    """A proxy's error page may hold the webhook's URL: nothing of it reaches a message."""
    for result in (failure(status, body), classify_success(200, body.encode())):
        assert "s3cr3t" not in repr(result)
        assert "CANARY" not in repr(result)


@given(st.sampled_from((400, 404, 500, 429)), st.text())
def test_messages_stay_short_and_on_one_line(status: int, body: str) -> None:
    """Whatever the body, the message is short and printable."""
    for result in (failure(status, body * 100), classify_success(200, (body * 100).encode())):
        if isinstance(result, Retry | Rejected):
            assert len(result.message) < 120
            assert result.message.isprintable()


# Retry-After


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1", 1),
        ("30", 30),
        ("3600", 3600),
        (" 5 ", 5),
        ("0.5", 0.5),
        ("1.", 1),
        (".25", 0.25),
        ("007", 7),
        ("1" + "0" * 12, LONGEST_RETRY_AFTER_S),
        ("9" * 5000, LONGEST_RETRY_AFTER_S),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        ("Sun, 01 Feb 2026 09:01:30 GMT", 90),
        ("Sunday, 01-Feb-26 09:01:30 GMT", 90),
        ("Sun Feb  1 09:01:30 2026", 90),
        ("Sun, 01 Feb 2026 10:01:30 +0100", 90),
        ("Sun, 01 Feb 2026 09:01:30 -0000", 90),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER_S),
    ],
    ids=beginning,
)
def test_a_usable_retry_after_is_seconds_or_a_date(value: str, seconds: float) -> None:
    """Whole and fractional seconds and HTTP dates in the future pause the lane for so long."""
    assert usable_retry_after(value, now=NOW) == pytest.approx(seconds)
    assert failure(429, retry_after=value) == RateLimited(retry_after_s=min(seconds, LONGEST_RETRY_AFTER_S))


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", " ", "0", "0.0", "-0", "-1", "-30", "+5", "nan", "NaN", "inf", "-inf", "Infinity"),
        *("1e3", "0x10", "1,5", "1 2", "5s", "5 seconds", "soon", "1.2.3", ".", "true", "null", "\x00"),
        *("\u0663", "\uff15", "\u00b2", "\u0661\u0662"),
        *("Sun, 01 Feb 2026 09:00:00 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"),
        *("Sun, 32 Feb 2026 09:01:30 GMT", "Sun, 01 Feb 2026 25:61:61 GMT", "2026-02-01T09:01:30Z", ","),
        *("06 Nov 99999999999999999999 08:49:37 GMT", "01 Feb 2026", "Feb", f"01 Feb {'9' * 5000} 09:00:00"),
        "Sun, 01 Feb 2027 09:01:30 +999999999999",
    ],
    ids=beginning,
)
def test_an_unusable_retry_after_names_no_time(value: str | None) -> None:
    """Absent, zero, negative, not a number, past or garbage: the answer backs off like a 5xx."""
    assert usable_retry_after(value, now=NOW) is None
    result = failure(429, retry_after=value)
    assert isinstance(result, Retry)
    assert (result.reason, result.http_status) == (Reason.RATE_LIMITED, 429)


date_like = st.lists(
    st.sampled_from(
        (
            *("Sun,", "06", "Nov", "2094", "94", "08:49:37", "08.49", "12:", "GMT", "EST", "-0000", "+2400"),
            *(":", ",", "-", "+", "(", "am", "0", "1", "99999999999999999999", "\u0663"),
        )
    ),
    max_size=9,
)


@given(st.text(max_size=40) | date_like.map(" ".join) | date_like.map("".join))
def test_no_retry_after_breaks_anything(value: str) -> None:
    """Whatever stands in the header, the pause is unknown or positive and bounded."""
    seconds = usable_retry_after(value, now=NOW)
    assert seconds is None or 0 < seconds <= LONGEST_RETRY_AFTER_S


@given(st.floats(0.001, 10**9).map(lambda seconds: f"{seconds:.3f}"))
def test_seconds_read_as_written(value: str) -> None:
    """A decimal number of seconds is taken exactly."""
    assert usable_retry_after(value, now=NOW) == float(value)
