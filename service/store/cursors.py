"""Cursors: where a page of a list ended, as text that means nothing to a caller."""

import base64
from typing import Any, Final

import orjson

from service.domain.errors import BadCursorError

FOREIGN: Final = "the cursor does not belong to this list"


def cursor_of(last_seen: str | int | list[str]) -> str:
    """Return the cursor of a page that ended there."""
    return base64.urlsafe_b64encode(orjson.dumps(last_seen)).decode().rstrip("=")


def read_cursor(cursor: str | None) -> Any:
    """Return where the page ended, None for the first one; raises BadCursorError."""
    if cursor is None:
        return None
    try:
        last_seen = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        last_seen = None
    if last_seen is None:
        raise BadCursorError(FOREIGN)
    return last_seen


def read_number(cursor: str | None, *, most: int = 2**31 - 1) -> int:
    """Return the number, from 0 on, that a page ended with; -1 for the first page. Raises BadCursorError."""
    if cursor is None:
        return -1
    number = read_cursor(cursor)
    if type(number) is not int or not 0 <= number <= most:
        raise BadCursorError(FOREIGN)
    return number
