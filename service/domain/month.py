"""The month: the grain of everything here."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from service.domain.errors import BadMonthError

_SPELLING = re.compile(r"(\d{4})-(0[1-9]|1[0-2])-01", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month; `index` counts months since January of the year 0, so arithmetic is subtraction."""

    index: int

    @classmethod
    def of(cls, day: date) -> "Month":
        """Return the month that `day` lies in."""
        return cls(day.year * 12 + day.month - 1)

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Read exactly `YYYY-MM-01`.

        Other spellings of the same month are refused, because the month is part of an alert's identity.
        Raises BadMonthError.
        """
        match = _SPELLING.fullmatch(text)
        if match is None or match[1] == "0000":
            raise BadMonthError(f"month must be YYYY-MM-01, 'current' or 'previous', not {text[:40]!r}")
        return cls(int(match[1]) * 12 + int(match[2]) - 1)

    @classmethod
    def resolve(cls, text: str, *, today: date) -> "Month":
        """Read `YYYY-MM-01`, or `current` / `previous` as seen from `today` (UTC); raises BadMonthError."""
        if text == "current":
            return cls.of(today)
        if text == "previous":
            return cls.of(today).minus(1)
        return cls.parse(text)

    def minus(self, months: int) -> "Month":
        """Return the month that lies `months` before this one."""
        return Month(self.index - months)

    @property
    def first_day(self) -> date:
        """The first day of the month; raises ValueError outside the years 1 to 9999."""
        return date(self.index // 12, self.index % 12 + 1, 1)

    @property
    def last_day(self) -> date:
        """The last day of the month."""
        if self.index == date.max.year * 12 + 11:
            return date.max
        return self.minus(-1).first_day - timedelta(days=1)

    def __str__(self) -> str:
        return _spelled(self.index)


@cache
def _spelled(index: int) -> str:
    # Written once for each of a few months, and read for every alert of a run.
    return f"{index // 12:04d}-{index % 12 + 1:02d}-01"
