"""The rules file: TOML that people write, checked whole: every problem is named with its place."""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Final, Literal, TypeVar
from unicodedata import category

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, ValidationError

from service.domain.alert_type import Routes
from service.domain.errors import BadRulesError
from service.log_rules.rule import LOG_COLUMNS, LogSource, Rule, RuleFile

TITLE_NAMES: Final = frozenset({"peak", "group", "window", "threshold", "events", "rule"})
"""What a title may name in braces."""
_LARGEST_FILE: Final = 1 << 20
_DURATION: Final = re.compile(r"([0-9]{1,9})\s*(ms|s|m|h|d)")
_CHANNEL: Final = re.compile(r"#?[^\s/?#.\x00-\x1f][^\s/?#\x00-\x1f]{0,79}")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_UNITS: Final = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_AN_INSTANT: Final = datetime(2026, 1, 31, 10, 30, 15, 250_000, tzinfo=UTC)
_PLAIN: Final = {"extra_forbidden": "is not known here", "missing": "is required"} | dict.fromkeys(
    ("model_type", "dict_type"), "must be a table"
)
"""What problems are called that the library names otherwise."""
_LONGEST: Final = 3_660
"""Days."""

_Model = TypeVar("_Model", bound=BaseModel)


def duration_us(value: Any) -> int:
    """Return the microseconds of `90s`, `500ms`, `1h`; raises ValueError."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a whole number with a unit: 500ms, 90s, 10m, 1h, 7d")
    us = int(match[1]) * _UNITS[match[2]]
    if us > _LONGEST * _UNITS["d"]:
        raise ValueError(f"must not be longer than {_LONGEST}d")
    return us


def duration_text(us: int) -> str:
    """Return a duration as a rules file has it, in the largest unit that it is whole in: `1h`."""
    for unit in ("d", "h", "m", "s", "ms"):
        if us % _UNITS[unit] == 0 and us:
            return f"{us // _UNITS[unit]}{unit}"
    return str(timedelta(microseconds=us)) if us else "0s"


def _longer_than_nothing(us: int) -> int:
    if us <= 0:
        raise ValueError("must be longer than 0")
    return us


def _title(text: str) -> str:
    for _, name, form, conversion in Formatter().parse(text):
        if name is not None and (name not in TITLE_NAMES or form or conversion):
            names = ", ".join(f"{{{each}}}" for each in sorted(TITLE_NAMES))
            raise ValueError(f"{{{name}}} is not known: a title may name {names}")
    return _shown(text)


def _shown(text: str) -> str:
    if any(category(sign) == "Cc" for sign in text):
        raise ValueError("must not hold control characters, such as line breaks")
    return text


def _matching(pattern: re.Pattern[str], problem: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError(problem)
        return text

    return check


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _form(text: str) -> str:
    if text not in {"iso8601", "epoch_s", "epoch_ms"} and "%" not in text:
        raise ValueError(
            "must be iso8601, epoch_s, epoch_ms, or a pattern of strptime such as %d/%m/%Y %H:%M:%S"
        )
    if "%" in text:
        try:
            datetime.strptime(_AN_INSTANT.strftime(text), text)  # noqa: DTZ007  # only whether it can be read
        except (ValueError, re.error):
            raise ValueError(f"strptime cannot read a time that is written as {text}") from None
    return text


def check_channels(rules: RuleFile, routes: Routes, name: str) -> None:
    """Raise BadRulesError for channels that no webhook leads to, where each channel has one of its own."""
    unknown = [
        f"rules.{place}.channel: SLACK_WEBHOOKS has no webhook for {rule.channel}"
        for place, rule in enumerate(rules.rules)
        if rule.channel is not None and routes.named(rule.channel) is None
    ]
    if unknown:
        raise BadRulesError(f"{name}: {'; '.join(unknown)}")


_Duration = Annotated[int, BeforeValidator(duration_us)]
_Longer = Annotated[_Duration, AfterValidator(_longer_than_nothing)]
_Column = Annotated[StrictStr, Field(min_length=1, max_length=300)]
_Values = Annotated[list[StrictStr], BeforeValidator(_as_list), Field(min_length=1, max_length=1_000)]
_Channel = Annotated[StrictStr, AfterValidator(_matching(_CHANNEL, "must be the name of a channel"))]
_Id = Annotated[
    StrictStr, AfterValidator(_matching(_ID, "must be lower case letters, digits and ._-, at most 64"))
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Time(_Strict):
    column: _Column = "date"
    format: Annotated[StrictStr, AfterValidator(_form)] = "iso8601"


class _Source(_Strict):
    columns: list[_Column] = Field(default=[], max_length=1_000)
    time: _Time = _Time()
    deduplicate: list[_Column] = []
    lateness: _Duration = 0
    required: Literal["named", "all"] = "named"


class _Threshold(_Strict):
    gt: int | None = Field(default=None, ge=0, le=10**9)
    gte: int | None = Field(default=None, ge=1, le=10**9)


class _Rule(_Strict):
    id: _Id
    title: Annotated[StrictStr, Field(min_length=1, max_length=300), AfterValidator(_title)]
    where: dict[_Column, _Values] = {}
    group_by: list[_Column] = Field(default=[], max_length=10)
    threshold: _Threshold
    window: _Longer
    quiet: _Longer | None = None
    repeat: _Longer | None = None
    severity: Annotated[StrictStr, Field(min_length=1, max_length=40), AfterValidator(_shown)] | None = None
    channel: _Channel | None = None
    route: _Column | None = None


def load_rules(path: Path) -> RuleFile:
    """Read a file of rules; raises BadRulesError."""
    return parse_rules(file_content(path), path.name)


def file_content(path: Path) -> bytes:
    """Read a file that people wrote; raises BadRulesError where it is none, or too large for one."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as problem:
        raise BadRulesError(f"{path.name or path} cannot be read: {problem.strerror}") from problem
    except ValueError as problem:
        raise BadRulesError(f"{path.name} cannot be the name of a file") from problem
    if len(content) > _LARGEST_FILE:
        raise BadRulesError(f"{path.name} is larger than 1 MB")
    return content


def toml_of(content: bytes, name: str) -> dict[str, Any]:
    """Read TOML; raises BadRulesError."""
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as problem:
        raise BadRulesError(f"{name} is not UTF-8: byte {problem.start}") from problem
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise BadRulesError(f"{name} is not TOML: {problem}") from problem


def parse_rules(content: bytes, name: str) -> RuleFile:
    """Read the content of a file of rules; raises BadRulesError, which names every problem."""
    raw = toml_of(content, name)
    problems = [f"{key}: is not known here" for key in raw if key not in {"source", "rules"}]
    source = _validated(_Source, raw.get("source", {}), "source", problems)
    listed = raw.get("rules", [])
    if not isinstance(listed, list) or not listed:
        problems.append("rules: there must be at least one [[rules]]")
        listed = []
    rules = {
        place: rule
        for place, each in enumerate(listed)
        if (rule := _validated(_Rule, each, f"rules.{place}", problems)) is not None
    }
    # As they stand in the file: what one rule gets wrong must not hide what else is wrong with it.
    tables = {place: each for place, each in enumerate(listed) if isinstance(each, dict)}
    problems += [f"rules.{place}.{text}" for place, each in tables.items() for text in _contradictions(each)]
    ids = Counter(each["id"] for each in tables.values() if isinstance(each.get("id"), str))
    problems += [
        f"rules.{place}.id: {each['id']} is the id of more than one rule"
        for place, each in tables.items()
        if isinstance(each.get("id"), str) and ids[each["id"]] > 1
    ]
    written = raw.get("source")
    problems += _unknown_columns(written if isinstance(written, dict) else {}, tables)
    if problems or source is None:
        raise BadRulesError(f"{name}: {'; '.join(problems)}")
    return RuleFile(source=_source(source), rules=tuple(_rule(rule) for rule in rules.values()))


def _validated(model: type[_Model], raw: Any, place: str, problems: list[str]) -> _Model | None:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems += problems_of(error, place)
        return None


def problems_of(error: ValidationError, *place: str) -> Iterator[str]:
    """Yield each problem of a table with its place."""
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        said = _PLAIN.get(problem["type"], problem["msg"].removeprefix("Value error, "))
        yield f"{'.'.join((*place, *map(str, problem['loc'])))}: {said}"


def _contradictions(rule: Mapping[str, Any]) -> Iterator[str]:
    threshold = rule.get("threshold")
    if isinstance(threshold, dict) and ("gt" in threshold) == ("gte" in threshold):
        yield "threshold: give either gt or gte"
    if ("channel" in rule) == ("route" in rule):
        yield "channel: give either channel or route"
    group_by = rule.get("group_by", [])
    if isinstance(group_by, list):
        if "route" in rule and rule["route"] not in group_by:
            yield "route: must be one of group_by, so that all events of an alert lead to one channel"
        if any(group_by.count(name) > 1 for name in group_by):
            yield "group_by: names a column twice"
    repeat, quiet = _known_us(rule.get("repeat")), _known_us(rule.get("quiet", rule.get("window")))
    if repeat is not None and quiet is not None and repeat < quiet:
        yield "repeat: must not be shorter than quiet (by default the window): an episode may pause that long"


def _known_us(text: Any) -> int | None:
    try:
        return duration_us(text)
    except ValueError:
        return None


def _unknown_columns(source: Mapping[str, Any], rules: Mapping[int, Mapping[str, Any]]) -> Iterator[str]:
    """Look at tables as they stand in the file: some may have other problems."""
    columns = _names(source.get("columns"))
    known = columns or (LOG_COLUMNS if source.get("required") == "all" else ())
    if len(set(columns)) < len(columns):
        yield "source.columns: names a column twice"
    if not known:
        return
    time = source.get("time")
    named = [("source.time.column", time.get("column", "date") if isinstance(time, dict) else "date")]
    named += [("source.deduplicate", name) for name in _names(source.get("deduplicate"))]
    for place, rule in rules.items():
        where = rule.get("where")
        named += [(f"rules.{place}.where", name) for name in (where if isinstance(where, dict) else ())]
        named += [(f"rules.{place}.group_by", name) for name in _names(rule.get("group_by"))]
    for where, name in dict.fromkeys(named):
        if isinstance(name, str) and name not in known:
            yield f"{where}: {name} is not among source.columns"


def _names(listed: Any) -> list[str]:
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []


def _source(source: _Source) -> LogSource:
    return LogSource(
        columns=tuple(source.columns),
        time_column=source.time.column,
        time_format=source.time.format,
        deduplicate=tuple(source.deduplicate),
        lateness_us=source.lateness,
        all_required=source.required == "all",
    )


def _rule(rule: _Rule) -> Rule:
    threshold = rule.threshold
    return Rule(
        id=rule.id,
        title=rule.title,
        where=tuple((column, tuple(dict.fromkeys(values))) for column, values in rule.where.items()),
        group_by=tuple(rule.group_by),
        more_than=threshold.gt if threshold.gt is not None else (threshold.gte or 1) - 1,
        window_us=rule.window,
        quiet_us=rule.window if rule.quiet is None else rule.quiet,
        quiet_is_window=rule.quiet is None,
        repeat_us=rule.repeat,
        severity=rule.severity,
        channel=None if rule.channel is None else rule.channel.lstrip("#"),
        route=rule.route,
    )
