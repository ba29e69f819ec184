"""Grants: who of the role `user` sees which company."""

from typing import Any

import sqlalchemy as sa

from service.domain.default_risk.company import CompanyGrant
from service.domain.default_risk.errors import NotAssignableError
from service.domain.identity.errors import UserNotFoundError
from service.domain.identity.permission import Role
from service.domain.run import Page
from service.store.access.rows import row_of
from service.store.audit import database_time, record_audit
from service.store.default_risk.seen import CompanyPart
from service.store.part import cleaned, reads, writes
from service.store.schema.access_tables import users
from service.store.schema.default_risk_tables import company_access


class Grants(CompanyPart):
    """Companies that are assigned to people, by those who see both."""

    @writes
    def grant(self, company_id: str, user_id: str) -> CompanyGrant:
        """Let a person of the role `user` see a company; once more changes nothing.

        Raises CompanyNotFoundError, UserNotFoundError (also for somebody of another tenant), and
        NotAssignableError for who has another role.
        """
        company, user = self._both(company_id, user_id)
        if user["role"] != Role.USER:
            raise NotAssignableError(NotAssignableError.example)
        known = self._grants(company["id"]).where(company_access.c.user_id == user["id"])
        if (row := self.connection.execute(known).mappings().one_or_none()) is not None:
            return CompanyGrant(**row)
        values = {
            "company_id": company["id"],
            "user_id": user["id"],
            "granted_at": database_time(self.connection),
            "granted_by": cleaned(self._actor.principal.label),
        }
        self.connection.execute(company_access.insert().values(**values, tenant_id=company["tenant_id"]))
        self._record("company.grant", company, user)
        return CompanyGrant(**values, email=user["email"], name=user["name"])

    @writes
    def revoke(self, company_id: str, user_id: str) -> None:
        """Let a person see a company no more; to repeat it does no harm.

        Raises CompanyNotFoundError and UserNotFoundError.
        """
        company, user = self._both(company_id, user_id)
        gone = self.connection.execute(
            company_access.delete().where(
                company_access.c.company_id == company["id"], company_access.c.user_id == user["id"]
            )
        )
        if gone.rowcount:
            self._record("company.revoke", company, user)

    @reads
    def list(self, company_id: str, *, limit: int, cursor: str | None = None) -> Page[CompanyGrant]:
        """Return who sees a company by a grant, by id; raises CompanyNotFoundError."""
        by, query = company_access.c.user_id, self._grants(self._company(company_id)["id"])
        return self._page_by(by, query, lambda row: CompanyGrant(**row), limit=limit, cursor=cursor)

    def _grants(self, company_id: str) -> sa.Select[Any]:
        access = [column for column in company_access.columns if column.name != "tenant_id"]
        return (
            sa.select(*access, users.c.email, users.c.name)
            .join(users, users.c.id == company_access.c.user_id)
            .where(company_access.c.company_id == company_id)
        )

    def _both(self, company_id: str, user_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
        company = self._company(company_id)
        is_seen = sa.and_(
            self._sees(users, organization=users.c.organization_id), users.c.tenant_id == company["tenant_id"]
        )
        return company, row_of(self.connection, users, is_seen, user_id, UserNotFoundError)

    def _record(self, action: str, company: dict[str, Any], user: dict[str, Any]) -> None:
        target = f"{company['id']} {user['id']}"
        record_audit(self.connection, self._actor, action, target, tenant_id=company["tenant_id"])
