"""Limits: who may go on, who has to wait and for how long, by a clock of the test's own."""

import pytest

from service.access import throttle
from service.access.throttle import Throttle
from service.access.throttle_memory import ThrottleMemory
from service.domain.identity.login_errors import TooManyRequestsError
from tests.support.clocks import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of the limits."""
    return ManualClock()


@pytest.fixture
def doors(clock: ManualClock) -> Throttle:
    """Return limits of three changes a minute and two failed log-ins a quarter of an hour."""
    return Throttle(changes="3/minute", failed_logins="2/15 minutes", clock=clock)


async def waits(doors: Throttle, account: str = "ann", address: str = "10.0.0.1") -> int | None:
    """Fail at a log-in; return how long it has to be waited where it is not even tried."""
    try:
        async with doors.attempt(account, address):
            return None
    except TooManyRequestsError as refused:
        return refused.wait_s


async def test_changes_are_counted_for_each_caller(doors: Throttle, clock: ManualClock) -> None:
    """Whoever has made too many waits for the end of the minute, and nobody else does."""
    for _ in range(3):
        await doors.change("ann")
    clock.advance(20.5)
    with pytest.raises(TooManyRequestsError, match="too many changes: try again in 40 s") as refused:
        await doors.change("ann")
    assert refused.value.wait_s == 40
    await doors.change("bob")
    clock.advance(39.5)
    await doors.change("ann")


async def test_failed_log_ins_are_counted_for_account_and_address(
    doors: Throttle, clock: ManualClock
) -> None:
    """Whoever fails at an account is stopped there; its owner is not, who comes from elsewhere."""
    assert [await waits(doors) for _ in range(3)] == [None, None, 15 * 60]
    assert await waits(doors, address="10.0.0.2") is None
    assert await waits(doors, account="bob") is None
    clock.advance(15 * 60)
    assert await waits(doors) is None


async def test_a_log_in_that_succeeds_does_not_count(doors: Throttle) -> None:
    """However often somebody logs in."""
    for _ in range(100):
        async with doors.attempt("ann", "10.0.0.1") as attempt:
            attempt.has_failed = False
    assert await waits(doors) is None


async def test_log_ins_at_once_are_not_free(doors: Throttle) -> None:
    """As many can be under way as may fail: a thousand guesses in one moment are two."""
    async with doors.attempt("ann", "10.0.0.1"), doors.attempt("ann", "10.0.0.1"):
        assert await waits(doors) is not None
    assert await waits(doors) is not None


async def test_one_address_cannot_try_every_account(doors: Throttle) -> None:
    """One password for each of many accounts is guessing, too."""
    assert [await waits(doors, account=f"user{n}") for n in range(40)] == [None] * 40
    assert await waits(doors, account="user40") == 15 * 60
    assert await waits(doors, account="user40", address="10.0.0.2") is None


async def test_many_addresses_cannot_try_one_account(doors: Throttle) -> None:
    """Also where each of them fails only once."""
    assert [await waits(doors, address=f"10.0.1.{n}") for n in range(40)] == [None] * 40
    assert await waits(doors, address="10.0.2.1") == 15 * 60


async def test_a_break_counts_as_a_failure(doors: Throttle) -> None:
    """Whatever ends an attempt, such as a client that hangs up, makes none free."""
    for _ in range(2):
        with pytest.raises(RuntimeError):
            async with doors.attempt("ann", "10.0.0.1"):
                raise RuntimeError
    assert await waits(doors) is not None


async def test_memory_has_an_end(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who invents accounts without end makes the oldest counts be forgotten, and not the process die."""
    memory = ThrottleMemory(clock.monotonic, most_keys=20)
    for number in range(100):
        clock.advance(0.001)
        await memory.incr(f"key{number}", 60)
    assert await memory.get("key99") == 1
    assert await memory.get("key0") == 0
    assert await memory.reset() in range(10, 21)
    monkeypatch.setattr(throttle, "MOST_KEYS", 10)
    small = Throttle(changes="1/minute", failed_logins="2/minute", clock=clock)
    for number in range(100):
        await small.change(f"somebody {number}")
