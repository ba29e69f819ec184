"""The allowed sources: prefixes, boundaries, `..` and links."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.domain.errors import BadSourceUriError, SourceNotAllowedError
from service.domain.source_uri import SourceUri
from service.sources.allowed import AllowedSources
from service.sources.opening import check_allowed, open_source
from service.sources.source import StorageAccess
from tests.support.listing import listed


def allowing(prefixes: Sequence[str] | None) -> StorageAccess:
    """Allow what lies inside these prefixes."""
    return StorageAccess(allowed_sources=None if prefixes is None else tuple(prefixes))


@pytest.mark.parametrize(
    ("uri", "prefixes"),
    [
        ("gs://bucket/x/a.parquet", None),
        ("gs://bucket/x/a.parquet", ["gs://bucket"]),
        ("gs://bucket/x/a.parquet", ["gs://bucket/"]),
        ("gs://bucket/x/a.parquet", ["s3://other", "gs://bucket/x"]),
        ("gs://bucket/x", ["gs://bucket/x/"]),
        ("gs://bucket/x/*.parquet", ["gs://bucket/x"]),
        ("gs://bucket/y/../x/a", ["gs://bucket/x"]),
        ("gs://bucket/x/a.parquet", ["gs://bucket/x/a.parquet"]),
        ("file:///nowhere/x/a.parquet", ["file:///nowhere/x"]),
        ("file:///nowhere/y/../x/a.parquet", ["file:///nowhere/x"]),
        ("file:///nowhere/a.parquet", ["file:///"]),
    ],
)
async def test_what_lies_inside_a_prefix_is_allowed(uri: str, prefixes: Sequence[str] | None) -> None:
    """A source inside one of the prefixes passes, and any source where there are none."""
    await check_allowed(SourceUri.parse(uri), allowing(prefixes))


@pytest.mark.parametrize(
    ("uri", "prefixes"),
    [
        ("gs://bucket/x", []),
        ("gs://bucket/database/a", ["gs://bucket/data"]),
        ("gs://bucket2/a", ["gs://bucket"]),
        ("s3://bucket/a", ["gs://bucket"]),
        ("gs://bucket/x/../y", ["gs://bucket/x"]),
        ("gs://bucket/*/a.parquet", ["gs://bucket/x"]),
        ("gs://bucket", ["gs://bucket/x"]),
        ("file:///database/a.parquet", ["file:///data"]),
        ("file:///data/../etc/passwd", ["file:///data"]),
        ("file:///data/%2e%2e/etc/passwd", ["file:///data"]),
        ("file:///*/a.parquet", ["file:///data"]),
    ],
)
async def test_what_lies_outside_of_every_prefix_is_refused(uri: str, prefixes: Sequence[str]) -> None:
    """A source outside is refused, through `..` and next door too, and no source passes an empty list."""
    with pytest.raises(SourceNotAllowedError, match="ALLOWED_SOURCES"):
        await check_allowed(SourceUri.parse(uri), allowing(prefixes))
    with (
        pytest.raises(SourceNotAllowedError),
        open_source(SourceUri.parse(uri), allowing(prefixes)) as source,
    ):
        listed(source)


async def test_a_prefix_must_be_plain() -> None:
    """A wildcard in a prefix is a mistake that is said, not one that allows nothing."""
    with pytest.raises(BadSourceUriError, match="without wildcards"):
        await check_allowed(SourceUri.parse("gs://bucket/x"), allowing(["gs://bucket/*"]))


@pytest.fixture
def fenced(tmp_path: Path) -> Path:
    """Make `inside`, which is allowed, and `outside`, which is not, with a file each."""
    for name in ("inside", "outside"):
        (tmp_path / name).mkdir()
        pq.write_table(pa.table({"a": [1]}), tmp_path / name / f"{name}.parquet")
    return tmp_path


@pytest.mark.parametrize(
    ("link", "rest"),
    [
        *product(["link.parquet", "link"], ["", "/*", "/**", "/link*"]),
        ("link.parquet", "/link.parquet"),
        ("link", "/link/outside.parquet"),
    ],
)
def test_links_that_lead_outside_are_refused(fenced: Path, link: str, rest: str) -> None:
    """A link inside an allowed folder does not open what it points at, however it is come by."""
    (fenced / "inside" / link).symlink_to(fenced / "outside" / ("" if link == "link" else "outside.parquet"))
    access = StorageAccess(allowed_sources=((fenced / "inside").as_uri(),))
    with (
        pytest.raises(SourceNotAllowedError),
        open_source(SourceUri.parse((fenced / "inside").as_uri() + rest), access) as source,
    ):
        listed(source)


def test_a_link_to_the_allowed_folder_is_allowed(fenced: Path) -> None:
    """What counts is where the files are, not how the path to them is spelled."""
    (fenced / "alias").symlink_to(fenced / "inside")
    access = StorageAccess(allowed_sources=((fenced / "alias").as_uri(),))
    with open_source(SourceUri.parse((fenced / "inside").as_uri()), access) as source:
        assert [file.name for file in listed(source)] == ["inside.parquet"]


def test_a_file_that_becomes_a_link_after_it_was_listed_is_refused(fenced: Path) -> None:
    """Every file is checked again when it is opened."""
    access = StorageAccess(allowed_sources=((fenced / "inside").as_uri(),))
    with open_source(SourceUri.parse((fenced / "inside").as_uri()), access) as source:
        (file,) = listed(source)
        Path(file.path).unlink()
        Path(file.path).symlink_to(fenced / "outside" / "outside.parquet")
        with pytest.raises(SourceNotAllowedError):
            source.open(file)


@pytest.mark.parametrize(("allowed", "other"), [("gs://", "s3"), ("s3://", "gs"), ("S3://", "gs")])
def test_a_scheme_alone_allows_any_bucket_of_it(allowed: str, other: str) -> None:
    """All buckets of one cloud, and nothing of the other's or of the disk."""
    sources = AllowedSources.parse([allowed])
    sources.check(SourceUri.parse(f"{allowed}bucket/a/*.parquet"))
    for refused in (f"{other}://bucket/a", "file:///a"):
        with pytest.raises(SourceNotAllowedError):
            sources.check(SourceUri.parse(refused))
