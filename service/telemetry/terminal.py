"""Text for a terminal: nothing that came from data or a caller moves its cursor or turns its lines round."""

import json
import re
from typing import Final

_UNSAFE: Final = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters: C0, DEL and C1, among them CSI as a single one
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls (UAX #9)
    "\u2028\u2029"  # line and paragraph separators
    "\xad\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # invisible
    "\ud800-\udfff"  # halves of a character
    "]"
)
_UNSAFE_BUT_LINES: Final = re.compile(rf"(?!\n){_UNSAFE.pattern}")


def harmless(text: str, *, lines: bool = False) -> str:
    r"""Return `text` with what a terminal would obey, or would not show, as escapes such as `\x1b`.

    With `lines`, line ends stay as they are.
    """
    return (_UNSAFE_BUT_LINES if lines else _UNSAFE).sub(_escaped, text)


def harmless_json(document: str) -> str:
    r"""Return a JSON document with the same as JSON's own escapes, such as `\u009b`: it reads the same."""
    if document.isascii() and "\x7f" not in document:
        # JSON has escaped the rest by itself; nearly every line of a log ends here.
        return document
    # Outside of its texts JSON has nothing of the kind but line ends.
    return _UNSAFE_BUT_LINES.sub(lambda match: json.dumps(match[0])[1:-1], document)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
