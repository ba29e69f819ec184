"""The scan of long texts: what is decoded at once stays small, however the writer encoded them."""

import threading
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.parquet.footer import BATCH_ROWS, Footer, row_groups
from service.sources.parquet.footer_validation import TextChunk
from service.sources.parquet.scan import Scan
from service.sources.parquet.schema import Kind, SourceSchema
from service.sources.source import StorageAccess

NOTES = SourceSchema(
    kinds={"day": Kind.DAY, "note": Kind.TEXT}, keys=("day",), attributes=("note",), day="day"
)
LONG = "x" * 20_000


def footer(path: Path, notes: list[str], *, dictionary: bool = True) -> Footer:
    """Write notes, and return what the file's footer says."""
    table = pa.table({"day": pa.nulls(len(notes), pa.date32()), "note": notes})
    pq.write_table(table, path, use_dictionary=dictionary)
    with open_source(SourceUri.parse(path.as_uri()), StorageAccess()) as source:
        (found,) = Scan(source, NOTES, threads=1, stop=threading.Event()).footers()
    return found


def sizes_read(path: Path, *, few_rows: bool) -> list[int]:
    """Return how many rows the batches of a file have."""
    sizes: list[int] = []
    with open_source(SourceUri.parse(path.as_uri()), StorageAccess()) as source:
        scan = Scan(source, NOTES, threads=1, stop=threading.Event())
        groups = [*row_groups(0, scan.footers()[0])]
        scan.read(groups, ["note"], lambda batch: sizes.append(batch.columns.num_rows), few_rows=few_rows)
    return sizes


def test_long_texts_are_read_a_few_at_once(tmp_path: Path) -> None:
    """Where each row has its own, a batch has as many as fit into 32 MB."""
    path = tmp_path / "notes.parquet"
    (group,) = row_groups(0, footer(path, [f"{LONG}{n}" for n in range(2_000)]))
    assert 1_000 < group.batch_rows < 1_700
    assert group.attribute_bytes < 33 << 20
    assert group.dictionaries == ()
    for few_rows in (False, True):
        assert sizes_read(path, few_rows=few_rows) == [group.batch_rows, 2_000 - group.batch_rows]


def test_batches_are_longer_where_few_of_their_rows_are_taken(tmp_path: Path) -> None:
    """Twice as long, as long as texts are short."""
    path = tmp_path / "notes.parquet"
    footer(path, ["short"] * (2 * BATCH_ROWS + 1))
    assert sizes_read(path, few_rows=False) == [BATCH_ROWS, BATCH_ROWS, 1]
    assert sizes_read(path, few_rows=True) == [2 * BATCH_ROWS, 1]


@pytest.mark.parametrize("known", [True, False])
def test_long_texts_that_recur_stay_a_dictionary(tmp_path: Path, *, known: bool) -> None:
    """Also where there are many for so few rows, by their size or, of other writers, by their pages."""
    found = footer(tmp_path / "notes.parquet", [f"{LONG}{n % 20}" for n in range(2_000)])
    place = found.places["note"]
    size = sum(20_001 + (n % 20 > 9) for n in range(2_000))
    assert found.texts == {(0, place): TextChunk(size, by_dictionary=True)}
    if not known:
        found = replace(found, texts={(0, place): TextChunk(None, by_dictionary=True)})
    (group,) = row_groups(0, found)
    assert (group.dictionaries, group.batch_rows) == (("note",), BATCH_ROWS)
    assert group.attribute_bytes < 2_000 * 1_000


def test_short_texts_are_read_as_they_are(tmp_path: Path) -> None:
    """A name for each row is no faster as a dictionary, and a batch of them is small."""
    (group,) = row_groups(0, footer(tmp_path / "notes.parquet", [f"note {n}" for n in range(2_000)]))
    assert (group.dictionaries, group.batch_rows) == ((), BATCH_ROWS)


def test_a_footer_that_lies_about_texts_costs_little(tmp_path: Path) -> None:
    """A batch has a few rows whatever it says."""
    found = footer(tmp_path / "notes.parquet", [f"note {n}" for n in range(2_000)], dictionary=False)
    lie = TextChunk(2**62, by_dictionary=False)
    (group,) = row_groups(0, replace(found, texts={(0, found.places["note"]): lie}))
    assert (group.dictionaries, group.batch_rows) == ((), 16)
