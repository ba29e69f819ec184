"""The source pattern: which files a folder or a glob means."""

import pytest

from service.sources.parquet.file_kind import PARQUET
from service.sources.pattern import SourcePattern

FILES = (
    "a.parquet",
    "b.PARQUET",
    "notes.txt",
    "_SUCCESS",
    "_hidden.parquet",
    ".part.parquet",
    "month=2026-01-01/c.parquet",
    "month=2026-01-01/d.csv",
    "month=2026-02-01/e.parquet",
    "_temporary/f.parquet",
    "month=2026-02-01/.tmp/g.parquet",
    "deep/er/h.parquet",
)


def taken(*segments: str) -> set[str]:
    """Walk all files with a pattern."""
    pattern = SourcePattern(segments, PARQUET)
    found = set()
    for file in FILES:
        *folders, name = file.split("/")
        reached = pattern.start()
        for folder in folders:
            reached = pattern.into(reached, folder)
        if pattern.takes(reached, name):
            found.add(file)
    return found


SHOWN = {
    "a.parquet",
    "b.PARQUET",
    "month=2026-01-01/c.parquet",
    "month=2026-02-01/e.parquet",
    "deep/er/h.parquet",
}


@pytest.mark.parametrize(
    ("segments", "files"),
    [
        ((), SHOWN),
        (("**",), SHOWN),
        (("**", "*.parquet"), SHOWN - {"b.PARQUET"}),
        (("*",), SHOWN),
        (("*.PAR*",), {"b.PARQUET"}),
        (("*.parquet",), {"a.parquet"}),
        (("?.parquet",), {"a.parquet"}),
        (("[!b-z].parquet",), {"a.parquet"}),
        (("*.txt",), {"notes.txt"}),
        (("month=*",), {"month=2026-01-01/c.parquet", "month=2026-02-01/e.parquet"}),
        (("month=*", "*"), {"month=2026-01-01/c.parquet", "month=2026-02-01/e.parquet"}),
        (("month=2026-0[1]-01", "*.csv"), {"month=2026-01-01/d.csv"}),
        (("**", "d.csv"), {"month=2026-01-01/d.csv"}),
        (("**", "er", "*.parquet"), {"deep/er/h.parquet"}),
        (("**", "**", "h.parquet"), {"deep/er/h.parquet"}),
        (("_*",), {"_hidden.parquet", "_temporary/f.parquet"}),
        (("**", ".tmp", "g*"), {"month=2026-02-01/.tmp/g.parquet"}),
        (("nothing*",), set()),
    ],
)
def test_a_pattern_takes_what_its_rules_say(segments: tuple[str, ...], files: set[str]) -> None:
    """Folders, globs, `**`, hidden names and other suffixes, each by its rule."""
    assert taken(*segments) == files


def test_a_listing_is_narrowed_by_what_is_literal() -> None:
    """The text before the first wildcard is what all names begin with."""
    assert SourcePattern(("month=2026-*", "x"), PARQUET).literal_start() == "month=2026-"
    assert SourcePattern(("[ab]*",), PARQUET).literal_start() == ""
    assert SourcePattern((), PARQUET).literal_start() == ""


def test_many_wildcards_do_not_make_a_walk_slow() -> None:
    """A glob made to be slow is walked in time that does not grow with its possibilities."""
    pattern = SourcePattern(("**", "a*a*a*a*a*a*b") * 12, PARQUET)
    reached = pattern.start()
    for _ in range(300):
        reached = pattern.into(reached, "a" * 120)
    assert not pattern.takes(reached, "a" * 200)
