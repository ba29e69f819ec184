"""What real Google Cloud Storage does and its emulator does not: listings in pages, and generations."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from service.domain.errors import SourceChangedError
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import Source, StorageAccess
from tests.support.http_servers import QuietHandler, serving
from tests.support.listing import listed

CONTENT = bytes(1000)
PAGES = 3


class _Store(QuietHandler):
    # Three pages of two objects each; the objects are at generation 7, or at 8 once `replaced` says how.

    replaced: str | None = None

    def do_GET(self) -> None:  # noqa: N802  # the name that http.server calls
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if query.get("alt") != "media":
            page = int(query.get("pageToken", "0"))
            listed: dict[str, Any] = {
                "items": [
                    {"name": f"{query['prefix']}{page}-{number}.parquet", "size": "1000", "generation": "7"}
                    for number in range(2)
                ]
            }
            if page + 1 < PAGES:
                listed["nextPageToken"] = str(page + 1)
            self.answer(200, json.dumps(listed).encode())
        elif self.replaced == "heeding" and query["ifGenerationMatch"] != "8":
            self.answer(412, b"{}")
        else:
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            generation = "7" if self.replaced is None else "8"
            self.answer(206, CONTENT[first : last + 1], x_goog_generation=generation)


@pytest.fixture
def store() -> type[_Store]:
    """Make a store of which nothing was replaced yet."""

    class Store(_Store):
        pass

    return Store


@pytest.fixture
def source(store: type[_Store]) -> Iterator[Source]:
    """Open a folder on the store."""
    with serving(store) as url:
        access = StorageAccess(gcs_token="anon", gcs_endpoint_url=f"{url}/")
        with open_source(SourceUri.parse("gs://bucket/t/"), access) as opened:
            yield opened


def test_listings_of_several_pages_are_followed(source: Source) -> None:
    """The objects of every page are listed."""
    assert [file.name for file in listed(source)] == [
        f"{page}-{number}.parquet" for page in range(PAGES) for number in range(2)
    ]


@pytest.mark.parametrize("how", ["heeding", "ignoring"])
def test_an_object_replaced_by_one_of_the_same_size_is_noticed(
    source: Source, store: type[_Store], how: str
) -> None:
    """A new generation shows, by the precondition or by what the answer says it is."""
    file = listed(source)[0]
    with source.open(file) as reader:
        assert reader.file.read(10) == CONTENT[:10]
        store.replaced = how
        with pytest.raises(SourceChangedError, match="replaced"):
            reader.file.read(10)
