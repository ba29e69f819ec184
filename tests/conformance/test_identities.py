"""Identities as they are written down: keys, the mark of a closed door, and who sees whom."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from service.domain.errors import RefusedError
from service.domain.identity.actor import Actor
from service.domain.identity.api_key import KeySecret
from service.domain.identity.errors import (
    AlreadyExistsError,
    KeyNotFoundError,
    OrganizationNotFoundError,
    TenantNotFoundError,
    UserNotFoundError,
)
from service.domain.identity.people import Organization, Tenant, User
from service.domain.identity.permission import KeyScope, Role
from service.domain.identity.principal import Principal
from service.domain.identity.scope import Scope
from service.domain.tenant import DEFAULT_TENANT
from service.store.store import Store, open_store
from tests.support.given import NOW, Given

ABSENT: Final = "00000000-0000-4000-8000-000000000000"
ANN: Final = Actor(
    principal=Principal.command_line("ann", DEFAULT_TENANT), address="127.0.0.1", request_id="r-1"
)
MINUTE: Final = timedelta(minutes=1)


def seen(store: Store, scope: Scope) -> Store:
    """Return the store as somebody of this scope sees it."""
    return store.seen_by(ANN, scope)


async def a_key(store: Store, *scopes: KeyScope, name: str = "ci", **values: Any) -> KeySecret:
    """Return a new key of the store's tenant."""
    secret = KeySecret.new()
    await store.access.keys.create(
        secret, name=name, scopes=scopes or [KeyScope.READ], now=NOW, **{"expires_at": None} | values
    )
    return secret


async def a_user(store: Store, tenant: str, organization: str | None = None, *, email: str = "") -> User:
    """Return a new person."""
    return await seen(store, Scope.of_all()).access.users.create(
        tenant_id=tenant,
        organization_id=organization,
        email=email or f"{KeySecret.new().id}@Example.com",
        name="Bob",
        role=Role.ORG_MEMBER,
        password_hash="argon2…",
        now=NOW,
    )


async def test_the_first_identity_closes_the_door_for_good(store: Store, database_url: str) -> None:
    """For all processes and tenants, as soon as it is there; revoking the key does not reopen it."""
    assert not await store.access.door.is_closed()
    async with open_store(database_url, tenant_id=ABSENT) as other:
        assert not await other.access.door.is_closed()
        secret = await a_key(store)
        assert await store.access.door.is_closed()
        assert await other.access.door.is_closed()
    await store.access.keys.revoke(secret.id, now=NOW)
    assert await store.access.keys.holder(secret, now=NOW) is None
    assert await store.access.door.is_closed()


async def test_a_person_closes_the_door_as_well(store: Store) -> None:
    """And so does an issuer, which the database does not hold."""
    await a_user(store, DEFAULT_TENANT)
    assert await store.access.door.is_closed()


async def test_an_issuer_closes_the_door(store: Store) -> None:
    """To close it twice is to close it once."""
    await store.access.door.close(now=NOW)
    await store.access.door.close(now=NOW + MINUTE)
    assert await Given(store).sql("SELECT count(*) AS marks FROM access_state") == [{"marks": 1}]


async def test_a_key_says_whose_it_is(store: Store, database_url: str) -> None:
    """Tenant and scopes, whoever asks; also of a tenant that nobody had written down before."""
    async with open_store(database_url, tenant_id=ABSENT) as other:
        secret = await a_key(other, KeyScope.RUNS, KeyScope.READ)
    holder = await store.access.keys.holder(secret, now=NOW)
    assert holder is not None
    assert (holder.tenant_id, {*holder.scopes}) == (ABSENT, {KeyScope.RUNS, KeyScope.READ})
    assert (await seen(store, Scope.of_all()).access.tenants.get(ABSENT)).is_active


async def test_what_is_kept_of_a_key_is_a_hash(store: Store) -> None:
    """Nothing of the secret stands in any column of it, or in the audit."""
    secret = await a_key(store)
    rows = await Given(store).sql("SELECT * FROM api_keys") + await Given(store).sql("SELECT * FROM audit")
    assert len(rows) == 2
    assert secret.secret not in str(rows)


async def test_keys_that_open_nothing(store: Store) -> None:
    """Another secret under the same id, an unknown id, an expired or revoked key, one of a closed tenant."""
    valid = await a_key(store)
    keys = store.access.keys
    expired = await a_key(store, expires_at=NOW + MINUTE)
    revoked = await a_key(store)
    await keys.revoke(revoked.id, now=NOW)
    await keys.revoke(revoked.id, now=NOW + MINUTE)
    assert await keys.holder(KeySecret(id=valid.id, secret=expired.secret), now=NOW) is None
    assert await keys.holder(KeySecret.new(), now=NOW) is None
    assert await keys.holder(expired, now=NOW) is not None
    assert await keys.holder(expired, now=NOW + MINUTE) is None
    assert await keys.holder(revoked, now=NOW) is None
    assert await keys.holder(valid, now=NOW) is not None
    await seen(store, Scope.of_all()).access.tenants.update(DEFAULT_TENANT, now=NOW, is_active=False)
    assert await keys.holder(valid, now=NOW) is None


async def test_two_keys_are_valid_at_once(store: Store) -> None:
    """So that one can be replaced without an outage; the list has both, newest first, and no secret."""
    old = await a_key(store, name="old")
    new = await store.access.keys.create(
        KeySecret.new(), name="new", scopes=[KeyScope.RUNS], now=NOW + MINUTE, expires_at=None
    )
    assert [key.name for key in await store.access.keys.list()] == ["new", "old"]
    assert await store.access.keys.holder(old, now=NOW) is not None
    await store.access.keys.revoke(old.id, now=NOW + MINUTE)
    assert [key.is_valid(NOW + MINUTE) for key in await store.access.keys.list()] == [True, False]
    assert new.created_by == "system"


async def test_the_last_use_is_written_once_a_minute(store: Store) -> None:
    """A flood of requests writes no more than that."""
    secret = await a_key(store)
    keys = store.access.keys
    for seconds, is_due, kept in ((0, True, 0), (30, False, 0), (59, False, 0), (61, True, 61)):
        now = NOW + timedelta(seconds=seconds)
        holder = await keys.holder(secret, now=now)
        assert holder is not None
        assert holder.is_to_be_touched == is_due
        await keys.touch(secret.id, now=now)
        (key,) = await keys.list()
        assert key.last_used_at == NOW + timedelta(seconds=kept)


async def test_every_change_is_in_the_audit(store: Store) -> None:
    """Who, how, from where, in which request, what, to which, whose: newest first, page by page."""
    ours = seen(store, Scope.of_tenant(DEFAULT_TENANT))
    secret = await a_key(ours)
    await ours.access.keys.revoke(secret.id, now=NOW)
    await ours.access.keys.revoke(secret.id, now=NOW)
    await ours.audit.note("run.begin", "r1")
    page = await ours.audit.list(limit=2)
    rest = await ours.audit.list(limit=2, cursor=page.next_cursor)
    entries = [*page.items, *rest.items]
    assert rest.next_cursor is None
    assert [(entry.action, entry.target, entry.outcome) for entry in entries] == [
        ("run.begin", "r1", "refused"),
        ("key.revoke", secret.id, "done"),
        ("key.create", secret.id, "done"),
    ]
    assert {(each.principal, each.way, each.key_id, each.address, each.request_id) for each in entries} == {
        ("cli:ann", "cli", None, "127.0.0.1", "r-1")
    }
    assert [entry.at for entry in entries] == sorted((entry.at for entry in entries), reverse=True)
    assert [entry.action for entry in (await ours.audit.list(limit=9, action="key.revoke")).items] == [
        "key.revoke"
    ]
    assert (await ours.audit.list(limit=9, principal="cli:eve")).items == ()
    assert (await seen(store, Scope.of_tenant(ABSENT)).audit.list(limit=9)).items == ()


async def test_a_change_that_fails_is_in_no_audit(store: Store) -> None:
    """The entry is part of the change: neither is there without the other."""
    everybody = seen(store, Scope.of_all())
    await everybody.access.tenants.create(name="Acme", code="acme", now=NOW)
    with pytest.raises(AlreadyExistsError):
        await everybody.access.tenants.create(name="Acme again", code="acme", now=NOW)
    assert [entry.action for entry in (await everybody.audit.list(limit=9)).items] == ["tenant.create"]


_Place = tuple[Tenant, Organization, User]


async def _a_place(store: Store, code: str) -> _Place:
    everybody = seen(store, Scope.of_all()).access
    tenant = await everybody.tenants.create(name=code.title(), code=code, now=NOW)
    organization = await everybody.organizations.create(tenant.id, name="North", code="north", now=NOW)
    return tenant, organization, await a_user(store, tenant.id, organization.id)


async def test_who_sees_whom(store: Store) -> None:
    """All; a tenant; an organisation; oneself. What is outside is as absent as what is not there."""
    here, there = await _a_place(store, "here"), await _a_place(store, "there")
    tenant, organization, user = here
    beside = await seen(store, Scope.of_all()).access.organizations.create(
        tenant.id, name="South", code="south", now=NOW
    )
    colleague = await a_user(store, tenant.id, beside.id)
    scopes = {
        Scope.of_tenant(tenant.id): ({tenant}, {organization, beside}, {user, colleague}),
        Scope.of_organization(tenant.id, organization.id): ({tenant}, {organization}, {user}),
        Scope.of_user(tenant.id, user.id): ({tenant}, set(), {user}),
    }
    for scope, expected in scopes.items():
        access = seen(store, scope).access
        lists = [await part.list(limit=9) for part in (access.tenants, access.organizations, access.users)]
        assert tuple({*page.items} for page in lists) == expected
        for get, foreign, error in (
            (access.tenants.get, there[0].id, TenantNotFoundError),
            (access.organizations.get, there[1].id, OrganizationNotFoundError),
            (access.users.get, there[2].id, UserNotFoundError),
        ):
            assert await _told(get, foreign, error) == await _told(get, ABSENT, error)
    assert len((await seen(store, Scope.of_all()).access.users.list(limit=9)).items) == 3


async def _told(get: Callable[[str], Awaitable[object]], row_id: str, error: type[RefusedError]) -> str:
    with pytest.raises(error) as raised:
        await get(row_id)
    return raised.value.detail


async def test_nobody_is_put_where_the_scope_does_not_reach(store: Store) -> None:
    """Into another tenant, another's organisation, or beside the organisation that one has."""
    here, there = await _a_place(store, "here"), await _a_place(store, "there")
    plain = {"email": "x@example.com", "name": "X", "role": Role.USER, "password_hash": None, "now": NOW}
    admin = seen(store, Scope.of_organization(here[0].id, here[1].id)).access.users
    for tenant, organization in (
        (here[0].id, None),
        (here[0].id, there[1].id),
        (there[0].id, None),
        (there[0].id, there[1].id),
        (ABSENT, None),
        (here[0].id, ABSENT),
    ):
        with pytest.raises((OrganizationNotFoundError, TenantNotFoundError)):
            await admin.create(tenant_id=tenant, organization_id=organization, **plain)  # type: ignore[arg-type]
        with pytest.raises((OrganizationNotFoundError, TenantNotFoundError)):
            await admin.update(here[2].id, "user.move", now=NOW, organization_id=organization or ABSENT)
    made = await admin.create(tenant_id=here[0].id, organization_id=here[1].id, **plain)  # type: ignore[arg-type]
    assert (made.email, made.organization_id) == ("x@example.com", here[1].id)


async def test_people_are_changed_in_place(store: Store) -> None:
    """Role, name, whether they count; an address is one account, in whatever case it is written."""
    user = await a_user(store, DEFAULT_TENANT, email="Bob@Example.com")
    users = seen(store, Scope.of_tenant(DEFAULT_TENANT)).access.users
    assert user.email == "bob@example.com"
    with pytest.raises(AlreadyExistsError):
        await a_user(store, DEFAULT_TENANT, email="BOB@example.com")
    later = NOW + MINUTE
    changed = await users.update(user.id, "user.role", now=later, role=Role.USER, is_active=False)
    assert changed == await users.get(user.id)
    assert (changed.role, changed.is_active, changed.updated_at) == (Role.USER, False, later)


async def test_an_organisation_is_renamed_within_its_tenant(store: Store) -> None:
    """A code is one organisation's of a tenant; another tenant may have the same."""
    here, _ = await _a_place(store, "here"), await _a_place(store, "there")
    organizations = seen(store, Scope.of_tenant(here[0].id)).access.organizations
    await organizations.create(here[0].id, name="South", code="south", now=NOW)
    with pytest.raises(AlreadyExistsError):
        await organizations.update(here[1].id, now=NOW, code="south")
    renamed = await organizations.update(here[1].id, now=NOW, code="north", name="Nord", is_active=False)
    assert (renamed.code, renamed.name, renamed.is_active) == ("north", "Nord", False)


async def test_a_key_of_another_tenant_is_absent(store: Store) -> None:
    """It is neither listed nor revoked."""
    secret = await a_key(store)
    other = seen(store, Scope.of_tenant(ABSENT)).access.keys
    assert await other.list() == []
    with pytest.raises(KeyNotFoundError):
        await other.revoke(secret.id, now=NOW)
    assert await store.access.keys.holder(secret, now=NOW) is not None
