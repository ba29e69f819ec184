"""The answer of a method of Slack's Web API: an object, or the word for what is wrong. Pure."""

import json
import re
from typing import Any, Final

NO_ANSWER: Final = "no_answer"
_WORD: Final = re.compile(r"[a-z][a-z_]{0,63}", re.ASCII)
_SCOPES: Final = re.compile(r"[a-z][a-z:.,]{0,79}", re.ASCII)


class WebApiError(Exception):
    """A call was refused, or got no answer."""

    def __init__(self, word: str, *, needed: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(f"{word} ({needed})" if needed else word)
        self.word = word
        """Slack's, such as `missing_scope`; `NO_ANSWER` where none came."""
        self.retry_after_s = retry_after_s
        """When a call may be tried again, where it was one too many."""


def read_answer(body: bytes) -> dict[str, Any] | None:
    """Return the object that Slack answered with; None where it is none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):  # nested without end
        return None
    return answer if isinstance(answer, dict) else None


def rows_of(answer: dict[str, Any], name: str) -> list[Any]:
    """Return the list that an answer has under a name; raises WebApiError: without one it says nothing."""
    rows = answer.get(name)
    if not isinstance(rows, list):
        raise WebApiError(f"no_{name}")
    return rows


def error_of(answer: dict[str, Any] | None) -> str | None:
    """Return Slack's word for what is wrong; anything else might echo a secret and is left out."""
    error = (answer or {}).get("error")
    return error if isinstance(error, str) and _WORD.fullmatch(error) else None


def needed_of(answer: dict[str, Any] | None) -> str | None:
    """Return the scopes that a token would need, where Slack names them."""
    needed = (answer or {}).get("needed")
    return needed if isinstance(needed, str) and _SCOPES.fullmatch(needed) else None
