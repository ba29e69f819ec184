"""The log: one JSON line for each request that the mock answered."""

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from mock_slack.answer import Answer
from mock_slack.message import Message

# How much is kept of a body that could not be read, characters.
RAW_CAP = 2_000
# How many lines are at hand without reading the file; about 2 KB each.
_IN_MEMORY = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of the log, as a reader gets it back."""

    # When the answer was decided: ISO 8601, UTC, microseconds.
    ts: str
    channel: str
    # The status answered, or that would have been had the connection not been dropped.
    status_code: int
    # Seconds; text when a script sent something that is no number; None when absent.
    retry_after: float | str | None
    # The message, or None when the body held none.
    payload: dict[str, Any] | None
    # The body as text, capped, when it held no message.
    raw: str | None = None
    # Why the message was refused, in more words than Slack's.
    reason: str | None = None
    # "after" when the client got no answer.
    dropped: str | None = None
    # The method of the Web API; None for a webhook.
    method: str | None = None


class Log:
    """Appends records to the file and reads the latest back.

    The file is opened by the first record and stays open. It is written on the event loop: a flushed append
    to the page cache takes microseconds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._lines: deque[bytes] = deque(maxlen=_IN_MEMORY)
        self._count = 0
        # Where in the file the records since the start or the last reset begin, bytes.
        self._begin = 0

    def append(self, channel: str, message: Message, answer: Answer, *, method: str | None = None) -> None:
        """Write the record of one request; readers of the file see it at once.

        Raises OSError when the file cannot be opened or written.
        """
        record: dict[str, Any] = {
            "ts": datetime.now(UTC).isoformat(timespec="microseconds"),
            "channel": channel,
            "status_code": answer.status,
            "retry_after": answer.retry_after,
            # The line is JSON already, so it is not written a second time.
            "payload": None if message.line is None else orjson.Fragment(message.line),
        }
        if message.line is None:
            record["raw"] = message.raw[: 4 * RAW_CAP].decode("utf-8", "replace")[:RAW_CAP]
        if answer.reason is not None:
            record["reason"] = answer.reason
        if answer.drop is not None:
            record["dropped"] = answer.drop
        if method is not None:
            record["method"] = method
        line = orjson.dumps(record)
        if self._file is None:
            self._file = self._open()
        self._file.write(line + b"\n")
        self._file.flush()
        self._lines.append(line)
        self._count += 1

    def recent(self, limit: int) -> list[bytes] | None:
        """Return the last `limit` lines, oldest first, or None when that takes `read`."""
        if limit > len(self._lines) < self._count:
            return None
        return list(islice(self._lines, max(0, len(self._lines) - limit), None))

    def read(self, limit: int) -> list[bytes]:
        """Read the last `limit` lines from the file, oldest first; blocks, so call it in a thread."""
        with self.path.open("rb") as file:
            file.seek(self._begin)
            return [line.rstrip(b"\n") for line in deque(file, maxlen=limit)]

    def reset(self) -> None:
        """Forget the records so far; the file keeps them."""
        self._lines.clear()
        self._count = 0
        if self._file is not None:
            self._begin = self._file.tell()

    def close(self) -> None:
        """Close the file; a later record would open it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> BinaryIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("ab")
        if not self._count:
            # What an earlier mock left in the file is not shown as this one's.
            self._begin = file.tell()
        return file
