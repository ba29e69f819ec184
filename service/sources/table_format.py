"""The table format: folders of data files of which only a log beside them says which still count. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from service.domain.errors import UnsupportedTableFormatError


@dataclass(frozen=True, slots=True)
class TableFormat:
    """A format whose tables must not be read as plain files: those that were deleted lie there as well."""

    name: str
    folder: str
    """The log's folder inside the table's, such as `_delta_log`."""
    log: str
    """A glob of the names in it, of which at least one is always there."""

    def is_log(self, file: str) -> bool:
        """Whether a file called `file`, in a folder called as the log's, makes a table of what is above."""
        return fnmatchcase(file, self.log)

    def refused(self, table: str) -> UnsupportedTableFormatError:
        """Return the error that says so of `table`, a folder."""
        return UnsupportedTableFormatError(
            f"{table} is a table of {self.name} (it has {self.folder}/): rows that were changed or deleted "
            "lie in its files as well; export its present rows to plain Parquet files"
        )


def tables_around(base: str) -> Iterator[str]:
    """Yield the folders whose table `base` may be part of: `t` for `t/day=1`, `t/data` and `t/data/day=1`."""
    folder = base
    while "=" in folder.rpartition("/")[2]:
        folder = folder.rpartition("/")[0]
    if folder != base:
        yield folder
    above, _, last = folder.rpartition("/")
    if last == "data":
        yield above
