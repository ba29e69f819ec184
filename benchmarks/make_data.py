"""Made-up sources: the same bytes for the same shape, written in a stream, as large as anyone asks.

What a row says is drawn per account and month, so the layouts of a shape hold the very same rows and must
give the very same alerts. Memory: 14 bytes a row for the order, one byte an account and month, one row group.
"""

import argparse
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.data_shape import FIRST_EXTRA, Shape, cache_directory
from service.domain.month import Month

DUPLICATES: Final = 0.03
"""Share of account months told twice: a third of them word for word, the others again later."""
GAPS: Final = 0.01
"""Share of account months not told at all."""
FALLS_AT_RISK: Final = 0.03
STAYS_AT_RISK: Final = 0.80
REGIONS: Final = np.array(["AMER", "EMEA", "APAC", "LATAM"])
REGION_SHARES: Final = (0.5, 0.3, 0.195, 0.005)
STATUSES: Final = ("Healthy", "At Risk", "Churned")

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Accounts:
    """What does not change from month to month, by account number."""

    ids: pa.Array
    names: pa.Array
    regions: pa.Array
    owners: pa.Array
    renewals: pa.Array
    arr: Integers
    status: npt.NDArray[np.int8]
    """By month and account."""


@dataclass(frozen=True, slots=True)
class _Keys:
    """One entry a row: which account and month it tells of, and how late."""

    account: npt.NDArray[np.int32]
    month: npt.NDArray[np.int16]
    telling: npt.NDArray[np.int8]
    """0 for the first telling and its word-for-word copies, 1 for a later one."""


def make(shape: Shape, directory: Path | None = None) -> Path:
    """Write the files of `shape` unless they are there; returns the file, or the folder of several."""
    home = (directory or cache_directory()) / shape.name
    source = home if shape.files > 1 or shape.hive else home / "data.parquet"
    if (home / "_SUCCESS").exists():
        return source
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    accounts, keys = _accounts(shape), _keys(shape)
    if shape.hive:
        for month in range(shape.months):
            chosen = np.flatnonzero(keys.month == month)
            folder = home / f"month={_month(shape, month)}"
            folder.mkdir()
            _write(folder / "part-0.parquet", shape, accounts, keys, chosen, without="month")
    else:
        order = _order(shape, keys)
        for number, chosen in enumerate(np.array_split(order, shape.files)):
            name = "data.parquet" if shape.files == 1 else f"part-{number:03d}.parquet"
            _write(home / name, shape, accounts, keys, chosen)
    (home / "_SUCCESS").touch()
    return source


def _accounts(shape: Shape) -> _Accounts:
    random = np.random.default_rng([shape.seed, 1])
    numbers = np.arange(shape.accounts)
    status = np.empty((shape.months, shape.accounts), np.int8)
    at_risk = random.random(shape.accounts) < FALLS_AT_RISK / (1 - STAYS_AT_RISK + FALLS_AT_RISK)
    for month in range(shape.months):
        status[month] = at_risk
        status[month][~at_risk & (random.random(shape.accounts) < 0.05)] = 2
        at_risk = random.random(shape.accounts) < np.where(at_risk, STAYS_AT_RISK, FALLS_AT_RISK)
    owners = random.integers(0, max(2, shape.accounts // 200), shape.accounts)
    renewals = np.datetime64("2026-01-01") + random.integers(0, 730, shape.accounts)
    arr = np.round(random.lognormal(10.3, 1.2, shape.accounts)).astype(np.int64)
    return _Accounts(
        ids=pa.array([f"a{number:07d}" for number in numbers]),
        names=pa.array([f"Account {number:07d} & Sons" for number in numbers]),
        regions=pa.array(random.choice(REGIONS, shape.accounts, p=REGION_SHARES)),
        owners=pa.array([f"owner{owner:04d}@example.com" for owner in owners], mask=owners % 20 == 0),
        renewals=pa.array(renewals.astype("datetime64[D]"), mask=random.random(shape.accounts) < 0.05),
        arr=arr,
        status=status,
    )


def _keys(shape: Shape) -> _Keys:
    random = np.random.default_rng([shape.seed, 2])
    accounts, months, tellings = [], [], []
    for month in range(shape.months):
        known = np.flatnonzero(random.random(shape.accounts) >= GAPS)
        again = known[random.random(len(known)) < DUPLICATES]
        later = random.random(len(again)) < 2 / 3
        accounts += [known.astype(np.int32), again.astype(np.int32)]
        tellings += [np.zeros(len(known), np.int8), later.astype(np.int8)]
        months.append(np.full(len(known) + len(again), month, np.int16))
    return _Keys(np.concatenate(accounts), np.concatenate(months), np.concatenate(tellings))


def _order(shape: Shape, keys: _Keys) -> Integers:
    """Return the rows' positions in the order of the file.

    Inside a month the rows lie in any order: a warehouse's export is not sorted by anything but what it was
    asked for.
    """
    shuffled = np.random.default_rng([shape.seed, 3]).permutation(len(keys.account))
    if shape.layout == "shuffled":
        return shuffled
    if shape.layout == "by-month":
        return shuffled[np.argsort(keys.month[shuffled], kind="stable")]
    by_account = keys.account.astype(np.int64) * shape.months + keys.month
    return np.argsort(by_account, kind="stable")


def _write(
    path: Path, shape: Shape, accounts: _Accounts, keys: _Keys, chosen: Integers, without: str | None = None
) -> None:
    writer: pq.ParquetWriter | None = None
    for part in _slices(chosen, shape.row_group_size):
        table = _table(shape, accounts, keys, part)
        if without is not None:
            table = table.drop_columns([without])
        if writer is None:
            writer = pq.ParquetWriter(path, table.schema, compression=shape.compression)
        writer.write_table(table, row_group_size=shape.row_group_size)
    if writer is not None:
        writer.close()


def _slices(chosen: Integers, size: int) -> Iterator[Integers]:
    for start in range(0, len(chosen), size):
        yield chosen[start : start + size]


def _table(shape: Shape, accounts: _Accounts, keys: _Keys, rows: Integers) -> pa.Table:
    account, month, telling = keys.account[rows], keys.month[rows], keys.telling[rows]
    firsts = np.array([np.datetime64(_month(shape, back)) for back in range(shape.months)])
    # Scrambling the key gives every row its own hour, the same wherever the row lies.
    scrambled = (account.astype(np.int64) * shape.months + month) * 2_654_435_761 % 1_000_003
    second = scrambled % 432_000 + telling * (86_400 + scrambled % 3_600)
    status = accounts.status[month, account]
    # A later telling sometimes takes the risk back, so that it matters which one wins.
    status = np.where((telling == 1) & (scrambled % 5 == 0), 0, status)
    positions = pa.array(account)
    columns = {
        "account_id": accounts.ids.take(positions),
        "account_name": accounts.names.take(positions),
        "account_region": accounts.regions.take(positions),
        "month": pa.array(firsts[month]),
        "status": pa.array(STATUSES).take(pa.array(status)),
        "renewal_date": accounts.renewals.take(positions),
        "account_owner": accounts.owners.take(positions),
        "arr": pa.array(accounts.arr[account] + month * 10, mask=scrambled % 100 == 0),
        "updated_at": pa.array(firsts[month].astype("datetime64[us]") + second.astype("timedelta64[s]")),
    }
    random = np.random.default_rng([shape.seed, 4, int(rows[0])])
    for number in range(shape.extra_columns):
        columns[f"{FIRST_EXTRA}{number:02d}"] = _extra(random, number, len(rows))
    return pa.table(columns)


def _extra(random: np.random.Generator, number: int, rows: int) -> pa.Array:
    """Return a column that nobody asked for: of four, two measures, one small number, one text."""
    match number % 4:
        case 0 | 1:
            return pa.array(random.random(rows))
        case 2:
            return pa.array(random.integers(0, 1_000_000, rows))
        case _:
            words = pa.array([f"feature flag {word:05d}" for word in range(50_000)])
            return words.take(pa.array(random.integers(0, len(words), rows)))


def _month(shape: Shape, position: int) -> date:
    return Month.parse(shape.month).minus(shape.months - 1 - position).first_day


def main() -> None:
    """Write one shape and say where it lies."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.make_data")
    for name, default in asdict(Shape(accounts=1_000)).items():
        flag = "--" + name.replace("_", "-")
        if isinstance(default, bool):
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(flag, type=type(default), default=default)
    parser.add_argument("--directory", type=Path, default=None)
    arguments = vars(parser.parse_args())
    directory = arguments.pop("directory")
    print(make(Shape(**arguments), directory))


if __name__ == "__main__":
    main()
