"""Training data: ratios and whether the company defaulted, from CSV or Parquet."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from service.default_risk.errors import BadCompaniesFileError
from service.default_risk.ratios import ratios_of
from service.default_risk.values import Numbers
from service.domain.default_risk.prediction_kind import PredictionKind

_CHUNK: Final = 1 << 20
LEAST_DEFAULTS: Final = 50
"""With fewer than these a tenth of the data holds too few to measure anything by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Labelled companies of one kind."""

    kind: PredictionKind
    values: tuple[NDArray[np.float64], ...]
    """For each ratio of the kind; NaN is missing."""
    defaulted: NDArray[np.int8]
    companies: NDArray[Any] | None
    """Whose row it is, where the data says so: one company is never in training and test at once."""
    times: NDArray[Any] | None
    """When it was, where the data says so: what is tested is later than what is trained on."""
    sha256: str
    """Of the file."""

    def of(self, rows: NDArray[np.intp]) -> Self:
        """Return some of the rows."""
        return replace(
            self,
            values=tuple(column[rows] for column in self.values),
            defaulted=self.defaulted[rows],
            companies=None if self.companies is None else self.companies[rows],
            times=None if self.times is None else self.times[rows],
        )


def read_labelled(
    path: Path, kind: PredictionKind, *, label: str, company: str | None = None, time: str | None = None
) -> Labelled:
    """Read labelled companies; raises BadCompaniesFileError."""
    ratios = [ratio.name for ratio in ratios_of(kind)]
    wanted = [*ratios, label, *(name for name in (company, time) if name is not None)]
    try:
        table = _table(path, wanted)
        digest = _sha256(path)
    except (OSError, pa.ArrowException) as problem:
        said = " ".join(str(problem).split())[:300]
        raise BadCompaniesFileError(f"{path.name} cannot be read: {said}") from problem
    values = []
    for name in ratios:
        numbers = Numbers.of(table.column(name).combine_chunks())
        if numbers.problems:
            row, found = next(iter(numbers.problems.items()))
            raise BadCompaniesFileError(f"{path.name}: {name} of row {row + 1}: {found}")
        values.append(numbers.values)
    times = None if time is None else _names(table.column(time))
    if times is not None and len(set(times)) == 1:
        raise BadCompaniesFileError(f"{path.name}: {time} is {times[0]!r} in every row: nothing is later")
    return Labelled(
        kind=kind,
        values=tuple(values),
        defaulted=_labels(table.column(label), path.name, label),
        companies=None if company is None else _names(table.column(company)),
        times=times,
        sha256=digest,
    )


def _table(path: Path, wanted: list[str]) -> Any:
    if path.suffix.lower() == ".parquet":
        names = pq.read_schema(path).names
        _check(names, wanted, path.name)
        return pq.read_table(path, columns=wanted)
    with pa.csv.open_csv(path) as reader:
        names = reader.schema.names
    _check(names, wanted, path.name)
    return pa.csv.read_csv(
        path,
        convert_options=pa.csv.ConvertOptions(
            include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())
        ),
    )


def _check(names: list[str], wanted: list[str], file: str) -> None:
    missing = [name for name in wanted if names.count(name) != 1]
    if missing:
        raise BadCompaniesFileError(
            f"{file}: missing, or there more than once: {', '.join(missing)}; it has {', '.join(names)[:500]}"
        )


def _labels(column: Any, file: str, label: str) -> NDArray[np.int8]:
    try:
        found = column.combine_chunks().cast(pa.string()).cast(pa.float64())
    except pa.ArrowException:
        found = None
    if found is None or found.null_count or not pc.all(pc.is_in(found, pa.array([0.0, 1.0]))).as_py():
        raise BadCompaniesFileError(f"{file}: {label} must be 1 for a default and 0 else, in every row")
    labels: NDArray[np.int8] = found.to_numpy(zero_copy_only=False).astype(np.int8)
    if not LEAST_DEFAULTS <= labels.sum() <= len(labels) - LEAST_DEFAULTS:
        raise BadCompaniesFileError(
            f"{file}: {int(labels.sum())} of {len(labels)} companies defaulted: at least "
            f"{LEAST_DEFAULTS} of each are needed"
        )
    return labels


def _names(column: Any) -> NDArray[Any]:
    names: NDArray[Any] = (
        column.combine_chunks().cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False)
    )
    return names


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
