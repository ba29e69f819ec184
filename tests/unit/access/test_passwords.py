"""Passwords: what is stored of them, and how nobody learns from the clock which accounts there are."""

import asyncio
import time
from statistics import median

import pytest
from argon2 import extract_parameters

from service.access import passwords
from service.access.passwords import NOBODY, Passwords
from service.domain.identity.login_errors import TooManyRequestsError


async def test_the_right_password_matches_and_no_other() -> None:
    """What is stored is argon2id, salted, and does not hold the password."""
    doors = Passwords()
    stored = await doors.hashed("correct horse battery")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert "correct" not in stored
    assert stored != await doors.hashed("correct horse battery")
    assert await doors.matches(stored, "correct horse battery")
    assert not await doors.matches(stored, "correct horse batterY")
    assert not await doors.matches(stored, "")


async def test_one_password_typed_on_two_keyboards_is_one() -> None:
    """An `é` is one character or two, and a full-width digit is a digit."""
    doors = Passwords()
    stored = await doors.hashed("caf\u00e9 noir 12")
    assert await doors.matches(stored, "cafe\u0301 noir \uff11\uff12")


@pytest.mark.parametrize("stored", ["", "nonsense", "$argon2id$v=19$m=19456,t=2,p=1$x$y", "$2b$12$abc"])
async def test_what_is_no_hash_matches_nothing(stored: str) -> None:
    """A damaged row is nobody's password, and no error."""
    assert not await Passwords().matches(stored, "correct horse battery")


async def test_an_account_that_is_not_there_costs_the_same() -> None:
    """What is compared in its place has the same parameters, and matches nothing."""
    doors = Passwords()
    stored = await doors.hashed("correct horse battery")
    assert extract_parameters(NOBODY) == extract_parameters(stored)
    assert not await doors.matches(None, "correct horse battery")


async def test_unknown_and_known_accounts_take_equal_time() -> None:
    """Measured in CPU time of this process, so that a busy machine does not matter."""
    doors = Passwords()
    stored = await doors.hashed("correct horse battery")

    async def cost(of: str | None) -> float:
        began = time.process_time()
        await doors.matches(of, "wrong horse battery")
        return time.process_time() - began

    pairs = [(await cost(stored), await cost(None)) for _ in range(9)]
    known, unknown = (median(each) for each in zip(*pairs, strict=True))
    assert 0.5 < known / unknown < 2


async def test_few_are_compared_at_once_and_the_loop_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of log-ins takes two threads, the next ones wait, and who would wait too long is sent away."""
    monkeypatch.setattr(passwords, "WAITING", 6)
    doors = Passwords()
    under_way = [asyncio.create_task(doors.matches(None, f"password {n}")) for n in range(6)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequestsError) as refused:
        await doors.matches(None, "one more")
    assert refused.value.wait_s == 5
    assert await asyncio.gather(*under_way) == [False] * 6
    assert not await doors.matches(None, "again")
