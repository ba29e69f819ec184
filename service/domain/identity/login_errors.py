"""What is answered to those who log in, or come with a token, and cannot be let in (yet)."""

from service.domain.errors import RefusedError, UsageError


class WrongCredentialsError(RefusedError, code="wrong_credentials", http_status=401):
    """E-mail address and password are not those of an active account."""

    example = "e-mail address and password are not those of an active account"


class RefreshRacedError(RefusedError, code="refresh_raced", http_status=409):
    """The refresh token was used a moment ago: whoever did has the new pair."""

    example = "this refresh token was used a moment ago: go on with the pair that was answered then"


class LoginNotConfiguredError(RefusedError, code="login_not_configured", http_status=503):
    """Nobody can log in, because there are no keys to sign tokens with."""

    example = "log-in needs keys to sign tokens with: `risk-alerts keys jwt`, then JWT_KEYS_FILE"


class SigningKeysError(UsageError, code="signing_keys_unusable", http_status=503):
    """The file of the keys cannot be read, or is not of its form; the detail names the file and no key."""

    example = "jwt.json must hold a JWK Set: make it with `risk-alerts keys jwt`"


class IssuerUnreachableError(RefusedError, code="issuer_unreachable", http_status=503, retry_after_s=10):
    """The issuer of the token cannot be asked for its keys, and none are known from before."""

    example = "the issuer of this token cannot be asked for its keys"


class TooManyRequestsError(RefusedError, code="too_many_requests", http_status=429, retry_after_s=60):
    """This caller has made so many such requests that it has to wait."""

    example = "too many log-ins have failed: try again in 60 s"

    def __init__(self, detail: str, *, wait_s: int) -> None:
        super().__init__(detail)
        self.wait_s = wait_s
        """Seconds until such a request is answered again."""
