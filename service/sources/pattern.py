"""The source pattern: which files below a folder a source means, be it a folder or a glob.

Disk and buckets walk the same pattern, so that a tree means the same in both.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from service.domain.source_uri import WILDCARDS
from service.sources.table_format import TableFormat

_ANY_DEPTH: Final = "**"
_HIDDEN: Final = ("_", ".")


@dataclass(frozen=True, slots=True)
class FileKind:
    """Which files of a folder count: those of one format, by how their names end."""

    suffixes: tuple[str, ...]
    """In lower case; names may have them in any."""
    tables: tuple[TableFormat, ...] = ()
    """Formats of tables that keep files of this kind."""

    def takes(self, name: str) -> bool:
        """Whether the file called `name` is of this kind."""
        return name.lower().endswith(self.suffixes)

    def table_with(self, folder: str) -> TableFormat | None:
        """Return the format that keeps its log in a folder called `folder`."""
        return next((table for table in self.tables if table.folder == folder), None)

    def __str__(self) -> str:
        return " or ".join(f"*{suffix}" for suffix in self.suffixes)


Reached: TypeAlias = frozenset[int]
"""How many segments a folder's path may have used up; none at all: nothing below it is meant."""


@dataclass(frozen=True, slots=True)
class SourcePattern:
    """Segments of a glob, to be walked folder by folder from the folder that they are relative to.

    In a segment, `*`, `?`, `[abc]` and `[!abc]` never match a `/`, and match a leading `_` or `.` only if the
    segment spells it; `**` is any number of folders. A glob that ends in a wildcard takes files of `kind`;
    one that ends in text takes what it spells. A folder that the whole glob matches is read as any folder is:
    every file of `kind` below it, hidden ones and those in hidden folders excepted. No segments: a folder.
    """

    segments: tuple[str, ...]
    kind: FileKind

    def start(self) -> Reached:
        """Return where a walk stands in the folder that the pattern is relative to."""
        return self._closure([0])

    def literal_start(self) -> str:
        """Return the text that every name begins with that can match, so that a listing may be narrowed."""
        first = self.segments[0] if self.segments else ""
        return first[: min((first.find(wildcard) for wildcard in WILDCARDS if wildcard in first), default=0)]

    def into(self, reached: Reached, folder: str) -> Reached:
        """Return where a walk stands after it went from `reached` into `folder` (a name)."""
        shown = not folder.startswith(_HIDDEN)
        onward: list[int] = []
        for index in reached:
            if index == len(self.segments) or self.segments[index] == _ANY_DEPTH:
                onward += [index] if shown else []
            elif _matches(self.segments[index], folder):
                onward.append(index + 1)
        return self._closure(onward)

    def takes(self, reached: Reached, file: str) -> bool:
        """Return whether the file named `file`, in a folder where the walk stands at `reached`, is meant."""
        is_of_kind = self.kind.takes(file)
        for index in reached:
            if index == len(self.segments):
                if is_of_kind and not file.startswith(_HIDDEN):
                    return True
            elif index + 1 == len(self.segments) and _matches(self.segments[index], file):
                ends_in_wildcard = self.segments[index][-1] in "*?]"
                if is_of_kind or not ends_in_wildcard:
                    return True
        return False

    def _closure(self, indices: Iterable[int]) -> Reached:
        reached = set(indices)
        for index, segment in enumerate(self.segments):
            # Any number of folders includes none, so the segment after `**` is reached as well.
            if index in reached and segment == _ANY_DEPTH:
                reached.add(index + 1)
        return frozenset(reached)


def _matches(segment: str, name: str) -> bool:
    if segment == _ANY_DEPTH or (name.startswith(_HIDDEN) and segment[0] in WILDCARDS):
        return False
    return fnmatchcase(name, segment)
