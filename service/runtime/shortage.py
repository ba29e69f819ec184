"""Shortage: whether something failed because this process has no descriptor or memory left to do it with."""

import errno
import socket
from contextlib import ExitStack
from typing import Final

_NEEDED: Final = 4
"""A database is several files."""
_SHORTAGES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def lacks_resources(problem: BaseException | None = None) -> bool:
    """Return whether that is why `problem` was raised, or is so at this moment.

    Libraries hide it: a resolver that gets no socket only says that it does not know the name, and SQLite
    that it cannot open its file.
    """
    if isinstance(problem, OSError) and problem.errno in _SHORTAGES:
        return True
    with ExitStack() as stack:
        try:
            for _ in range(_NEEDED):
                stack.enter_context(socket.socket())
        except OSError as shortage:
            return shortage.errno in _SHORTAGES
    return False
