"""The rule: what is matched, how it is counted, and what a strategy of counting must be able to do. Pure."""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from service.log_rules.episode import Episode, GroupKey, Instants, Numbers
from service.log_rules.memory import Memory

LOG_COLUMNS: Final = (
    *("error_code", "error_message", "severity", "log_location", "mode", "model", "graphics", "session_id"),
    *("sdkv", "test_mode", "flow_id", "flow_type", "sdk_date", "publisher_id", "game_id", "bundle_id"),
    *("appv", "language", "os", "adv_id", "gdpr", "ccpa", "country_code", "date"),
)
"""The columns of a standard log, in their order."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_US: Final = -62_135_596_800_000_000
"""The year 1, in microseconds since 1970: no calendar shows anything earlier."""
END_US: Final = 253_402_300_800_000_000
"""The year 10000."""


def microseconds(instant: datetime) -> int:
    """Return the microseconds since 1970 of an instant; one without a zone is UTC."""
    known = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return (known - _EPOCH) // timedelta(microseconds=1)


def instant_of(us: int) -> datetime:
    """Return the instant, in UTC, of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=us)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """What the rows of a log mean."""

    columns: tuple[str, ...] = ()
    """By position, for files without a header."""
    time_column: str = "date"
    time_format: str = "iso8601"
    """`iso8601`, `epoch_s`, `epoch_ms`, or a pattern of strptime."""
    deduplicate: tuple[str, ...] = ()
    """Rows of one instant and group that are equal in these count once; none: every row counts."""
    lateness_us: int = 0
    """How far a row may stand behind the newest one before it."""
    all_required: bool = False
    """Whether every column of `columns` (or of a standard log) must be there, not only those read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """More than so many matching events of one group within a window. Durations are in microseconds."""

    id: str
    """Stable: part of the identity of its alerts."""
    title: str
    """May name {peak}, {group}, {window}, {threshold}, {events} and {rule}."""
    where: tuple[tuple[str, tuple[str, ...]], ...]
    """Columns, each with the values that match; all columns must."""
    group_by: tuple[str, ...]
    more_than: int
    window_us: int
    quiet_us: int
    """An episode ends where no further violation comes within this."""
    quiet_is_window: bool = False
    """Whether the file leaves `quiet` out, so that it goes with the window."""
    repeat_us: int | None = None
    """While an episode lasts it is alerted again after each of these; never shorter than `quiet_us`."""
    severity: str | None = None
    channel: str | None = None
    route: str | None = None
    """The column of `group_by` whose value leads to a channel."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads beside the time, each once."""
        return tuple(dict.fromkeys((*(column for column, _ in self.where), *self.group_by)))

    @property
    def reach_us(self) -> int:
        """How far back rows matter for what comes."""
        return max(self.window_us, self.quiet_us)

    def route_of(self, group: GroupKey) -> str | None:
        """Return the value that leads a group's alerts to their channel; None: the rule has one channel."""
        return None if self.route is None else group[self.group_by.index(self.route)]

    def digest(self, source: LogSource) -> str:
        """Return 32 hex digits over all that decides which episodes there are, and nothing else."""
        meant = (
            *(sorted((column, sorted(values)) for column, values in self.where), self.group_by),
            *(self.more_than, self.window_us, self.quiet_us),
            *(source.columns, source.time_column, source.time_format, source.deduplicate),
        )
        return hashlib.blake2b(json.dumps(meant).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFile:
    """What a file of rules says."""

    source: LogSource
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What one run covers, in microseconds since 1970: from the first instant to before the second."""

    since_us: int = FIRST_US
    until_us: int = END_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Rows that a rule matches, in any order, with usable times before the end of the period."""

    times: Instants
    group_of: Numbers
    """For each row its place in `keys`."""
    keys: Iterable[GroupKey]
    """They may be made anew each time that somebody goes through them."""
    marks: Instants | None = None
    """For each row a number that equal rows share, where the source asks to count equal rows once."""


class LogRule(Protocol):
    """A strategy: how matching events become episodes. One object for one rule in one run."""

    @property
    def columns(self) -> Collection[str]:
        """What it reads of a row beside the time."""

    @property
    def pending(self) -> int:
        """How many rows wait to be settled."""

    @property
    def kept(self) -> int:
        """How many rows were settled and are still within reach."""

    @property
    def groups(self) -> int:
        """How many groups it knows."""

    @property
    def duplicates(self) -> int:
        """How many rows of the period were equal to another."""

    @property
    def found(self) -> int:
        """How many alerts there are so far: episodes that began in this run, and reminders due in it."""

    def forget(self) -> None:
        """Let go of the episodes that were found, but for their number: there is no memory for them."""

    def feed(self, matched: Matched) -> None:
        """Take matched rows. Raises DisorderedError for rows before an instant that was settled."""

    def instants(self, rows: int) -> Sequence[int]:
        """Return instants between which at most so many of the rows that wait lie, but for those that tie."""

    def settle(self, until_us: int) -> None:
        """Decide everything before an instant: no further row before it will come."""

    def facts(self) -> Sequence[Episode]:
        """Return the episodes that had a violation in this run, by their start, then their group."""

    def memory(self) -> Memory:
        """Return what the next run has to know, once all before the end of the period is settled."""
