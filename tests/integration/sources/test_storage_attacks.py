"""Buckets under attack: listings without end, and objects with names that paths would not have."""

import json
import threading
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from service.domain.errors import (
    InterruptedRunError,
    SourceTooManyFilesError,
    StorageUnreachableError,
)
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.parquet.file_kind import PARQUET
from service.sources.source import Source, StorageAccess
from tests.support.http_servers import QuietHandler, serving
from tests.support.listing import listed


class _Store(QuietHandler):
    # Both kinds of storage.

    def _list(self, keys: list[str], next_token: str) -> None:
        if "list-type" in self.path:
            contents = "".join(f"<Contents><Key>{quote(key)}</Key><Size>9</Size></Contents>" for key in keys)
            onward = f"<NextContinuationToken>{next_token}</NextContinuationToken>" if next_token else ""
            self._answer(
                f"<ListBucketResult><EncodingType>url</EncodingType>{contents}{onward}"
                f"<IsTruncated>{str(bool(next_token)).lower()}</IsTruncated></ListBucketResult>"
            )
        else:
            items = [{"name": key, "size": "9", "generation": "1"} for key in keys]
            self._answer(json.dumps({"items": items, "nextPageToken": next_token or None}))

    def _answer(self, text: str, status: int = 200) -> None:
        self.answer(status, text.encode())


class _Endless(_Store):
    # Every page says that there is another.

    per_page: ClassVar[int] = 1000
    suffix: ClassVar[str] = ".parquet"
    pages: ClassVar[int] = 0
    stop: ClassVar[threading.Event | None] = None

    def do_GET(self) -> None:  # noqa: N802  # the name that http.server calls
        store = type(self)
        store.pages += 1
        if store.stop is not None:
            store.stop.set()
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        keys = [f"{query['prefix']}{store.pages}-{n}{store.suffix}" for n in range(store.per_page)]
        self._list(keys, str(store.pages))


@pytest.fixture
def store() -> type[_Endless]:
    """Make a store that nobody has asked anything."""

    class Store(_Endless):
        pass

    return Store


@pytest.fixture
def endpoint(store: type[_Store]) -> Iterator[str]:
    """Serve the store."""
    with serving(store) as url:
        yield url


def opened(
    kind: str,
    endpoint: str,
    rest: str = "bucket/t/",
    *,
    max_files: int = 100_000,
    timeout_s: float = 15.0,
) -> Source:
    """Open a folder on the store."""
    access = StorageAccess(
        gcs_token="anon",
        gcs_endpoint_url=endpoint,
        s3_endpoint_url=endpoint,
        s3_anon=True,
        timeout_s=timeout_s,
        max_files=max_files,
    )
    return open_source(SourceUri.parse(f"{kind}://{rest}"), access)


@pytest.mark.parametrize("kind", ["gs", "s3"])
@pytest.mark.parametrize(
    ("per_page", "suffix", "pages"), [(1000, ".parquet", 4), (1000, ".txt", 31), (0, "", 31)]
)
def test_a_listing_without_end_is_refused(
    kind: str, store: type[_Endless], endpoint: str, per_page: int, suffix: str, pages: int
) -> None:
    """Too many files, ten times as many other names, or as many pages without any: the listing ends."""
    store.per_page, store.suffix = per_page, suffix
    with (
        opened(kind, endpoint, max_files=3_000) as source,
        pytest.raises(SourceTooManyFilesError, match="SOURCE_MAX_FILES"),
    ):
        listed(source)
    assert store.pages == pages


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_a_listing_has_its_time(kind: str, store: type[_Endless], endpoint: str) -> None:
    """However quick each page comes, all together take no longer than twenty operations may."""
    store.per_page = 0
    with (
        opened(kind, endpoint, max_files=10**9, timeout_s=0.05) as source,
        pytest.raises(StorageUnreachableError, match=r"within 1 s|no answer"),
    ):
        listed(source)


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_a_listing_ends_when_it_is_stopped(kind: str, store: type[_Endless], endpoint: str) -> None:
    """The page that is on its way is the last."""
    store.stop = threading.Event()
    with opened(kind, endpoint) as source, pytest.raises(InterruptedRunError):
        source.files(PARQUET, store.stop)
    assert store.pages == 1


class _Exact(_Store):
    # Objects by the very bytes of their names: nothing is taken for a path.

    objects: ClassVar[dict[str, bytes]] = {
        "x.parquet": b"another's",
        "t/x.parquet": b"another's",
        "../x.parquet": b"its own!!",
        "t/../x.parquet": b"its own!!",
        "t/./x.parquet": b"its own!!",
        "t//x.parquet": b"its own!!",
        "t/%2e%2e/x.parquet": b"its own!!",
        "t/a\nb.parquet": b"its own!!",
    }

    def do_GET(self) -> None:  # noqa: N802  # the name that http.server calls
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if "list-type" in query or address.path.endswith("/o"):
            self._list([key for key in self.objects if key.startswith(query.get("prefix", ""))], "")
        else:
            key = unquote(address.path.partition("/o/" if "/o/" in address.path else "/bucket/")[2])
            self._answer(self.objects[key].decode(), status=206)


@pytest.mark.parametrize("kind", ["gs", "s3"])
@pytest.mark.parametrize("store", [_Exact])
@pytest.mark.parametrize(
    ("rest", "keys"),
    [
        ("t/", {"t/x.parquet", "t//x.parquet", "t/%2e%2e/x.parquet", "t/a\nb.parquet"}),
        ("t/.*/x.parquet", {"t/../x.parquet", "t/./x.parquet"}),
        (".*/*", {"../x.parquet"}),
    ],
)
def test_an_object_is_read_by_its_own_name(kind: str, endpoint: str, rest: str, keys: set[str]) -> None:
    """Nothing in a key is taken for a path's, by no library on the way: `..` reads no other object."""
    with opened(kind, endpoint, f"bucket/{rest}") as source:
        files = listed(source)
        assert {file.path for file in files} == {f"bucket/{key}" for key in keys}
        for file in files:
            assert file.name.isprintable()
            with source.open(file) as reader:
                assert reader.file.read() == _Exact.objects[file.path.removeprefix("bucket/")], file
