"""Passwords: argon2id in threads, a few at once, and as long for an account that is not there."""

import asyncio
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from service.domain.identity.login_errors import TooManyRequestsError
from service.runtime.daemon_thread import run_in_daemon_thread

if TYPE_CHECKING:
    from argon2 import PasswordHasher

AT_ONCE: Final = 2
"""Each takes 19 MiB, and a core for about 40 ms."""
WAITING: Final = 64
"""More would wait longer than anybody does."""
NOBODY: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$8qqoA2GptPOB2oMERnRgiQ$f6gc0o9pTTtEBuja3iAK0EqZ5SSjwEGvIkji2y/0qt4"
)
"""Compared where there is no account: at the same cost, and of a password that nobody has kept."""

T = TypeVar("T")


class Passwords:
    """Hashes and compares passwords; for the event loop's thread only."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._under_way = 0

    async def hashed(self, password: str) -> str:
        """Return what is to be stored of a password; raises TooManyRequestsError."""
        return await self._in_turn(lambda: _hasher().hash(_normal(password)))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Return whether `password` is the one that was `stored`; None is nobody's, and takes as long.

        Raises TooManyRequestsError while as many as can be waited for are being compared.
        """
        is_same = await self._in_turn(lambda: _is_same(stored or NOBODY, _normal(password)))
        return is_same and stored is not None

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._under_way >= WAITING:
            raise TooManyRequestsError("too many passwords are being compared: try again in 5 s", wait_s=5)
        self._under_way += 1
        try:
            async with self._places:
                return await run_in_daemon_thread(work)
        finally:
            self._under_way -= 1


def _hasher() -> "PasswordHasher":
    """Return argon2id as OWASP's Password Storage Cheat Sheet has it: 19 MiB, two passes, one lane."""
    from argon2 import PasswordHasher  # noqa: PLC0415  # only where somebody logs in

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def _is_same(stored: str, password: bytes) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415  # see above

    try:
        return _hasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> bytes:
    """Return one spelling of what keyboards spell in several ways (NIST SP 800-63B: NFKC)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
