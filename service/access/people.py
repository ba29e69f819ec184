"""People: log-in with a password, a pair of tokens for it, and who a token is about."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final

from service.access.access_tokens import LIFETIME, AccessTokens
from service.access.passwords import Passwords
from service.access.throttle import Throttle
from service.domain.identity.errors import UnauthenticatedError
from service.domain.identity.login_errors import LoginNotConfiguredError, WrongCredentialsError
from service.domain.identity.principal import Principal
from service.store.access.sessions import REFRESH_LIFETIME, Account, LogIn, Sessions

_REFRESH_TOKEN: Final = re.compile(r"rr_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a log-in, or the use of a refresh token, gives; each lasts so many seconds."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


@dataclass(frozen=True, slots=True)
class People:
    """Log-ins, where there are keys to sign tokens with."""

    tokens: AccessTokens | None
    """None: nobody can log in."""
    passwords: Passwords
    throttle: Throttle

    def check(self) -> None:
        """Read the signing keys, where there are to be any; raises SigningKeysError."""
        if self.tokens is not None:
            self.tokens.keys.check()

    async def log_in(self, sessions: Sessions, *, email: str, password: str, address: str) -> TokenPair:
        """Return the first pair of tokens of a log-in.

        As long is taken, and the same said, for whatever is wrong with the two. Raises
        WrongCredentialsError, TooManyRequestsError and LoginNotConfiguredError.
        """
        tokens = self._tokens()
        account = await self.checked(sessions, email=email, password=password, address=address)
        refresh_token = _new_refresh_token()
        log_in = await sessions.open(account.id, _hashed(refresh_token))
        return _pair(tokens, log_in, refresh_token)

    async def checked(self, sessions: Sessions, *, email: str, password: str, address: str) -> Account:
        """Return the active account with an address in lower case, and this password.

        Raises WrongCredentialsError and TooManyRequestsError.
        """
        async with self.throttle.attempt(email, address) as attempt:
            account = await sessions.account(email)
            stored = account.password_hash if account is not None else None
            is_right = await self.passwords.matches(stored, password)
            if account is None or not is_right or not account.is_active:
                raise WrongCredentialsError(WrongCredentialsError.example)
            attempt.has_failed = False
        return account

    async def refresh(self, sessions: Sessions, refresh_token: str) -> TokenPair:
        """Return the next pair for a refresh token, which is used up by it.

        Raises UnauthenticatedError, RefreshRacedError and LoginNotConfiguredError.
        """
        tokens = self._tokens()
        if not _REFRESH_TOKEN.fullmatch(refresh_token):
            raise UnauthenticatedError(UnauthenticatedError.example)
        following = _new_refresh_token()
        log_in = await sessions.rotate(_hashed(refresh_token), _hashed(following))
        return _pair(tokens, log_in, following)

    async def log_out(self, sessions: Sessions, refresh_token: str) -> None:
        """End the log-in of a refresh token; its access tokens end with it."""
        if _REFRESH_TOKEN.fullmatch(refresh_token):
            await sessions.close(_hashed(refresh_token))

    async def principal(self, sessions: Sessions, token: str) -> Principal:
        """Return who an access token is about, as the database has them now; raises UnauthenticatedError."""
        if self.tokens is None:
            raise UnauthenticatedError(UnauthenticatedError.example)
        found = self.tokens.verified(token)
        principal = await sessions.holder(found.user_id, found.family_id)
        if principal is None:
            raise UnauthenticatedError(UnauthenticatedError.example)
        return principal

    def _tokens(self) -> AccessTokens:
        if self.tokens is None:
            raise LoginNotConfiguredError(LoginNotConfiguredError.example)
        return self.tokens


def _pair(tokens: AccessTokens, log_in: LogIn, refresh_token: str) -> TokenPair:
    return TokenPair(
        access_token=tokens.issue(log_in.account.id, log_in.family_id),
        expires_in=int(LIFETIME.total_seconds()),
        refresh_token=refresh_token,
        refresh_expires_in=int(REFRESH_LIFETIME.total_seconds()),
    )


def _new_refresh_token() -> str:
    return f"rr_{secrets.token_urlsafe(32)}"


def _hashed(refresh_token: str) -> str:
    """Return what is stored of a token: of 256 random bits, so that a plain hash is enough."""
    return hashlib.sha256(refresh_token.encode()).hexdigest()
