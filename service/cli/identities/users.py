"""`users`: people are made, and given passwords, by who has the database; super_admins in no other way."""

import getpass
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from service.api.v1.schemas import LONGEST_PASSWORD, SHORTEST_PASSWORD, UserOut, UsersOut
from service.cli.command import async_command, operator, print_answer, report
from service.cli.exit_codes import USAGE
from service.cli.identities.columns import print_columns
from service.domain.identity.errors import UserNotFoundError
from service.domain.identity.people import User
from service.domain.identity.permission import Role
from service.runs.context import App
from service.settings import Settings
from service.wiring import open_app

_PAGE: Final = 500
_OF_AN_ORGANIZATION: Final = frozenset({Role.ORG_ADMIN, Role.ORG_MEMBER})


def new_user(
    *, email: str, name: str | None, role: Role, organization_id: str | None, reads_stdin: bool, as_json: bool
) -> int:
    """Write a person of the tenant down, with a password that is asked for, and return the exit code."""
    if role in _OF_AN_ORGANIZATION and organization_id is None:
        report(f"an {role} belongs to an organisation: give --organization")
        return USAGE
    if email.count("@") != 1 or not email.isprintable() or " " in email:
        report("EMAIL must be an e-mail address")
        return USAGE
    password = _password(reads_stdin=reads_stdin)
    if password is None:
        return USAGE

    async def made(app: App) -> User:
        return await app.store.access.users.create(
            tenant_id=app.tenant_id,
            organization_id=organization_id,
            email=email,
            name=name or email.partition("@")[0],
            role=role,
            password_hash=await app.people.passwords.hashed(password),
            now=app.clock.now(),
        )

    return _with_user(made, as_json=as_json)


def set_password(email: str, *, reads_stdin: bool, as_json: bool) -> int:
    """Give a person of the tenant another password, which ends their log-ins, and return the exit code."""
    password = _password(reads_stdin=reads_stdin)
    if password is None:
        return USAGE

    async def changed(app: App) -> User:
        user = await _user(app, email)
        hashed = await app.people.passwords.hashed(password)
        now = app.clock.now()
        return await app.store.access.users.update(user.id, "user.password", now=now, password_hash=hashed)

    return _with_user(changed, as_json=as_json)


def set_active(email: str, *, is_active: bool, as_json: bool) -> int:
    """Let a person of the tenant in again, or in no more, and return the exit code."""

    async def changed(app: App) -> User:
        user = await _user(app, email)
        action = "user.activate" if is_active else "user.deactivate"
        return await app.store.access.users.update(user.id, action, now=app.clock.now(), is_active=is_active)

    return _with_user(changed, as_json=as_json)


@async_command
async def list_users(settings: Settings, *, as_json: bool) -> None:
    """Print the people of the tenant."""
    async with open_app(settings, operator=operator()) as app:
        page = await app.store.access.users.list(limit=_PAGE)
        found = [*page.items]
        while page.next_cursor is not None:
            page = await app.store.access.users.list(limit=_PAGE, cursor=page.next_cursor)
            found += page.items
    answer = UsersOut.of({"users": found, "next_cursor": None})
    print_answer(answer, lambda: _print(found), as_json=as_json)


async def _user(app: App, email: str) -> User:
    """Return the person of the tenant with an address; raises UserNotFoundError."""
    account = await app.store.access.sessions.account(email.strip().lower())
    if account is None:
        raise UserNotFoundError("no user has this e-mail address")
    # Of another tenant it is as absent.
    return await app.store.access.users.get(account.id)


@async_command
async def _with_user(settings: Settings, work: Callable[[App], Awaitable[User]], *, as_json: bool) -> None:
    async with open_app(settings, operator=operator()) as app:
        user = await work(app)
    print_answer(UserOut.of(user), lambda: _print([user]), as_json=as_json)


def _password(*, reads_stdin: bool) -> str | None:
    """Return a new password, asked for twice or read from stdin; None where it cannot be one."""
    if reads_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = getpass.getpass("Password: ")
        if password != getpass.getpass("Again: "):
            report("the two are not the same")
            return None
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        report(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
        return None
    return password


def _print(users: Sequence[User]) -> None:
    titles = ("ID", "EMAIL", "NAME", "ROLE", "ORGANISATION", "ACTIVE")
    rows = [
        (each.id, each.email, each.name, each.role, each.organization_id, "yes" if each.is_active else "no")
        for each in users
    ]
    print_columns(titles, rows)
