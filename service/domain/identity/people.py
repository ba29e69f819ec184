"""Tenants, their organisations, and the people in them."""

from dataclasses import dataclass
from datetime import datetime

from service.domain.identity.permission import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One of those who share a deployment."""

    id: str
    name: str
    code: str
    """A short name that no other has."""
    is_active: bool
    """Of one that is not, nobody is let in."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A part of a tenant."""

    id: str
    tenant_id: str
    name: str
    code: str
    """A short name that no other of the tenant has."""
    is_active: bool
    created_at: datetime
    updated_at: datetime
    default_risk_channel: str | None = None
    """Where alerts about high default risk of its companies go; None: there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person; what is known of the password stays in the store."""

    id: str
    tenant_id: str
    organization_id: str | None
    email: str
    """In lower case; one address is one account, over all tenants."""
    name: str
    role: Role
    is_active: bool
    created_at: datetime
    updated_at: datetime
