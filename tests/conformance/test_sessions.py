"""Log-ins on both databases: one refresh token is good at a time, and the rows say who may come."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.domain.identity.actor import Actor
from service.domain.identity.errors import UnauthenticatedError
from service.domain.identity.login_errors import RefreshRacedError
from service.domain.identity.people import User
from service.domain.identity.permission import Role
from service.domain.identity.scope import Scope
from service.domain.tenant import DEFAULT_TENANT
from service.store.access.sessions import LogIn, Sessions
from service.store.store import Store, open_store
from tests.support.clocks import START
from tests.support.given import Given


def digest(name: str) -> str:
    """Return what would be stored of a token."""
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """Return a store that sees everything, as whoever logs in does."""
    async with open_store(database_url) as opened:
        yield opened.seen_by(Actor.system(DEFAULT_TENANT), Scope.of_all())


@pytest.fixture
def sessions(store: Store) -> Sessions:
    """Return the log-ins."""
    return store.access.sessions


@pytest.fixture
async def ann(store: Store) -> User:
    """Return a person with a password, in an organisation."""
    organization = await store.access.organizations.create(
        DEFAULT_TENANT, name="North", code="north", now=START
    )
    return await store.access.users.create(
        tenant_id=DEFAULT_TENANT,
        organization_id=organization.id,
        email="Ann@Example.com",
        name="Ann",
        role=Role.ORG_ADMIN,
        password_hash="$argon2id$…",
        now=START,
    )


async def audited(store: Store) -> list[tuple[str, str]]:
    """Return actions and outcomes of the audit, newest first, without what made the fixture."""
    found = await store.audit.list(limit=50)
    return [(each.action, each.outcome) for each in found.items if not each.action.endswith(".create")]


async def test_an_account_is_found_by_its_address(sessions: Sessions, ann: User) -> None:
    """With what log-in needs: the password's hash, the role, and whether anybody lets it in."""
    found = await sessions.account("ann@example.com")
    assert found is not None
    assert (found.id, found.role, found.password_hash) == (ann.id, Role.ORG_ADMIN, "$argon2id$…")
    assert found.is_active
    assert await sessions.account("nobody@example.com") is None
    assert await sessions.account("nul\0") is None


async def test_a_log_in_gives_one_good_token_at_a_time(sessions: Sessions, store: Store, ann: User) -> None:
    """Each is used up by the next; all are of one family, and the log-in is in the audit."""
    opened = await sessions.open(ann.id, digest("1"))
    for number in range(1, 5):
        following = await sessions.rotate(digest(f"{number}"), digest(f"{number + 1}"))
        assert following == LogIn(opened.account, opened.family_id)
    holder = await sessions.holder(ann.id, opened.family_id)
    assert holder is not None
    assert holder.role is Role.ORG_ADMIN
    assert await audited(store) == [("log_in", "done")]


async def test_of_eight_refreshes_at_once_one_wins(sessions: Sessions, ann: User) -> None:
    """The others are told that they raced, and the pair of the winner lives."""
    await sessions.open(ann.id, digest("first"))
    outcomes = await asyncio.gather(
        *(sessions.rotate(digest("first"), digest(f"next{n}")) for n in range(8)), return_exceptions=True
    )
    winners = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, LogIn)]
    assert len(winners) == 1
    assert sum(isinstance(outcome, RefreshRacedError) for outcome in outcomes) == 7
    await sessions.rotate(digest(f"next{winners[0]}"), digest("after"))
    for n in set(range(8)) - set(winners):
        with pytest.raises(UnauthenticatedError):
            await sessions.rotate(digest(f"next{n}"), digest("never"))


async def moved(store: Store, token: str, **ago: timedelta) -> None:
    """Let moments of a token lie further back."""
    given = Given(store)
    (row,) = await given.sql("SELECT * FROM refresh_tokens WHERE token_hash = :hash", hash=digest(token))
    for column, by in ago.items():
        is_sqlite = isinstance(row[column], str)
        moment = datetime.fromisoformat(row[column]) if is_sqlite else row[column]
        shifted = str(moment - by) if is_sqlite else moment - by
        update = f"UPDATE refresh_tokens SET {column} = :at WHERE token_hash = :hash"  # noqa: S608  # a name
        await given.sql(update, at=shifted, hash=digest(token))


async def test_a_token_used_again_later_ends_the_log_in(sessions: Sessions, store: Store, ann: User) -> None:
    """It is in two hands: neither the thief nor the owner goes on, and the audit has it."""
    opened = await sessions.open(ann.id, digest("1"))
    other = await sessions.open(ann.id, digest("elsewhere"))
    await sessions.rotate(digest("1"), digest("2"))
    await moved(store, "1", rotated_at=timedelta(seconds=9))
    with pytest.raises(RefreshRacedError):
        await sessions.rotate(digest("1"), digest("x"))
    assert await sessions.holder(ann.id, opened.family_id)
    await moved(store, "1", rotated_at=timedelta(seconds=2))
    for token in ("1", "2", "1"):
        with pytest.raises(UnauthenticatedError):
            await sessions.rotate(digest(token), digest("y"))
    assert await sessions.holder(ann.id, opened.family_id) is None
    assert await sessions.holder(ann.id, other.family_id), "another device's log-in goes on"
    assert await audited(store) == [("refresh_reused", "refused"), ("log_in", "done"), ("log_in", "done")]


async def test_a_token_ends_after_seven_days(sessions: Sessions, store: Store, ann: User) -> None:
    """And old ones are gone when the person logs in again a week later."""
    await sessions.open(ann.id, digest("old"))
    await moved(store, "old", expires_at=timedelta(days=7, seconds=1))
    with pytest.raises(UnauthenticatedError):
        await sessions.rotate(digest("old"), digest("new"))
    await moved(store, "old", expires_at=timedelta(days=7))
    await sessions.open(ann.id, digest("fresh"))
    rows = await Given(store).sql("SELECT token_hash FROM refresh_tokens")
    assert [row["token_hash"] for row in rows] == [digest("fresh")]


@pytest.mark.parametrize("part", ["user", "organization", "tenant"])
async def test_whoever_is_deactivated_is_out_at_once(
    sessions: Sessions, store: Store, ann: User, part: str
) -> None:
    """The person, their organisation or their tenant: no token of theirs is good for anything."""
    opened = await sessions.open(ann.id, digest("1"))
    access = store.access
    assert ann.organization_id is not None
    if part == "user":
        await access.users.update(ann.id, "user.deactivate", now=START, is_active=False)
        await access.users.update(ann.id, "user.activate", now=START, is_active=True)
        assert await sessions.holder(ann.id, opened.family_id) is None
        await access.users.update(ann.id, "user.deactivate", now=START, is_active=False)
    elif part == "organization":
        await access.organizations.update(ann.organization_id, now=START, is_active=False)
    else:
        await access.tenants.update(DEFAULT_TENANT, now=START, is_active=False)
    found = await sessions.account("ann@example.com")
    assert found is not None
    assert not found.is_active
    assert await sessions.holder(ann.id, opened.family_id) is None
    for attempt in (sessions.rotate(digest("1"), digest("2")), sessions.open(ann.id, digest("3"))):
        with pytest.raises(UnauthenticatedError):
            await attempt


async def test_a_role_is_what_it_is_now(sessions: Sessions, store: Store, ann: User) -> None:
    """A lowered one is lower at the next look, whatever was there at the log-in."""
    opened = await sessions.open(ann.id, digest("1"))
    await store.access.users.update(ann.id, "user.role", now=START, role=Role.USER)
    holder = await sessions.holder(ann.id, opened.family_id)
    assert holder is not None
    assert holder.role is Role.USER
    assert (await sessions.rotate(digest("1"), digest("2"))).account.role is Role.USER


async def test_a_role_of_a_newer_version_may_least(sessions: Sessions, store: Store, ann: User) -> None:
    """While two versions are at work on one database; nobody gets more by it, and nothing fails."""
    opened = await sessions.open(ann.id, digest("1"))
    await Given(store).sql("UPDATE users SET role = 'auditor'")
    holder, account = await sessions.holder(ann.id, opened.family_id), await sessions.account(ann.email)
    assert holder is not None
    assert account is not None
    assert {holder.role, account.role, (await store.access.users.get(ann.id)).role} == {Role.USER}


async def test_a_log_out_ends_one_log_in(sessions: Sessions, store: Store, ann: User) -> None:
    """With all that follow from its tokens; to repeat it does no harm."""
    opened = await sessions.open(ann.id, digest("1"))
    other = await sessions.open(ann.id, digest("elsewhere"))
    for token in ("1", "1", "never made"):
        await sessions.close(digest(token))
    assert await sessions.holder(ann.id, opened.family_id) is None
    assert await sessions.holder(ann.id, other.family_id)
    with pytest.raises(UnauthenticatedError):
        await sessions.rotate(digest("1"), digest("2"))
    assert [action for action, _ in await audited(store)] == ["log_out", "log_in", "log_in"]


async def test_another_password_ends_all_log_ins(sessions: Sessions, store: Store, ann: User) -> None:
    """Whoever took it over is out, too."""
    opened = [await sessions.open(ann.id, digest(f"{n}")) for n in range(3)]
    await store.access.users.update(ann.id, "user.password", now=START, password_hash="another hash")
    for log_in in opened:
        assert await sessions.holder(ann.id, log_in.family_id) is None
    found = await sessions.account("ann@example.com")
    assert found is not None
    assert found.password_hash == "another hash"
    assert (await audited(store))[0] == ("user.password", "done")


async def test_tokens_are_stored_as_hashes_only(sessions: Sessions, store: Store, ann: User) -> None:
    """Whoever reads the table can log in as nobody."""
    await sessions.open(ann.id, digest("canary-token"))
    rows: list[dict[str, Any]] = await Given(store).sql("SELECT * FROM refresh_tokens")
    assert "canary-token" not in str(rows)


async def test_of_somebody_else_nothing_is_said(sessions: Sessions, ann: User) -> None:
    """A family of one person is not another's."""
    opened = await sessions.open(ann.id, digest("1"))
    assert await sessions.holder("another", opened.family_id) is None
    assert await sessions.holder(ann.id, "another") is None
    assert await sessions.holder("nul\0", "nul\0") is None
