"""Authentication: what a request shows becomes a principal, or is not let in.

While nobody could show anything, everybody is let in as anonymous (`AUTH=auto`). The first identity (a key, a
person, an issuer) ends that for good: the mark is in the database, and outlives the identity.
"""

import asyncio
import hashlib
import hmac
from contextlib import suppress
from typing import Final, Protocol

from service.domain.errors import DatabaseUnusableError
from service.domain.identity.actor import Actor
from service.domain.identity.api_key import PREFIX, KeySecret
from service.domain.identity.auth import Auth
from service.domain.identity.errors import NoIdentityError, UnauthenticatedError
from service.domain.identity.principal import Principal, PrincipalKind
from service.domain.identity.scope import Scope
from service.runtime.clock import Clock
from service.store.store import Store

_LONGEST_CREDENTIAL: Final = 8 * 1024


class Tokens(Protocol):
    """What reads tokens that are no API keys."""

    async def principal(self, token: str) -> Principal:
        """Return whose it is; raises UnauthenticatedError."""


class Authenticator:
    """The one way in, for requests of every kind."""

    def __init__(
        self,
        store: Store,
        *,
        auth: Auth,
        tenant_id: str,
        clock: Clock,
        tokens: Tokens | None = None,
        internal_key: str | None = None,
    ) -> None:
        self._store = store.seen_by(Actor.system(tenant_id), Scope.of_all())
        self._auth = auth
        self._tenant_id = tenant_id
        self._clock = clock
        self._tokens = tokens
        self._internal_key = None if internal_key is None else _digest(internal_key)
        self._was_closed = False
        self._touching: set[asyncio.Task[None]] = set()

    async def is_open(self) -> bool:
        """Return whether nobody is asked; raises DatabaseUnusableError."""
        if self._auth is not Auth.AUTO:
            return self._auth is Auth.NONE
        # Looked up for each request while it is open: another process, or the command line, may close it.
        self._was_closed = self._was_closed or await self._store.access.door.is_closed()
        return not self._was_closed

    async def check_somebody_could_come(self) -> None:
        """Raise NoIdentityError where everybody is asked and nobody has ever had anything to show."""
        if self._auth is Auth.REQUIRED and not await self._store.access.door.is_closed():
            raise NoIdentityError(NoIdentityError.example)

    async def principal(self, credential: str | None) -> Principal:
        """Return who shows `credential`, whatever came in the header; None shows nothing.

        An open service looks at none. Raises UnauthenticatedError, which does not say what was wrong, and
        DatabaseUnusableError.
        """
        if await self.is_open():
            return Principal.anonymous(self._tenant_id)
        if credential is not None and len(credential) <= _LONGEST_CREDENTIAL:
            if credential.startswith(PREFIX):
                return await self._holder(credential)
            if self._tokens is not None:
                return await self._tokens.principal(credential)
        raise UnauthenticatedError(UnauthenticatedError.example)

    def internal(self, credential: str | None) -> Principal:
        """Return another service of the same operator, which shows the one key that is configured for them.

        Whether the service is open makes no difference. Raises UnauthenticatedError.
        """
        shown = _digest(credential or "")
        if self._internal_key is None or not hmac.compare_digest(shown, self._internal_key):
            raise UnauthenticatedError(UnauthenticatedError.example)
        return Principal.internal(self._tenant_id)

    async def operator(self, credential: str | None) -> Principal:
        """Return who looks at all that a process does: another service, or anybody while nobody is asked.

        Raises UnauthenticatedError, and DatabaseUnusableError.
        """
        # The key first: it is known without the database, which may be what is being looked into.
        with suppress(UnauthenticatedError):
            return self.internal(credential)
        if await self.is_open():
            return Principal.anonymous(self._tenant_id)
        raise UnauthenticatedError(UnauthenticatedError.example)

    async def _holder(self, credential: str) -> Principal:
        secret = KeySecret.parse(credential)
        if secret is None:
            raise UnauthenticatedError(UnauthenticatedError.example)
        holder = await self._store.access.keys.holder(secret, now=self._clock.now())
        if holder is None:
            raise UnauthenticatedError(UnauthenticatedError.example)
        if holder.is_to_be_touched:
            # Beside the request: it must not wait for whoever is writing.
            task = asyncio.create_task(self._touch(secret.id))
            self._touching.add(task)
            task.add_done_callback(self._touching.discard)
        return Principal(
            kind=PrincipalKind.API_KEY, id=secret.id, tenant_id=holder.tenant_id, scopes=holder.scopes
        )

    async def _touch(self, key_id: str) -> None:
        with suppress(DatabaseUnusableError):
            await self._store.access.keys.touch(key_id, now=self._clock.now())

    async def close(self) -> None:
        """Wait until all that was used has been written down."""
        await asyncio.gather(*self._touching)


def _digest(text: str) -> bytes:
    # Of one length, so that comparing takes the same time whatever was shown.
    return hashlib.sha256(text.encode()).digest()
