"""API keys, as they are shown."""

from datetime import datetime

from pydantic import Field, field_validator

from service.api.schemas.answer import Out
from service.domain.identity.permission import KeyScope


class KeyOut(Out):
    """An API key, without its secret."""

    id: str
    tenant_id: str
    name: str
    scopes: list[KeyScope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None

    @field_validator("scopes", mode="before")
    @classmethod
    def _in_order(cls, scopes: frozenset[KeyScope]) -> list[KeyScope]:
        return [scope for scope in KeyScope if scope in scopes]


class KeyMadeOut(KeyOut):
    """A new API key, with its secret: shown this once."""

    key: str


class KeysOut(Out):
    """The API keys of a tenant."""

    keys: list[KeyOut]
