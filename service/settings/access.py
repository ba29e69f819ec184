"""The settings of access: who is asked for an identity, who may log in or be vouched for, and how often."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from service.domain.identity.auth import Auth
from service.domain.identity.permission import KeyScope
from service.settings.value_types import SingleLine, TenantId, like

_LIMIT = re.compile(r"[1-9]\d{0,8} ?(/|per) ?([1-9]\d{0,3} )?(second|minute|hour|day)s?")
_SHORTEST_KEY, _LONGEST_KEY = 16, 512
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}")


_RATE = like(_LIMIT, "a number and a time, such as 100/minute or 10/15 minutes")
_WORD = like(_NAME, "one word, such as risk-alerts or https://alerts.example.com")

RateLimit = Annotated[SingleLine, _RATE]
"""How often in which time, as the library `limits` spells it."""


_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def _issuer(text: str) -> str:
    # As it stands: whether it ends with a slash is a part of its name.
    url = urlsplit(text)
    is_safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK)
    if not is_safe or not url.hostname or url.query or url.fragment:
        raise ValueError("must be an https:// URL, exactly as the issuer's tokens have it in `iss`")
    return text


def _mail(text: str) -> str:
    text = text.strip().lower()
    if text.count("@") != 1 or not text.isprintable() or " " in text:
        raise ValueError("must be an e-mail address")
    return text


def _service_key(secret: SecretStr) -> SecretStr:
    # It comes in a header, and whoever guesses it creates alerts.
    key = secret.get_secret_value().strip()
    is_clean = key.isascii() and key.isprintable() and " " not in key
    if not is_clean or not _SHORTEST_KEY <= len(key) <= _LONGEST_KEY:
        raise ValueError("must be 16 to 512 characters of ASCII without a space: openssl rand -hex 32")
    return SecretStr(key)


class GuestSettings(BaseModel, defer_build=True):
    """What somebody may do whom an issuer vouches for."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)

    scopes: frozenset[KeyScope] = Field(min_length=1)
    tenant_id: TenantId | None = None
    """Unset: the tenant of the process."""


class IssuerSettings(BaseModel, defer_build=True):
    """An issuer of ID tokens, and whom it may vouch for."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)

    issuer: Annotated[SingleLine, AfterValidator(_issuer)]
    audience: SingleLine = Field(min_length=1)
    emails: dict[Annotated[str, AfterValidator(_mail)], GuestSettings] = Field(min_length=1)


class AccessSettings(BaseModel, defer_build=True):
    """Who is let in, and how often."""

    auth: Auth = Field(
        Auth.AUTO,
        description="Who is asked for an identity: `auto`: everybody, once there is one; `required`; `none`.",
    )
    internal_service_key: Annotated[SecretStr, AfterValidator(_service_key)] | None = Field(
        None,
        description="What other services show in `X-Service-Key` under `/internal/`; unset: nobody gets in.",
    )
    jwt_keys_file: Path | None = Field(
        None,
        description="Keys that sign access tokens, made by `risk-alerts keys jwt`; unset: nobody can log in.",
    )
    jwt_issuer: Annotated[SingleLine, _WORD] = Field(
        "risk-alerts", description="Names this deployment in its access tokens; those of others are refused."
    )
    oidc_issuers: tuple[IssuerSettings, ...] | None = Field(
        None,
        description="JSON list of issuers whose ID tokens are believed, and for whom; see docs/access.md.",
    )
    limit_changes: RateLimit = Field(
        "1000/minute",
        description="Most requests of one caller that change something; more are answered 429.",
    )
    limit_failed_logins: RateLimit = Field(
        "10/15 minutes",
        description="Most failed log-ins of one account from one address; then 429 until the time is over.",
    )
