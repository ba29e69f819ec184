"""Log-in, refresh and log-out of people, and who asks."""

from service.api.routes.router import Routes
from service.api.v1.door import Asking, Doorway
from service.api.v1.schemas import LogInIn, MeOut, RefreshIn, TokensOut
from service.domain.identity.permission import Permission

router = Routes("log-in", prefix="/api/v1/auth")


@router.declare("POST /login", "Log in", "wrong_credentials", "login_not_configured", gives="tokens")
async def log_in(doorway: Doorway, body: LogInIn) -> TokensOut:
    """Give a pair of tokens for an e-mail address and a password.

    Whatever is wrong with the two, the same is answered after the same time. Who fails too often has to wait.
    """
    password = body.password.get_secret_value()
    people, sessions = doorway.people, doorway.sessions
    pair = await people.log_in(sessions, email=body.email, password=password, address=doorway.address)
    return TokensOut.of(pair)


@router.declare(
    "POST /refresh", "Get the next pair of tokens", "refresh_raced", "login_not_configured", gives="tokens"
)
async def refresh(doorway: Doorway, body: RefreshIn) -> TokensOut:
    """Use a refresh token up and give the next pair.

    Used again within 10 seconds it is 409 and nothing happens: the other request has the pair. Used again
    later, it is in two hands, and the log-in ends for both.
    """
    return TokensOut.of(await doorway.people.refresh(doorway.sessions, body.refresh_token))


@router.declare("POST /logout", "Log out", gives="nothing")
async def log_out(doorway: Doorway, _: Asking, body: RefreshIn) -> None:
    """End the log-in of a refresh token, and its access tokens with it; to repeat it does no harm."""
    await doorway.people.log_out(doorway.sessions, body.refresh_token)


@router.declare("GET /me", "Say who asks", gives="me")
async def me(principal: Asking) -> MeOut:
    """Say who the token or key is of, and what may be done with it now."""
    return MeOut(
        kind=principal.kind,
        id=principal.id,
        tenant_id=principal.tenant_id,
        organization_id=principal.organization_id,
        role=principal.role,
        scopes=sorted(principal.scopes),
        permissions=[each for each in Permission if principal.reach(each) is not None],
    )
