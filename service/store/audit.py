"""The audit: who did what, in the transaction that did it; rows are added and read, never changed."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from service.domain.errors import BadCursorError
from service.domain.identity.actor import Actor
from service.domain.identity.principal import PrincipalKind
from service.domain.run import Page
from service.store.cursors import FOREIGN
from service.store.database.database import DatabaseClock
from service.store.part import Part, cleaned, matching, reads, writes
from service.store.schema.access_tables import audit

_LONGEST_TARGET = 200
# Made once: to build a statement takes as long as to execute it.
_INSERT = audit.insert()
_NOW = sa.select(DatabaseClock())


class AuditOutcome(StrEnum):
    """What became of what somebody did, or tried."""

    DONE = "done"
    REFUSED = "refused"
    """It was not theirs to do."""
    FAILED = "failed"
    """A log-in with wrong credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A row of the audit."""

    id: str
    at: datetime
    """By the database's clock."""
    tenant_id: str
    principal: str
    way: str
    """How the principal was authenticated."""
    key_id: str | None
    action: str
    target: str | None
    outcome: str
    address: str | None
    request_id: str | None


class Audit(Part):
    """What was done, newest first."""

    @reads
    def list(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        action: str | None = None,
        principal: str | None = None,
    ) -> Page[AuditEntry]:
        """Return entries; `cursor` is the id of the last one seen. Raises BadCursorError."""
        if cursor is not None and "\0" in cursor:
            raise BadCursorError(FOREIGN)
        asked = matching({audit.c.action: action, audit.c.principal: principal})
        return self._page_by(
            audit.c.id,
            sa.select(audit).where(self._sees(audit), *asked),
            lambda row: AuditEntry(**row),
            limit=limit,
            cursor=cursor,
            newest_first=True,
        )

    @writes
    def note(
        self, action: str, target: str | None = None, *, outcome: AuditOutcome = AuditOutcome.REFUSED
    ) -> None:
        """Write down what changed nothing: a refused change, a log-in, a failed one."""
        tenant_id = self._actor.principal.tenant_id
        record_audit(self.connection, self._actor, action, target, tenant_id=tenant_id, outcome=outcome)


def record_audit(
    connection: sa.Connection,
    actor: Actor,
    action: str,
    target: str | None,
    *,
    tenant_id: str,
    outcome: AuditOutcome = AuditOutcome.DONE,
) -> None:
    """Add an entry in the transaction of what it is about; `tenant_id` is whose rows that are."""
    at = database_time(connection)
    principal = actor.principal
    values: dict[str, Any] = {
        # In the order of time, also where two are of one moment.
        "id": f"{int(at.timestamp() * 1e6):016x}{secrets.token_hex(8)}",
        "at": at,
        "tenant_id": tenant_id,
        "principal": cleaned(principal.label),
        "way": str(principal.kind),
        "key_id": principal.id if principal.kind is PrincipalKind.API_KEY else None,
        "action": action,
        "target": target and cleaned(target)[:_LONGEST_TARGET],
        "outcome": outcome,
        "address": actor.address,
        "request_id": actor.request_id,
    }
    connection.execute(_INSERT, values)


def database_time(connection: sa.Connection) -> datetime:
    """Return the time by the database's clock, which all processes share."""
    return datetime.fromtimestamp(connection.execute(_NOW).scalar_one(), UTC)
