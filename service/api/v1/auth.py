"""Log-in, refresh and log-out of people, and who asks."""

from fastapi import APIRouter

from service.api.errors import MAX_BODY_BYTES
from service.api.openapi import CHANGING, READING, v1_answers
from service.api.v1.door import Asking, Doorway
from service.api.v1.envelope import AnswerMeta, Success
from service.api.v1.schemas import LogInIn, MeOut, RefreshIn, TokensOut
from service.domain.identity.permission import Permission
from service.domain.identity.principal import Principal

router = APIRouter(prefix="/api/v1/auth", tags=["log-in"], max_body_size=MAX_BODY_BYTES)


@router.post(
    "/login",
    summary="Log in",
    responses=v1_answers("wrong_credentials", "login_not_configured", *CHANGING, examples=["tokens"]),
)
async def log_in(doorway: Doorway, meta: AnswerMeta, body: LogInIn) -> Success[TokensOut]:
    """Give a pair of tokens for an e-mail address and a password.

    Whatever is wrong with the two, the same is answered after the same time. Who fails too often has to wait.
    """
    password = body.password.get_secret_value()
    people, sessions = doorway.people, doorway.sessions
    pair = await people.log_in(sessions, email=body.email, password=password, address=doorway.address)
    return Success(data=TokensOut.of(pair), meta=meta)


@router.post(
    "/refresh",
    summary="Get the next pair of tokens",
    responses=v1_answers("refresh_raced", "login_not_configured", *CHANGING, examples=["tokens"]),
)
async def refresh(doorway: Doorway, meta: AnswerMeta, body: RefreshIn) -> Success[TokensOut]:
    """Use a refresh token up and give the next pair.

    Used again within 10 seconds it is 409 and nothing happens: the other request has the pair. Used again
    later, it is in two hands, and the log-in ends for both.
    """
    pair = await doorway.people.refresh(doorway.sessions, body.refresh_token)
    return Success(data=TokensOut.of(pair), meta=meta)


@router.post("/logout", summary="Log out", responses=v1_answers(*CHANGING, examples=["nothing"]))
async def log_out(doorway: Doorway, _: Asking, meta: AnswerMeta, body: RefreshIn) -> Success[None]:
    """End the log-in of a refresh token, and its access tokens with it; to repeat it does no harm."""
    await doorway.people.log_out(doorway.sessions, body.refresh_token)
    return Success(data=None, meta=meta)


@router.get("/me", summary="Say who asks", responses=v1_answers(*READING, examples=["me"]))
async def me(principal: Asking, meta: AnswerMeta) -> Success[MeOut]:
    """Say who the token or key is of, and what may be done with it now."""
    return Success(data=_me(principal), meta=meta)


def _me(principal: Principal) -> MeOut:
    return MeOut(
        kind=principal.kind,
        id=principal.id,
        tenant_id=principal.tenant_id,
        organization_id=principal.organization_id,
        role=principal.role,
        scopes=sorted(principal.scopes),
        permissions=[each for each in Permission if principal.reach(each) is not None],
    )
