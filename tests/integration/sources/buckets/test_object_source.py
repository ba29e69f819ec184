"""Sources on gs:// and s3://, over real HTTP against emulators: what is listed, read, and what it costs."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.domain.errors import (
    SourceNotAllowedError,
    SourceNotFoundError,
    StorageAccessRefusedError,
    UnsupportedTableFormatError,
)
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import Source
from tests.support.emulators import Emulator
from tests.support.listing import listed


def opened(emulator: Emulator, rest: str, allowed: tuple[str, ...] | None = None) -> Source:
    """Open a source on the emulator."""
    return open_source(SourceUri.parse(f"{emulator.kind}://{rest}"), emulator.access(allowed_sources=allowed))


def names(emulator: Emulator, rest: str) -> list[str]:
    """List a source on the emulator."""
    with opened(emulator, rest) as source:
        return [file.name for file in listed(source)]


def wide_file(row_groups: int, rows: int = 20_000, columns: int = 12) -> bytes:
    """Write columns of 160 kB each that compression cannot shrink."""
    sink = io.BytesIO()
    total = row_groups * rows
    spread = [(index * 2654435761 * 2**31) % 2**63 for index in range(total)]
    table = pa.table({f"c{number}": spread for number in range(columns)})
    pq.write_table(table, sink, row_group_size=rows, use_dictionary=False, compression="none")
    return sink.getvalue()


def test_a_tree_is_listed_as_on_disk(emulator: Emulator, bucket: str) -> None:
    """Folders, globs, hidden names, empty objects and `key=value` folders follow the same rules."""
    for key in (
        "t/b b.parquet",
        "t/month=2026-01-01/a.parquet",
        "t/month=2026-02-01/c.parquet",
        "t/_temporary/x.parquet",
        "t/notes.txt",
        "t/_SUCCESS",
        "table/other.parquet",
    ):
        emulator.put(bucket, key, b"x")
    emulator.put(bucket, "t/empty.parquet", b"")
    shown = [
        "b b.parquet",
        "empty.parquet",
        "month=2026-01-01/a.parquet",
        "month=2026-02-01/c.parquet",
    ]
    assert names(emulator, f"{bucket}/t") == shown
    assert names(emulator, f"{bucket}/t/") == shown
    assert names(emulator, f"{bucket}/t/**/*.parquet") == shown
    assert names(emulator, f"{bucket}/t/month=2026-0[12]-01/*.parquet") == shown[2:]
    assert names(emulator, f"{bucket}/t/month=*-02-*") == shown[3:]
    assert names(emulator, f"{bucket}/t/notes.txt") == ["notes.txt"]
    assert names(emulator, f"{bucket}/t/b b.parquet") == ["b b.parquet"]
    assert names(emulator, f"{bucket}/*/o*") == ["table/other.parquet"]
    assert names(emulator, bucket) == [*(f"t/{name}" for name in shown), "table/other.parquet"]


@pytest.mark.parametrize(
    "key", ["a#b.parquet", "a%20b.parquet", "a+b &c=d.parquet", "é/ü.parquet", "x@y.parquet"]
)
def test_keys_are_taken_as_they_stand(emulator: Emulator, bucket: str, key: str) -> None:
    """Characters that mean something in URLs mean nothing in keys."""
    emulator.put(bucket, key, b"PAR1")
    with opened(emulator, f"{bucket}/{key}") as source:
        (file,) = listed(source)
        assert (file.path, file.size) == (f"{bucket}/{key}", 4)
        with source.open(file) as reader:
            assert reader.file.read() == b"PAR1"


def test_what_is_not_there_is_said(emulator: Emulator, bucket: str) -> None:
    """A missing object, a missing bucket, an empty folder and a glob without a match each have a sentence."""
    emulator.put(bucket, "t/notes.txt", b"x")
    for rest, says in (
        (f"{bucket}/nope.parquet", f"{emulator.kind}://{bucket}/nope.parquet does not exist"),
        (f"{bucket}/nope/", "does not exist"),
        ("no-such-bucket/a.parquet", "bucket no-such-bucket does not exist"),
        (f"{bucket}/t", r"without any \*.parquet or \*.parq or \*.pq file"),
        (f"{bucket}/t/*.parquet", "matches no file"),
    ):
        with pytest.raises(SourceNotFoundError, match=says):
            names(emulator, rest)


def test_only_allowed_objects_are_read(emulator: Emulator, bucket: str) -> None:
    """A prefix ends at a boundary, and what lies outside is refused before anything is requested."""
    emulator.put(bucket, "data/a.parquet", b"x")
    emulator.put(bucket, "database/b.parquet", b"x")
    allowed = (f"{emulator.kind}://{bucket}/data",)
    with opened(emulator, f"{bucket}/data", allowed) as source:
        assert [file.name for file in listed(source)] == ["a.parquet"]
    emulator.reset()
    for rest in ("database/b.parquet", "data*/*.parquet", "data/../database/b.parquet"):
        with (
            pytest.raises(SourceNotAllowedError),
            opened(emulator, f"{bucket}/{rest}", allowed) as source,
        ):
            listed(source)
    assert emulator.counters().requests == 0


def test_reads_cost_little_more_than_the_columns_they_need(emulator: Emulator, bucket: str) -> None:
    """Bytes within 10 % of the needed column chunks, footer included, and neighbours in one request."""
    content = wide_file(row_groups=3)
    emulator.put(bucket, "wide.parquet", content)
    columns = ["c2", "c3", "c4", "c9"]
    with opened(emulator, f"{bucket}/wide.parquet") as source:
        (file,) = listed(source)
        emulator.reset()
        with source.open(file) as reader:
            parquet = pq.ParquetFile(reader.file, pre_buffer=False)
            needed = 0
            for index in range(parquet.num_row_groups):
                group = parquet.metadata.row_group(index)
                chunks = [group.column(number) for number in range(group.num_columns)]
                ranges = [
                    (chunk.data_page_offset, chunk.total_compressed_size)
                    for chunk in chunks
                    if chunk.path_in_schema in columns
                ]
                needed += sum(length for _, length in ranges)
                reader.prefetch(ranges)
                table = parquet.read_row_group(index, columns=columns)
                expected = pq.ParquetFile(io.BytesIO(content)).read_row_group(index, columns=columns)
                assert table.equals(expected)
                assert reader._held == []  # type: ignore[attr-defined] # of the object reader
    counters = emulator.counters()
    assert counters.bytes <= needed * 1.1
    assert counters.requests == counters.ranges == 1 + 3 * 2


def test_large_ranges_come_in_parts_and_are_joined(emulator: Emulator, bucket: str) -> None:
    """A range of 20 MiB is several requests, and reads across their edges are right."""
    content = bytes(range(256)) * (80 * 1024)
    emulator.put(bucket, "large.bin", content)
    with opened(emulator, f"{bucket}/large.bin") as source:
        (file,) = listed(source)
        emulator.reset()
        with source.open(file) as reader:
            reader.prefetch([(5, len(content) - 10)])
            reader.file.seek(5)
            assert reader.file.read(len(content) - 10) == content[5:-5]
    assert emulator.counters().requests == 3


def test_many_files_are_listed_in_one_request(emulator: Emulator, bucket: str) -> None:
    """A folder of 50 files costs one listing, besides the question whether it is a file."""
    for number in range(50):
        emulator.put(bucket, f"t/month=2026-01-01/{number:02}.parquet", b"x")
    emulator.reset()
    assert len(names(emulator, f"{bucket}/t")) == 50
    assert emulator.counters().requests == 2
    emulator.reset()
    assert len(names(emulator, f"{bucket}/t/")) == 50
    assert emulator.counters().requests == 1


@pytest.mark.parametrize("emulator", ["s3"], indirect=True)
def test_listings_of_several_pages_are_followed(emulator: Emulator, bucket: str) -> None:
    """S3 lists a thousand keys at a time; none of the others is lost. For GCS see test_gcs.py."""
    for number in range(1003):
        emulator.put(bucket, f"t/{number:04}.parquet", b"")
    emulator.reset()
    assert len(names(emulator, f"{bucket}/t/")) == 1003
    assert emulator.counters().requests == 2


def test_one_source_serves_many_threads(emulator: Emulator, bucket: str) -> None:
    """Readers of one source may be used by several threads at a time."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only here

    content = wide_file(row_groups=1, rows=2_000, columns=3)
    for number in range(6):
        emulator.put(bucket, f"t/{number}.parquet", content)
    with opened(emulator, f"{bucket}/t/") as source, ThreadPoolExecutor(6) as pool:

        def rows(number: int) -> int:
            with source.open(listed(source)[number]) as reader:
                return int(pq.ParquetFile(reader.file, pre_buffer=False).read().num_rows)

        assert list(pool.map(rows, range(6))) == [2_000] * 6


@pytest.mark.parametrize("use_threads", [True, False])
def test_errors_pass_through_the_parquet_reader(
    emulator: Emulator, bucket: str, *, use_threads: bool
) -> None:
    """What goes wrong below Arrow comes out of it as this service's own error, from its threads too."""
    emulator.put(bucket, "a.parquet", wide_file(row_groups=1))
    with opened(emulator, f"{bucket}/a.parquet") as source:
        (file,) = listed(source)
        with source.open(file) as reader:
            parquet = pq.ParquetFile(reader.file, pre_buffer=False, buffer_size=65536)
            emulator.break_next(403, times=100)
            with pytest.raises(StorageAccessRefusedError):
                parquet.read_row_group(0, use_threads=use_threads)
            with pytest.raises(StorageAccessRefusedError):
                list(parquet.iter_batches(use_threads=use_threads))


def test_buffered_reads_are_served_from_what_was_fetched_ahead(emulator: Emulator, bucket: str) -> None:
    """Reading column chunks in small pieces costs no further request, and lets go of them in the end."""
    emulator.put(bucket, "a.parquet", wide_file(row_groups=1))
    with opened(emulator, f"{bucket}/a.parquet") as source:
        (file,) = listed(source)
        with source.open(file) as reader:
            parquet = pq.ParquetFile(reader.file, pre_buffer=False, buffer_size=4096)
            group = parquet.metadata.row_group(0)
            reader.prefetch(
                [
                    (group.column(place).data_page_offset, group.column(place).total_compressed_size)
                    for place in range(3)
                ]
            )
            emulator.reset()
            rows = sum(batch.num_rows for batch in parquet.iter_batches(1000, columns=["c0", "c1", "c2"]))
            assert rows == 20_000
            assert reader._held == []  # type: ignore[attr-defined] # of the object reader
    assert emulator.counters().requests <= 1


def test_a_small_file_is_fetched_once_however_often_it_is_opened(emulator: Emulator, bucket: str) -> None:
    """What came with the footer serves the readers that follow."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": list(range(1000))}), sink)
    emulator.put(bucket, "a.parquet", sink.getvalue())
    with opened(emulator, f"{bucket}/a.parquet") as source:
        (file,) = listed(source)
        emulator.reset()
        for _ in range(3):
            with source.open(file) as reader:
                assert pq.ParquetFile(reader.file, pre_buffer=False).read().num_rows == 1000
    assert emulator.counters().requests == 1


@pytest.mark.parametrize(
    ("keys", "rest", "requests"),
    [
        (("t/_delta_log/00000000000000000000.json", "t/a.parquet"), "t/", 1),
        (("t/_delta_log/00000000000000000000.json", "t/a.parquet"), "*", 1),
        (("t/_delta_log/00000000000000000000.json", "t/a.parquet"), "t/a*", 3),
        (
            ("t/_delta_log/00000000000000000000.json", "t/month=2026-01-01/a.parquet"),
            "t/month=2026-01-01/",
            3,
        ),
        (("t/metadata/v1.metadata.json", "t/data/a.parquet"), "t/", 1),
        (("t/metadata/v1.metadata.json", "t/data/a.parquet"), "t/data/", 3),
        ((".hoodie/hoodie.properties", "a.parquet"), "", 1),
    ],
)
def test_a_table_of_another_format_is_refused(
    emulator: Emulator, bucket: str, keys: tuple[str, ...], rest: str, requests: int
) -> None:
    """Its files also hold rows that it has no more; to look for its log costs requests only elsewhere."""
    for key in keys:
        emulator.put(bucket, key, b"x")
    with pytest.raises(UnsupportedTableFormatError, match=r"is a table of (Delta|Apache)"):
        names(emulator, f"{bucket}/{rest}")
    assert emulator.counters().requests == requests


def test_no_log_is_looked_for_where_nothing_may_be_read(emulator: Emulator, bucket: str) -> None:
    """Whether there is a table outside of what is allowed cannot be found out."""
    emulator.put(bucket, "t/_delta_log/00000.json", b"x")
    emulator.put(bucket, "t/month=2026-01-01/a.parquet", b"x")
    rest = f"{bucket}/t/month=2026-01-01"
    with opened(emulator, f"{rest}/", (f"{emulator.kind}://{rest}",)) as source:
        assert [file.name for file in listed(source)] == ["a.parquet"]
    assert emulator.counters().requests == 1
