"""Tables of CSV: what is read in the fast way is what is read in the slow one."""

from hypothesis import example, given
from hypothesis import strategies as st

from service.log_rules.reading.csv_file import CsvTables
from service.log_rules.reading.layout import Layout
from service.log_rules.reading.matching import Matcher
from service.log_rules.reading.times import INSTANT, parsed_times
from service.log_rules.rule import LogSource, Period

_FORMS = (
    "2021-09-12T12:00:00.384516",
    "2021-09-12 12:00:00",
    *("2021-09-12T12:00", "2021-09-12T12", "2021-09-12"),
)
_SIGNS = "0123456789-:T .Zt+,"


@st.composite
def _near_instants(draw: st.DrawFn) -> str:
    """Return an instant in one of its forms, with some signs put in, taken out or replaced."""
    signs = list(draw(st.sampled_from(_FORMS)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(signs)))
        signs[place : place + draw(st.integers(0, 1))] = draw(st.sampled_from(["", *_SIGNS]))
    return "".join(signs)


@given(text=_near_instants())
@example(text="")
@example(text="0000-01-01")
@example(text="NULL")
@example(text=" 2021-09-12")
def test_times_read_at_once_are_those_of_their_texts(text: str) -> None:
    """Whatever Arrow takes for an instant is one, and the same one; all else is read as text."""
    source = LogSource(time_column="date")
    tables = CsvTables(Layout(names=("date", "x"), header_bytes=0), Matcher(source, (), Period()))
    block = memoryview(f'"{text}",x\n'.encode())
    as_text, _ = tables.table([block])
    tables.note_dense()
    at_once, _ = tables.table([block, block])
    again, malformed = tables.table([block])
    assert malformed == 0
    assert again.schema == at_once.schema
    expected = [one.tolist() for one in parsed_times(as_text.column("date").combine_chunks(), "iso8601")]
    found = [one.tolist() for one in parsed_times(at_once.column("date").combine_chunks(), "iso8601")]
    assert found == [2 * each for each in expected]


def test_times_that_are_used_as_text_stay_text() -> None:
    """A rule that groups by them, or a source that compares them, wants what was written."""
    tables = CsvTables(
        Layout(names=("date",), header_bytes=0),
        Matcher(LogSource(time_column="date", deduplicate=("date",)), (), Period()),
    )
    tables.note_dense()
    table, _ = tables.table([memoryview(b"2021-09-12\n")])
    assert table.column("date").type != INSTANT
