"""Google Cloud Storage: a bucket reached over its JSON API."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from service.sources.buckets.bucket import Bucket, Page, StoredObject, verify_range
from service.sources.buckets.failure import FailureKind, StorageFailureError, connection_reason
from service.sources.buckets.google_credentials import GoogleCredentials
from service.sources.source import StorageAccess

_ENDPOINT: Final = "https://storage.googleapis.com"
_FIELDS: Final = "name,size,generation"
_SUCCESSES: Final = range(200, 300)


class GcsBucket(Bucket):
    """A bucket of Google Cloud Storage, or of an emulator of it."""

    def __init__(self, name: str, access: StorageAccess) -> None:
        self._endpoint = (access.gcs_endpoint_url or _ENDPOINT).rstrip("/")
        self._objects = f"/storage/v1/b/{_quoted(name)}/o"
        self._token = access.gcs_token
        self._credentials: GoogleCredentials | None = None
        self._session: aiohttp.ClientSession | None = None

    async def connect(self) -> None:
        """Find the credentials; without GCS_TOKEN, Google's application default ones."""
        self._credentials = await GoogleCredentials.find(self._token)
        # Time limits are the source's; the usual proxy variables are honoured.
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(), trust_env=True)

    async def stat(self, key: str) -> StoredObject:
        """Describe the object `key`."""
        _, content = await self._get(f"{self._objects}/{_quoted(key)}", {"fields": _FIELDS})
        with _translated():
            return _stored(json.loads(content))

    async def page(self, prefix: str, token: str | None) -> Page:
        """List what begins with `prefix`, at any depth."""
        query = {"prefix": prefix, "fields": f"nextPageToken,items({_FIELDS})"}
        if token is not None:
            query["pageToken"] = token
        _, content = await self._get(self._objects, query)
        with _translated():
            listed = json.loads(content)
            return Page(tuple(map(_stored, listed.get("items", ()))), listed.get("nextPageToken"))

    async def read(self, stored: StoredObject, start: int, end: int) -> bytes:
        """Fetch the bytes `start` to `end` (exclusive) of just this generation."""
        headers, content = await self._get(
            f"/download{self._objects}/{_quoted(stored.key)}",
            {"alt": "media", "ifGenerationMatch": stored.version},
            {"Range": f"bytes={start}-{end - 1}"},
        )
        if headers.get("x-goog-generation", stored.version) != stored.version:
            raise StorageFailureError(FailureKind.CHANGED, "its generation has changed")
        verify_range(headers.get("Content-Range"), content, stored, start, end)
        return content

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _get(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        assert self._session is not None  # noqa: S101 - it is connected before anything is asked
        assert self._credentials is not None  # noqa: S101 - as above
        sent = dict(headers or {})
        await self._credentials.authorize(sent)
        # Encoded here, so that nothing in a key is taken for a part of the path.
        url = URL(f"{self._endpoint}{path}?{urlencode(query)}", encoded=True)
        with _translated():
            async with self._session.get(url, headers=sent) as answer:
                if answer.status not in _SUCCESSES:
                    raise StorageFailureError.of_status(answer.status)
                return answer.headers, await answer.read()


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _stored(item: dict[str, Any]) -> StoredObject:
    return StoredObject(item["name"], int(item.get("size", 0)), str(item.get("generation", "")))


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what aiohttp, and an answer that makes no sense, raise into StorageFailureError."""
    try:
        yield
    except TimeoutError:
        raise
    except aiohttp.ClientConnectorError as error:
        reason = f"no connection: {connection_reason(error)}"
        raise StorageFailureError(FailureKind.PASSING, reason) from error
    except (aiohttp.ClientError, OSError) as error:
        raise StorageFailureError(FailureKind.PASSING, "broken connection") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageFailureError(FailureKind.BROKEN, "senseless answer") from error
