"""The schema: which columns a reader wants of every file, of which kinds, and what each is read for.

Real writers disagree about types, so each column has a kind, and a kind accepts several Arrow types.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pyarrow as pa

from service.sources.parquet.zones import zone


class Kind(Enum):
    """What a column holds, in words for the person whose file has something else."""

    TEXT = "string"
    DAY = "date or timestamp"
    INSTANT = "timestamp"
    NUMBER = "integer, decimal or float"

    def accepts(self, found: Any) -> bool:
        """Whether values of this Arrow type can be read as this kind."""
        kinds = pa.types
        if kinds.is_null(found):
            return True
        match self:
            case Kind.TEXT:
                return _is_text(found.value_type if kinds.is_dictionary(found) else found)
            case Kind.DAY:
                return bool(kinds.is_date(found) or kinds.is_timestamp(found))
            case Kind.INSTANT:
                return bool(kinds.is_timestamp(found))
            case Kind.NUMBER:
                return bool(kinds.is_integer(found) or kinds.is_floating(found) or kinds.is_decimal(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSchema:
    """What a reader wants of every file of a source; columns that it does not name are passed over."""

    kinds: Mapping[str, Kind]
    """Every column that is wanted, in the order in which problems are named."""
    optional: frozenset[str] = frozenset()
    """Columns that a file need not have."""
    keys: tuple[str, ...]
    """Columns that are read of every row."""
    attributes: tuple[str, ...]
    """Columns that are read last, and of some rows only."""
    day: str
    """The column, of kind DAY, whose statistics decide which row groups are read."""

    def problems(self, found: Any, given: Iterable[str] = ()) -> list[str]:
        """Name every column of a file's Arrow schema that is missing, doubled or of a type its kind refuses.

        Columns that are `given` from elsewhere need not be in the file.
        """
        may_be_missing = self.optional.union(given)
        problems = []
        for name, kind in self.kinds.items():
            types = [field.type for field in found if field.name == name]
            if not types and name not in may_be_missing:
                alike = [repr(other) for other in found.names if other.casefold() == name.casefold()]
                meant = f" ({', '.join(alike)} is there)" if alike else ""
                problems.append(f"{name}: expected {kind.value}, but it is missing{meant}")
            elif len(types) > 1:
                problems.append(f"{name}: expected once, found {len(types)} times")
            elif types and not kind.accepts(types[0]):
                problems.append(f"{name}: expected {kind.value}, found {types[0]}")
            elif types and kind is Kind.DAY and _zone_is_unknown(types[0]):
                problems.append(f"{name}: there is no time zone {types[0].tz[:40]!r}")
        return problems

    def places(self, parquet_schema: Any) -> dict[str, int]:
        """Return at which place each of these columns stands, by a `pyarrow.parquet.ParquetSchema`."""
        paths = [parquet_schema.column(place).path for place in range(len(parquet_schema))]
        return {path: place for place, path in enumerate(paths) if path in self.kinds}


def _zone_is_unknown(found: Any) -> bool:
    return pa.types.is_timestamp(found) and found.tz is not None and zone(found.tz) is None


def _is_text(found: Any) -> bool:
    # Writers that know no text type leave plain bytes.
    return bool(
        pa.types.is_string(found)
        or pa.types.is_large_string(found)
        or pa.types.is_string_view(found)
        or pa.types.is_binary(found)
        or pa.types.is_large_binary(found)
        or pa.types.is_binary_view(found)
    )
