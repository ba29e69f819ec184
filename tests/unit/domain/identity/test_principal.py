"""Principals: what they may do, over whose rows, and whom they may make what."""

from itertools import product
from typing import Final

import pytest

from service.domain.identity.errors import ForbiddenError, NotServedHereError
from service.domain.identity.permission import MATRIX, KeyScope, Permission, Reach, Role, may_grant
from service.domain.identity.principal import Principal, PrincipalKind
from service.domain.identity.scope import Scope
from service.domain.tenant import DEFAULT_TENANT

OTHER: Final = "11111111-2222-4333-8444-555555555555"
ALL, TENANT, ORG, SELF = Reach.ALL, Reach.TENANT, Reach.ORGANIZATION, Reach.SELF
WRITTEN: Final = {
    # super_admin, tenant_admin, org_admin, org_member, user
    Permission.READ_TENANTS: (ALL, TENANT, None, None, None),
    Permission.WRITE_TENANTS: (ALL, None, None, None, None),
    Permission.READ_ORGANIZATIONS: (ALL, TENANT, ORG, ORG, None),
    Permission.UPDATE_ORGANIZATIONS: (ALL, TENANT, ORG, None, None),
    Permission.WRITE_ORGANIZATIONS: (ALL, TENANT, None, None, None),
    Permission.READ_USERS: (ALL, TENANT, ORG, SELF, SELF),
    Permission.UPDATE_USERS: (ALL, TENANT, ORG, SELF, SELF),
    Permission.WRITE_USERS: (ALL, TENANT, ORG, None, None),
    Permission.READ_RUNS: (ALL, TENANT, TENANT, TENANT, None),
    Permission.WRITE_RUNS: (ALL, TENANT, None, None, None),
    Permission.READ_ALERTS: (ALL, TENANT, TENANT, TENANT, TENANT),
    Permission.WRITE_ALERTS: (ALL, TENANT, TENANT, TENANT, None),
    Permission.READ_COMPANIES: (ALL, TENANT, ORG, ORG, SELF),
    Permission.WRITE_COMPANIES: (ALL, TENANT, ORG, ORG, None),
    Permission.DELETE_COMPANIES: (ALL, TENANT, ORG, SELF, None),
    Permission.READ_MODELS: (ALL, TENANT, TENANT, TENANT, TENANT),
    Permission.ACTIVATE_MODELS: (ALL, None, None, None, None),
    Permission.MANAGE_KEYS: (ALL, TENANT, None, None, None),
    Permission.READ_AUDIT: (ALL, TENANT, None, None, None),
}
"""The matrix as it was agreed upon, written out once more."""
OF_PEOPLE: Final = {
    each
    for each in Permission
    if each.split(".")[0] in {"tenants", "organizations", "users", "keys", "audit"}
}


def a_user(role: Role, *, organization: str | None = "o1") -> Principal:
    """Return a person with a role."""
    return Principal(
        kind=PrincipalKind.USER, id="u1", tenant_id=DEFAULT_TENANT, organization_id=organization, role=role
    )


def a_key(*scopes: KeyScope) -> Principal:
    """Return a machine of another tenant."""
    return Principal(kind=PrincipalKind.API_KEY, id="k1", tenant_id=OTHER, scopes=frozenset(scopes))


@pytest.mark.parametrize("permission", Permission)
def test_the_matrix_is_the_one_that_was_agreed_upon(permission: Permission) -> None:
    """Every role reaches as far as written, with every permission there is."""
    assert tuple(MATRIX[role].get(permission) for role in Role) == WRITTEN[permission]


@pytest.mark.parametrize("permission", Permission)
def test_a_scope_is_what_the_reach_says(permission: Permission) -> None:
    """All, the tenant, the organisation or oneself; without the permission there is no scope."""
    scopes = {
        ALL: Scope.of_all(),
        TENANT: Scope.of_tenant(DEFAULT_TENANT),
        ORG: Scope.of_organization(DEFAULT_TENANT, "o1"),
        SELF: Scope.of_user(DEFAULT_TENANT, "u1"),
    }
    for role, reach in zip(Role, WRITTEN[permission], strict=True):
        if reach is None:
            with pytest.raises(ForbiddenError, match=permission):
                a_user(role).scope(permission)
        else:
            assert a_user(role).scope(permission) == scopes[reach]


def test_who_is_in_no_organisation_has_nothing_of_one() -> None:
    """An org_admin whose organisation is missing does not see those without one."""
    with pytest.raises(ForbiddenError):
        a_user(Role.ORG_ADMIN, organization=None).scope(Permission.READ_USERS)


def test_nobody_grants_a_level_at_or_above_their_own() -> None:
    """A super_admin is made by nobody, a tenant_admin only by a super_admin, and so on down."""
    granted = {role: [other for other in Role if may_grant(role, other)] for role in Role}
    assert granted == {
        Role.SUPER_ADMIN: [Role.TENANT_ADMIN, Role.ORG_ADMIN, Role.ORG_MEMBER, Role.USER],
        Role.TENANT_ADMIN: [Role.ORG_ADMIN, Role.ORG_MEMBER, Role.USER],
        Role.ORG_ADMIN: [Role.ORG_MEMBER, Role.USER],
        Role.ORG_MEMBER: [],
        Role.USER: [],
    }


@pytest.mark.parametrize("permission", sorted(OF_PEOPLE))
def test_no_machine_and_nobody_anonymous_reaches_people(permission: Permission) -> None:
    """Tenants, organisations, users, keys and audit are for roles alone, whatever scopes somebody has."""
    assert Principal.anonymous(DEFAULT_TENANT).reach(permission) is None


def test_a_scope_of_a_key_permits_what_it_says() -> None:
    """`read` are the GETs, `runs` is preview, run, cancel and settle; all in the key's own tenant."""
    allowed = {(KeyScope.READ, Permission.READ_RUNS), (KeyScope.RUNS, Permission.WRITE_RUNS)}
    for scope, permission in product(KeyScope, (Permission.READ_RUNS, Permission.WRITE_RUNS)):
        reach = a_key(scope).reach(permission)
        assert reach == (TENANT if (scope, permission) in allowed else None)


def test_a_label_says_who_it_was_and_no_secret() -> None:
    """What kind of principal, and its id."""
    assert a_key().label == "api_key:k1"
    assert a_user(Role.USER).label == "user:u1"
    assert Principal.anonymous(OTHER).label == "anonymous"
    assert Principal.command_line("ann", OTHER).label == "cli:ann"


def test_a_process_works_for_its_own_tenant() -> None:
    """Principals of another are told so; a super_admin is of all."""
    a_user(Role.TENANT_ADMIN).check_served(DEFAULT_TENANT)
    a_user(Role.SUPER_ADMIN).check_served(OTHER)
    with pytest.raises(NotServedHereError):
        a_user(Role.TENANT_ADMIN).check_served(OTHER)


@pytest.mark.parametrize(
    "values",
    [
        {"of": "tenant"},
        {"of": "tenant", "tenant_id": ""},
        {"of": "tenant", "tenant_id": DEFAULT_TENANT.upper()},
        {"of": "all", "tenant_id": DEFAULT_TENANT},
        {"of": "organization", "tenant_id": DEFAULT_TENANT, "organization_id": ""},
        {"of": "tenant", "tenant_id": DEFAULT_TENANT, "organization_id": "o1"},
        {"of": "user", "tenant_id": DEFAULT_TENANT},
        {"of": "system"},
    ],
    ids=str,
)
def test_no_scope_is_empty_by_accident(values: dict[str, str]) -> None:
    """A scope names whose rows it is about, or says that it is of all."""
    with pytest.raises(ValueError):  # noqa: PT011  # which of them, does not matter
        Scope(**values)  # type: ignore[arg-type]  # that is the point


def test_a_scope_includes_its_own() -> None:
    """Of a tenant: that one; of all: everybody, but what is written has to belong to one."""
    assert Scope.of_tenant(OTHER).includes(OTHER)
    assert not Scope.of_tenant(OTHER).includes(DEFAULT_TENANT)
    assert Scope.of_all().includes(OTHER)
    assert Scope.of_system(OTHER).one_tenant == OTHER
    with pytest.raises(ValueError, match="one tenant"):
        _ = Scope.of_all().one_tenant
