"""The month is spelled in one way, and its arithmetic is subtraction."""

from datetime import date, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import BadMonthError
from service.domain.month import Month

months = st.integers(12, 9999 * 12 + 11).map(Month)


@given(months)
def test_reads_what_it_writes(month: Month) -> None:
    """Every month from the year 1 to 9999 survives being written and read."""
    assert Month.parse(str(month)) == month
    assert str(month) == month.first_day.isoformat()


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-1-1", "20260101", "2026-W01-4", "2026-01-15", "2026-01", "2026-13-01", "2026-00-01"),
        *("0000-01-01", "2026-01-01 ", " 2026-01-01", "2026-01-01\n", "2026-01-01T00:00:00", "-2026-01-01"),
        *(
            "\u0662\u0660\u0662\u0666-01-01",
            "\uff12\uff10\uff12\uff16-01-01",
            "2026/01/01",
            "01-01-2026",
            "10000-01-01",
        ),
        *("Current", "CURRENT", "now", "next", "previous "),
    ],
)
def test_refuses_other_spellings(text: str) -> None:
    """Anything but YYYY-MM-01 is refused, as two spellings of one month would be two alerts."""
    for read in (Month.parse, partial(Month.resolve, today=date(2026, 1, 5))):
        with pytest.raises(BadMonthError):
            read(text)


def test_quotes_little_of_a_bad_spelling() -> None:
    """The error of a huge spelling stays short."""
    with pytest.raises(BadMonthError) as error:
        Month.parse("9" * 100_000)
    assert len(error.value.detail) < 200


@given(months, st.integers(0, 400))
def test_lies_so_many_months_before(month: Month, back: int) -> None:
    """Going back and forth again leads to the same month, and the order follows the calendar."""
    earlier = month.minus(back)
    assert earlier.minus(-back) == month
    assert earlier <= month
    assert month.index - earlier.index == back


@given(st.dates())
def test_contains_the_days_from_its_first_to_its_last(day: date) -> None:
    """A day lies in the month that begins on the first of it and ends the day before the next."""
    month = Month.of(day)
    assert month.first_day == day.replace(day=1)
    assert month.first_day <= day <= month.last_day
    if month.last_day < date.max:
        assert Month.of(month.last_day + timedelta(days=1)) == month.minus(-1)


@pytest.mark.parametrize(
    ("text", "today", "expected"),
    [
        ("current", date(2026, 1, 31), "2026-01-01"),
        ("current", date(2026, 2, 1), "2026-02-01"),
        ("previous", date(2026, 1, 5), "2025-12-01"),
        ("previous", date(2024, 3, 31), "2024-02-01"),
        ("2019-07-01", date(2026, 1, 5), "2019-07-01"),
    ],
)
def test_resolves_what_a_scheduler_says(text: str, today: date, expected: str) -> None:
    """`current` and `previous` are seen from the day given; a month given in full is taken as it is."""
    assert str(Month.resolve(text, today=today)) == expected
