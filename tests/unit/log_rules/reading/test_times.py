"""Times: whatever a log writes down, the instant that it means, or why it is none."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.log_rules.reading.times import TimeStatus, parsed_times
from service.log_rules.rule import microseconds

NOON = microseconds(datetime(2021, 9, 12, 12, 0, 0, tzinfo=UTC))


def read(values: list[Any], form: str = "iso8601", kind: pa.DataType | None = None) -> list[int | str]:
    """Return each value's microseconds, or the name of what is wrong with it."""
    us, status = parsed_times(pa.array(values, kind), form)
    return [
        at if one == TimeStatus.OK else TimeStatus(one).name.lower()
        for at, one in zip(us.tolist(), status.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "after_noon"),
    [
        ("2021-09-12T12:00:00", 0),
        ("2021-09-12 12:00:00", 0),
        ("2021-09-12T12:00", 0),
        ("2021-09-12 12", 0),
        ("2021-09-12T12:00:00Z", 0),
        ("2021-09-12T12:00:00.384516", 384_516),
        ("2021-09-12T12:00:00,384516Z", 384_516),
        ("2021-09-12T12:00:00.3", 300_000),
        ("2021-09-12T12:00:00.999999999Z", 999_999),
        ("2021-09-12T14:00:00.5+02:00", 500_000),
        ("2021-09-12T14:00:00+0200", 0),
        ("2021-09-12T10:00:00-02", 0),
        ("2021-09-12T06:30:00-05:30", 0),
        ("2021-09-12", -12 * 3_600_000_000),
    ],
)
def test_iso_8601_as_logs_write_it(text: str, after_noon: int) -> None:
    """Fractions with a point or a comma, zones in three spellings, or none: then it is UTC."""
    assert read([text]) == [NOON + after_noon]


@pytest.mark.parametrize(
    "text",
    [
        *("2021-02-29T12:00:00", "2021-13-01T12:00:00", "2021-00-01", "2021-01-00", "2021-09-12T24:00:00"),
        *(
            "2021-09-12T12:60:00",
            "2021-09-12T12:00:60",
            "2021-09-12T12:00:00.",
            "2021-09-12T24",
            "2021-09-12T12:00:00+2:00",
        ),
        *(
            "2021-09-12T12:00:00.12x4",
            "2021-09-12T24",
            "2021/09/12 12:00:00",
            "yesterday",
            "1631442730",
            " 2021-09-12",
            "x" * 50,
        ),
        *(
            "2021-09-12T12:00:00+25:00",
            "2021-09-12T12:00:00+02:60",
            "\uff12\uff10\uff12\uff11-09-12",
            "NaN",
            "2021-09-12T12:00:0",
        ),
    ],
)
def test_what_is_no_instant_is_unparsable(text: str) -> None:
    """And costs the values around it nothing."""
    assert read(["2021-09-12T12:00:00", text, "2021-09-12T12:00:00.5Z"]) == [
        NOON,
        "unparsable",
        NOON + 500_000,
    ]


def test_years_at_the_ends_of_the_calendar() -> None:
    """The first and the last instant that can be shown; what a zone pushes over the edge is out of range."""
    assert read(["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"]) == [
        microseconds(datetime.min.replace(tzinfo=UTC)),
        microseconds(datetime.max.replace(tzinfo=UTC)),
    ]
    assert read(["0000-12-31T23:59:59", "9999-12-31T23:59:59-01:00"]) == ["out_of_range"] * 2


def test_missing_times() -> None:
    """Null and the empty text are no time at all."""
    assert read([None, "", "2021-09-12T12:00:00"]) == ["null", "null", NOON]
    assert read([None, None]) == ["null", "null"]
    assert read([None, 1], "epoch_s", pa.int64()) == ["null", 1_000_000]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1631442730", 1_631_442_730_000_000),
        ("1631442730.384516", 1_631_442_730_384_516),
        ("1631442730,384516", 1_631_442_730_384_516),
        ("1631442730.3845169", 1_631_442_730_384_516),
        ("1631442730.", "unparsable"),
        ("-1.5", -1_500_000),
        ("0", 0),
        ("99999999999999999", "out_of_range"),
        ("9" * 30, "unparsable"),
        ("1e9", "unparsable"),
        ("-", "unparsable"),
        (".5", "unparsable"),
        ("1.2.3", "unparsable"),
    ],
)
def test_epoch_seconds_in_text(text: str, expected: int | str) -> None:
    """Exact to the microsecond: no float is in between."""
    assert read([text, "1631442730"], "epoch_s") == [expected, 1_631_442_730_000_000]


def test_epoch_milliseconds() -> None:
    """As text with and without a fraction, and as numbers."""
    assert read(["1631442730384", "1631442730384.5"], "epoch_ms") == [
        1_631_442_730_384_000,
        1_631_442_730_384_500,
    ]
    assert read([1_631_442_730_384], "epoch_ms", pa.int64()) == [1_631_442_730_384_000]


@pytest.mark.parametrize(
    ("value", "kind", "form"),
    [
        (NOON // 1_000_000, pa.timestamp("s"), "iso8601"),
        (NOON * 1_000, pa.timestamp("ns"), "iso8601"),
        (
            datetime(2021, 9, 12, 14, tzinfo=timezone(timedelta(hours=2))),
            pa.timestamp("ms", "Europe/Berlin"),
            "iso8601",
        ),
        (NOON // 1_000_000, pa.int32(), "epoch_s"),
        (NOON / 1_000_000, pa.float64(), "epoch_s"),
        (b"2021-09-12T12:00:00", pa.binary(19), "iso8601"),
    ],
    ids=str,
)
def test_typed_columns_of_parquet(value: Any, kind: pa.DataType, form: str) -> None:
    """Timestamps of any unit and zone, and numbers."""
    assert read([value, None], form, kind) == [NOON, "null"]


def test_typed_values_beyond_the_calendar() -> None:
    """They neither wrap nor raise."""
    assert read([2**62], "epoch_s", pa.int64()) == ["out_of_range"]
    assert read([2**64 - 1, 1, None], "epoch_s", pa.uint64()) == ["out_of_range", 1_000_000, "null"]
    assert read([float("inf"), float("nan"), 1e300], "epoch_s", pa.float64()) == [
        "out_of_range",
        "unparsable",
        "out_of_range",
    ]
    assert read([2**62], "iso8601", pa.timestamp("s")) == ["out_of_range"]


def test_dates_are_midnight() -> None:
    """In UTC."""
    assert read([date(2021, 9, 12)], kind=pa.date32()) == [NOON - 12 * 3_600_000_000]


def test_a_pattern_of_ones_own() -> None:
    """Any that strptime knows; what does not fit is unparsable."""
    assert read(["12/Sep/2021:12:00:00 +0000", "gone"], "%d/%b/%Y:%H:%M:%S %z") == [NOON, "unparsable"]


@given(st.lists(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), min_size=1))  # noqa: DTZ001
def test_whatever_python_writes_is_read(moments: list[datetime]) -> None:
    """With and without fractions, in one column."""
    assert read([moment.isoformat() for moment in moments]) == [microseconds(moment) for moment in moments]


def test_a_slice_is_read_from_its_own_beginning() -> None:
    """Arrow's offset is heeded."""
    column = pa.array(["x", "2021-09-12T12:00:00", "2021-09-12T12:00:01"]).slice(1)
    us, _ = parsed_times(column, "iso8601")
    assert np.diff(us).tolist() == [1_000_000]


ISO = st.from_regex(
    r"(000[01]|20[0-9]{2}|9999)-(0[0-9]|1[0-3])-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9])?"
    r"([.,][0-9]{0,9})?(Z|[+-][0-2][0-9](:?[0-6][0-9])?)?",
    fullmatch=True,
)


@given(st.lists(ISO, min_size=1, max_size=3))
def test_a_text_means_the_same_whatever_stands_beside_it(texts: list[str]) -> None:
    """Also where all are such that Arrow could read them: beside a text that it cannot, it reads none."""
    assert read(texts) == read([*texts, "x"])[:-1]
