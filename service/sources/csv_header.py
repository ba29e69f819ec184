"""The header of a CSV file: where its first record ends, which may be a row already. Pure."""

import re
from typing import Final

BOM: Final = b"\xef\xbb\xbf"
_QUOTE: Final = b'"'
_LINE_BREAK: Final = re.compile(rb"\r\n|\n|\r")


def first_record(content: bytes | memoryview) -> bytes:
    """Return the first line that closes all its quotes, with its line break and blank lines before it.

    All is returned if no line does.
    """
    text = bytes(content)
    begin = quotes = 0
    is_blank = True
    for line_break in _LINE_BREAK.finditer(text):
        line = text[begin : line_break.end()]
        quotes += line.count(_QUOTE)
        is_blank = is_blank and not (line if begin else line.removeprefix(BOM)).strip()
        begin = line_break.end()
        if quotes % 2 == 0 and not is_blank:
            return text[:begin]
    return text
