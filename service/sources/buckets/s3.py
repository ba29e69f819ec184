"""S3: a bucket reached with s3fs, which knows the AWS credentials and signs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import botocore.exceptions as boto  # type: ignore[import-untyped] # botocore has no types
from s3fs.core import S3FileSystem

from service.sources.buckets.bucket import Bucket, Page, StoredObject, verify_range
from service.sources.buckets.failure import FailureKind, StorageFailureError, connection_reason
from service.sources.source import StorageAccess


class S3Bucket(Bucket):
    """A bucket of S3, or of anything that speaks its protocol."""

    def __init__(self, name: str, access: StorageAccess) -> None:
        self._name = name
        self._access = access
        self._storage: Any = None

    async def connect(self) -> None:
        """Set the client up; it looks for the standard AWS variables and files."""
        self._storage = S3FileSystem(
            anon=self._access.s3_anon,
            endpoint_url=self._access.s3_endpoint_url or None,
            asynchronous=True,
            skip_instance_cache=True,
            use_listings_cache=False,
            config_kwargs={
                "connect_timeout": self._access.timeout_s,
                "read_timeout": self._access.timeout_s,
                # Retries are the source's, for every kind of storage alike.
                "retries": {"total_max_attempts": 1},
                "max_pool_connections": 32,
            },
        )
        self._storage.retries = 1
        with _translated():
            await self._storage.set_session()

    async def stat(self, key: str) -> StoredObject:
        """Describe the object `key`."""
        found = await self._call("head_object", Key=key)
        return StoredObject(key, int(found["ContentLength"]), str(found.get("ETag", "")))

    async def page(self, prefix: str, token: str | None) -> Page:
        """List what begins with `prefix`, at any depth."""
        onward = {} if token is None else {"ContinuationToken": token}
        listed = await self._call("list_objects_v2", Prefix=prefix, **onward)
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
        answer = await self._call("get_object", Key=stored.key, Range=f"bytes={start}-{end - 1}", **match)
        with _translated():
            try:
                content: bytes = await answer["Body"].read()
            finally:
                answer["Body"].close()
        verify_range(answer.get("ContentRange"), content, stored, start, end)
        return content

    async def close(self) -> None:
        """Let go of the connections."""
        creator = getattr(self._storage, "_s3creator", None)
        if creator is not None:
            await creator.__aexit__(None, None, None)

    async def _call(self, operation: str, **options: Any) -> Any:
        with _translated():
            # Its calls that take every option S3 has, such as IfMatch, are not public.
            return await self._storage._call_s3(operation, Bucket=self._name, **options)  # noqa: SLF001


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
    """Turn what s3fs and botocore raise into StorageFailureError; none of their texts are repeated."""
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
    except (boto.HTTPClientError, aiohttp.ClientError) as error:
        raise StorageFailureError(FailureKind.PASSING, "broken connection") from error
    except (boto.ClientError, OSError) as error:
        raise _of_answer(error) from error
    except (boto.BotoCoreError, ValueError) as error:
        raise StorageFailureError(FailureKind.BROKEN, f"senseless answer ({type(error).__name__})") from error


def _of_answer(error: Exception) -> StorageFailureError:
    """Judge an answer by S3's status and code, which s3fs keeps as the cause of its own exception."""
    answer = error if isinstance(error, boto.ClientError) else error.__cause__
    if not isinstance(answer, boto.ClientError):
        return StorageFailureError(FailureKind.PASSING, "broken connection")
    status = int(answer.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(answer.response.get("Error", {}).get("Code", ""))
    return StorageFailureError.of_status(status, code if code.isalpha() else "")
