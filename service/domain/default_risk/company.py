"""Companies, and who of the role `user` may see which."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCompany:
    """What somebody says of a company."""

    symbol: str
    """What no other company of its organisation is called, such as a ticker."""
    name: str
    sector: str | None = None
    market_cap: float | None = None
    """In millions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Company(NewCompany):
    """A company of an organisation."""

    id: str
    tenant_id: str
    organization_id: str
    created_at: datetime
    created_by: str
    """The principal; who has the role `org_member` may delete what is one's own."""
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyFilter:
    """Which companies are asked for; None where it does not matter."""

    organization_id: str | None = None
    symbol: str | None = None
    sector: str | None = None
    search: str | None = None
    """A part of the symbol or of the name, in whatever case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyGrant:
    """That somebody of the role `user` sees a company."""

    company_id: str
    user_id: str
    email: str
    name: str
    granted_at: datetime
    granted_by: str
