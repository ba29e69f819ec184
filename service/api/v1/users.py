"""Users: the people of a tenant, what each of them is, and their passwords."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from service.api.errors import MAX_BODY_BYTES, InvalidRequestError
from service.api.examples import with_example
from service.api.identity.caller import Caller, Needs
from service.api.openapi import CHANGING, READING, v1_answers
from service.api.v1.door import Doorway, LogIns
from service.api.v1.envelope import AnswerMeta, Success
from service.api.v1.schemas import PageQuery, RoleIn, UserChangeIn, UserIn, UserOut, UsersOut
from service.domain.identity.people import User
from service.domain.identity.permission import Permission, Role

router = APIRouter(prefix="/api/v1/users", tags=["users"], max_body_size=MAX_BODY_BYTES)

UserId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("user_id"))]

Reader = Annotated[Caller, Depends(Needs(Permission.READ_USERS))]
Updater = Annotated[Caller, Depends(Needs(Permission.UPDATE_USERS))]
Writer = Annotated[Caller, Depends(Needs(Permission.WRITE_USERS))]

_CHANGING = ("user_not_found", *CHANGING)
_OF_AN_ORGANIZATION = frozenset({Role.ORG_ADMIN, Role.ORG_MEMBER})


@router.get("", summary="List users", responses=v1_answers(*READING, examples=["users"]))
async def list_users(
    caller: Reader, meta: AnswerMeta, page: Annotated[PageQuery, Query()]
) -> Success[UsersOut]:
    """List the people whom the caller may see, by id."""
    found = await caller.app.store.access.users.list(limit=page.limit, cursor=page.cursor)
    return Success(data=UsersOut.of(found), meta=meta)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Add a user",
    responses=v1_answers(
        *("tenant_not_found", "organization_not_found", "already_exists", *CHANGING),
        examples=["user"],
        success=HTTPStatus.CREATED,
    ),
)
async def add_user(caller: Writer, meta: AnswerMeta, body: UserIn) -> Success[UserOut]:
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
    return Success(data=UserOut.of(made), meta=meta)


@router.get(
    "/{user_id}", summary="Show a user", responses=v1_answers("user_not_found", *READING, examples=["user"])
)
async def get_user(caller: Reader, meta: AnswerMeta, user_id: UserId) -> Success[UserOut]:
    """Show a person."""
    return Success(data=UserOut.of(await caller.app.store.access.users.get(user_id)), meta=meta)


@router.patch(
    "/{user_id}",
    summary="Change a user's name or password",
    responses=v1_answers("wrong_credentials", *_CHANGING, examples=["user"]),
)
async def change_user(
    caller: Updater, doorway: Doorway, meta: AnswerMeta, user_id: UserId, body: UserChangeIn
) -> Success[UserOut]:
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
    return await _changed(caller, meta, user_id, action, **changes)


@router.post(
    "/{user_id}/role", summary="Give a user another role", responses=v1_answers(*_CHANGING, examples=["user"])
)
async def grant_role(caller: Writer, meta: AnswerMeta, user_id: UserId, body: RoleIn) -> Success[UserOut]:
    """Give a person another role, from their next request on; both are below the caller's."""
    user = await caller.app.store.access.users.get(user_id)
    _check_place(body.role, user.organization_id)
    return await _changed(caller, meta, user.id, "user.role", role=body.role)


@router.post(
    "/{user_id}/activate", summary="Activate a user", responses=v1_answers(*_CHANGING, examples=["user"])
)
async def activate(caller: Writer, meta: AnswerMeta, user_id: UserId) -> Success[UserOut]:
    """Let a person in again; their earlier log-ins have ended."""
    return await _changed(caller, meta, user_id, "user.activate", is_active=True)


@router.delete("/{user_id}", summary="Deactivate a user", responses=v1_answers(*_CHANGING, examples=["user"]))
async def deactivate(caller: Writer, meta: AnswerMeta, user_id: UserId) -> Success[UserOut]:
    """Let a person in no more, from their next request on; what they did stays written down."""
    return await _changed(caller, meta, user_id, "user.deactivate", is_active=False)


async def _check_current_password(doorway: LogIns, user: User, body: UserChangeIn) -> None:
    """Raise WrongCredentialsError, or TooManyRequestsError, unless who changes a password knows it."""
    given = body.current_password.get_secret_value() if body.current_password is not None else ""
    await doorway.people.checked(doorway.sessions, email=user.email, password=given, address=doorway.address)


async def _changed(
    caller: Caller, meta: AnswerMeta, user_id: str, action: str, **changes: object
) -> Success[UserOut]:
    changed = await caller.app.store.access.users.update(
        user_id, action, now=caller.app.clock.now(), **changes
    )
    return Success(data=UserOut.of(changed), meta=meta)


def _check_place(role: Role, organization_id: str | None) -> None:
    if role in _OF_AN_ORGANIZATION and organization_id is None:
        raise InvalidRequestError(f"body.organization_id: an {role} belongs to an organisation")
