"""Headers of every answer, and the media type of every body."""

import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rows import MONTH
from tests.support.served import RunningService, logged, running_service, settings

EVERY_ANSWER = (
    ("GET", "/live"),
    ("HEAD", "/health"),
    ("GET", "/"),
    ("GET", "/runs"),
    ("GET", "/runs/none"),
    ("GET", "/nothing"),
    ("DELETE", "/runs"),
    ("POST", "/runs"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/static-offline-docs/swagger-ui.css"),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Return a service for the tests of this file to share."""
    with running_service(settings(tmp_path_factory.mktemp("headers"))) as running:
        yield running


@pytest.mark.parametrize(("method", "path"), EVERY_ANSWER)
def test_every_answer_has_an_id_and_is_kept_from_other_sites(
    service: RunningService, method: str, path: str
) -> None:
    """Pages, data and errors alike: an id, no guessing of types, no frames, no leaking of addresses."""
    headers = service.client.request(method, path).headers
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "http" not in headers["content-security-policy"]
    if not path.startswith(("/docs", "/static")):
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'; frame")


def test_ids_are_new_for_each_request(service: RunningService) -> None:
    """Nobody else's request has it."""
    assert len({service.client.get("/live").headers["x-request-id"] for _ in range(5)}) == 5


@pytest.mark.parametrize(
    "given", ["a", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "Root=1-67891233-abc:x/y+z@w_"]
)
def test_a_sane_id_of_the_caller_is_kept(service: RunningService, given: str) -> None:
    """So that a trail through several services has one name."""
    assert service.client.get("/runs", headers={"X-Request-Id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", "a\tb", 'a"b', "é", "-x"])
def test_another_id_is_replaced(service: RunningService, given: str) -> None:
    """What is long, empty or no plain word stands in no log line and in no answer."""
    found = service.client.get("/live", headers=[(b"X-Request-Id", given.encode())]).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", found)


def test_an_id_that_is_given_twice_is_replaced(service: RunningService) -> None:
    """Nobody could say which of the two it is."""
    twice = [("X-Request-Id", "one"), ("X-Request-Id", "two")]
    assert service.client.get("/live", headers=twice).headers["x-request-id"] not in {
        "one",
        "two",
        "one, two",
    }


def test_what_is_no_request_is_answered_with_an_id_too(service: RunningService) -> None:
    """Also where no route and no application was reached."""
    with socket.create_connection(
        ("127.0.0.1", service.client.base_url.port or 80), timeout=10
    ) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode().lower()
    assert answer.startswith("http/1.1 400")
    assert re.search("^x-request-id: [0-9a-f]{32}\r$", answer, re.MULTILINE)
    assert "x-content-type-options: nosniff" in answer


def test_the_lines_of_a_request_name_it(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The access line, and every line of the run that the request started."""
    # The mock Slack of other tests, in this process as well, has switched the access lines off.
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "propagate", True)
    with logged() as lines, running_service(settings(tmp_path)) as service:
        body = {"source_uri": source, "month": MONTH, "dry_run": True}
        assert service.client.post("/runs", json=body, headers={"X-Request-Id": "mine"}).status_code == 200
        assert service.client.get("/runs", headers={"X-Request-Id": "other"}).status_code == 200
        written = lines()
    of_mine = {line["message"] for line in written if line.get("request_id") == "mine"}
    assert "run_finished" in of_mine
    assert any("POST /runs" in message for message in of_mine)
    assert not any("GET /runs" in message for message in of_mine)


@pytest.mark.parametrize("path", ["/runs", "/preview", "/alerts/x/settle", "/runs/x/cancel"])
@pytest.mark.parametrize(
    "media_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"]
)
def test_a_body_that_does_not_say_it_is_json_is_refused(
    service: RunningService, path: str, media_type: str | None
) -> None:
    """What a form of another web site can send changes nothing, whatever stands in it."""
    headers = {"Content-Type": media_type} if media_type else {}
    response = service.client.post(path, content=b'{"as": "sent"}', headers=headers)
    assert (response.status_code, response.json()["error"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_every_spelling_of_json_is_taken(service: RunningService, media_type: str) -> None:
    """The media type's case and parameters do not matter; a request without a body needs none."""
    response = service.client.post("/runs", content=b"{}", headers={"Content-Type": media_type})
    assert response.json()["error"] == "invalid_request"
    assert service.client.post("/runs/none/cancel").json()["error"] == "run_not_found"
