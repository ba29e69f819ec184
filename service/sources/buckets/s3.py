"""S3: a bucket reached with aiobotocore, which knows the AWS credentials and signs."""

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import aiohttp
import botocore.exceptions as boto
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore import UNSIGNED

from service.sources.buckets.bucket import Bucket, Page, StoredObject, verify_range
from service.sources.buckets.failure import FailureKind, StorageFailureError, connection_reason
from service.sources.source import StorageAccess


class S3Bucket(Bucket):
    """A bucket of S3, or of anything that speaks its protocol."""

    def __init__(self, name: str, access: StorageAccess) -> None:
        self._name = name
        self._access = access
        self._client: Any = None
        self._opened = AsyncExitStack()

    async def connect(self) -> None:
        """Set the client up; it looks for the standard AWS variables and files."""
        config = AioConfig(
            connect_timeout=self._access.timeout_s,
            read_timeout=self._access.timeout_s,
            # Retries are the source's, for every kind of storage alike.
            retries={"total_max_attempts": 1},
            max_pool_connections=32,
            signature_version=UNSIGNED if self._access.s3_anon else None,
        )
        with _translated():
            client = get_session().create_client(
                "s3", endpoint_url=self._access.s3_endpoint_url or None, config=config
            )
            self._client = await self._opened.enter_async_context(client)

    async def stat(self, key: str) -> StoredObject:
        """Describe the object `key`."""
        with _translated():
            found = await self._client.head_object(Bucket=self._name, Key=key)
            return StoredObject(key, int(found["ContentLength"]), str(found.get("ETag", "")))

    async def page(self, prefix: str, token: str | None) -> Page:
        """List what begins with `prefix`, at any depth."""
        onward = {} if token is None else {"ContinuationToken": token}
        with _translated():
            listed = await self._client.list_objects_v2(Bucket=self._name, Prefix=prefix, **onward)
            return Page(
                tuple(
                    StoredObject(item["Key"], int(item["Size"]), str(item.get("ETag", "")))
                    for item in listed.get("Contents", ())
                ),
                listed.get("NextContinuationToken") if listed.get("IsTruncated") else None,
            )

    async def read(self, stored: StoredObject, start: int, end: int) -> bytes:
        """Fetch the bytes `start` to `end` (exclusive) of just this ETag."""
        match = {"IfMatch": stored.version} if stored.version else {}
        with _translated():
            answer = await self._client.get_object(
                Bucket=self._name, Key=stored.key, Range=f"bytes={start}-{end - 1}", **match
            )
            async with answer["Body"] as body:
                content: bytes = await body.read()
        verify_range(answer.get("ContentRange"), content, stored, start, end)
        return content

    async def close(self) -> None:
        """Close the connections."""
        await self._opened.aclose()


_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.SSOError,
    boto.TokenRetrievalError,
)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what aiobotocore and botocore raise into StorageFailureError; none of their texts are repeated."""
    try:
        yield
    except StorageFailureError:
        raise
    except _NO_CREDENTIALS as error:
        raise StorageFailureError(
            FailureKind.REFUSED, "no usable AWS credentials; set the AWS variables, or S3_ANON=true"
        ) from error
    except boto.ConnectionError as error:
        raise StorageFailureError(
            FailureKind.PASSING, f"no connection: {connection_reason(error)}"
        ) from error
    except (boto.HTTPClientError, aiohttp.ClientError, OSError) as error:
        raise StorageFailureError(FailureKind.PASSING, "broken connection") from error
    except boto.ClientError as error:
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str(error.response.get("Error", {}).get("Code", ""))
        raise StorageFailureError.of_status(status, code if code.isalpha() else "") from error
    except (boto.BotoCoreError, ValueError, KeyError) as error:
        raise StorageFailureError(FailureKind.BROKEN, f"senseless answer ({type(error).__name__})") from error
