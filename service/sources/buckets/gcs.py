"""Google Cloud Storage: a bucket reached with gcsfs, which knows Google's credentials."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import google.auth.exceptions
import requests
from gcsfs.core import GCSFileSystem
from gcsfs.retry import HttpError, NonRetryableError
from google.oauth2.credentials import Credentials

from service.sources.buckets.bucket import Bucket, Page, StoredObject, verify_range
from service.sources.buckets.failure import FailureKind, StorageFailureError, connection_reason
from service.sources.source import StorageAccess

_METHODS: Final = frozenset({"anon", "google_default", "cloud", "cache"})
_FIELDS: Final = "name,size,generation"


class _OnceFileSystem(GCSFileSystem):  # type: ignore[misc] # gcsfs has no types
    # Without its own retries, which take half a minute to admit that nobody is there. From gcsfs.core, since
    # what the package exports probes every bucket over gRPC first: a minute each, where nothing answers.

    async def _request(self, *args: Any, **kwargs: Any) -> Any:
        return await GCSFileSystem._request.__wrapped__(self, *args, **kwargs)  # noqa: SLF001 - the base's own


class GcsBucket(Bucket):
    """A bucket of Google Cloud Storage, or of an emulator of it."""

    def __init__(self, name: str, access: StorageAccess) -> None:
        self._name = name
        self._access = access
        self._storage: Any = None

    async def connect(self) -> None:
        """Find the credentials; without GCS_TOKEN, Google's application default ones."""
        # In a thread: the search reads files and asks the metadata server, synchronously.
        try:
            with _translated():
                self._storage = await asyncio.to_thread(self._connected)
        except StorageFailureError as failure:
            if failure.kind is FailureKind.BROKEN:
                # Without the cause, which may quote the key.
                raise StorageFailureError(
                    FailureKind.REFUSED, "GCS_TOKEN or the credentials file is malformed"
                ) from None
            raise

    async def stat(self, key: str) -> StoredObject:
        """Describe the object `key`."""
        with _translated():
            found = await self._call("b/{}/o/{}", self._name, key, json_out=True, fields=_FIELDS)
        return _stored(found)

    async def page(self, prefix: str, token: str | None) -> Page:
        """List what begins with `prefix`, at any depth."""
        with _translated():
            listed = await self._call(
                "b/{}/o",
                self._name,
                json_out=True,
                prefix=prefix or None,
                pageToken=token,
                fields=f"nextPageToken,items({_FIELDS})",
            )
        return Page(tuple(_stored(item) for item in listed.get("items", ())), listed.get("nextPageToken"))

    async def read(self, stored: StoredObject, start: int, end: int) -> bytes:
        """Fetch the bytes `start` to `end` (exclusive) of just this generation."""
        with _translated():
            headers, content = await self._call(
                self._storage.url(f"{self._name}/{stored.key}"),
                headers={"Range": f"bytes={start}-{end - 1}"},
                ifGenerationMatch=stored.version,
            )
        if headers.get("x-goog-generation", stored.version) != stored.version:
            raise StorageFailureError(FailureKind.CHANGED, "its generation has changed")
        received: bytes = content
        verify_range(headers.get("Content-Range"), received, stored, start, end)
        return received

    async def close(self) -> None:
        """Let go of the connections."""
        # gcsfs itself would close it only when the process exits.
        session = getattr(self._storage, "_session", None)
        if session is not None:
            await session.close()

    def _connected(self) -> Any:
        return _OnceFileSystem(
            access="read_only",
            token=_token(self._access.gcs_token),
            endpoint_url=(self._access.gcs_endpoint_url or "").rstrip("/") or None,
            asynchronous=True,
            skip_instance_cache=True,
            use_listings_cache=False,
            # The usual proxy variables are honoured.
            session_kwargs={"trust_env": True},
        )

    async def _call(self, path: str, *args: str, **options: Any) -> Any:
        if self._storage.credentials.credentials is not None:
            # Google's library refreshes tokens synchronously; it finds a fresh one when it asks again itself.
            await asyncio.to_thread(self._storage.credentials.maybe_refresh)
        return await self._storage._call("GET", path, *args, **options)  # noqa: SLF001 - its calls with the headers


def _stored(item: dict[str, Any]) -> StoredObject:
    return StoredObject(item["name"], int(item.get("size", 0)), str(item.get("generation", "")))


def _token(token: str | None) -> Any:
    """Return what gcsfs takes for GCS_TOKEN: a method, a key file's path or text, or a bare token."""
    if token is None:
        return "google_default"
    if token in _METHODS:
        return token
    if token.lstrip().startswith("{"):
        try:
            return json.loads(token)
        except ValueError:
            # Without the cause, which would quote the key.
            raise StorageFailureError(FailureKind.REFUSED, "GCS_TOKEN is neither JSON nor a file") from None
    if Path(token).is_file():
        return token
    if "/" in token and not token.startswith("ya29."):
        # Said here, because gcsfs would send it to Google as if it were a token.
        raise StorageFailureError(FailureKind.REFUSED, "GCS_TOKEN names a key file that does not exist")
    return Credentials(token)  # type: ignore[no-untyped-call] # the library has no types


_GOOGLE: Final = google.auth.exceptions
_MEANINGS: Final[tuple[tuple[tuple[type[Exception], ...], FailureKind, str], ...]] = (
    ((FileNotFoundError,), FailureKind.MISSING, "HTTP 404"),
    # That is how gcsfs names a precondition that failed.
    ((FileExistsError,), FailureKind.CHANGED, "HTTP 412"),
    ((_GOOGLE.TransportError,), FailureKind.PASSING, "Google's token server cannot be reached"),
    (
        (_GOOGLE.GoogleAuthError, NonRetryableError),
        FailureKind.REFUSED,
        "no usable Google credentials; set GCS_TOKEN, or log in with application default credentials",
    ),
    # gcsfs raises requests' ProxyError for a 502.
    ((aiohttp.ClientError, requests.RequestException, OSError), FailureKind.PASSING, "broken connection"),
    # gcsfs makes ValueError of a 400; so does json of an answer that is none.
    ((ValueError, RuntimeError, KeyError), FailureKind.BROKEN, "senseless answer"),
)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what gcsfs raises into StorageFailureError; none of Google's texts are repeated."""
    try:
        yield
    except (StorageFailureError, TimeoutError):
        raise
    except Exception as error:
        raise _judged(error) from error


def _judged(error: Exception) -> StorageFailureError:
    if isinstance(error, HttpError):
        return _of_http(error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return StorageFailureError(FailureKind.PASSING, f"no connection: {connection_reason(error)}")
    if isinstance(error, OSError) and str(error).startswith("Forbidden"):
        return StorageFailureError.of_status(403)
    for kinds, kind, reason in _MEANINGS:
        if isinstance(error, kinds):
            return StorageFailureError(kind, reason)
    return StorageFailureError(FailureKind.BROKEN, f"unexpected {type(error).__name__}")


def _of_http(error: HttpError) -> StorageFailureError:
    try:
        return StorageFailureError.of_status(int(error.code))
    except (TypeError, ValueError):
        return StorageFailureError(FailureKind.BROKEN, "an error without a status")
