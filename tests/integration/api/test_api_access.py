"""Who may have something done: no host but those that are allowed, and no other site through a browser."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.served import RunningService, running_service, settings

ALLOWED = ("risk-alerts", "*.alerts.example")
CHANGES = ("/runs", "/preview", "/runs/x/cancel", "/alerts/x/settle")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Return a service for the tests of this file to share."""
    with running_service(settings(tmp_path_factory.mktemp("access"), allowed_hosts=ALLOWED)) as running:
        yield running


def sent(service: RunningService, *lines: str) -> tuple[int, dict[str, Any]]:
    """Send a request line and headers as they are, and return the status and the body."""
    address = ("127.0.0.1", service.client.base_url.port or 80)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "Connection: close", "")).encode())
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:80",
        "localhost.:8000",
        "127.0.0.1",
        "127.0.0.1:8000",
        "[::1]",
        "[::1]:8000",
        "risk-alerts:8080",
        "eu.alerts.example",
        "a.b.alerts.example:443",
    ],
)
def test_loopback_and_what_was_allowed_are_answered(service: RunningService, host: str) -> None:
    """With any port: a port says nothing about who owns a name."""
    assert sent(service, "GET /runs HTTP/1.1", f"Host: {host}")[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "192.168.0.7:8000",
        "[::2]",
        "0.0.0.0",  # noqa: S104  # what Linux takes for this machine, too
        "alerts.example",
        "evilalerts.example",
        "",
    ],
)
@pytest.mark.parametrize("line", ["GET /runs", "GET /openapi.json", "GET /nothing", "POST /runs"])
def test_another_host_is_rejected(service: RunningService, line: str, host: str) -> None:
    """A stranger's name that leads here (DNS rebinding) opens nothing, whatever is asked for."""
    status, body = sent(service, f"{line} HTTP/1.1", f"Host: {host}")
    assert (status, body["error"], body["run_id"]) == (421, "host_not_allowed", None)
    assert "ALLOWED_HOSTS" in body["detail"]


@pytest.mark.parametrize("path", ["/health", "/live"])
def test_probes_are_answered_under_any_name(service: RunningService, path: str) -> None:
    """A load balancer asks by the address of the instance, and some name no host at all."""
    assert sent(service, f"GET {path} HTTP/1.1", "Host: 10.1.2.3:8080")[0] == 200
    assert sent(service, f"GET {path} HTTP/1.0")[0] == 200


@pytest.mark.parametrize("path", ["/runs", "/health", "/live"])
@pytest.mark.parametrize(
    "hosts",
    [
        (),
        ("localhost", "localhost"),
        ("localhost", "evil.example"),
        ("localhost, evil.example",),
        ("evil@localhost",),
        ("localhost:x",),
        ("[::1",),
    ],
)
def test_a_request_names_one_host(service: RunningService, path: str, hosts: tuple[str, ...]) -> None:
    """Missing, repeated or garbled: what stands before this service might have read another one."""
    status, body = sent(service, f"GET {path} HTTP/1.1", *(f"Host: {host}" for host in hosts))
    assert (status, body["error"]) == (400, "malformed_request")


def test_every_host_is_answered_where_that_was_asked_for(tmp_path: Path) -> None:
    """`*` is for those who have something in front that knows."""
    with running_service(settings(tmp_path, allowed_hosts=("*",))) as service:
        assert sent(service, "GET /runs HTTP/1.1", "Host: anything.example")[0] == 200


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:8000"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Origin": "null"},
    ],
)
def test_another_site_changes_nothing(service: RunningService, path: str, headers: dict[str, str]) -> None:
    """Neither by a form nor by a script, and another port of this machine is another site."""
    response = service.client.post(path, json={}, headers={"Host": "localhost:8000", **headers})
    assert (response.status_code, response.json()["error"]) == (403, "cross_site_request")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8000"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost:8000"},
        {"Origin": "HTTP://LOCALHOST:8000"},
        {"Host": "eu.alerts.example", "Origin": "https://eu.alerts.example"},
        {"Host": "eu.alerts.example:443", "Origin": "https://eu.alerts.example"},
    ],
)
def test_programs_and_its_own_pages_are_answered(service: RunningService, headers: dict[str, str]) -> None:
    """Whatever is no browser sends neither header; the page under /docs is of this origin."""
    response = service.client.post("/runs", json={}, headers={"Host": "localhost:8000", **headers})
    assert response.json()["error"] == "invalid_request"


def test_no_other_origin_is_allowed_to_read(service: RunningService) -> None:
    """No answer allows another origin anything, so that a browser keeps what it reads to itself."""
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for method in ("OPTIONS", "GET"):
        response = service.client.request(method, "/runs", headers=headers)
        assert not [name for name in response.headers if name.startswith("access-control-")]
