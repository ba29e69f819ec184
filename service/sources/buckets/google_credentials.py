"""Google's credentials: what authorises requests to Cloud Storage, found and renewed by Google's library."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import google.auth
import requests
from google.auth.compute_engine import Credentials as MachineCredentials
from google.auth.credentials import TokenState
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import Request
from google.oauth2.credentials import Credentials as UserCredentials
from google.oauth2.service_account import Credentials as ServiceCredentials

from service.sources.buckets.failure import FailureKind, StorageFailureError

_SCOPES: Final = ("https://www.googleapis.com/auth/devstorage.read_only",)


class GoogleCredentials:
    """Credentials of one kind or none; for one event loop."""

    def __init__(self, credentials: Any) -> None:
        """Take `google.auth.credentials.Credentials`, or None to authorise nothing."""
        self._credentials = credentials
        self._renewing = asyncio.Lock()

    @classmethod
    async def find(cls, token: str | None) -> Self:
        """Return what GCS_TOKEN stands for; raises StorageFailureError, which quotes nothing of it."""
        # In a thread: the search reads files and asks the metadata server, synchronously.
        with _translated():
            return cls(await asyncio.to_thread(_found, token))

    async def authorize(self, headers: dict[str, str]) -> None:
        """Add to the headers of a request what authorises it; raises StorageFailureError."""
        if self._credentials is None:
            return
        with _translated():
            async with self._renewing:
                if self._credentials.token_state is not TokenState.FRESH:
                    await asyncio.to_thread(_renew, self._credentials)
            self._credentials.apply(headers)


def _found(token: str | None) -> Any:
    if token is None or token == "google_default":  # noqa: S105 - the name of a method
        with requests.Session() as session:
            return google.auth.default(scopes=_SCOPES, request=Request(session))[0]
    if token == "anon":  # noqa: S105 - as above
        return None
    if token == "cloud":  # noqa: S105 - as above
        return MachineCredentials()
    if token.lstrip().startswith("{"):
        return _of_key(token)
    if Path(token).is_file():
        return _of_key(Path(token).read_text(encoding="utf-8"))
    if "/" in token and not token.startswith("ya29."):
        # Else it would be sent to Google as if it were a token.
        raise StorageFailureError(FailureKind.REFUSED, "GCS_TOKEN names a key file that does not exist")
    return UserCredentials(token)


def _of_key(text: str) -> Any:
    key = json.loads(text)
    if key.get("type") == "service_account":
        return ServiceCredentials.from_service_account_info(key, scopes=_SCOPES)
    return UserCredentials.from_authorized_user_info(key)


def _renew(credentials: Any) -> None:
    with requests.Session() as session:
        credentials.refresh(Request(session))


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what Google's library raises into StorageFailureError; none of its texts are repeated."""
    try:
        yield
    except TransportError as error:
        raise StorageFailureError(FailureKind.PASSING, "Google's token server cannot be reached") from error
    except GoogleAuthError as error:
        raise StorageFailureError(
            FailureKind.REFUSED,
            "no usable Google credentials; set GCS_TOKEN, or log in with application default credentials",
        ) from error
    except (OSError, ValueError, KeyError, AttributeError):
        # Without the cause, which may quote the key.
        raise StorageFailureError(
            FailureKind.REFUSED, "GCS_TOKEN or the credentials file is malformed"
        ) from None
