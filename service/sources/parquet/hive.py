"""The partition keys: columns that a file's folders give, as Hive writes them (`month=2026-01-01`)."""

import datetime as dt
from collections.abc import Container, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.domain.errors import SchemaMismatchError
from service.sources.parquet.columns import days
from service.sources.parquet.instants import instants
from service.sources.parquet.schema import Kind, SourceSchema
from service.sources.parquet.text import as_bytes

_DIGITS: Final = 40
"""Of a number in the name of a folder, before or after its point."""
_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
_ARROW: Final = {
    Kind.TEXT: pa.string(),
    Kind.DAY: pa.date32(),
    Kind.INSTANT: pa.timestamp("us"),
    Kind.NUMBER: pa.int64(),
}


def partition_keys(path: str, name: str, schema: SourceSchema, own: Container[str] = ()) -> dict[str, Any]:
    """Return the columns of `schema` that the folders of `path` give, as Arrow scalars.

    Of a day that is one of the file's `own` columns only `YYYY-MM-DD` counts: in `year=2026/month=01` the
    month is a part of another, and the folder is only a folder.

    Raises SchemaMismatchError if a value is not of its column's type, naming the file as `name`.
    """
    keys: dict[str, Any] = {}
    for folder in path.split("/")[:-1]:
        key, equals, text = folder.partition("=")
        column = unquote(key)
        if equals and column in schema.kinds:
            if column in own and schema.kinds[column] is Kind.DAY and not _is_day(unquote(text)):
                continue
            value = _cast(unquote(text), schema.kinds[column], name, column)
            if column in keys and not keys[column].equals(value):
                raise SchemaMismatchError(f"{name}: two of its folders say different things about {column}")
            keys[column] = value
    return keys


def with_keys(
    batch: Any, keys: Mapping[str, Any], columns: Sequence[str], name: str, schema: SourceSchema
) -> Any:
    """Return the batch with those of `columns` that the folders give.

    Raises SchemaMismatchError if the file has the column too, and says something else.
    """
    for column, value in keys.items():
        if column not in columns:
            continue
        if column not in batch.schema.names:
            batch = batch.append_column(column, pa.repeat(value, batch.num_rows))
        elif not _agrees(batch.column(column), value, schema.kinds[column]):
            raise contradiction(name, column, value.as_py())
    return batch


def contradiction(name: str, column: str, value: Any) -> SchemaMismatchError:
    """Return the error of a file whose folder gives a column another value than the file itself."""
    return SchemaMismatchError(
        f"{name}: its folder says {column}={value}, but the file itself says something else"
    )


def _is_day(text: str) -> bool:
    return text == _NULL or [part.isdigit() and len(part) for part in text.split("-")] == [4, 2, 2]


def _cast(text: str, kind: Kind, name: str, column: str) -> Any:
    if text == _NULL:
        return pa.scalar(None, _ARROW[kind])
    try:
        if kind is Kind.TEXT:
            return pa.scalar(text, _ARROW[kind])
        if kind is Kind.NUMBER:
            return pa.scalar(_number(text))
        instant = dt.datetime.fromisoformat(text)
        if kind is Kind.DAY:
            return pa.scalar(instant.date(), _ARROW[kind])
        utc = instant.astimezone(dt.UTC).replace(tzinfo=None) if instant.tzinfo else instant
        return pa.scalar(utc, _ARROW[kind])
    except (ValueError, OverflowError, InvalidOperation, pa.ArrowException) as error:
        detail = f"{name}: {column}: expected {kind.value}, found {text[:40]!r} in the name of its folder"
        raise SchemaMismatchError(detail) from error


def _number(text: str) -> int | Decimal:
    number = Decimal(text)
    if abs(number.adjusted()) > _DIGITS:
        # Making a whole number of 1e10000000 would take for ever.
        raise ValueError(text)
    return int(number) if number == int(number) else number


def _agrees(column: Any, value: Any, kind: Kind) -> bool:
    given = pa.repeat(value, len(column))
    if column.null_count or not value.is_valid:
        return bool(column.null_count == len(column) and not value.is_valid)
    if kind is Kind.TEXT:
        return bool(
            pc.all(pc.equal(as_bytes(column).cast(pa.large_binary()), value.as_py().encode())).as_py()
        )
    if kind is Kind.NUMBER:
        return bool(all(one == value.as_py() for one in column.to_pylist()))
    numbers = days if kind is Kind.DAY else instants
    return bool(np.array_equal(numbers(column), numbers(given)))
