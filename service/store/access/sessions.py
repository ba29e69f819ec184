"""Log-ins: whose a token is, and refresh tokens, each good for one use.

A log-in is a family of refresh tokens, of which one is good at any time. What somebody may do stands in the
rows of the person, the organisation and the tenant, and is read from there at every request.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from service.domain.identity.actor import Actor
from service.domain.identity.errors import UnauthenticatedError
from service.domain.identity.login_errors import RefreshRacedError
from service.domain.identity.permission import Role
from service.domain.identity.principal import Principal, PrincipalKind
from service.store.audit import AuditOutcome, database_time, record_audit
from service.store.part import Part, cleaned, reads, writes
from service.store.schema.access_tables import organizations, refresh_tokens, tenants, users
from service.store.sql import NamedSql

REFRESH_LIFETIME: Final = timedelta(days=7)
RACE_WINDOW: Final = timedelta(seconds=10)
"""So long after its use a refresh token that comes again is taken for a race, not for theft."""

_SQL: Final = NamedSql(__name__)
_TOKENS: Final = refresh_tokens.c
_IS_ACTIVE: Final = sa.and_(
    users.c.is_active,
    tenants.c.is_active,
    sa.or_(users.c.organization_id.is_(None), sa.func.coalesce(organizations.c.is_active, sa.false())),
)
_ACCOUNTS: Final = sa.select(
    users.c.id,
    users.c.tenant_id,
    users.c.organization_id,
    users.c.email,
    users.c.name,
    users.c.role,
    users.c.password_hash,
    _IS_ACTIVE.label("is_active"),
).select_from(
    users.join(tenants, tenants.c.id == users.c.tenant_id).outerjoin(
        organizations, organizations.c.id == users.c.organization_id
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person who can log in, as things stand now."""

    id: str
    tenant_id: str
    organization_id: str | None
    email: str
    name: str
    role: Role
    password_hash: str | None
    is_active: bool
    """Together with the organisation and the tenant."""

    @property
    def principal(self) -> Principal:
        """The person as one who asks."""
        return Principal(
            kind=PrincipalKind.USER,
            id=self.id,
            tenant_id=self.tenant_id,
            organization_id=self.organization_id,
            role=self.role,
        )


@dataclass(frozen=True, slots=True)
class LogIn:
    """A log-in: whose it is, and the name of its family."""

    account: Account
    family_id: str


class Sessions(Part):
    """The log-ins of all tenants; who asks for one has nothing to show yet but a token."""

    @reads
    def account(self, email: str) -> Account | None:
        """Return the account with an e-mail address in lower case, active or not."""
        query = _ACCOUNTS.where(users.c.email == cleaned(email))
        return _account(self.connection, query)

    @reads
    def holder(self, user_id: str, family_id: str) -> Principal | None:
        """Return whose an access token is: an active account, whose log-in nobody has ended."""
        asked = {"user_id": cleaned(user_id), "family_id": cleaned(family_id)}
        found = _SQL.execute(self.connection, "holder", asked).one_or_none()
        if found is None:
            return None
        return Principal(
            kind=PrincipalKind.USER,
            id=found.id,
            tenant_id=found.tenant_id,
            organization_id=found.organization_id,
            role=Role.known(found.role),
        )

    @writes
    def open(self, user_id: str, token_hash: str) -> LogIn:
        """Begin a log-in with its first refresh token; raises UnauthenticatedError for no active account."""
        account = _account(self.connection, _ACCOUNTS.where(users.c.id == user_id, _IS_ACTIVE))
        if account is None:
            raise UnauthenticatedError(UnauthenticatedError.example)
        family_id = str(uuid.uuid4())
        now = database_time(self.connection)
        long_past = sa.and_(_TOKENS.user_id == user_id, _TOKENS.expires_at < now - REFRESH_LIFETIME)
        self.connection.execute(refresh_tokens.delete().where(long_past))
        _add(self.connection, account, family_id, token_hash, now)
        self._record(account, "log_in", AuditOutcome.DONE)
        return LogIn(account, family_id)

    async def rotate(self, token_hash: str, next_hash: str) -> LogIn:
        """Use a refresh token up and put the next one in its place.

        Raises RefreshRacedError where it was used a moment ago. Used longer ago, it is in two hands: its
        log-in ends, for both. That, or any token that is not good, raises UnauthenticatedError.
        """
        # Without a transaction that writes: whoever makes tokens up must not hold up those who do.
        outcome = await self._rotate(token_hash, next_hash) if await self._is_known(token_hash) else None
        if isinstance(outcome, LogIn):
            return outcome
        # Only now, since what that ended stays ended.
        error = outcome or UnauthenticatedError
        raise error(error.example)

    @writes
    def _rotate(self, token_hash: str, next_hash: str) -> LogIn | type[RefreshRacedError] | None:
        now = database_time(self.connection)
        family_id = _use_up(self.connection, token_hash, now)
        if family_id is None:
            return self._not_good(token_hash, now)
        user_id = sa.select(_TOKENS.user_id).where(_TOKENS.token_hash == token_hash).scalar_subquery()
        account = _account(self.connection, _ACCOUNTS.where(users.c.id == user_id, _IS_ACTIVE))
        if account is None:
            _end(self.connection, _TOKENS.family_id == family_id, now)
            return None
        _add(self.connection, account, family_id, next_hash, now)
        return LogIn(account, family_id)

    async def close(self, token_hash: str) -> None:
        """End the log-in of a refresh token; one that is not known is no error, since it has ended."""
        if await self._is_known(token_hash):
            await self._close(token_hash)

    @writes
    def _close(self, token_hash: str) -> None:
        row = _token(self.connection, token_hash)
        if row is not None and row.revoked_at is None:
            _end(self.connection, _TOKENS.family_id == row.family_id, database_time(self.connection))
            account = _account(self.connection, _ACCOUNTS.where(users.c.id == row.user_id))
            if account is not None:
                self._record(account, "log_out", AuditOutcome.DONE)

    @reads
    def _is_known(self, token_hash: str) -> bool:
        return _token(self.connection, token_hash) is not None

    def _not_good(self, token_hash: str, now: datetime) -> type[RefreshRacedError] | None:
        """Return why a token was not taken, having ended its log-in where it was used before."""
        row = _token(self.connection, token_hash)
        if row is None or row.rotated_at is None or row.revoked_at is not None:
            return None
        if now - row.rotated_at <= RACE_WINDOW:
            return RefreshRacedError
        _end(self.connection, _TOKENS.family_id == row.family_id, now)
        account = _account(self.connection, _ACCOUNTS.where(users.c.id == row.user_id))
        if account is not None:
            self._record(account, "refresh_reused", AuditOutcome.REFUSED)
        return None

    def _record(self, account: Account, action: str, outcome: AuditOutcome) -> None:
        actor = Actor(
            principal=account.principal, address=self._actor.address, request_id=self._actor.request_id
        )
        record_audit(self.connection, actor, action, account.id, tenant_id=account.tenant_id, outcome=outcome)


def _use_up(connection: sa.Connection, token_hash: str, now: datetime) -> str | None:
    """Use a token up, in one statement and so for one of however many who bring it; return its family."""
    is_good = (_TOKENS.rotated_at.is_(None), _TOKENS.revoked_at.is_(None), _TOKENS.expires_at > now)
    family_id: str | None = connection.scalar(
        refresh_tokens.update()
        .where(_TOKENS.token_hash == token_hash, *is_good)
        .values(rotated_at=now)
        .returning(_TOKENS.family_id)
    )
    return family_id


def _add(connection: sa.Connection, account: Account, family_id: str, token_hash: str, now: datetime) -> None:
    connection.execute(
        refresh_tokens.insert().values(
            token_hash=token_hash,
            family_id=family_id,
            user_id=account.id,
            tenant_id=account.tenant_id,
            issued_at=now,
            expires_at=now + REFRESH_LIFETIME,
        )
    )


def end_log_ins(connection: sa.Connection, user_id: str) -> None:
    """End all log-ins of somebody, in the transaction that changes them."""
    _end(connection, _TOKENS.user_id == user_id, database_time(connection))


def _end(connection: sa.Connection, which: sa.ColumnElement[bool], now: datetime) -> None:
    connection.execute(
        refresh_tokens.update().where(which, _TOKENS.revoked_at.is_(None)).values(revoked_at=now)
    )


def _token(connection: sa.Connection, token_hash: str) -> sa.Row[Any] | None:
    query = sa.select(refresh_tokens).where(_TOKENS.token_hash == token_hash)
    return connection.execute(query).one_or_none()


def _account(connection: sa.Connection, query: sa.Select[Any]) -> Account | None:
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    values = dict(row)
    return Account(**values | {"role": Role.known(values["role"]), "is_active": bool(values["is_active"])})
