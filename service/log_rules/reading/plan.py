"""The plan of a log: what an evaluation would read, and how much memory that takes at most."""

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from service.log_rules.memory import (
    AGAIN_BYTES,
    ALERT_BYTES,
    FOUND_BYTES,
    GROUP_BYTES,
    KEPT_BYTES,
    LEAST_STEPS,
    OPEN_BYTES,
    REMEMBERED_BYTES,
)
from service.log_rules.reading.csv_blocks import BLOCK
from service.log_rules.reading.log_files import LogFiles
from service.log_rules.reading.matching import Matcher
from service.log_rules.rule import Period, RuleFile
from service.log_rules.rules_file import duration_text
from service.log_rules.threshold import ROW_BYTES
from service.sources.source import Source

_MEGABYTE: Final = 1 << 20
_PROCESS: Final = 100 * _MEGABYTE
"""Python, Arrow and this service, before anything is read: measured as 90 MB."""
_BLOCK_BYTES: Final = 6 * BLOCK
"""Two blocks of CSV while they are read, parsed and matched together: measured as 23 MB."""
_REST_BYTES: Final = 8 * BLOCK
"""Blocks that Arrow reads ahead where values of CSV hold line breaks: measured as 30 MB."""
_MATCHED_BYTES: Final = 110
"""Of a row of a row group while it is decoded and matched: measured."""
_TEXT_BYTES: Final = 3
"""Of a byte of a row group, where each row has texts of its own: measured as 2.6."""
_FREED: Final = 31 * _MEGABYTE
"""What the C library keeps of freed arrays for each thread that reads row groups: measured."""

_PARTS: Final = ("process", "reading", "counting")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlan:
    """What would be read; bytes of Parquet are those of the column chunks, compressed."""

    files: Counter[str]
    """How many of each kind: csv, csv.gz, csv.zst, parquet."""
    csv_bytes: int
    rows: int | None
    """Of all files; None where CSV is among them."""
    row_groups: int
    filter_columns: tuple[str, ...]
    filter_bytes: int
    other_columns: tuple[str, ...]
    """Of Parquet they are decoded only in row groups with a matching row."""
    other_bytes: int
    reading_bytes: int
    counting_bytes: int
    reach: tuple[tuple[str, str], ...]
    """Of each rule how long its rows are handed on to the next run."""
    remembered_bytes: int
    """Of each such row."""
    checkpoint_limit_mb: int

    @property
    def checkpoint(self) -> dict[str, Any]:
        """What the next run begins with: bytes before compression, beside the text of each group."""
        most = None if self.rows is None else self.rows * len(self.reach) * self.remembered_bytes
        return {
            "rows_within": dict(self.reach),
            "each_row": self.remembered_bytes,
            "each_open_episode": OPEN_BYTES,
            "rows_at_most": most,
            "limit_mb": self.checkpoint_limit_mb,
        }

    @property
    def memory_bytes(self) -> dict[str, int]:
        """The most that an evaluation takes, in bytes, and what comes on top by row."""
        return {
            "process": _PROCESS,
            "reading": self.reading_bytes,
            "counting": self.counting_bytes,
            "each_row_within_reach": KEPT_BYTES,
            "each_group": GROUP_BYTES,
            "each_row_collected": ROW_BYTES,
            "each_row_read_again": AGAIN_BYTES,
            "each_alert": ALERT_BYTES,
        }

    def summary(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "files": dict(self.files),
            "csv_bytes": self.csv_bytes,
            "rows": self.rows,
            "row_groups": self.row_groups,
            "filter_columns": list(self.filter_columns),
            "filter_bytes": self.filter_bytes,
            "other_columns": list(self.other_columns),
            "other_bytes": self.other_bytes,
            "memory_bytes": self.memory_bytes,
            "checkpoint_bytes": self.checkpoint,
        }

    def __str__(self) -> str:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.files.items()))
        memory = self.memory_bytes
        first = ", ".join(self.filter_columns) or "nothing"
        parquet = f"first {first} ({self.filter_bytes:,} bytes), and where rows match "
        parquet += f"{', '.join(self.other_columns)} ({self.other_bytes:,} bytes)"
        parts = ", ".join(f"{memory[part] // _MEGABYTE:,} {part}" for part in _PARTS)
        total = sum(memory[part] for part in _PARTS) // _MEGABYTE
        each = f"by rule {KEPT_BYTES} bytes a row within reach and {GROUP_BYTES} a group of them"
        lines = [f"files: {kinds}"]
        lines += [f"csv: all of {self.csv_bytes:,} bytes"] if self.csv_bytes else []
        lines += [f"parquet: {self.row_groups:,} row groups; {parquet}"] if self.row_groups else []
        lines += [
            f"memory: at most {total:,} MB ({parts}), and {each}",
            f"in disorder: {ROW_BYTES} bytes a rule and matched row of the period",
            f"read again: {AGAIN_BYTES} bytes a rule and row within reach before it, of a known file",
            f"found: {ALERT_BYTES:,} bytes an episode or reminder, until it is recorded",
            f"checkpoint: {self._checkpoint_text()}",
        ]
        return "\n".join(lines)

    def _checkpoint_text(self) -> str:
        within = ", ".join(f"{reach} ({rule})" for rule, reach in self.reach)
        most = self.checkpoint["rows_at_most"]
        here = "" if most is None else f", here at most {most:,}"
        rows = f"{self.remembered_bytes} bytes a matched row of the last {within}{here}"
        others = f"{OPEN_BYTES} an open episode, and the text of their groups"
        return f"{rows}, {others}; refused above {self.checkpoint_limit_mb:,} MB"


def plan_log(
    source: Source,
    rules: RuleFile,
    *,
    threads: int,
    settle_rows: int,
    checkpoint_limit_mb: int,
    stop: threading.Event,
) -> LogPlan:
    """List the files and read their first bytes or footers; raises SourceError."""
    files = LogFiles(source, rules.source, stop)
    matcher = Matcher(rules.source, rules.rules, Period())
    kinds: Counter[str] = Counter()
    csv_bytes = rows = groups = filter_bytes = other_bytes = largest = 0
    count = len(rules.rules)
    for file in files.list():
        kind, log = files.looked_at(file, matcher)
        kinds[kind] += 1
        if log is None:
            csv_bytes += file.size
            continue
        for group in range(log.metadata.num_row_groups):
            size = log.metadata.row_group(group).num_rows
            taken = size * (_MATCHED_BYTES + count) + log.decoded_bytes(group) * _TEXT_BYTES
            rows, largest, groups = rows + size, max(largest, taken), groups + 1
            filter_bytes += sum(length for _, length in log.ranges(group, matcher.filters))
            other_bytes += sum(length for _, length in log.ranges(group, matcher.others))
    parts = threads + 1
    fixed = (threads * _FREED if groups else 0) + (_REST_BYTES if csv_bytes else 0)
    return LogPlan(
        files=kinds,
        csv_bytes=csv_bytes,
        rows=None if csv_bytes else rows,
        row_groups=groups,
        filter_columns=matcher.filters,
        filter_bytes=filter_bytes,
        other_columns=matcher.others,
        other_bytes=other_bytes,
        reading_bytes=fixed + parts * max(_BLOCK_BYTES if csv_bytes else 0, largest),
        # The rows of two steps wait for the rules, those of one are counted, and some may be an episode each.
        counting_bytes=settle_rows * (2 * (KEPT_BYTES * count + ROW_BYTES) + FOUND_BYTES // LEAST_STEPS),
        reach=tuple((rule.id, duration_text(rule.reach_us)) for rule in rules.rules),
        remembered_bytes=REMEMBERED_BYTES + (8 if rules.source.deduplicate else 0),
        checkpoint_limit_mb=checkpoint_limit_mb,
    )
