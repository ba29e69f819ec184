"""The clocks that other tests rely on keep time."""

import asyncio
import time
from datetime import timedelta

from service.runtime.clock import Clock, SystemClock
from tests.support.clocks import START, ManualClock, ScaledClock


def test_every_clock_is_a_clock() -> None:
    """All clocks serve where the service wants one, and time never goes back on any."""
    clocks: list[Clock] = [SystemClock(), ManualClock(), ScaledClock(100)]
    for clock in clocks:
        assert clock.monotonic() <= clock.monotonic()
        assert clock.now() <= clock.now()
        assert clock.now().utcoffset() == timedelta(0)
        assert 0 <= clock.jitter() < 1


def test_the_machines_clock_goes_on_while_it_is_suspended() -> None:
    """Of Linux's clocks it is the one that counts the time in which the machine slept."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    before, now = time.clock_gettime(clock), SystemClock().monotonic()
    assert before <= now <= time.clock_gettime(clock)


async def test_made_up_time_passes_by_sleeping() -> None:
    """An hour's sleep takes no time and moves both readings by an hour."""
    clock = ManualClock()
    began = time.monotonic()
    await clock.sleep(3600)
    assert clock.monotonic() == 3600
    assert clock.now() == START + timedelta(hours=1)
    assert time.monotonic() - began < 5


async def test_sleepers_wake_in_the_order_of_their_moments() -> None:
    """Many sleepers share one time line, whoever fell asleep first."""
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.monotonic()))

    await asyncio.gather(sleeper("slow", 5, 1), sleeper("quick", 1, 1, 1, 4), sleeper("late", 10))
    assert woken == [
        ("quick", 1),
        ("quick", 2),
        ("quick", 3),
        ("slow", 5),
        ("slow", 6),
        ("quick", 7),
        ("late", 10),
    ]


async def test_a_cancelled_sleeper_holds_nobody_up() -> None:
    """Time passes a moment that nobody waits for any more."""
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await clock.sleep(2)
    assert clock.monotonic() == 2
    assert task.cancelled()


async def test_scaled_time_passes_faster() -> None:
    """Sleeping 10 seconds at 1000 times the pace takes a hundredth of a second and reads as 10 or more."""
    clock = ScaledClock(1000)
    before, began = clock.monotonic(), time.monotonic()
    await clock.sleep(10)
    assert time.monotonic() - began < 5
    assert clock.monotonic() - before >= 9.9
