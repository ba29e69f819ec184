"""What /api/v1 takes and answers about tenants, organisations, users and log-ins."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from service.api.examples import with_example
from service.api.schemas.answer import NextCursor, Out
from service.domain.identity.permission import KeyScope, Permission, Role

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256


def _mail(text: str) -> str:
    text = text.strip().lower()
    user, at, domain = text.partition("@")
    if not (user and at and domain) or "@" in domain or not text.isprintable() or " " in text:
        raise ValueError("must be an e-mail address")
    return text


def _clean(text: str) -> str:
    text = text.strip()
    if not text or not text.isprintable():
        raise ValueError("must be one line of printable characters")
    return text


Email = Annotated[str, Field(max_length=320), AfterValidator(_mail)]
Name = Annotated[str, Field(max_length=200), AfterValidator(_clean)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
"""A short name for URLs and files."""
Password = Annotated[SecretStr, Field(min_length=1, max_length=LONGEST_PASSWORD)]
NewPassword = Annotated[
    SecretStr,
    Field(
        min_length=SHORTEST_PASSWORD,
        max_length=LONGEST_PASSWORD,
        description="12 characters or more; any characters.",
    ),
]
Id = Annotated[str, Field(max_length=36)]


class In(BaseModel):
    """A body: what is not listed is refused, so that a misspelled field is not overlooked."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class LogInIn(In):
    """Who wants to log in."""

    model_config = ConfigDict(json_schema_extra=with_example("log_in"))

    email: Email
    password: Password


class RefreshIn(In):
    """A refresh token, to be used up."""

    model_config = ConfigDict(json_schema_extra=with_example("refresh"))

    refresh_token: Annotated[str, Field(max_length=200)]


class TokensOut(Out):
    """A pair of tokens."""

    access_token: str = Field(description="Send it as `Authorization: Bearer …`.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # a scheme, and no secret
    expires_in: int = Field(description="Seconds until the access token ends.")
    refresh_token: str = Field(description="For the next pair; good for one use.")
    refresh_expires_in: int = Field(description="Seconds until the refresh token ends.")


class MeOut(Out):
    """Who asks."""

    kind: str = Field(description="`user`, `api_key`, `oidc`, or `anonymous` where nobody is asked.")
    id: str
    tenant_id: str
    organization_id: str | None
    role: Role | None
    scopes: list[KeyScope]
    permissions: list[Permission] = Field(description="What may be done, in whichever reach.")


class TenantOut(Out):
    """A tenant."""

    id: str
    name: str
    code: str
    is_active: bool = Field(description="Of one that is not, nobody is let in.")
    created_at: datetime
    updated_at: datetime


class PageQuery(BaseModel):
    """Which page of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=100, ge=1, le=500)
    cursor: Annotated[str | None, Field(max_length=100, description="`next_cursor` of the page before.")] = (
        None
    )


class TenantsOut(Out):
    """A page of tenants."""

    tenants: list[TenantOut] = Field(validation_alias=AliasChoices("items", "tenants"))
    next_cursor: NextCursor


class PlaceIn(In):
    """A new tenant, or organisation."""

    model_config = ConfigDict(json_schema_extra=with_example("place"))

    name: Name
    code: Code


class ChangeIn(In):
    """What to change; what is left out, or null, stays."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.changes():
            raise ValueError("names nothing to change")
        return self

    def changes(self) -> dict[str, Any]:
        """Return what is to be changed."""
        return {name: value for name, value in self if value is not None}


class PlaceChangeIn(ChangeIn):
    """What to change of a tenant or an organisation."""

    model_config = ConfigDict(json_schema_extra=with_example("place_change"))

    name: Name | None = None
    code: Code | None = None
    is_active: bool | None = None


class OrganizationChangeIn(PlaceChangeIn):
    """What to change of an organisation."""

    model_config = ConfigDict(json_schema_extra=with_example("organization_change"))

    default_risk_channel: Annotated[
        str | None,
        Field(
            pattern=r"^(#?[^\s#]{1,80})?$",
            description="The Slack channel in which companies at high risk of default are reported; "
            "an empty text: none are.",
        ),
    ] = None

    def changes(self) -> dict[str, Any]:
        """Return what is to be changed."""
        changes = super().changes()
        if (channel := changes.get("default_risk_channel")) is not None:
            changes["default_risk_channel"] = channel.removeprefix("#") or None
        return changes


class OrganizationOut(TenantOut):
    """An organisation."""

    tenant_id: str
    default_risk_channel: str | None = Field(
        description="Where companies at high risk of default are reported; null: nowhere."
    )


class OrganizationsOut(Out):
    """A page of organisations."""

    organizations: list[OrganizationOut] = Field(validation_alias=AliasChoices("items", "organizations"))
    next_cursor: NextCursor


class UserOut(Out):
    """A person."""

    id: str
    tenant_id: str
    organization_id: str | None
    email: str
    name: str
    role: Role
    is_active: bool
    created_at: datetime
    updated_at: datetime


class UsersOut(Out):
    """A page of people."""

    users: list[UserOut] = Field(validation_alias=AliasChoices("items", "users"))
    next_cursor: NextCursor


class UserIn(In):
    """A new person."""

    model_config = ConfigDict(json_schema_extra=with_example("user_in"))

    email: Email
    name: Name
    role: Role
    tenant_id: Id | None = Field(default=None, description="Unset: the tenant of who asks.")
    organization_id: Id | None = Field(
        default=None, description="Unset: the organisation of who asks, if any."
    )
    password: NewPassword | None = Field(
        default=None, description="Unset: nobody can log in as this person yet."
    )


class UserChangeIn(ChangeIn):
    """What to change of a person."""

    model_config = ConfigDict(json_schema_extra=with_example("user_change"))

    name: Name | None = None
    password: NewPassword | None = Field(default=None, description="Ends all log-ins of this person.")
    current_password: Password | None = Field(
        default=None, description="Needed by who changes their own password."
    )


class RoleIn(In):
    """Another role, below that of who grants it."""

    model_config = ConfigDict(json_schema_extra=with_example("role"))

    role: Role
