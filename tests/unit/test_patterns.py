"""Every pattern that sees input takes time in proportion to it: no text freezes the service."""

import ast
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from service.access import people
from service.api import access, answer_headers
from service.default_risk.reading import workbook
from service.delivery.slack import answer
from service.delivery.slack import sender as slack
from service.domain import month, source_uri
from service.domain.errors import BadSourceUriError
from service.domain.identity import api_key
from service.domain.source_uri import SourceUri
from service.log_rules import rules_file
from service.log_rules.alerts import kind as log_kind
from service.settings import access as settings_access
from service.settings import value_types
from service.sources import csv_header
from service.sources.parquet import text as parquet_text
from service.sources.parquet import zones
from service.sources.parquet.file_kind import PARQUET
from service.sources.pattern import SourcePattern
from service.store import sql
from service.telemetry import logs, terminal
from service.telemetry.redaction import Redactor

ROOT: Final = Path(__file__).parents[2] / "service"
SHORT: Final = 500
"""Characters; the long texts are eight times as long: a quadratic pattern takes 64 times the time."""
FACTOR: Final = 8
TOO_MANY_TIMES: Final = 32
QUICK_S: Final = 0.002
"""What takes no longer over 4,000 characters is not measured against anything."""


class Attack(NamedTuple):
    """What a pattern is fed with: all texts of these pieces, as a run between a beginning and an end."""

    apply: Callable[[str], Any]
    pieces: tuple[str, ...]
    begins: tuple[str, ...] = ("",)
    ends: tuple[str, ...] = ("", "\n", "!")
    at_once: int = 3

    def texts(self, length: int) -> Iterator[str]:
        """Yield texts of about this length: each repeats a few pieces, and all that are possible occur."""
        pumps = {
            "".join(pump)
            for count in range(1, self.at_once + 1)
            for pump in product(self.pieces, repeat=count)
        }
        for begin, pump, end in product(self.begins, sorted(pumps), self.ends):
            yield begin + pump * (length // len(pump)) + end


def _parsed(text: str) -> None:
    with suppress(BadSourceUriError):
        SourceUri.parse(text)


def _walked(text: str) -> None:
    SourcePattern(("**", "a*a*a*b", "[!b]*?*b"), PARQUET).takes(frozenset({1, 2}), text)


REGISTERED: Final = {
    "access.people:_REFRESH_TOKEN": Attack(people._REFRESH_TOKEN.fullmatch, ("a", "-", "rr_"), ("", "rr_")),
    "api.access:_HOST": Attack(access._HOST.fullmatch, ("a", ".", ":", "[", "1"), ("", "[")),
    "api.answer_headers:_SANE": Attack(answer_headers._SANE.fullmatch, ("a", "-", "/", " ")),
    "delivery.slack.answer:_WORD": Attack(answer._WORD.fullmatch, ("a", "_", "A")),
    "delivery.slack.answer:_SCOPES": Attack(answer._SCOPES.fullmatch, ("a", ":", ".", "A")),
    "delivery.slack.sender:_SECONDS": Attack(slack._SECONDS.fullmatch, ("1", ".", "x"), ("", "1", ".")),
    "delivery.slack.sender:_SLACK_ERROR": Attack(slack._SLACK_ERROR.fullmatch, ("a", "_", "A")),
    "default_risk.reading.workbook:_CELL": Attack(
        lambda text: list(workbook._CELL.finditer(text.encode())), (' r="', "A", "1", '"')
    ),
    "default_risk.reading.workbook:_UNSAVED": Attack(
        lambda text: workbook._UNSAVED.search(text.encode()),
        ("<f", ">", "a", " ", "/>"),
        ("", '<c r="A1"><f'),
    ),
    "domain.identity.api_key:_KEY": Attack(api_key._KEY.fullmatch, ("a", "_", "0", "ra_"), ("", "ra_")),
    "domain.month:_SPELLING": Attack(month._SPELLING.fullmatch, ("2", "-", "01")),
    "domain.source_uri:_SCHEME": Attack(source_uri._SCHEME.match, ("a", "+", ":", "/")),
    "domain.source_uri:_BUCKET": Attack(source_uri._BUCKET.fullmatch, ("a", ".", "-", "/")),
    "domain.source_uri:_QUERY": Attack(source_uri._QUERY.search, ("?", "a", "#", "/")),
    "domain.source_uri:_SECRET": Attack(source_uri._SECRET.search, ("sv", "sig", "access_", "-", "api")),
    "domain.source_uri:_ENCODED_WILDCARD": Attack(source_uri._ENCODED_WILDCARD.search, ("%", "2", "A")),
    "log_rules.rules_file:_CHANNEL": Attack(rules_file._CHANNEL.fullmatch, ("#", "a", " ", "/")),
    "log_rules.rules_file:_ID": Attack(rules_file._ID.fullmatch, ("a", "-", ".", "A")),
    "log_rules.rules_file:_DURATION": Attack(rules_file._DURATION.fullmatch, ("1", " ", "m", "ms")),
    "settings.value_types:_HOST": Attack(value_types._HOST.fullmatch, ("a", ".", "a.", "*", ":"), ("", "[")),
    "settings.value_types:_CHANNEL": Attack(value_types._CHANNEL.fullmatch, ("a", "#", "."), ("", "#")),
    "log_rules.alerts.kind:_NAME": Attack(log_kind._NAME.fullmatch, ("a", "0", ".", "-", "A")),
    "settings.value_types:_SCHEDULER": Attack(value_types._SCHEDULER.fullmatch, ("a", ":", "/"), ("tcp://",)),
    "settings.access:_LIMIT": Attack(settings_access._LIMIT.fullmatch, ("1", "/", " ", "per", "day")),
    "settings.access:_NAME": Attack(settings_access._NAME.fullmatch, ("a", "/", ":", " ")),
    "settings.value_types:_HTTP_URL": Attack(
        value_types._HTTP_URL.fullmatch, ("a", "/", "@", " "), ("https://", "http://a")
    ),
    "settings.value_types:_SMTP_URL": Attack(
        value_types._SMTP_URL.fullmatch, ("a", "@", ":", "[", "1"), ("smtp://", "smtps://[")
    ),
    "sources.csv_header:_LINE_BREAK": Attack(
        lambda text: csv_header.first_record(text.encode()), ("\r", "\n", '"', "a"), ("", '"')
    ),
    "sources.parquet.text:_ESCAPE": Attack(parquet_text._ESCAPE.split, ("\\", "x", "0")),
    "sources.parquet.text:_LOOKS_ESCAPED": Attack(parquet_text._LOOKS_ESCAPED.search, ("\\", "x", "0")),
    "sources.parquet.zones:_OFFSET": Attack(zones._OFFSET.fullmatch, ("+", "0", ":", "UTC")),
    "sources.pattern:fnmatchcase": Attack(_walked, ("a", "b", "c", "\n"), ends=("", "!", "b")),
    "sources.table_format:fnmatchcase": Attack(
        lambda name: [table.is_log(name) for table in PARQUET.tables], ("a", ".metadata", ".json")
    ),
    "store.sql:_NAME": Attack(sql._NAME.split, ("-- name: ", "a", " (sqlite)", "\n")),
    "store.sql:_ROWS": Attack(sql._ROWS.search, ("-- rows: ", "a", "\n")),
    "store.sql:_COMMENT": Attack(lambda text: sql._COMMENT.sub("", text), ("--", "a", "\n")),
    "telemetry.logs:_TRACEPARENT": Attack(logs._TRACEPARENT.fullmatch, ("0", "f", "-")),
    "telemetry.logs:_CLOUD_TRACE": Attack(logs._CLOUD_TRACE.fullmatch, ("0", "/", ";o=1")),
    "telemetry.terminal:_UNSAFE": Attack(terminal.harmless, ("\x1b", "\u202e", "a", "\n")),
    "telemetry.terminal:_UNSAFE_BUT_LINES": Attack(terminal.harmless_json, ("\x9b", "\u202e", "a", "\n")),
    "telemetry.redaction:_pattern": Attack(
        Redactor(["a secret of many words"]),
        ("a", "://", "@", "xoxb-", "x", "bearer ", "hooks.slack.com/", ".", "rr_", "eyJ", "$argon2$"),
    ),
}
PARSER: Final = Attack(
    _parsed,
    (";", "sv", "=", "/", "..", "*", "[", "%2A"),
    begins=("file:///", "gs://bucket/", "s3://"),
    ends=("", "="),
    at_once=2,
)


def _patterns() -> Iterator[str]:
    """Yield where the service makes or uses a pattern: `module:name`."""
    for path in sorted(ROOT.rglob("*.py")):
        where = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case (
                    ast.Assign(targets=[target], value=ast.Call(func=called))
                    | ast.AnnAssign(target=target, value=ast.Call(func=called))
                ) if ast.unparse(called) == "re.compile":
                    yield f"{where}:{ast.unparse(target).removeprefix('self.')}"
                case ast.Call(func=called) if ast.unparse(called).startswith(("fnmatch", "glob.", "re.")):
                    # One that is compiled is met as what it is assigned to.
                    if ast.unparse(called) not in {"re.compile", "re.escape"}:
                        yield f"{where}:{ast.unparse(called)}"


def test_every_pattern_of_the_service_is_attacked_here() -> None:
    """A pattern that is new must be registered above, with what could be slow about it."""
    assert set(_patterns()) == set(REGISTERED)


def test_no_pattern_is_compiled_where_it_has_no_name() -> None:
    """So that none slips by the test above."""
    compiled = sum(path.read_text(encoding="utf-8").count("re.compile(") for path in ROOT.rglob("*.py"))
    assert compiled == sum(":fnmatch" not in name for name in REGISTERED)


def test_the_patterns_of_schemas_are_left_to_an_engine_without_backtracking() -> None:
    """Pydantic's default engine is linear by design, unless somebody asks for Python's."""
    assert not [path for path in ROOT.rglob("*.py") if "regex_engine" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("attack", [*REGISTERED.values(), PARSER], ids=[*REGISTERED, "SourceUri.parse"])
def test_input_takes_time_in_proportion_to_its_length(attack: Attack) -> None:
    """Eight times the text takes about eight times the time, whatever it repeats."""
    for short, long in zip(attack.texts(SHORT), attack.texts(SHORT * FACTOR), strict=True):
        # Other work on the machine can disturb a look, but not all of them.
        assert any(_in_proportion(attack.apply, short, long) for _ in range(5)), short[:80]


def _in_proportion(apply: Callable[[str], Any], short: str, long: str) -> bool:
    taken = _cpu_s(apply, long)
    return taken <= QUICK_S or taken < TOO_MANY_TIMES * _cpu_s(apply, short)


def _cpu_s(apply: Callable[[str], Any], text: str) -> float:
    began = time.thread_time()
    apply(text)
    return time.thread_time() - began
