"""The statistics: what the requests amounted to, and whether pauses were kept."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.mock_slack.harness import Mock, alert


def test_requests_are_counted_by_what_became_of_them(mock: Mock) -> None:
    """Each request is accepted or refused with its status, per channel and in total."""
    mock.post(alert("a"))
    mock.post({})
    mock.script({"status": 500, "times": 2}, {"status": 429})
    for _ in range(3):
        mock.post(alert("b"))
    mock.post(alert("a"), "emea")
    counts, total = mock.counts("amer"), mock.report().total
    assert (counts.requests, counts.accepted, counts.refused) == (5, 1, {400: 1, 429: 1, 500: 2})
    assert mock.counts("emea").accepted == 1
    assert (total.requests, total.accepted, total.refused) == (6, 2, {400: 1, 429: 1, 500: 2})
    assert total.max_concurrent_requests == 1


def test_duplicates_name_the_alert_and_how_often(mock: Mock) -> None:
    """An alert accepted twice shows, and one accepted in two channels shows in the total."""
    for channel in ("amer", "amer", "amer", "emea"):
        mock.post(alert("a"), channel)
    mock.post(alert("b"), "emea")
    assert mock.counts("amer").duplicates == {"a": 3}
    assert mock.counts("emea").duplicates == {}
    assert mock.report().total.duplicates == {"a": 4}


@pytest.mark.parametrize(
    ("step", "accepted"),
    [
        ({"status": 204}, True),
        ({"body": ""}, True),
        ({"body": {"ok": True}}, True),
        ({"body": "invalid_token"}, False),
        ({"body": {"ok": False}}, False),
        ({"body": {"error": "x"}}, False),
        ({"body": "[]"}, False),
        ({"status": 302}, False),
        ({"status": 500, "body": "ok"}, False),
    ],
)
def test_accepted_is_a_success_that_reports_no_error(
    mock: Mock,
    step: dict[str, object],
    accepted: bool,  # noqa: FBT001  pytest passes parameters by name
) -> None:
    """A 200 with an error in it posted nothing."""
    mock.script(step)
    mock.post(alert("a"))
    assert mock.counts().accepted == int(accepted)


def test_the_shortest_gap_after_a_429_is_measured_from_the_answer(mock: Mock) -> None:
    """It is the least time from a 429 to the channel's next request, over all of them."""
    assert mock.report().total.shortest_gap_after_429_s is None
    for gap in (3.0, 2.5, 4.0):
        mock.script({"status": 429, "headers": {"Retry-After": "2"}})
        mock.post(alert("a"))
        mock.post(alert("b"), "emea")
        mock.clock.now += gap
    mock.post(alert("a"))
    assert mock.counts().shortest_gap_after_429_s == 2.5
    assert mock.counts().requests_inside_retry_after == 0
    assert mock.counts("emea").shortest_gap_after_429_s is None
    assert mock.report().total.shortest_gap_after_429_s == 2.5


def test_requests_inside_a_pause_are_counted(mock: Mock) -> None:
    """Until the promised time is over each request of the channel is one too early."""
    mock.script({"status": 429, "headers": {"Retry-After": "2.5"}})
    mock.post(alert("a"))
    for _ in range(2):
        mock.clock.now += 1.2
        mock.post(alert("a"))
    mock.post(alert("b"), "emea")
    mock.clock.now += 0.1
    mock.post(alert("a"))
    assert mock.counts("amer").requests_inside_retry_after == 2
    assert mock.counts("emea").requests_inside_retry_after == 0
    assert mock.report().total.requests_inside_retry_after == 2


def test_a_later_shorter_pause_does_not_end_the_longer_one(mock: Mock) -> None:
    """Two 429s on the way at once promise the later of the two ends."""
    mock.script(*({"status": 429, "headers": {"Retry-After": wait}} for wait in ("60", "1")))
    mock.post(alert("a"))
    mock.post(alert("b"))
    mock.clock.now += 30
    mock.post(alert("a"))
    assert mock.counts().requests_inside_retry_after == 2


def test_an_http_date_is_a_pause_too(mock: Mock) -> None:
    """Retry-After as a date is understood."""
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    mock.script({"status": 429, "headers": {"Retry-After": date}})
    mock.post(alert("a"))
    mock.clock.now += 3500
    mock.post(alert("a"))
    mock.clock.now += 200
    mock.post(alert("b"))
    assert mock.counts().requests_inside_retry_after == 1


@pytest.mark.parametrize(
    "headers", [{}, *({"Retry-After": text} for text in ("NaN", "inf", "-1", "0", "soon", "", "1 Jan 2001"))]
)
def test_a_429_that_promises_nothing_pauses_nothing(mock: Mock, headers: dict[str, str]) -> None:
    """Without a usable Retry-After only the gap is known."""
    mock.script({"status": 429, "headers": headers})
    mock.post(alert("a"))
    mock.clock.now += 0.5
    mock.post(alert("a"))
    assert mock.counts().requests_inside_retry_after == 0
    assert mock.counts().shortest_gap_after_429_s == 0.5


def test_a_retry_after_on_another_status_is_no_429(mock: Mock) -> None:
    """The pauses are about 429s alone."""
    mock.script({"status": 503, "headers": {"Retry-After": "60"}})
    mock.post(alert("a"))
    mock.post(alert("a"))
    assert mock.counts().requests_inside_retry_after == 0
    assert mock.counts().shortest_gap_after_429_s is None


def test_the_statistics_can_be_reset_alone(mock: Mock) -> None:
    """Figures go back to zero while scripts and records stay."""
    mock.post(alert("a"))
    mock.script({"status": 500})
    assert mock.http.delete("/stats").status_code == 204
    assert mock.report().total.requests == 0
    assert len(mock.records()) == 1
    assert mock.post(alert("a"))[0] == 500
