"""`sample-data`: a Parquet file as a data team would deliver it, odd rows included, to try the service with.

The same arguments always write the same rows. The figures are invented; no row describes a real company.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from service.cli.command import report
from service.cli.exit_codes import OK, RUN_FAILED, USAGE
from service.domain.errors import BadMonthError
from service.domain.month import Month
from service.runtime.clock import SystemClock
from service.telemetry.terminal import harmless

FIRST_MONTH: Final = Month(12)
"""January of the year 1: no date is older."""

SCHEMA: Final = pa.schema(
    [
        pa.field("account_id", pa.string(), nullable=False),
        pa.field("account_name", pa.string()),
        pa.field("account_region", pa.string()),
        pa.field("month", pa.date32(), nullable=False),
        pa.field("status", pa.string()),
        pa.field("renewal_date", pa.date32()),
        pa.field("account_owner", pa.string()),
        pa.field("arr", pa.int64()),
        pa.field("updated_at", pa.timestamp("us", tz="UTC")),
    ]
)

AWKWARD_NAMES: Final = (
    "Smith & Sons <Europe>",
    "<!channel> Ltd",
    "*Bold* _Moves_ ~Inc~",
    "Zürcher Käse AG",
    "株式会社サンプル",
    "שלום Trading",
    "Line\nBreak GmbH",
    'O\'Brien "The Quoted" Partners',
    "🚀 Rocket Labs",
    "A very long name " + "indeed " * 60,
    None,
)
_FIRST: Final = ("Amber", "Birch", "Cedar", "Delta", "Ember", "Fjord", "Granite", "Harbor", "Iris", "Juniper")
_SECOND: Final = ("Analytics", "Foods", "Freight", "Health", "Media", "Mining", "Optics", "Retail", "Systems")
_REGIONS: Final = (("AMER", 45), ("EMEA", 30), ("APAC", 20), ("LATAM", 2), (None, 2), ("amer", 1))
"""LATAM has no channel by default, and `amer` is a near miss of AMER."""
_OWNERS: Final = (*(f"owner{number}@example.com" for number in range(1, 13)), None)

_FALLS_ILL: Final = 0.04
"""Chance a month that a healthy account becomes At Risk."""
_RECOVERS: Final = 0.2
_CHURNS: Final = 0.03
_GAP: Final = 0.01
_DUPLICATE: Final = 0.03
_UNKNOWN_ARR: Final = 0.04


@dataclass(slots=True, kw_only=True)
class _Account:
    account_id: str
    name: str | None
    region: str | None
    owner: str | None
    arr: int | None
    renewal: date | None
    status: str
    stays: bool
    """Whether the account stays as it is, so that every sample shows it."""


def write_sample(path: Path, *, accounts: int, months: int, month: str, seed: int) -> int:
    """Write the file and return the exit code."""
    try:
        last_month = Month.resolve(month, today=SystemClock().now().date())
    except BadMonthError as problem:
        report(f"{problem.code}: {problem.detail}")
        return USAGE
    if last_month.minus(months - 1) < FIRST_MONTH:
        report("--months reaches back before the year 1")
        return USAGE
    try:
        rows = write_sample_data(path, accounts=accounts, months=months, last_month=last_month, seed=seed)
    except OSError as problem:
        report(f"{path} cannot be written: {problem.strerror or problem}")
        return RUN_FAILED
    span = f"{last_month.minus(months - 1)} to {last_month}"
    sys.stdout.write(f"{harmless(str(path))}: {rows:,} rows, {accounts:,} accounts, {span}\n")
    return OK


def write_sample_data(path: Path, *, accounts: int, months: int, last_month: Month, seed: int) -> int:
    """Write `months` months of `accounts` accounts, one row group a month, and return the number of rows.

    Raises OSError when the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for month_rows in sample_rows(accounts=accounts, months=months, last_month=last_month, seed=seed):
            writer.write_table(pa.Table.from_pylist(month_rows, schema=SCHEMA))
            rows += len(month_rows)
    return rows


def sample_rows(
    *, accounts: int, months: int, last_month: Month, seed: int
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each month, oldest first, each month in an order of its own."""
    chance = Random(seed)  # noqa: S311  # invents figures; nothing secret depends on it
    known = [_account(number, last_month, chance) for number in range(accounts)]
    for back in range(months - 1, -1, -1):
        month = last_month.minus(back)
        rows: list[dict[str, Any]] = []
        for account in known:
            if not account.stays:
                account.status = _next_status(account.status, chance)
            # What churned says so once and is gone; others miss a month now and then.
            if account.status == "gone" or chance.random() < _GAP:
                continue
            row = _row(account, month, chance)
            rows.append(row)
            if chance.random() < _DUPLICATE:
                rows.append(_duplicate(row, chance))
        chance.shuffle(rows)
        yield rows


def _account(number: int, last_month: Month, chance: Random) -> _Account:
    ordinary = f"{chance.choice(_FIRST)} {chance.choice(_SECOND)} {number:04d}"
    # A prime step spreads the awkward names over the file.
    awkward = number % 17 == 0 and number // 17 < len(AWKWARD_NAMES)
    regions, weights = zip(*_REGIONS, strict=True)
    return _Account(
        # An id that a URL must encode.
        account_id="a/0005?x=1" if number == 5 else f"a{number:05d}",  # noqa: PLR2004  # any one will do
        name=AWKWARD_NAMES[number // 17] if awkward else ordinary,
        region=chance.choices(regions, weights)[0],
        owner=chance.choice(_OWNERS),
        arr=None if chance.random() < _UNKNOWN_ARR else round(chance.lognormvariate(10, 1)),
        renewal=None if chance.random() < _GAP else _renewal(last_month, chance),
        status="At Risk" if awkward else "Healthy",
        stays=awkward,
    )


def _renewal(last_month: Month, chance: Random) -> date:
    # Within a year, which the calendar may not have any more.
    return date.fromordinal(
        min(last_month.first_day.toordinal() + chance.randrange(30, 395), date.max.toordinal())
    )


def _next_status(status: str, chance: Random) -> str:
    draw = chance.random()
    if status in {"gone", "Churned"}:
        return "gone"
    if status == "At Risk":
        if draw < _CHURNS:
            return "Churned"
        return "Healthy" if draw < _CHURNS + _RECOVERS else "At Risk"
    return "At Risk" if draw < _FALLS_ILL else "Healthy"


def _row(account: _Account, month: Month, chance: Random) -> dict[str, Any]:
    first = month.first_day
    at = datetime(first.year, first.month, first.day, tzinfo=UTC) + timedelta(
        days=chance.randrange(25), seconds=chance.randrange(86_400)
    )
    return {
        "account_id": account.account_id,
        "account_name": account.name,
        "account_region": account.region,
        "month": first,
        "status": account.status,
        "renewal_date": account.renewal,
        "account_owner": account.owner,
        "arr": account.arr,
        "updated_at": at,
    }


def _duplicate(row: dict[str, Any], chance: Random) -> dict[str, Any]:
    """Return an older or newer version of a row, which now and then says something else."""
    hours = chance.choice((-30, -2, 0, 2, 30))
    changed = dict(row, updated_at=row["updated_at"] + timedelta(hours=hours))
    if chance.random() < 0.5:  # noqa: PLR2004  # half of them
        # `at risk` is a near miss, which the service counts and does not alert.
        changed["status"] = chance.choice(("Healthy", "At Risk", "at risk"))
    return changed
