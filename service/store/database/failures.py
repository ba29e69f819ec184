"""What the databases' errors mean, in sentences that name no statement, value or address."""

from ssl import SSLCertVerificationError
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from service.domain.errors import DatabaseUnusableError

_BUSY: Final = "another process is writing"
_DAMAGED: Final = "its file is damaged"
_READ_ONLY: Final = "it is read-only"
_FULL: Final = "it, or the disk that it is on, is full"

# SQLite's primary result codes (https://www.sqlite.org/rescode.html) and PostgreSQL's SQLSTATEs
# (https://www.postgresql.org/docs/16/errcodes-appendix.html).
_TRY_AGAIN: Final[dict[int | str, str]] = {
    5: _BUSY,
    6: _BUSY,
    "40001": _BUSY,
    "40P01": _BUSY,
    "53300": "its server has no connection left",
    "55P03": _BUSY,
    "57014": "its server took too long",
}
_MEANING: Final[dict[int | str, str]] = {
    "22001": "a text is too long for its column",
    "22003": "a number is too large for its column",
    "22021": "a text holds NUL, which it cannot store",
    "22P05": "a text holds NUL, which it cannot store",
    3: "its file may not be opened",
    8: _READ_ONLY,
    10: "its file cannot be read or written",
    11: _DAMAGED,
    13: _FULL,
    14: "its file cannot be opened",
    23: "access to it was refused",
    26: _DAMAGED,
    "25006": _READ_ONLY,
    "28000": "its server refused this user",
    "28P01": "its server refused this user's password",
    "3D000": "its server has no database of this name",
    "42501": "this user may not do what is needed",
    "42P01": "a table is missing",
    "53100": _FULL,
    "53200": "its server is out of memory",
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}
_AWAY: Final[dict[int | str, str]] = {
    "08000": "its server cannot be reached",
    "08001": "its server cannot be reached",
    "08003": "the connection was lost",
    "08004": "its server refused the connection",
    "08006": "the connection was lost",
    "25P03": "its server ended a transaction in which nothing happened",
    "57P01": "its server is shutting down",
    "57P02": "its server crashed",
    "57P03": "its server is not ready",
}


class DatabaseBusyError(DatabaseUnusableError):
    """Somebody else held the database for longer than the busy timeout; it can be tried again."""


class DatabaseUnavailableError(DatabaseUnusableError):
    """The connection was lost, or none can be had: nothing was changed, and it can be tried again."""


def translated(problem: Exception) -> DatabaseUnusableError:
    """Say what an error of a driver, of SQLAlchemy or of the network means."""
    if isinstance(problem, PoolTimeoutError):
        return DatabaseBusyError("the database is busy: no connection came free")
    cause = problem.orig if isinstance(problem, DBAPIError) and problem.orig is not None else problem
    code = _code(cause)
    if code in _TRY_AGAIN:
        return DatabaseBusyError(f"the database is busy: {_TRY_AGAIN[code]}")
    what = f"the database cannot be used: {_AWAY.get(code) or _MEANING.get(code) or _in_general(cause)}"
    if code in _AWAY:
        return DatabaseUnavailableError(what)
    lost = isinstance(problem, DBAPIError) and problem.connection_invalidated
    return (
        DatabaseUnavailableError(what) if lost or isinstance(cause, OSError) else DatabaseUnusableError(what)
    )


def _code(cause: BaseException) -> int | str:
    """Return SQLite's primary result code, or PostgreSQL's SQLSTATE, or nothing."""
    number = getattr(cause, "sqlite_errorcode", None)
    if isinstance(number, int):
        return number & 0xFF
    state = getattr(cause, "sqlstate", None)
    return state if isinstance(state, str) else ""


def _in_general(cause: BaseException) -> str:
    name = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    if name:
        return f"its error is {name}"
    if isinstance(cause, SSLCertVerificationError):
        return "its server's certificate is not one that sslmode and sslrootcert allow"
    if isinstance(cause, TimeoutError):
        return "its server did not answer in time"
    if isinstance(cause, OSError):
        return "its server cannot be reached"
    return type(cause).__name__
