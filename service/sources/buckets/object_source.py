"""Object storage: the files behind a gs:// or s3:// URI, within time limits and with retries."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from service.domain.errors import (
    SourceNotAllowedError,
    SourceNotFoundError,
    StorageAccessRefusedError,
    StorageUnreachableError,
)
from service.domain.source_uri import SourceUri
from service.sources.buckets.bucket import Bucket, Page, StoredObject
from service.sources.buckets.failure import FailureKind, StorageFailureError
from service.sources.buckets.loop import StorageLoop
from service.sources.buckets.object_reader import ObjectReader
from service.sources.listing import Listing, printable
from service.sources.pattern import FileKind, Reached, SourcePattern
from service.sources.source import Source, SourceFile, SourceReader, StorageAccess, nothing_found
from service.sources.table_format import TableFormat, tables_around

_RETRY_DELAYS_S: Final = (0.1, 0.4, 1.6)
"""After a failure that may pass; all tries together stay within the time limit."""
_CONNECTIONS: Final = 16
"""Requests in flight at once, over all readers of a source."""
_TAILS: Final = 256
"""Files whose last 64 KiB, read with the footer, are kept for the next reader: they may hold columns too."""
_PAGE: Final = 1000
"""Objects on a full page of a listing."""
_GRACE_S: Final = 1.0
"""How long after its time limit an operation may still report, before the loop itself is taken to hang."""

_Result = TypeVar("_Result")


class ObjectSource(Source):
    """Objects below a `gs://` or `s3://` URI.

    Every request has the time limit of the storage access, its retries included; the clients' own retries are
    off. Finding credentials counts as the first request.
    """

    def __init__(self, uri: SourceUri, access: StorageAccess, bucket: Callable[[], Bucket]) -> None:
        super().__init__(uri, access)
        self._timeout_s = access.timeout_s
        self._endpoint = _shown_endpoint(uri, access)
        self._make_bucket = bucket
        self._bucket: Bucket | None = None
        self._submitting = threading.Lock()
        self._connecting = asyncio.Lock()
        self._is_connected = False
        self._free = asyncio.Semaphore(_CONNECTIONS)
        self._tails: dict[SourceFile, bytes] = {}
        self._loop = StorageLoop(uri.scheme)
        self._last_sign_of_life = time.monotonic()
        self._closed = False

    def files(self, kind: FileKind, stop: threading.Event) -> tuple[SourceFile, ...]:
        """List the objects, sorted by path: one request for a single file, else one for each 1,000 keys."""
        self._allowed.check(self._uri)
        listing = Listing(self._uri, self._access, stop)
        if not self._uri.is_glob and not self._uri.is_folder:
            single = self._stat(self._uri.base)
            if single is not None:
                self._add(listing, single, self._uri.base.rpartition("/")[2])
                return tuple(listing.files)
        pattern = SourcePattern(self._uri.segments, kind)
        self._refuse_table_around(pattern)
        is_empty = self._walk(pattern, listing)
        if not listing.files:
            no_such = f"{self._uri.text} does not exist"
            raise SourceNotFoundError(
                no_such if is_empty and not self._uri.is_glob else nothing_found(self._uri, kind)
            )
        return tuple(sorted(listing.files))

    def open(self, file: SourceFile) -> SourceReader:
        """Open an object that was listed; nothing is requested before it is read."""
        self._allowed.check_place(self._uri, file.path)
        stored = StoredObject(file.path.partition("/")[2], file.size, file.version)

        def fetch(start: int, end: int) -> Future[bytes]:
            return self._submit(self._fetch(stored, start, end))

        def wait(future: Future[bytes]) -> bytes:
            return self._wait(future, f"{self._uri.scheme}://{file.path}")

        def keep(tail: bytes) -> None:
            if len(self._tails) < _TAILS:
                self._tails[file] = tail

        return ObjectReader(file.size, fetch, wait, tail=self._tails.get(file, b""), on_tail=keep)

    def close(self) -> None:
        """Close all connections; does not wait for a storage that hangs."""

        async def close_and_stop() -> None:
            with suppress(Exception):
                # What cannot be closed, or not in time, is left to the garbage collector.
                async with asyncio.timeout(self._timeout_s):
                    unread = asyncio.all_tasks() - {asyncio.current_task()}
                    for task in unread:
                        task.cancel()
                    await asyncio.gather(*unread, return_exceptions=True)
                    if self._bucket is not None:
                        await self._bucket.close()

        with self._submitting:
            if not self._closed:
                self._closed = True
                self._loop.submit(close_and_stop()).add_done_callback(lambda _: self._loop.close())

    def _stat(self, key: str) -> StoredObject | None:
        async def stat(bucket: Bucket) -> StoredObject | None:
            try:
                return await bucket.stat(key)
            except StorageFailureError as failure:
                if failure.kind is FailureKind.MISSING:
                    # It may be a folder.
                    return None
                raise

        return self._wait(self._submit(self._attempt(stat)), self._uri.text)

    def _walk(self, pattern: SourcePattern, listing: Listing) -> bool:
        """List what the pattern means; returns whether there was nothing to choose from."""
        folder = f"{self._uri.base}/" if self._uri.base else ""
        is_empty = True
        reached, reached_in = pattern.start(), ""
        table: TableFormat | None = None
        for page in self._pages(folder + pattern.literal_start()):
            # A page that is not full costs as much time as a full one.
            listing.look(max(_PAGE - len(page.objects), 0))
            for stored in page.objects:
                listing.look()
                is_empty = False
                name = stored.key[len(folder) :]
                above, _, last = name.rpartition("/")
                if above != reached_in:
                    # Only the last one is kept: keys come in their order, folder by folder.
                    reached, reached_in = _reached(pattern, above), above
                    table = pattern.kind.table_with(above.rpartition("/")[2])
                if table is not None and table.is_log(last):
                    holder = above.rpartition("/")[0]
                    if _reached(pattern, holder):
                        raise table.refused(self._shown(f"{folder}{holder}"))
                if pattern.takes(reached, last):
                    self._add(listing, stored, name)
        return is_empty

    def _refuse_table_around(self, pattern: SourcePattern) -> None:
        """Raise UnsupportedTableFormatError where the log lies in no folder that the listing shows."""
        folders = [*tables_around(self._uri.base), *([self._uri.base] if pattern.literal_start() else ())]

        def first_page(prefix: str) -> Future[Page]:
            return self._submit(self._attempt(lambda bucket: bucket.page(prefix, None)))

        asked: list[tuple[str, TableFormat, Future[Page]]] = []
        for folder in folders:
            # What is not allowed, or not readable for this service, is not looked at.
            with suppress(SourceNotAllowedError):
                self._allowed.check_place(self._uri, f"{self._uri.bucket}/{folder}".rstrip("/"))
                for table in pattern.kind.tables:
                    log = f"{folder}/{table.folder}/".removeprefix("/")
                    asked.append((folder, table, first_page(log)))
        found: list[tuple[str, TableFormat]] = []
        for folder, table, page in asked:
            with suppress(SourceNotFoundError, StorageAccessRefusedError):
                names = (one.key.rpartition("/")[2] for one in self._wait(page, self._uri.text).objects)
                found += [(folder, table)] if any(map(table.is_log, names)) else []
        for folder, table in found:
            raise table.refused(self._shown(folder))

    def _shown(self, folder: str) -> str:
        return printable(f"{self._uri.scheme}://{self._uri.bucket}/{folder}".rstrip("/"))

    def _pages(self, prefix: str) -> Iterator[Page]:
        token: str | None = None
        while True:

            async def next_page(bucket: Bucket, token: str | None = token) -> Page:
                return await bucket.page(prefix, token)

            page = self._wait(self._submit(self._attempt(next_page)), f"bucket {self._uri.bucket}")
            yield page
            token = page.next_token
            if token is None:
                return

    async def _fetch(self, stored: StoredObject, start: int, end: int) -> bytes:
        async with self._free:
            return await self._attempt(lambda bucket: bucket.read(stored, start, end))

    async def _attempt(self, work: Callable[[Bucket], Awaitable[_Result]]) -> _Result:
        """Do `work`, again when it failed in passing, all within the time limit."""
        last: StorageFailureError | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                for delay_s in (*_RETRY_DELAYS_S, None):
                    try:
                        return await work(await self._connected())
                    except StorageFailureError as failure:
                        last = failure
                        if failure.kind is not FailureKind.PASSING or delay_s is None:
                            raise
                    await asyncio.sleep(delay_s)
        except TimeoutError:
            reason = f"; before that, {last.reason}" if last else ""
            text = f"no answer within {self._timeout_s:g} s{reason}"
            raise StorageFailureError(FailureKind.BROKEN, text) from None
        finally:
            self._last_sign_of_life = time.monotonic()
        raise AssertionError

    async def _connected(self) -> Bucket:
        assert self._bucket is not None  # noqa: S101 - whatever is submitted comes after it
        async with self._connecting:
            if not self._is_connected:
                await self._bucket.connect()
                self._is_connected = True
            return self._bucket

    def _submit(self, work: Coroutine[Any, Any, _Result]) -> Future[_Result]:
        with self._submitting:
            if self._closed:
                # A run that was stopped closes its source while its threads may still want to read.
                work.close()
                raise StorageUnreachableError(f"{self._uri.text} was closed while it was being read")
            if self._bucket is None:
                # Here, in the worker's thread, because importing the client is no part of the time limit.
                self._bucket = self._make_bucket()
            return self._loop.submit(work)

    def _wait(self, future: Future[_Result], what: str) -> _Result:
        """Wait for `future`; whatever it raises becomes an error about `what`.

        A request may have to wait for its turn, so the limit here is that of silence, not of this request.
        """
        since = time.monotonic()
        while True:
            limit = max(since, self._last_sign_of_life) + self._timeout_s + _GRACE_S
            try:
                return future.result(timeout=limit - time.monotonic())
            except StorageFailureError as failure:
                raise failure.as_error(what, self._endpoint) from failure
            except CancelledError:
                raise StorageUnreachableError(f"{what} was closed while it was being read") from None
            except FutureTimeoutError:
                if time.monotonic() < max(since, self._last_sign_of_life) + self._timeout_s + _GRACE_S:
                    continue
                future.cancel()
                raise StorageUnreachableError(
                    f"{what} cannot be read from {self._endpoint}: no answer within {self._timeout_s:g} s"
                ) from None

    def _add(self, listing: Listing, stored: StoredObject, name: str) -> None:
        path = f"{self._uri.bucket}/{stored.key}"
        self._allowed.check_place(self._uri, path)
        listing.add(path=path, size=stored.size, name=name, version=stored.version)


def _reached(pattern: SourcePattern, folders: str) -> Reached:
    reached = pattern.start()
    for folder in folders.split("/") if folders else ():
        reached = pattern.into(reached, folder)
    return reached


def _shown_endpoint(uri: SourceUri, access: StorageAccess) -> str:
    """Name the storage for people, without anything secret that its URL may hold."""
    own = access.gcs_endpoint_url if uri.scheme == "gs" else access.s3_endpoint_url
    if not own:
        return "Google Cloud Storage" if uri.scheme == "gs" else "S3"
    address = urlsplit(own)
    return f"{address.hostname}:{address.port}" if address.port else str(address.hostname)
