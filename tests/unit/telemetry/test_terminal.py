"""Text from data and callers at a terminal: no character of it is obeyed, wherever it is shown."""

import io
import json
import logging
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from typing import Final, Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from service.api.examples import examples
from service.api.schemas.alert import AlertOut
from service.api.schemas.managed_alert import AlertEventOut, ManagedAlertOut
from service.api.schemas.run import RunOut
from service.cli.command import print_json, report
from service.cli.lifecycle.tables import print_one
from service.cli.tables import print_tables
from service.telemetry.logs import configure_logging
from service.telemetry.terminal import harmless, harmless_json
from tests.support.logs import logging_put_back

BIDI: Final = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MARKS: Final = {"\N{LEFT-TO-RIGHT MARK}", "\N{RIGHT-TO-LEFT MARK}", "\N{ARABIC LETTER MARK}"}
ATTACK: Final = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\u202eevil\u2066\x7f\x08[bold]"


@cache
def dangerous() -> list[str]:
    """Return all control and bidirectional characters, as Unicode's own data have them."""
    return [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) in {"Cc", "Zl", "Zp"}
        or unicodedata.bidirectional(character) in BIDI
        or character in MARKS
    ]


# Made when a test wants it: to look at every character takes half a second.
TEXT: Final = st.deferred(lambda: st.text(st.sampled_from([*"aé\u200d字😀\\[", *dangerous()]), max_size=30))


def dangers_in(text: str) -> set[str]:
    """Return what of a text a terminal would obey; line ends are what a door writes itself."""
    return set(text.replace("\n", "")) & set(dangerous())


@pytest.fixture
def _logging_as_it_was() -> Iterator[None]:
    with logging_put_back():
        yield


def test_every_control_character_is_shown_and_not_obeyed() -> None:
    """As an escape that says which it is; in JSON as the escape that reads the same."""
    assert len(dangerous()) > 70
    for character in [*dangerous(), "\ud800", "\udc00"]:
        shown = harmless(f"a{character}b")
        assert shown.isascii()
        assert shown.isprintable()
        assert shown.encode("ascii").decode("unicode_escape") == f"a{character}b"
        document = harmless_json(json.dumps({"a": character}, ensure_ascii=False))
        assert not dangers_in(document)
        assert json.loads(document) == {"a": character}


@given(text=TEXT)
def test_what_a_terminal_does_not_obey_stays_as_it_is(text: str) -> None:
    """Letters of every script, symbols, and the joiners that words and symbols are made with."""
    assert not dangers_in(harmless(text))
    rest = "".join(character for character in text if character not in dangerous())
    assert harmless(rest) == rest


def test_lines_stay_lines_where_a_text_has_some() -> None:
    """A stack trace is read in lines; what else stands in it is not obeyed."""
    assert harmless("a\n b\x1b\r\n", lines=True) == "a\n b\\x1b\\r\n"


@pytest.mark.usefixtures("_logging_as_it_was")
@pytest.mark.parametrize("form", ["console", "json"])
def test_a_line_of_the_log_obeys_nothing(form: Literal["console", "json"]) -> None:
    """In a message, a value, what is inside a value, and an error's text."""

    @given(text=TEXT, name=TEXT)
    def nothing_is_obeyed(text: str, name: str) -> None:
        stream = io.StringIO()
        configure_logging(format=form, stream=stream)
        structlog.get_logger().error(text, by=name, rows=[{"id": name}], exc_info=ValueError(text))
        logging.getLogger("uvicorn").warning("asked for %s", text)
        assert not dangers_in(stream.getvalue())
        if form == "json":
            first, second = map(json.loads, stream.getvalue().splitlines())
            assert (first["message"], first["by"], first["rows"]) == (text, name, [{"id": name}])
            assert second["message"] == f"asked for {text}"

    nothing_is_obeyed()


@given(text=TEXT)
def test_what_a_command_prints_obeys_nothing(text: str) -> None:
    """Tables, JSON and errors, of names, ids, addresses and people."""
    attack = f"{ATTACK}{text}"
    alert = examples()["run"]["sample_alerts"][0] | {"account_name": attack, "account_id": attack}
    changes = {"source_uri": attack, "sample_alerts": [alert], "sample_errors": [alert]}
    run = RunOut.model_validate(examples()["run"] | changes)
    settled = [examples()["alert"]["settled"][0] | {"by": attack}]
    decided = AlertOut.model_validate(examples()["alert"] | {"account_name": attack, "settled": settled})
    managed = ManagedAlertOut.model_validate(
        examples()["managed_alert"] | {"message": attack, "subject": attack, "acknowledged_by": attack}
    )
    event = AlertEventOut.model_validate(examples()["alert_event"] | {"note": attack, "by": attack})
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        print_tables(run)
        print_tables(decided)
        print_one(managed, [event])
        report(attack)
    assert not dangers_in(out.getvalue() + err.getvalue())
    assert "[bold]" in out.getvalue()
    for answer in (run, {"source_uri": attack}):
        with redirect_stdout(io.StringIO()) as document:
            print_json(answer)
        assert not dangers_in(document.getvalue())
        assert json.loads(document.getvalue())["source_uri"] == attack
