"""Users: the people of a tenant, what each of them is, and their passwords."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path, Query

from service.api.errors import InvalidRequestError
from service.api.examples import with_example
from service.api.identity.caller import Caller, Needs
from service.api.routes.router import Routes
from service.api.v1.door import Doorway, LogIns
from service.api.v1.schemas import PageQuery, RoleIn, UserChangeIn, UserIn, UserOut, UsersOut
from service.domain.identity.people import User
from service.domain.identity.permission import Permission, Role

router = Routes("users", prefix="/api/v1/users")

UserId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("user_id"))]

Reader = Annotated[Caller, Depends(Needs(Permission.READ_USERS))]
Updater = Annotated[Caller, Depends(Needs(Permission.UPDATE_USERS))]
Writer = Annotated[Caller, Depends(Needs(Permission.WRITE_USERS))]

_OF_AN_ORGANIZATION = frozenset({Role.ORG_ADMIN, Role.ORG_MEMBER})


@router.declare("GET", "List users", gives="users")
async def list_users(caller: Reader, page: Annotated[PageQuery, Query()]) -> UsersOut:
    """List the people whom the caller may see, by id."""
    return UsersOut.of(await caller.app.store.access.users.list(limit=page.limit, cursor=page.cursor))


@router.declare(
    "POST",
    "Add a user",
    *("tenant_not_found", "organization_not_found", "already_exists"),
    gives="user",
    status=HTTPStatus.CREATED,
)
async def add_user(caller: Writer, body: UserIn) -> UserOut:
    """Add a person, whose role is below the caller's."""
    app, principal = caller.app, caller.principal
    password = body.password.get_secret_value() if body.password is not None else None
    organization_id = body.organization_id or principal.organization_id
    _check_place(body.role, organization_id)
    made = await caller.app.store.access.users.create(
        tenant_id=body.tenant_id or principal.tenant_id,
        organization_id=organization_id,
        email=body.email,
        name=body.name,
        role=body.role,
        password_hash=await app.people.passwords.hashed(password) if password is not None else None,
        now=app.clock.now(),
    )
    return UserOut.of(made)


@router.declare("GET /{user_id}", "Show a user", gives="user")
async def get_user(caller: Reader, user_id: UserId) -> UserOut:
    """Show a person."""
    return UserOut.of(await caller.app.store.access.users.get(user_id))


@router.declare("PATCH /{user_id}", "Change a user's name or password", "wrong_credentials", gives="user")
async def change_user(caller: Updater, doorway: Doorway, user_id: UserId, body: UserChangeIn) -> UserOut:
    """Change the name, or the password, which ends all log-ins of the person.

    Who changes their own password gives the current one; who changes another's has a role above theirs.
    """
    changes: dict[str, object] = {} if body.name is None else {"name": body.name}
    if body.password is not None:
        user = await caller.app.store.access.users.get(user_id)
        if user.id == caller.principal.id:
            await _check_current_password(doorway, user, body)
        hashed = await caller.app.people.passwords.hashed(body.password.get_secret_value())
        changes["password_hash"] = hashed
    action = "user.update" if body.password is None else "user.password"
    return await _changed(caller, user_id, action, **changes)


@router.declare("POST /{user_id}/role", "Give a user another role", gives="user")
async def grant_role(caller: Writer, user_id: UserId, body: RoleIn) -> UserOut:
    """Give a person another role, from their next request on; both are below the caller's."""
    user = await caller.app.store.access.users.get(user_id)
    _check_place(body.role, user.organization_id)
    return await _changed(caller, user.id, "user.role", role=body.role)


@router.declare("POST /{user_id}/activate", "Activate a user", gives="user")
async def activate(caller: Writer, user_id: UserId) -> UserOut:
    """Let a person in again; their earlier log-ins have ended."""
    return await _changed(caller, user_id, "user.activate", is_active=True)


@router.declare("DELETE /{user_id}", "Deactivate a user", gives="user")
async def deactivate(caller: Writer, user_id: UserId) -> UserOut:
    """Let a person in no more, from their next request on; what they did stays written down."""
    return await _changed(caller, user_id, "user.deactivate", is_active=False)


async def _check_current_password(doorway: LogIns, user: User, body: UserChangeIn) -> None:
    """Raise WrongCredentialsError, or TooManyRequestsError, unless who changes a password knows it."""
    given = body.current_password.get_secret_value() if body.current_password is not None else ""
    await doorway.people.checked(doorway.sessions, email=user.email, password=given, address=doorway.address)


async def _changed(caller: Caller, user_id: str, action: str, **changes: object) -> UserOut:
    users = caller.app.store.access.users
    return UserOut.of(await users.update(user_id, action, now=caller.app.clock.now(), **changes))


def _check_place(role: Role, organization_id: str | None) -> None:
    if role in _OF_AN_ORGANIZATION and organization_id is None:
        raise InvalidRequestError(f"body.organization_id: an {role} belongs to an organisation")
