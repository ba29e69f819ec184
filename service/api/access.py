"""Access: which hosts a request may name, and which web sites may change something through a browser.

A visitor's browser must not be usable against the service: neither under a foreign name that resolves to
this machine (DNS rebinding: the `Host` allow list), nor by a form or a script of another web site (`Origin`,
`Sec-Fetch-Site`, and a body that no form can send).
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.errors import (
    CrossSiteRequestError,
    HostNotAllowedError,
    MalformedRequestError,
    UnsupportedMediaTypeError,
    error_response,
)
from service.domain.errors import RefusedError

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Always allowed: nobody else can own these names."""
PROBES: Final = frozenset({"/health", "/live", "/metrics"})
"""Load balancers and Prometheus ask them under the address of the instance, whatever that is."""

OPEN_TO_ALL: Final = (
    "nobody is asked who they are: anybody who can reach this port can start and cancel runs, read every "
    "alert and settle doubts; make an identity (risk-alerts keys new), publish it on loopback only, or put "
    "an authenticating proxy in front"
)
"""The warning about an address that more than this machine can reach."""

PRESSES: Final = "/slack/interactions"
"""Slack sends a form there, which it signs; no web site could."""
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_JSON: Final = "application/json"
_FORM: Final = "multipart/form-data"
_SLACKS_FORM: Final = "application/x-www-form-urlencoded"
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\s:/?#@\[\]]*)(?::(?P<port>\d{0,5}))?", re.IGNORECASE)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach what listens on `host`, an address or a name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class AccessMiddleware:
    """Rejects requests to other hosts, changes requested by another web site, and bodies that are no JSON."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: Iterable[str]) -> None:
        self._app = app
        hosts = frozenset(allowed_hosts)
        self._hosts = LOOPBACK | hosts
        self._suffixes = tuple(host.removeprefix("*") for host in hosts if host.startswith("*"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or reject it."""
        app: ASGIApp = self._app
        if scope["type"] == "http":
            try:
                self._check(scope, Headers(scope=scope))
            except RefusedError as refusal:
                app = error_response(scope, type(refusal), refusal.detail)
        await app(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if not hosts and scope["http_version"] == "1.0":
            # As some load balancers probe.
            hosts = [""]
        if len(hosts) != 1 or not (host := _HOST.fullmatch(hosts[0])):
            raise MalformedRequestError(MalformedRequestError.example)
        if scope["path"] not in PROBES and not self._is_allowed(host["name"].lower().removesuffix(".")):
            raise HostNotAllowedError(f"the host {host['name'][:60]!r} is not among ALLOWED_HOSTS")
        if scope["method"] not in READING and _is_from_another_site(headers, hosts[0]):
            raise CrossSiteRequestError(CrossSiteRequestError.example)
        if scope["method"] not in READING and _has_body(headers):
            media_type = _media_type(headers)
            if media_type != _JSON and not _is_form(media_type, scope["path"]):
                raise UnsupportedMediaTypeError(UnsupportedMediaTypeError.example)

    def _is_allowed(self, name: str) -> bool:
        return name in self._hosts or name.endswith(self._suffixes)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_form(media_type: str, path: str) -> bool:
    """Return whether it is a form, and where forms may be sent: files of companies, and Slack's own."""
    if path == PRESSES:
        return media_type == _SLACKS_FORM
    return media_type == _FORM and path.startswith("/api/v1/predictions/") and path.endswith("/bulk")


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_from_another_site(headers: Headers, host: str) -> bool:
    """Return whether a browser made the request for another web site; other clients send neither header."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    if origin is None:
        return False
    scheme, _, authority = origin.lower().partition("://")
    port = f":{_DEFAULT_PORTS.get(scheme)}"
    return authority.removesuffix(port) != host.lower().removesuffix(port)
