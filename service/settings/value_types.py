"""The types of settings: what becomes a header, an address or a URL is one clean line of its kind."""

import re
from collections.abc import Callable
from email.errors import MessageError
from email.policy import SMTP
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, StringConstraints

from service.domain.tenant import parse_tenant

_HTTP_URL = re.compile(r"https?://[^\s/]\S*")
_SMTP_URL = re.compile(r"smtps?://(?:[^\s/]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^\s/@:\[\]]+)(?::\d{1,5})?")

HostName = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        pattern=r"^(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])$",
    ),
]
"""A host as a `Host` header names it, without its port; `*.` before it stands for all names that end so."""

Channel = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^#?[^\s/?#.][^\s/?#]{0,79}$")]
"""A Slack channel's name; it becomes one segment of the webhook's path, so it cannot be `..`."""


def _secret(validated: Callable[[str], str]) -> Callable[[SecretStr], SecretStr]:
    """Return a validator of secrets made of one of texts."""
    return lambda secret: SecretStr(validated(secret.get_secret_value()))


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
    if not _SMTP_URL.fullmatch(url):
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
        raise ValueError("must be a database URL, user and password percent-encoded") from None
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


SingleLine = Annotated[str, AfterValidator(_single_line)]
SingleLineSecret = Annotated[SecretStr, AfterValidator(_secret(_single_line))]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_secret(_header))]
WebhookUrl = Annotated[SecretStr, AfterValidator(_secret(_http_url))]
WebhookBaseUrl = Annotated[WebhookUrl, AfterValidator(_base_url)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_secret(_database_url))]
TenantId = Annotated[str, AfterValidator(_tenant_id)]
MailAddresses = Annotated[str, AfterValidator(_mail_addresses)]
SmtpUrl = Annotated[SecretStr, AfterValidator(_smtp_url)]
