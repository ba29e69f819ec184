"""The types of settings: what becomes a header, an address or a URL is one clean line of its kind."""

import json
import re
from collections.abc import Callable
from email.errors import MessageError
from email.policy import SMTP
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from service.domain.tenant import parse_tenant

_HTTP_URL = re.compile(r"https?://[^\s/]\S*")
_SMTP_URL = re.compile(r"smtps?://(?:[^\s/]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^\s/@:\[\]]+)(?::\d{1,5})?")

_HOST = re.compile(r"\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_CHANNEL = re.compile(r"#?[^\s/?#.][^\s/?#]{0,79}")
_BACKENDS = {"sqlite", "postgresql", "postgres"}
_SHORTEST_KEY = 16
_SCHEDULER = re.compile(r"(?:tcp|tls)://\S+")


def _secret(validated: Callable[[str], str]) -> Callable[[SecretStr], SecretStr]:
    """Return a validator of secrets made of one of texts."""
    return lambda secret: SecretStr(validated(secret.get_secret_value()))


def _json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as problem:
        raise ValueError(f"is not JSON: {problem}") from None


def _listed(value: object) -> object:
    if not isinstance(value, str) or value.lstrip().startswith("["):
        return _json(value)
    names = [name for part in value.split(",") if (name := part.strip())]
    if not names:
        raise ValueError("is a list of nothing; leave it unset, or write [] where nothing is meant")
    return names


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def like(pattern: re.Pattern[str], must: str) -> AfterValidator:
    """Return a validator of texts that a pattern describes, and these words."""

    def validated(text: str) -> str:
        text = text.strip()
        if not pattern.fullmatch(text):
            raise ValueError(f"must be {must}")
        return text

    return AfterValidator(validated)


def _single_line(text: str) -> str:
    # Values that come from a file often end with a newline.
    text = text.strip()
    if not text.isprintable():
        raise ValueError("must be one line of printable characters")
    return text


def _header(text: str) -> str:
    text = _single_line(text)
    if not text or not text.isascii():
        raise ValueError("must be printable ASCII, since it is sent as an HTTP header")
    return text


def _bot_token(text: str) -> str:
    token = _header(text)
    if not token.startswith(("xoxb-", "xoxe.xoxb-")):
        raise ValueError("must be a bot's token, which begins with xoxb-")
    return token


def _marker_key(text: str) -> str:
    key = _single_line(text)
    if len(key) < _SHORTEST_KEY:
        raise ValueError(
            f"must have {_SHORTEST_KEY} characters or more, such as `openssl rand -hex 32` prints"
        )
    return key


def _signing_secret(text: str) -> str:
    secret = _single_line(text)
    if len(secret) < _SHORTEST_KEY:
        raise ValueError("must be the signing secret that Slack shows under the app's Basic Information")
    return secret


def _http_url(text: str) -> str:
    url = _single_line(text).rstrip("/")
    if not _HTTP_URL.fullmatch(url) or not _has_an_address(url):
        raise ValueError("must be an http:// or https:// URL")
    return url


def _base_url(secret: SecretStr) -> SecretStr:
    if {"?", "#"} & set(secret.get_secret_value()):
        raise ValueError("must be a URL without ? and #, because the channel is appended to it")
    return secret


def _smtp_url(secret: SecretStr) -> SecretStr:
    # Without a host the mail library would turn to whatever listens on this machine.
    url = _single_line(secret.get_secret_value()).rstrip("/")
    if not _SMTP_URL.fullmatch(url) or not _has_an_address(url):
        raise ValueError("must be an smtp:// or smtps:// URL with a host, user and password percent-encoded")
    return SecretStr(url)


def _has_an_address(url: str) -> bool:
    """Return whether `url` has a host and a possible port."""
    try:
        return bool(urlsplit(url).hostname) and urlsplit(url).port != 0
    except ValueError:
        return False


def _database_url(text: str) -> str:
    url = _single_line(text)
    try:
        urlsplit(url)
    except ValueError:
        url = ""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.partition("+")[0] not in _BACKENDS:
        raise ValueError("must be a sqlite:/// or postgresql:// URL, user and password percent-encoded")
    return url


def _tenant_id(value: str) -> str:
    try:
        return parse_tenant(value)
    except ValueError:
        raise ValueError("must be a UUID") from None


def _mail_addresses(value: str) -> str:
    # Parsed by the library that writes the notice: a wrong address is reported now, not when it is needed.
    value = value.strip()
    try:
        header = SMTP.header_factory("To", value)
        addresses = [] if header.defects else header.addresses
        is_good = bool(addresses) and all(each.username and each.domain for each in addresses)
    except (ValueError, IndexError, MessageError):  # IndexError: the library's own way with `a@`
        is_good = False
    if not is_good:
        raise ValueError("must be an e-mail address")
    return value


def plain(secret: SecretStr | None) -> str | None:
    """Return the text of a secret that is set, for what needs it."""
    return None if secret is None else secret.get_secret_value()


Json = (NoDecode, BeforeValidator(_json))
Listed = (NoDecode, BeforeValidator(_listed))
"""A list: separated by commas, or JSON."""
Lower = BeforeValidator(_lower)
Upper = BeforeValidator(_upper)

HostName = Annotated[
    str, Lower, like(_HOST, "the name of a host, without a scheme and a port: `name`, `*.name` or `*`")
]
"""A host as a `Host` header names it, without its port; `*.` before it stands for all names that end so."""
Channel = Annotated[str, like(_CHANNEL, "the name of a Slack channel, such as amer-risk-alerts")]
"""A Slack channel's name; it becomes one segment of the webhook's path, so it cannot be `..`."""
SingleLine = Annotated[str, AfterValidator(_single_line)]
SchedulerAddress = Annotated[
    SingleLine, like(_SCHEDULER, "a Dask scheduler's address, such as tcp://scheduler:8786")
]
SingleLineSecret = Annotated[SecretStr, AfterValidator(_secret(_single_line))]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_secret(_header))]
BotToken = Annotated[SecretStr, AfterValidator(_secret(_bot_token))]
MarkerKey = Annotated[SecretStr, AfterValidator(_secret(_marker_key))]
SigningSecret = Annotated[SecretStr, AfterValidator(_secret(_signing_secret))]
WebhookUrl = Annotated[SecretStr, AfterValidator(_secret(_http_url))]
WebhookBaseUrl = Annotated[WebhookUrl, AfterValidator(_base_url)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_secret(_database_url))]
TenantId = Annotated[str, AfterValidator(_tenant_id)]
MailAddresses = Annotated[str, AfterValidator(_mail_addresses)]
SmtpUrl = Annotated[SecretStr, AfterValidator(_smtp_url)]
