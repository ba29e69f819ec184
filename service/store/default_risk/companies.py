"""Companies, as they are written down."""

import uuid
from typing import Any, Final

import sqlalchemy as sa

from service.domain.default_risk.company import Company, CompanyFilter, NewCompany
from service.domain.default_risk.errors import CompanyNotFoundError
from service.domain.errors import BadCursorError
from service.domain.identity.errors import AlreadyExistsError
from service.domain.run import Page
from service.store.access.rows import row_of, update_row
from service.store.audit import database_time, record_audit
from service.store.cursors import FOREIGN, cursor_of, read_cursor
from service.store.default_risk.seen import CompanyPart
from service.store.part import cleaned, matching, reads, writes
from service.store.schema.default_risk_tables import companies

COMPANY_FIELDS: Final = tuple(column for column in companies.columns if column.name != "deleted_at")
_ESCAPE: Final = "\\"


class Companies(CompanyPart):
    """The companies of organisations. Who is in the scope of a user sees those assigned to them."""

    @writes
    def create(self, new: NewCompany, *, organization_id: str | None = None) -> Company:
        """Write a company down.

        Raises OrganizationNotFoundError and OrganizationNeededError (see `_organization`), and
        AlreadyExistsError where the symbol is another's of the organisation.
        """
        place = self._organization(organization_id)
        self._check_symbol(place["id"], new.symbol)
        now = database_time(self.connection)
        row: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "tenant_id": place["tenant_id"],
            "organization_id": place["id"],
            "symbol": cleaned(new.symbol),
            "name": cleaned(new.name),
            "sector": new.sector and cleaned(new.sector),
            "market_cap": new.market_cap,
            "created_at": now,
            "created_by": cleaned(self._actor.principal.label),
            "updated_at": now,
        }
        self.connection.execute(companies.insert().values(row))
        self._record("company.create", row)
        return Company(**row)

    @reads
    def get(self, company_id: str) -> Company:
        """Return a company; raises CompanyNotFoundError."""
        return _made(self._company(company_id))

    @reads
    def list(self, wanted: CompanyFilter, *, limit: int, cursor: str | None = None) -> Page[Company]:
        """Return companies by symbol; raises BadCursorError."""
        by = (companies.c.symbol, companies.c.id)
        query = sa.select(*COMPANY_FIELDS).where(self._sees_companies(), *_conditions(wanted))
        match read_cursor(cursor):
            case None:
                pass
            case [str() as symbol, str() as company_id]:
                query = query.where(sa.tuple_(*by) > sa.tuple_(cleaned(symbol), cleaned(company_id)))
            case _:
                raise BadCursorError(FOREIGN)
        return self._page(
            query.order_by(*by),
            lambda row: Company(**row),
            limit,
            lambda row: cursor_of([row["symbol"], row["id"]]),
        )

    @writes
    def update(self, /, company_id: str, **changes: Any) -> Company:
        """Change `symbol`, `name`, `sector` or `market_cap`.

        Raises CompanyNotFoundError, and AlreadyExistsError where the symbol is another's of the organisation.
        """
        row = self._company(company_id)
        if changes.get("symbol", row["symbol"]) != row["symbol"]:
            self._check_symbol(row["organization_id"], changes["symbol"])
        changed = update_row(self.connection, companies, row, changes, database_time(self.connection))
        self._record("company.update", row)
        return _made(changed)

    @writes
    def delete(self, company_id: str) -> None:
        """Show a company, and what was predicted of it, to nobody any more; raises CompanyNotFoundError.

        In the scope of a user it is one that they made.
        """
        may = sa.and_(self._made_by_asker(companies), companies.c.deleted_at.is_(None))
        row = row_of(self.connection, companies, may, company_id, CompanyNotFoundError)
        now = database_time(self.connection)
        self.connection.execute(companies.update().where(companies.c.id == row["id"]).values(deleted_at=now))
        self._record("company.delete", row)

    def _record(self, action: str, row: dict[str, Any]) -> None:
        record_audit(self.connection, self._actor, action, row["id"], tenant_id=row["tenant_id"])

    def _check_symbol(self, organization_id: str, symbol: str) -> None:
        same = sa.select(companies.c.id).where(
            companies.c.organization_id == organization_id,
            companies.c.symbol == cleaned(symbol),
            companies.c.deleted_at.is_(None),
        )
        if self.connection.scalar(same) is not None:
            raise AlreadyExistsError("the symbol is another company's of the organisation")


def _conditions(wanted: CompanyFilter) -> list[sa.ColumnElement[bool]]:
    names = ("organization_id", "symbol", "sector")
    found = matching({companies.c[name]: getattr(wanted, name) for name in names})
    if wanted.search is not None:
        part = wanted.search.replace(_ESCAPE, _ESCAPE * 2).replace("%", r"\%").replace("_", r"\_")
        within = f"%{cleaned(part)}%"
        found.append(
            sa.or_(
                companies.c.symbol.ilike(within, escape=_ESCAPE),
                companies.c.name.ilike(within, escape=_ESCAPE),
            )
        )
    return found


def _made(row: dict[str, Any]) -> Company:
    return Company(**{column.name: row[column.name] for column in COMPANY_FIELDS})
