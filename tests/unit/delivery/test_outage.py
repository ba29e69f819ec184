"""An outage is noticed after a few alerts, paused for, and over with the first answer."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.outage import OUTAGE_AFTER, UNREACHABLE_PATIENCE_S, UNREADABLE_AFTER, Outage
from service.delivery.slack.send_result import InDoubt, Rejected, Retry
from service.domain.delivery_status import Reason
from service.domain.pace import BACKOFF_CAP_S, backoff_s

UNREACHABLE = Retry(reason=Reason.SLACK_UNREACHABLE, message="no connection")
SERVER_ERROR = Retry(reason=Reason.SERVER_ERROR, message="HTTP 503", http_status=503)
NAMELESS = Retry(reason=Reason.RATE_LIMITED, message="HTTP 429", http_status=429)
SILENT = InDoubt(reason=Reason.RESPONSE_LOST, message="no complete answer")
UNREADABLE = InDoubt(reason=Reason.RESPONSE_LOST, message="no complete answer", unreadable=True)

Trouble = Retry | InDoubt
troubles = st.sampled_from([UNREACHABLE, SERVER_ERROR, NAMELESS, SILENT, UNREADABLE])


def outage_after(*noted: Trouble, now: float = 100.0) -> Outage:
    """Return what is known after troubles of one alert after the other, all at one moment."""
    outage = Outage()
    for place, trouble in enumerate(noted):
        outage.note(trouble, place, now=now, jitter=0)
    return outage


@pytest.mark.parametrize("trouble", [UNREACHABLE, SERVER_ERROR, NAMELESS, SILENT])
def test_three_alerts_in_trouble_make_an_outage(trouble: Trouble) -> None:
    """Two do not; with the third the lane pauses for a second."""
    assert not outage_after(*[trouble] * (OUTAGE_AFTER - 1)).is_on
    outage = outage_after(*[trouble] * OUTAGE_AFTER)
    assert (outage.is_on, outage.probe_at, outage.given_up) == (True, 101.0, None)


def test_one_alert_alone_makes_none() -> None:
    """However often a message fails, it may be the message."""
    outage = Outage()
    pauses = [outage.note(SERVER_ERROR, 7, now=float(now), jitter=0) for now in range(50)]
    assert (outage.is_on, set(pauses), outage.probe_at) == (False, {None}, -math.inf)


def test_each_message_that_fails_makes_the_pause_longer() -> None:
    """One, two, four … seconds, and never more than a minute: the curve of the retries."""
    outage = outage_after(*[SERVER_ERROR] * OUTAGE_AFTER)
    for number in range(2, 12):
        now = outage.probe_at
        assert outage.note(SERVER_ERROR, number, now=now, jitter=0) == backoff_s(number, jitter=0)
        assert outage.probe_at - now <= BACKOFF_CAP_S


def test_what_was_on_its_way_when_it_began_makes_no_pause_longer() -> None:
    """Sixty more that fail in the same pause say nothing new."""
    outage = outage_after(*[SILENT] * OUTAGE_AFTER)
    assert [outage.note(SILENT, place, now=100.5, jitter=0) for place in range(3, 63)] == [None] * 60
    assert (outage.pauses, outage.probe_at) == (1, 101.0)


def test_it_is_over_with_the_first_answer() -> None:
    """Nothing is left of it: the next trouble begins anew."""
    outage = outage_after(UNREADABLE, UNREACHABLE, SILENT, SERVER_ERROR)
    outage.over()
    assert outage == Outage()


def test_a_destination_where_nobody_is_is_given_up_in_time() -> None:
    """After two minutes, not with the third alert: a proxy that restarts comes back."""
    outage = outage_after(*[UNREACHABLE] * OUTAGE_AFTER)
    now = 100.0
    while outage.given_up is None:
        now = outage.probe_at
        outage.note(UNREACHABLE, 3, now=now, jitter=0)
    assert outage.given_up is Reason.SLACK_UNREACHABLE
    assert UNREACHABLE_PATIENCE_S <= now - 100 <= 2 * UNREACHABLE_PATIENCE_S
    assert outage.pauses < 10


@pytest.mark.parametrize("trouble", [SERVER_ERROR, SILENT, NAMELESS])
def test_a_destination_where_somebody_is_is_not_given_up(trouble: Trouble) -> None:
    """It is waited for until the run's deadline, with a message a minute."""
    outage = outage_after(*[trouble] * OUTAGE_AFTER)
    messages = 0
    while outage.probe_at < 100 + 600:
        outage.note(trouble, 3 + messages, now=outage.probe_at, jitter=0)
        messages += 1
    assert outage.given_up is None
    assert outage.at_deadline is Reason.DEADLINE
    assert messages <= 16


def test_another_trouble_shows_that_somebody_is_there() -> None:
    """One server error between refused connections begins the two minutes anew."""
    outage = outage_after(*[UNREACHABLE] * OUTAGE_AFTER)
    outage.note(SERVER_ERROR, 3, now=200, jitter=0)
    outage.note(UNREACHABLE, 3, now=230, jitter=0)
    outage.note(UNREACHABLE, 3, now=230 + UNREACHABLE_PATIENCE_S - 1, jitter=0)
    assert outage.given_up is None
    assert outage.at_deadline is Reason.SLACK_UNREACHABLE


def test_one_alert_without_a_connection_gives_nothing_up() -> None:
    """A lane with a single alert left spends that alert's retries, and no more."""
    outage = Outage()
    for now in (0, 1000):
        outage.note(UNREACHABLE, 0, now=now, jitter=0)
    assert (outage.given_up, outage.at_deadline) == (None, Reason.DEADLINE)


def test_answers_that_cannot_be_read_end_the_lane() -> None:
    """Three in a row are enough: each of these messages is most likely in Slack."""
    assert outage_after(*[UNREADABLE] * (UNREADABLE_AFTER - 1)).given_up is None
    assert outage_after(*[UNREADABLE] * UNREADABLE_AFTER).given_up is Reason.ANSWERS_UNREADABLE


def rejected(status: int) -> Rejected:
    """Return an answer that no retry would change."""
    return Rejected(reason=Reason.NOT_FOUND, message=f"HTTP {status}", http_status=status)


def after_rejections(*statuses: int | None) -> Outage:
    """Return what is known after answers of these statuses; None is a server error."""
    outage = Outage()
    for place, status in enumerate(statuses):
        if status is None:
            outage.note(SERVER_ERROR, place, now=100, jitter=0)
        else:
            outage.note_rejected(rejected(status))
    return outage


def test_a_dead_webhook_ends_the_lane() -> None:
    """Three times in a row 403, 404 or 410, mixed or not."""
    assert after_rejections(404, 404).given_up is None
    assert after_rejections(403, 410, 404).given_up is Reason.NOT_FOUND


def test_a_bot_that_is_refused_ends_the_lane() -> None:
    """Slack answers it 200 with a word: the token's or the channel's, and not that of one message."""

    def after(*reasons: Reason) -> Outage:
        outage = Outage()
        for reason in reasons:
            outage.note_rejected(Rejected(reason=reason, message="Slack said no", http_status=200))
        return outage

    given_up = after(Reason.UNAUTHORIZED, Reason.FORBIDDEN, Reason.GONE)
    assert given_up.given_up is Reason.GONE
    assert given_up.why_untried(Reason.GONE).startswith("the bot is refused (Slack said no)")
    assert after(Reason.GONE, Reason.GONE, Reason.BAD_REQUEST, Reason.GONE).given_up is None


@pytest.mark.parametrize("between", [400, 401, 413, 500, None])
def test_any_other_answer_between_shows_that_it_lives(between: int | None) -> None:
    """The count begins anew."""
    assert after_rejections(404, 404, between, 404, 404).given_up is None


def test_a_rejection_ends_an_outage() -> None:
    """Somebody has answered."""
    outage = outage_after(*[SERVER_ERROR] * OUTAGE_AFTER)
    outage.note_rejected(rejected(404))
    assert not outage.is_on


@given(st.lists(troubles, max_size=12))
def test_only_three_in_a_row_end_the_lane(noted: list[Trouble]) -> None:
    """What is given up within a moment had three unreadable answers, with nothing in between."""
    given_up = outage_after(*noted).given_up
    in_a_row = any(
        noted[at : at + UNREADABLE_AFTER] == [UNREADABLE] * UNREADABLE_AFTER for at in range(len(noted))
    )
    assert given_up == (Reason.ANSWERS_UNREADABLE if in_a_row else None)


@given(st.lists(st.tuples(troubles, st.integers(0, 5), st.floats(0, 100)), max_size=40))
def test_pauses_are_never_shorter_than_they_were(noted: list[tuple[Trouble, int, float]]) -> None:
    """Without an answer in between, the moment of the next message only moves on."""
    outage, now = Outage(), 0.0
    for trouble, place, passed in noted:
        now += passed
        before, pauses = outage.probe_at, outage.pauses
        pause_s = outage.note(trouble, place, now=now, jitter=0.5)
        assert outage.probe_at >= before
        assert outage.pauses - pauses == (pause_s is not None)
        assert outage.is_on == (outage.pauses > 0)
