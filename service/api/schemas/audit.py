"""The audit, as it is shown."""

from datetime import datetime

from pydantic import AliasChoices, Field

from service.api.schemas.answer import NextCursor, Out


class AuditEntryOut(Out):
    """What somebody did, or was refused."""

    id: str
    at: datetime = Field(description="By the database's clock.")
    tenant_id: str
    principal: str
    way: str = Field(description="How the principal was authenticated.")
    key_id: str | None
    action: str
    target: str | None
    outcome: str = Field(description="`done`, `refused` or `failed`.")
    address: str | None
    request_id: str | None


class AuditOut(Out):
    """Entries of the audit, newest first."""

    entries: list[AuditEntryOut] = Field(validation_alias=AliasChoices("items", "entries"))
    next_cursor: NextCursor
