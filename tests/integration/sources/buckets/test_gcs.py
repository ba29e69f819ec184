"""What real Google Cloud Storage does and its emulator does not: listings in pages, and generations."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from service.domain.errors import SourceChangedError
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import Source, StorageAccess
from tests.support.listing import listed

CONTENT = bytes(1000)
PAGES = 3


class _Store(BaseHTTPRequestHandler):
    # Three pages of two objects each; the objects are at generation 7, or at 8 once `replaced` says how.

    protocol_version = "HTTP/1.1"
    replaced: str | None = None

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
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
            self._answer(200, json.dumps(listed).encode())
        elif self.replaced == "heeding" and query["ifGenerationMatch"] != "8":
            self._answer(412, b"{}")
        else:
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            self._answer(206, CONTENT[first : last + 1], generation="7" if self.replaced is None else "8")

    def _answer(self, status: int, body: bytes, generation: str = "") -> None:
        self.send_response(status)
        if generation:
            self.send_header("x-goog-generation", generation)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def store() -> type[_Store]:
    """Make a store of which nothing was replaced yet."""

    class Store(_Store):
        pass

    return Store


@pytest.fixture
def source(store: type[_Store]) -> Iterator[Source]:
    """Open a folder on the store."""
    with ThreadingHTTPServer(("127.0.0.1", 0), store) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        access = StorageAccess(gcs_token="anon", gcs_endpoint_url=f"http://127.0.0.1:{server.server_port}/")
        with open_source(SourceUri.parse("gs://bucket/t/"), access) as opened:
            yield opened
        server.shutdown()


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
