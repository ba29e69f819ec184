"""The tests of a rule: rows at offsets and the episodes that they must give, in a file beside the rules."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, ValidationError

from service.domain.errors import BadRulesError
from service.log_rules.episode import Episode
from service.log_rules.memory import Memory
from service.log_rules.reading.matching import Matcher
from service.log_rules.rule import END_US, LogSource, Period, Rule, RuleFile
from service.log_rules.rules_file import (
    duration_text,
    duration_us,
    file_content,
    load_rules,
    problems_of,
    toml_of,
)
from service.log_rules.threshold import ThresholdRule

_ORIGIN: Final = 1_767_225_600_000_000
"""2026-01-01: offsets count from there."""
_MOST_ROWS: Final = 1_000_000

_Offset = Annotated[int, BeforeValidator(duration_us)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Rows(_Strict):
    at: _Offset
    count: int = Field(default=1, ge=1, le=_MOST_ROWS)
    every: _Offset = 0
    values: dict[StrictStr, StrictStr] = {}


def _countable(rows: list[_Rows]) -> list[_Rows]:
    if sum(row.count for row in rows) > _MOST_ROWS:
        raise ValueError(f"must not be more than {_MOST_ROWS:,} together")
    if any(_ORIGIN + row.at + (row.count - 1) * row.every >= END_US for row in rows):
        raise ValueError("must not reach beyond the year 9999")
    return rows


class _Expected(_Strict):
    group: list[StrictStr] | None = None
    onset: _Offset | None = None
    start: _Offset | None = None
    last: _Offset | None = None
    peak: int | None = None
    peak_at: _Offset | None = None
    events: int | None = None
    violations: int | None = None
    reminders: int | None = None


class _Test(_Strict):
    name: StrictStr
    rule: StrictStr
    rows: Annotated[list[_Rows], Field(max_length=10_000), AfterValidator(_countable)]
    episodes: list[_Expected]


class _Tests(_Strict):
    rules: StrictStr
    tests: list[_Test] = Field(min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """How one test ended."""

    name: str
    problem: str | None
    """None: it passed."""


def run_tests(path: Path) -> list[Tested]:
    """Run the tests of a file; raises BadRulesError where it, or the rules that it names, cannot be used."""
    try:
        tests = _Tests.model_validate(toml_of(file_content(path), path.name))
    except ValidationError as error:
        raise BadRulesError(f"{path.name}: {'; '.join(problems_of(error))}") from error
    rules = load_rules(path.parent / tests.rules)
    known = {rule.id: rule for rule in rules.rules}
    unknown = sorted({test.rule for test in tests.tests} - set(known))
    if unknown:
        raise BadRulesError(f"{path.name}: {tests.rules} has no rule {', '.join(unknown)}")
    problems = list(_unknown_columns(tests.tests, rules))
    if problems:
        raise BadRulesError(f"{path.name}: {'; '.join(problems)}")
    return [Tested(name=test.name, problem=_problem(test, known[test.rule], rules)) for test in tests.tests]


def _unknown_columns(tests: Sequence[_Test], rules: RuleFile) -> Iterator[str]:
    """Yield each value of a column that no rule looks at: a slip of the pen would let any test pass."""
    source = rules.source
    named = {name for rule in rules.rules for name in rule.columns} | {*source.columns, *source.deduplicate}
    for place, test in enumerate(tests):
        for row, rows in enumerate(test.rows):
            for name in sorted(rows.values.keys() - named):
                yield f"tests.{place}.rows.{row}.values: {name} is no column that the rules name"


def _problem(test: _Test, rule: Rule, rules: RuleFile) -> str | None:
    found = _episodes(test.rows, rule, rules.source)
    expected = [{name: value for name, value in each if value is not None} for each in test.episodes]
    shown = [_shown(episode, rule) for episode in found]
    same = len(found) == len(expected) and all(
        wanted.items() <= _facts(episode, rule).items()
        for wanted, episode in zip(expected, found, strict=True)
    )
    return (
        None
        if same
        else f"expected {len(expected)} episodes, found {len(found)}: {'; '.join(shown) or 'none'}"
    )


def _episodes(rows: Sequence[_Rows], rule: Rule, source: LogSource) -> Sequence[Episode]:
    each = [(at, row.values) for row in rows for at in _instants(row)]
    names = dict.fromkeys((*rule.columns, *source.deduplicate))
    columns: dict[str, Any] = {
        name: pa.array([values.get(name) for _, values in each], pa.string()) for name in names
    }
    columns[source.time_column] = pa.array([at + _ORIGIN for at, _ in each], pa.timestamp("us"))
    matcher = Matcher(source, (rule,), Period())
    masks, union, _ = matcher.masks(columns, len(each))
    kept = {name: column.filter(pa.array(union)) for name, column in columns.items()}
    (matches,), _ = matcher.matches(kept, masks, union)
    counter = ThresholdRule(rule, Period(), Memory())
    counter.feed(matches.matched)
    counter.settle(Period().until_us)
    return counter.facts()


def _instants(row: _Rows) -> Iterator[int]:
    yield from (row.at + number * row.every for number in range(row.count))


def _facts(episode: Episode, rule: Rule) -> dict[str, Any]:
    return {
        "group": list(episode.group),
        "onset": episode.onset - _ORIGIN,
        "start": episode.start - _ORIGIN,
        "last": episode.last - _ORIGIN,
        "peak": episode.peak,
        "peak_at": episode.peak_at - _ORIGIN,
        "events": episode.events,
        "violations": episode.violations,
        "reminders": len(episode.reminders(rule.repeat_us)),
    }


def _shown(episode: Episode, rule: Rule) -> str:
    facts = _facts(episode, rule)
    offsets = ("onset", "start", "last", "peak_at")
    return ", ".join(
        f"{name} {duration_text(value) if name in offsets else value}" for name, value in facts.items()
    )
