"""Grants: a role is given and taken by who is above it at that moment, whatever was so when they asked."""

import asyncio
from typing import Final

import pytest

from service.domain.identity.actor import Actor
from service.domain.identity.errors import ForbiddenError
from service.domain.identity.people import User
from service.domain.identity.permission import Role
from service.domain.identity.principal import Principal, PrincipalKind
from service.domain.identity.scope import Scope
from service.domain.tenant import DEFAULT_TENANT
from service.store.access.users import Users
from service.store.store import Store
from tests.support.clocks import START
from tests.support.people import add_person, all_seeing

GRANT: Final = "user.role"


def as_seen_by(store: Store, user: User, scope: Scope) -> Users:
    """Return the people as somebody sees them who was let in a moment ago."""
    principal = Principal(kind=PrincipalKind.USER, id=user.id, tenant_id=user.tenant_id, role=user.role)
    return store.seen_by(Actor(principal=principal), scope).access.users


@pytest.fixture
async def tina(store: Store) -> User:
    """Return an administrator of the tenant."""
    return await add_person(store, "tina", Role.TENANT_ADMIN)


@pytest.fixture
async def uma(store: Store) -> User:
    """Return somebody below her."""
    return await add_person(store, "uma", Role.USER)


@pytest.fixture
def of_tina(store: Store, tina: User) -> Users:
    """Return the people as she sees them."""
    return as_seen_by(store, tina, Scope.of_tenant(DEFAULT_TENANT))


async def role_of(store: Store, user: User) -> Role:
    """Return what somebody is now."""
    return (await all_seeing(store).access.users.get(user.id)).role


async def refused(store: Store) -> list[str]:
    """Return what the audit has of refused changes."""
    page = await store.audit.list(limit=99)
    return [entry.action for entry in page.items if entry.outcome == "refused"]


@pytest.mark.parametrize(
    "change", [{"role": Role.USER}, {"is_active": False}, {"password_hash": "x"}, {"name": "x"}]
)
async def test_who_has_risen_meanwhile_is_out_of_reach(
    store: Store, uma: User, of_tina: Users, change: dict[str, object]
) -> None:
    """Whoever was below when this was asked, and is not any more: nothing of theirs is changed."""
    await all_seeing(store).access.users.update(uma.id, GRANT, now=START, role=Role.TENANT_ADMIN)
    before = await all_seeing(store).access.users.get(uma.id)
    with pytest.raises(ForbiddenError):
        await of_tina.update(uma.id, "user.change", now=START, **change)
    assert await all_seeing(store).access.users.get(uma.id) == before
    assert await refused(store) == ["user.change"]


@pytest.mark.parametrize("fallen", [{"role": Role.ORG_MEMBER}, {"is_active": False}])
async def test_who_has_fallen_meanwhile_grants_nothing(
    store: Store, tina: User, uma: User, of_tina: Users, fallen: dict[str, object]
) -> None:
    """Neither to others nor to somebody new, with whatever role they were let in."""
    await all_seeing(store).access.users.update(tina.id, GRANT, now=START, **fallen)
    with pytest.raises(ForbiddenError):
        await of_tina.update(uma.id, GRANT, now=START, role=Role.USER)
    with pytest.raises(ForbiddenError):
        await of_tina.create(
            tenant_id=DEFAULT_TENANT,
            organization_id=None,
            email="eve@example.com",
            name="Eve",
            role=Role.USER,
            password_hash=None,
            now=START,
        )
    assert await refused(store) == ["user.create", GRANT]


async def test_two_grants_at_once_end_as_the_higher_one_says(store: Store, uma: User, of_tina: Users) -> None:
    """Who comes first makes no difference: promoted, she is out of reach; demoted, she is promoted."""
    root = await add_person(store, "root", Role.SUPER_ADMIN)
    of_root = as_seen_by(store, root, Scope.of_all())
    for _ in range(5):
        grants = [
            of_tina.update(uma.id, GRANT, now=START, role=Role.USER),
            of_root.update(uma.id, GRANT, now=START, role=Role.TENANT_ADMIN),
        ]
        first, _second = await asyncio.gather(*grants, return_exceptions=True)
        assert isinstance(first, User | ForbiddenError)
        assert await role_of(store, uma) is Role.TENANT_ADMIN
        await of_root.update(uma.id, GRANT, now=START, role=Role.ORG_MEMBER)


async def test_everybody_changes_what_is_their_own(store: Store, uma: User) -> None:
    """The name and the password, and nothing that says what they may."""
    of_uma = as_seen_by(store, uma, Scope.of_user(DEFAULT_TENANT, uma.id))
    changed = await of_uma.update(uma.id, "user.password", now=START, name="Uma", password_hash="other")
    assert changed.name == "Uma"
    for change in ({"role": Role.USER}, {"is_active": False}, {"name": "x", "organization_id": None}):
        with pytest.raises(ForbiddenError):
            await of_uma.update(uma.id, "user.change", now=START, **change)
