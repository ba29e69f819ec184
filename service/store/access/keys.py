"""API keys, as they are written down."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from service.domain.identity.api_key import ApiKey, KeySecret
from service.domain.identity.errors import KeyNotFoundError
from service.domain.identity.permission import KeyScope
from service.store.access.door import close_for_good
from service.store.access.tenants import ensure_tenant
from service.store.audit import record_audit
from service.store.part import Part, cleaned, reads, writes
from service.store.schema.access_tables import api_keys
from service.store.sql import NamedSql

TOUCHED_EVERY: Final = timedelta(minutes=1)
_SQL: Final = NamedSql(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHolder:
    """What a valid key says of whoever has it."""

    tenant_id: str
    scopes: frozenset[KeyScope]
    is_to_be_touched: bool
    """Whether it was last used more than a minute ago, as far as is written down."""


class ApiKeys(Part):
    """The keys of a tenant."""

    @writes
    def create(
        self,
        secret: KeySecret,
        *,
        name: str,
        scopes: Iterable[KeyScope],
        now: datetime,
        expires_at: datetime | None,
    ) -> ApiKey:
        """Keep a new key; from now on everybody is asked who they are."""
        values = {
            "id": secret.id,
            "tenant_id": self._tenant_id,
            "name": cleaned(name),
            "scopes": " ".join(sorted(scopes)),
            "created_at": now,
            "created_by": self._actor.principal.label,
            "expires_at": expires_at,
        }
        ensure_tenant(self.connection, self._tenant_id, now)
        self.connection.execute(api_keys.insert().values(**values, secret_hash=secret.digest))
        close_for_good(self.connection, now)
        record_audit(self.connection, self._actor, "key.create", secret.id, tenant_id=self._tenant_id)
        return _key({**values, "last_used_at": None, "revoked_at": None})

    @reads
    def list(self) -> list[ApiKey]:
        """Return the keys, newest first; those that are valid no more are among them."""
        query = sa.select(api_keys).where(self._sees(api_keys))
        query = query.order_by(api_keys.c.created_at.desc(), api_keys.c.id)
        return [_key(dict(row)) for row in self.connection.execute(query).mappings()]

    @writes
    def revoke(self, key_id: str, *, now: datetime) -> ApiKey:
        """Let a key open nothing any more, from the next request on; to repeat it does no harm.

        Raises KeyNotFoundError.
        """
        is_it = sa.and_(self._sees(api_keys), api_keys.c.id == cleaned(key_id))
        end = api_keys.update().where(is_it, api_keys.c.revoked_at.is_(None)).values(revoked_at=now)
        changed = self.connection.execute(end).rowcount
        found = self.connection.execute(sa.select(api_keys).where(is_it)).mappings().one_or_none()
        if found is None:
            raise KeyNotFoundError(KeyNotFoundError.example)
        if changed:
            record_audit(self.connection, self._actor, "key.revoke", key_id, tenant_id=found["tenant_id"])
        return _key(dict(found))

    @reads
    def holder(self, secret: KeySecret, *, now: datetime) -> KeyHolder | None:
        """Return what a key says of its holder; None where it is not valid, whatever the reason.

        For the store that sees all: whose the key is, is the answer.
        """
        asked = {"id": secret.id, "now": now, "minute_ago": now - TOUCHED_EVERY}
        found = _SQL.execute(self.connection, "find", asked).one_or_none()
        # Compared also where there is none, so that both take the same time.
        if not secret.matches(found.secret_hash if found else "") or found is None:
            return None
        return KeyHolder(
            tenant_id=found.tenant_id,
            scopes=_scopes(found.scopes),
            is_to_be_touched=bool(found.was_not_just_used),
        )

    @writes
    def touch(self, key_id: str, *, now: datetime) -> None:
        """Write down that a key was used, unless that was written within the last minute."""
        used = {"id": key_id, "now": now, "minute_ago": now - TOUCHED_EVERY}
        _SQL.execute(self.connection, "touch", used)


def _key(row: dict[str, Any]) -> ApiKey:
    row.pop("secret_hash", None)
    return ApiKey(**row | {"scopes": _scopes(row["scopes"])})


def _scopes(text: str) -> frozenset[KeyScope]:
    # A newer version may know more; what this one does not know, it does not permit.
    return frozenset(scope for scope in KeyScope if scope in text.split())
