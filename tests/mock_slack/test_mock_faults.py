"""Seeded faults: how many, how long, and the same ones again."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest

from mock_slack.faults import Faults
from mock_slack.settings import GivenSettings
from tests.mock_slack.harness import Mock, alert


def _faults(seed: int = 7, **settings: Any) -> Faults:
    return Faults(GivenSettings(**settings), seed)


def _status(faults: Faults, name: str) -> int:
    answer = faults.draw(name)
    return 200 if answer is None else answer.status


def test_faults_come_at_the_rates_asked_for() -> None:
    """Of many alerts about 10 % meet a 429 and 5 % a 500, and a retry draws anew."""
    faults = _faults()
    for _ in range(2):
        seen = Counter(_status(faults, f"alert {number}") for number in range(10_000))
        assert 900 < seen[429] < 1100
        assert 400 < seen[500] < 600


@pytest.mark.parametrize(
    ("rates", "status"),
    [({"fail_rate_429": 1, "fail_rate_500": 0}, 429), ({"fail_rate_429": 0, "fail_rate_500": 1}, 500)],
)
def test_a_rate_of_one_spares_nobody(rates: dict[str, Any], status: int) -> None:
    """The ends of the scale are exact."""
    faults = _faults(**rates)
    assert {_status(faults, str(number)) for number in range(500)} == {status}


def test_a_run_repeats_whatever_its_order() -> None:
    """What an alert meets depends on the seed, the alert and its nth sight alone."""
    names = [f"alert {number}" for number in range(300)] * 3
    shuffled = Random(1).sample(names, len(names))  # noqa: S311  a shuffle is no secret
    runs = []
    for order in (names, shuffled):
        faults, met = _faults(), dict[str, list[int]]()
        for name in order:
            met.setdefault(name, []).append(_status(faults, name))
        runs.append(met)
    assert runs[0] == runs[1]


def test_another_seed_is_another_run() -> None:
    """Two seeds do not pick the same alerts."""
    names = [str(number) for number in range(300)]
    one, other = _faults(seed=1), _faults(seed=2)
    assert [_status(one, name) for name in names] != [_status(other, name) for name in names]


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(1, 5, {1.0, 2.0, 3.0, 4.0, 5.0}), (0, 0, {0.0}), (0.25, 0.25, {0.25})]
)
def test_retry_after_covers_its_range(low: float, high: float, expected: set[float]) -> None:
    """Whole limits give whole seconds, both ends included."""
    faults = _faults(fail_rate_429=1, fail_rate_500=0, min_retry_after=low, max_retry_after=high)
    answers = [faults.draw(str(number)) for number in range(300)]
    assert {answer.retry_after for answer in answers if answer} == expected


def test_retry_after_may_be_a_fraction_for_fast_tests() -> None:
    """Fractional limits give milliseconds within them, written without an exponent."""
    faults = _faults(fail_rate_429=1, fail_rate_500=0, min_retry_after=0.0201, max_retry_after=0.1)
    for number in range(300):
        answer = faults.draw(str(number))
        assert answer is not None
        assert 0.0201 <= float(answer.headers["retry-after"]) <= 0.1
        assert "e" not in answer.headers["retry-after"]


def test_whole_seconds_are_sent_without_a_point(start_mock: Callable[..., Mock]) -> None:
    """A seeded 429 looks like Slack's, down to the header."""
    mock = start_mock(fail_rate_429=1, min_retry_after=3, max_retry_after=3)
    response = mock.http.post("/hooks/amer", json=alert("a"))
    assert response.headers["retry-after"] == "3"
    assert response.json() == {"retry_after": 3, "ok": False, "error": "rate_limited"}
    assert mock.records()[0].retry_after == 3


def test_concurrent_senders_meet_the_same_faults(start_mock: Callable[..., Mock]) -> None:
    """Four senders at once, after a reset, see each alert treated as one sender did."""
    mock = start_mock(seed=3, fail_rate_429=0.3, fail_rate_500=0.3)
    names = [f"alert {number}" for number in range(60)]

    def send(name: str) -> int:
        return mock.post(alert(name))[0]

    one_by_one = [send(name) for name in names]
    mock.http.post("/reset")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, names)) == one_by_one


def test_refused_messages_and_scripted_answers_are_no_sights(start_mock: Callable[..., Mock]) -> None:
    """Only a message that reaches the draw counts, so a test's detours do not change what comes after."""
    straight = start_mock(seed=3, fail_rate_429=0.3, fail_rate_500=0.3)
    expected = [straight.post(alert("a"))[0] for _ in range(10)]
    mock = start_mock(seed=3, fail_rate_429=0.3, fail_rate_500=0.3)
    got = []
    for _ in range(10):
        mock.script({"status": 503})
        assert mock.post(alert("a"))[0] == 503
        assert mock.post({"text": ""})[0] == 400
        got.append(mock.post(alert("a"))[0])
    assert got == expected


def test_the_first_block_or_else_the_content_names_the_alert(start_mock: Callable[..., Mock]) -> None:
    """Messages whose first block names one alert are one; else the same content in any key order is."""
    mock = start_mock()
    mock.post(alert("one", "first words"))
    mock.post(alert("one", "other words"), "emea")
    for text in ("a", "b"):
        mock.post({"text": text, "blocks": [{"type": "divider", "block_id": f"log_rule.{'0a' * 16}"}]})
    mock.post(b'{"text": "x", "username": "y"}')
    mock.post(b'{"username": "y",  "text": "x"}')
    mock.post({"text": "z", "blocks": [{"type": "divider", "block_id": "other.one"}]})
    mock.post({"text": "zz", "blocks": [{"type": "divider"}]})
    mock.post({"text": "zzz", "blocks": []})
    duplicates = mock.report().total.duplicates
    assert duplicates.pop("one") == 2
    assert duplicates.pop("0a" * 16) == 2
    assert list(duplicates.values()) == [2]
