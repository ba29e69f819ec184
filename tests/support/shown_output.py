"""What a page shows a command to print, compared with what it printed.

`…` stands for anything, and alone on a line for any lines; in JSON for any further keys or items. Times,
seconds, and the widths and frames of tables are not compared. An id that a page shows stands for the one that
was printed.
"""

import json
import re
from typing import Any, Final

_DRAWN: Final = re.compile(r"[ ━─┃│┏┓┡┩├┤└┘┳╇┴┼╭╮╰╯┬]+")
_NEW_EACH_TIME: Final = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?)"
    r"|(?P<id>\d{8}T\d{6}Z-[0-9a-f]{8}|\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b)"
    r"|(?P<seconds>\d+(?:\.\d+)? s\b)"
    r"|(?P<any>…)"
)
_SHOWN_AS: Final = {
    "time": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?",
    "seconds": r"\d+(?:\.\d+)? s",
    "any": r".*?",
}


def ids_as_shown(shown: str, printed: str) -> dict[str, str] | None:
    """Return what stands for each id that the page shows, or None where something else was printed."""
    try:
        expected = json.loads(shown)
    except ValueError:
        return _in_text(shown, printed)
    ids: dict[str, str] = {}
    return ids if _same(expected, json.loads(printed), ids) else None


def _in_text(shown: str, printed: str) -> dict[str, str] | None:
    groups: dict[str, str] = {}

    def pattern(line: str) -> str:
        parts, end = [], 0
        for found in _NEW_EACH_TIME.finditer(line):
            parts.append(re.escape(line[end : found.start()]))
            parts.append(_named(found, groups))
            end = found.end()
        return "".join(parts) + re.escape(line[end:])

    lines: list[str] = [
        r"(?:.*\n)*?" if line.strip() == "…" else pattern(_plain(line)) + r"\n" for line in shown.splitlines()
    ]
    text = "".join(_plain(line) + "\n" for line in printed.splitlines())
    found = re.fullmatch("".join(lines), text)
    return None if found is None else {shown_id: found[name] for shown_id, name in groups.items()}


def _named(found: re.Match[str], groups: dict[str, str]) -> str:
    kind = found.lastgroup or ""
    if kind != "id":
        return _SHOWN_AS[kind]
    if found[0] in groups:
        return f"(?P={groups[found[0]]})"
    groups[found[0]] = f"id{len(groups)}"
    shape = r"\d{8}T\d{6}Z-[0-9a-f]{8}" if "T" in found[0] else rf"[0-9a-f]{{{len(found[0])}}}"
    return f"(?P<{groups[found[0]]}>{shape})"


def _plain(line: str) -> str:
    """Return a line without the widths and the frames of a table."""
    return _DRAWN.sub(" ", line).strip()


def _same(expected: Any, actual: Any, ids: dict[str, str]) -> bool:
    match expected, actual:
        case dict(), dict():
            named = {key: value for key, value in expected.items() if key != "…"}
            complete = "…" in expected or named.keys() == actual.keys()
            return complete and all(
                key in actual and _same(value, actual[key], ids) for key, value in named.items()
            )
        case list(), list():
            named_items = [each for each in expected if each != "…"]
            complete = len(named_items) < len(expected) or len(expected) == len(actual)
            return (
                complete
                and all(_same(each, other, ids) for each, other in zip(named_items, actual, strict=False))
                and len(named_items) <= len(actual)
            )
        case str(), str():
            found = _in_text(expected.replace("\n", "⏎"), actual.replace("\n", "⏎"))
            ids |= found or {}
            return found is not None
        case _:
            return bool(expected == actual and type(expected) is type(actual))
