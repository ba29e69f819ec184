"""Companies: records become rows that can be scored, each with its period, or with why it cannot."""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.default_risk.errors import BadCompaniesFileError, SuspectedFractionUnitsError
from service.default_risk.ratios import Ratio, ratios_of
from service.default_risk.reading.tables import Records
from service.default_risk.scoring import Floats
from service.default_risk.units import Units
from service.default_risk.values import NEGATIVE, Numbers
from service.domain.default_risk.prediction_kind import PredictionKind

_LONGEST_SYMBOL: Final = 40
_LONGEST_TEXT: Final = 200
_YEARS: Final = range(1900, 2101)
_QUARTERS: Final = {spelled: quarter for quarter in range(1, 5) for spelled in (f"Q{quarter}", f"{quarter}")}
_FRACTION: Final = 1.0
"""A percentage that lies within ±1 could be a fraction."""
_DECIDING_ROWS: Final = 4096
"""A file's first so many rows decide whether its percentages look like fractions, however it is read."""
_LEAST_ROWS: Final = 10
"""So few rows may be companies that hardly earn or owe anything."""
_TEXTS: Final = ("company_name", "sector")


class _NoTextError(ValueError):
    """A column that must be text is something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Companies:
    """Rows of a file, in its order; what cannot be scored has a problem."""

    numbers: Sequence[int]
    symbols: Sequence[str]
    names: Sequence[str]
    sectors: Sequence[str]
    market_caps: Floats
    """In millions; not a number where there is none."""
    years: Sequence[int]
    """0 where it is not usable."""
    quarters: Sequence[int]
    """0: an annual statement, or not usable."""
    values: tuple[Floats, ...]
    """For each ratio of the kind."""
    problems: Mapping[int, str]
    """By row (not number): what is wrong with it, in one sentence."""
    broken: Mapping[int, str]
    """Records that are no rows, by number."""

    def without_problems(self, begin: int = 0) -> Self:
        """Return the rows that can be scored, from the record with the number `begin` on."""
        rows = [
            row for row, number in enumerate(self.numbers) if number >= begin and row not in self.problems
        ]
        if len(rows) == len(self.numbers):
            return replace(self, broken={})
        return replace(
            self,
            numbers=[self.numbers[row] for row in rows],
            symbols=[self.symbols[row] for row in rows],
            names=[self.names[row] for row in rows],
            sectors=[self.sectors[row] for row in rows],
            market_caps=self.market_caps[rows],
            years=[self.years[row] for row in rows],
            quarters=[self.quarters[row] for row in rows],
            values=tuple(column[rows] for column in self.values),
            problems={},
            broken={},
        )


def read_companies(
    tables: Iterable[Records], kind: PredictionKind, *, file: str, units: Units | None = None
) -> Iterator[Companies]:
    """Yield the companies of a file's records.

    Raises BadCompaniesFileError for columns that are missing or not known and for files without rows;
    SuspectedFractionUnitsError where `units` does not say what looks like fractions.
    """
    found = _read(tables, kind, file)
    if units is None:
        return _in_percent(found, ratios_of(kind), file)
    return map(_from_fractions, found, repeat(ratios_of(kind))) if units is Units.FRACTION else found


def _read(tables: Iterable[Records], kind: PredictionKind, file: str) -> Iterator[Companies]:
    first, size = True, 0
    for records in tables:
        if first:
            _check_columns(list(records.columns), kind, file)
        first = False
        try:
            companies = _companies(records, ratios_of(kind), kind)
        except _NoTextError as problem:
            raise BadCompaniesFileError(f"{file}: {problem}") from problem
        size += len(companies.numbers) + len(companies.broken)
        yield companies
    if not size:
        raise BadCompaniesFileError(f"{file} has no rows")


def _from_fractions(companies: Companies, ratios: Sequence[Ratio]) -> Companies:
    for ratio, column in zip(ratios, companies.values, strict=True):
        column *= 100 if ratio.unit == "%" else 1  # noqa: PLW2901  # in place: it is ours
    return companies


def _in_percent(tables: Iterator[Companies], ratios: Sequence[Ratio], file: str) -> Iterator[Companies]:
    """Pass companies on once the rows that decide do not look like fractions."""
    first: deque[Companies] = deque()
    missing = _DECIDING_ROWS
    while missing > 0 and (companies := next(tables, None)) is not None:
        first.append(companies)
        missing -= len(companies.numbers)
    _check_units(first, ratios, file)
    while first:
        yield first.popleft()
    yield from tables


def columns_of(kind: PredictionKind) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns that a file of companies must have, and those that it may have."""
    period = ("reporting_year",) if kind is PredictionKind.ANNUAL else ("reporting_year", "reporting_quarter")
    return ("company_symbol", *period, *(ratio.name for ratio in ratios_of(kind))), (*_TEXTS, "market_cap")


def _check_columns(names: list[str], kind: PredictionKind, file: str) -> None:
    required, optional = columns_of(kind)
    problems = []
    if missing := [name for name in required if name not in names]:
        problems.append(f"missing: {', '.join(missing)}")
    if unknown := [name for name in names if name not in {*required, *optional}]:
        shown = ", ".join(name or "(no name)" for name in unknown)
        problems.append(f"not known: {shown[:300]} (it may also have {', '.join(optional)})")
    if problems:
        raise BadCompaniesFileError(f"{file}: columns {'; '.join(problems)}")


def _check_units(first: Collection[Companies], ratios: Sequence[Ratio], file: str) -> None:
    places = [place for place, ratio in enumerate(ratios) if ratio.unit == "%"]
    rows = np.concatenate([np.column_stack([each.values[place] for place in places]) for each in first])
    known = np.abs(rows[:_DECIDING_ROWS])
    known = known[~np.isnan(known)]
    if len(rows) >= _LEAST_ROWS and len(known) and known.max() <= _FRACTION and known.any():
        raise SuspectedFractionUnitsError(
            f"{file}: all its percentages lie within ±1, as if 0.12 meant 12 %: say which they are, "
            "percent or fraction"
        )


def _companies(records: Records, ratios: Sequence[Ratio], kind: PredictionKind) -> Companies:
    size = len(records.numbers)
    problems: dict[int, list[str]] = {}
    symbols = _texts(records, "company_symbol")
    length = pc.utf8_length(symbols).to_numpy()
    for row in np.flatnonzero((length == 0) | (length > _LONGEST_SYMBOL)).tolist():
        problems.setdefault(row, []).append(f"company_symbol must have 1 to {_LONGEST_SYMBOL} characters")
    for row in pc.indices_nonzero(pc.invert(pc.utf8_is_printable(symbols))).to_pylist():
        problems.setdefault(row, []).append("company_symbol must be one line of printable characters")
    years = _years(records, problems)
    quarters = [0] * size
    if kind is PredictionKind.QUARTERLY:
        quarters = _quarters(records, problems)
    texts = {name: _texts(records, name) for name in _TEXTS}
    for name, found in texts.items():
        for row in np.flatnonzero(pc.utf8_length(found).to_numpy() > _LONGEST_TEXT).tolist():
            problems.setdefault(row, []).append(f"{name} must have at most {_LONGEST_TEXT} characters")
    values = [_numbers(records, ratio.name, problems) for ratio in ratios]
    market_caps = np.full(size, np.nan)
    if "market_cap" in records.columns:
        market_caps = _numbers(records, "market_cap", problems)
        for row in np.flatnonzero(market_caps < 0).tolist():
            problems.setdefault(row, []).append(f"market_cap {NEGATIVE}")
    return Companies(
        numbers=records.numbers,
        symbols=symbols.to_pylist(),
        names=texts["company_name"].to_pylist(),
        sectors=texts["sector"].to_pylist(),
        market_caps=market_caps,
        years=years,
        quarters=quarters,
        values=tuple(values),
        problems={row: "; ".join(found) for row, found in problems.items()},
        broken=records.broken,
    )


def _numbers(records: Records, name: str, problems: dict[int, list[str]]) -> Floats:
    numbers = Numbers.of(records.columns[name])
    for row, problem in numbers.problems.items():
        problems.setdefault(row, []).append(f"{name}: {problem}")
    return numbers.values


def _texts(records: Records, name: str) -> Any:
    """Return a column of texts without space around them, as an Arrow array; empty is missing."""
    column = records.columns.get(name)
    if column is None:
        return pa.repeat("", len(records.numbers))
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        text = column.cast(pa.string())
    except pa.ArrowException as problem:
        raise _NoTextError(f"column {name} is {column.type}, and cannot be read as text") from problem
    if pa.types.is_floating(column.type):
        # A spreadsheet keeps a symbol such as 1234 as a number, and a table what is missing as NaN.
        whole = column.cast(pa.int64(), safe=False)
        is_whole = pc.fill_null(pc.equal(whole.cast(column.type, safe=False), column), fill_value=False)
        text = pc.if_else(is_whole, whole.cast(pa.string()), text)
        text = pc.if_else(pc.fill_null(pc.is_nan(column), fill_value=True), "", text)
    return pc.utf8_trim_whitespace(pc.fill_null(text, ""))


def _years(records: Records, problems: dict[int, list[str]]) -> list[int]:
    numbers = Numbers.of(records.columns["reporting_year"])
    years = np.nan_to_num(numbers.values)
    good = (years >= _YEARS[0]) & (years <= _YEARS[-1]) & (years == np.floor(years))
    for row in np.flatnonzero(~good):
        problems.setdefault(int(row), []).append(f"reporting_year must be {_YEARS[0]} to {_YEARS[-1]}")
    result: list[int] = np.where(good, years, 0).astype(int).tolist()
    return result


def _quarters(records: Records, problems: dict[int, list[str]]) -> list[int]:
    quarters = []
    for row, text in enumerate(_texts(records, "reporting_quarter").to_pylist()):
        quarter = _QUARTERS.get(text.upper(), 0)
        if not quarter:
            problems.setdefault(row, []).append("reporting_quarter must be Q1, Q2, Q3 or Q4")
        quarters.append(quarter)
    return quarters


def ledger_text(ledger: Counter[str]) -> str:
    """Return the sentence that says what became of all rows."""
    parts = " + ".join(f"{ledger[name]:,} {name}" for name in ("scored", "abstained", "duplicate", "invalid"))
    return f"{ledger.total():,} rows = {parts}"
