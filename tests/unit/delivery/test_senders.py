"""Senders are shared so that no destination, however slow, can take them all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.senders import Senders, has_free_sender

Grabs = list[tuple[int, bool]]
"""Which lane asks, and whether it asks for a sender (else it gives one back)."""

grabs = st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=200)


def in_flight_after(asks: Grabs, *, lanes: int, concurrency: int) -> dict[str, int]:
    """Return how many senders each lane holds after these asks, checking the rules on the way."""
    held = {f"lane{number}": 0 for number in range(lanes)}
    for number, takes in asks:
        lane = f"lane{number % lanes}"
        if not takes:
            held[lane] = max(0, held[lane] - 1)
        elif has_free_sender(held, lane, concurrency=concurrency):
            held[lane] += 1
        assert sum(held.values()) <= concurrency
    return held


@given(grabs, st.integers(2, 8), st.integers(0, 8))
def test_an_idle_lane_always_gets_one(asks: Grabs, lanes: int, spare: int) -> None:
    """With a sender for every lane, a lane that holds none is never made to wait."""
    held = in_flight_after(asks, lanes=lanes, concurrency=lanes + spare)
    for lane, count in held.items():
        if count == 0:
            assert has_free_sender(held, lane, concurrency=lanes + spare)


@given(grabs, st.integers(2, 8), st.integers(2, 12))
def test_no_lane_holds_every_sender(asks: Grabs, lanes: int, concurrency: int) -> None:
    """With two senders or more, one is always beyond the reach of any single lane."""
    held = in_flight_after(asks, lanes=lanes, concurrency=concurrency)
    assert max(held.values()) < concurrency


@given(st.integers(1, 8), st.integers(1, 12))
def test_a_greedy_lane_gets_all_that_is_shared(lanes: int, concurrency: int) -> None:
    """A lane alone at work uses every sender but those kept for the others: none lies idle needlessly."""
    greedy = [(0, True)] * (concurrency + 1)
    held = in_flight_after(greedy, lanes=lanes, concurrency=concurrency)["lane0"]
    expected = concurrency - lanes + 1 if concurrency >= lanes else max(1, concurrency - 1)
    assert held == expected


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_a_single_sender_goes_round(lanes: int) -> None:
    """With one sender, whoever asks first has it, and nobody else until it is given back."""
    held = in_flight_after([(0, True)], lanes=lanes, concurrency=1)
    assert sum(held.values()) == 1
    assert not any(has_free_sender(held, lane, concurrency=1) for lane in held)
    held["lane0"] = 0
    assert all(has_free_sender(held, lane, concurrency=1) for lane in held)


@given(grabs, st.integers(1, 8), st.integers(1, 12))
def test_somebody_can_always_go_on(asks: Grabs, lanes: int, concurrency: int) -> None:
    """While a sender is idle, some lane may use it: the rules never lock each other out."""
    held = in_flight_after(asks, lanes=lanes, concurrency=concurrency)
    if sum(held.values()) < concurrency and (lanes > 1 or concurrency == 1):
        assert any(has_free_sender(held, lane, concurrency=concurrency) for lane in held)


def test_runs_share_the_senders_of_their_process() -> None:
    """A lane that hangs in two runs holds no more than in one, and another lane still gets its own."""
    senders, woken = Senders(3), list[str]()
    for lane in ("amer", "emea") * 2:
        senders.join(lane)
    taken = [senders.take("amer", wake=lambda: woken.append("amer")) for _ in range(4)]
    assert taken == [True, True, False, False]
    assert senders.take("emea", wake=lambda: woken.append("emea"))
    assert woken == []


def test_who_waits_for_a_sender_is_woken_once() -> None:
    """When one comes free everybody who asked in vain may ask again, and nobody else hears of it."""
    senders, woken = Senders(1), list[str]()
    senders.join("amer")
    assert senders.take("amer", wake=lambda: woken.append("first"))
    for name in ("second", "third"):
        assert not senders.take("amer", wake=lambda name=name: woken.append(name))  # type: ignore[misc]
    senders.give_back("amer")
    senders.give_back("amer")
    assert sorted(woken) == ["second", "third"]


def test_a_lane_that_no_run_uses_any_more_keeps_no_sender() -> None:
    """What a run held when it ended comes free, and the others get what was kept for its lanes."""
    senders = Senders(2)
    for lane in ("amer", "emea", "emea"):
        senders.join(lane)
    assert senders.take("amer", wake=lambda: None)
    assert not senders.take("amer", wake=lambda: None), "one is kept for the other lane"
    senders.leave("emea")
    assert not senders.take("amer", wake=lambda: None), "another run uses it still"
    senders.leave("emea")
    assert senders.take("amer", wake=lambda: None)
    senders.join("amer")
    senders.leave("amer", held=2)
    assert senders.take("amer", wake=lambda: None)
