"""What is asked of a log, and all that is found in it. Pure."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from service.log_rules.episode import Episode
from service.log_rules.ledger import LogRows, RuleRows
from service.log_rules.memory import ALERT_BYTES, Memory
from service.log_rules.rule import LogRule, Period, Rule, RuleFile
from service.log_rules.threshold import ThresholdRule
from service.sources.source import SourceFile

SETTLE_ROWS: Final = 1 << 18
"""Rows of a rule from one counting to the next: a row that comes less late than this is in order."""


MOST_VALUES: Final = 1_000
"""A column with more values is no kind of anything: not all are remembered, nor are new ones reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What an evaluation may use of the machine."""

    threads: int = 2
    memory_limit_mb: int | None = None
    settle_rows: int = SETTLE_ROWS
    alert_bytes: int = ALERT_BYTES
    """Of an episode or a reminder, for whatever is made of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What earlier runs of a stream left for this one."""

    memories: Mapping[str, Memory] = field(default_factory=dict)
    """By rule; those that are missing begin without."""
    files: Mapping[str, None] = field(default_factory=dict)
    """As `known_as` has them, what was read already, the newest last: that run counted their earlier rows."""
    values: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The values that columns had, as far as it is known."""


def known_as(path: str) -> str:
    """Return what a file is remembered as: a log that is compressed once its day is over stays the same."""
    return path.removesuffix(".gz").removesuffix(".zst")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFindings:
    """What one rule found."""

    rule: Rule
    rows: RuleRows
    episodes: Sequence[Episode]
    counter: LogRule


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFindings:
    """All that one evaluation found."""

    rows: LogRows
    # asyncio's runner makes the `repr` of its main task's result: not of every episode.
    rules: Sequence[RuleFindings] = field(repr=False)
    values: Mapping[str, Counter[str]]
    """The values of the columns that rules look at, and how many rows have each."""
    files: Sequence[SourceFile]
    span: tuple[int, int] | None
    """The first and the last instant of a matched row of the period."""
    collected: bool
    """Whether rows came in such disorder that they had to be collected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuestion:
    """What is asked of a log."""

    rules: RuleFile
    period: Period
    before: Before = Before()
    make: Callable[[Rule, Period, Memory | None], LogRule] = ThresholdRule


def folded(value: str) -> str:
    """Return a value without what makes it a near miss: case and surrounding spaces."""
    return value.strip().casefold()


def wanted_values(rules: Sequence[Rule]) -> dict[str, set[str]]:
    """Return the values that rules look for, folded, by column."""
    wanted: dict[str, set[str]] = {}
    for rule in rules:
        for column, values in rule.where:
            wanted.setdefault(column, set()).update(map(folded, values))
    return wanted
