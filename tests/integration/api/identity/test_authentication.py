"""Who is let in: anybody while there is no identity, and from the first one on nobody without."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from service.domain.identity.api_key import KeySecret
from service.domain.identity.permission import KeyScope
from service.domain.tenant import DEFAULT_TENANT
from service.store.store import Store
from tests.support.identities import OTHER_TENANT, a_key, in_store
from tests.support.rows import MONTH
from tests.support.served import RunningService, logged, running_service, settings

READ, RUNS = KeyScope.READ, KeyScope.RUNS


def ask(service: RunningService, path: str = "/runs", **headers: str) -> tuple[int, Any]:
    """Return the status and the body of a GET."""
    answer = service.client.get(path, headers=headers)
    return answer.status_code, answer.json()


def bearer(key: KeySecret) -> str:
    """Return the header's value."""
    return f"Bearer {key.text}"


def test_the_first_key_closes_the_door_of_a_service_at_work(service: RunningService, tmp_path: Path) -> None:
    """Made beside it, by another process: the very next request is asked; and revoking it does not reopen."""
    assert ask(service)[0] == 200
    key = a_key(tmp_path, READ)
    status, body = ask(service)
    assert (status, body["error"]) == (401, "unauthenticated")
    assert ask(service, authorization=bearer(key))[0] == 200
    assert ask(service, **{"x-service-key": key.text})[0] == 200

    async def revoke(store: Store) -> None:
        await store.access.keys.revoke(key.id, now=service.app.clock.now())

    in_store(tmp_path, revoke)
    assert ask(service, authorization=bearer(key)) == (401, body)
    assert ask(service) == (401, body)


def test_everything_that_is_wrong_is_one_answer(service: RunningService, tmp_path: Path) -> None:
    """No key, half a key, another's secret, several keys, a token of nobody: 401 with the same body."""
    key, other = a_key(tmp_path, READ), a_key(tmp_path, READ)
    mixed = KeySecret(id=key.id, secret=other.secret)
    answers = [
        ask(service),
        ask(service, authorization=bearer(mixed)),
        ask(service, authorization=f"Bearer {key.text[:-1]}"),
        ask(service, authorization=f"Basic {key.text}"),
        ask(service, authorization=f"Bearer {'x' * 9_000}"),
        ask(service, authorization="Bearer a.b.c"),
        ask(service, authorization="Bearer"),
        ask(service, **{"x-service-key": ""}),
        ask(service, **{"x-service-key": "ra_"}),
        ask(service, "/nowhere"),
        ask(service, "/health/"),
    ]
    assert {(status, str(body)) for status, body in answers} == {(401, str(answers[0][1]))}
    twice = service.client.get("/runs", headers=[("x-service-key", key.text), ("x-service-key", key.text)])
    assert twice.status_code == 401


def test_what_is_nobodys_stays_free(service: RunningService, tmp_path: Path) -> None:
    """Probes, the front page and the documentation with its files; nothing else, and no other spelling."""
    a_key(tmp_path, READ)
    for path in ("/", "/live", "/health", "/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css"):
        assert service.client.get(path).status_code == 200, path
    for path in ("/runs", "/health/", "/docs/", "/static-offline-docs", "/alerts/x", "/nowhere"):
        assert service.client.get(path).status_code == 401, path


def test_a_body_is_not_read_for_nobody(service: RunningService, tmp_path: Path) -> None:
    """What is wrong with a request is said to those only who may make it."""
    a_key(tmp_path, READ)
    for path in ("/runs", "/preview", "/alerts/x/settle", "/runs/x/cancel"):
        headers = {"content-type": "application/json"}
        assert service.client.post(path, content="{", headers=headers).status_code == 401, path


@pytest.mark.parametrize("scopes", [(READ,), (RUNS,), (READ, RUNS), (KeyScope.ALERTS, KeyScope.SCORING)])
def test_a_key_may_what_its_scopes_say(
    service: RunningService, source: str, tmp_path: Path, scopes: tuple[KeyScope, ...]
) -> None:
    """`read`: the GETs; `runs`: preview, run, cancel and settle."""
    headers = {"authorization": bearer(a_key(tmp_path, *scopes))}
    body = {"source_uri": source, "month": MONTH}
    made = [service.client.post(path, json=body, headers=headers) for path in ("/preview", "/runs")]
    assert {answer.status_code for answer in made} == {200 if RUNS in scopes else 403}
    seen = [service.client.get(path, headers=headers) for path in ("/runs", "/runs/x", "/alerts/x")]
    assert [answer.status_code for answer in seen] == ([200, 404, 404] if READ in scopes else [403] * 3)


def test_a_tenants_key_sees_its_own_and_does_nothing_here(
    service: RunningService, source: str, tmp_path: Path
) -> None:
    """The service works for another tenant: what that one has is absent, and work is not taken."""
    run = service.run(source)
    own = {"authorization": bearer(a_key(tmp_path, READ))}
    foreign = {"authorization": bearer(a_key(tmp_path, READ, RUNS, tenant_id=OTHER_TENANT))}
    assert len(service.client.get("/runs", headers=own).json()["runs"]) == 1
    assert service.client.get("/runs", headers=foreign).json()["runs"] == []
    assert service.client.get(f"/runs/{run['run_id']}", headers=foreign).status_code == 404
    for path in ("/preview", "/runs", f"/runs/{run['run_id']}/cancel", "/runs/x/cancel"):
        answer = service.client.post(path, json={"source_uri": source, "month": MONTH}, headers=foreign)
        assert (answer.status_code, answer.json()["error"]) == (403, "not_served_here"), path


def test_nobody_is_asked_where_the_door_is_elsewhere(tmp_path: Path) -> None:
    """`AUTH=none`, behind a cloud's IAM: the token in `Authorization` is that one's and is not looked at."""
    a_key(tmp_path, READ)
    with running_service(settings(tmp_path, auth="none")) as service:
        assert ask(service)[0] == ask(service, authorization="Bearer of-the-cloud")[0] == 200


def test_everybody_is_asked_where_it_is_required(tmp_path: Path) -> None:
    """`AUTH=required` does not wait for the first identity."""
    with running_service(settings(tmp_path, auth="required")) as service:
        assert ask(service)[0] == 401
        assert ask(service, authorization=bearer(a_key(tmp_path, READ)))[0] == 200


def test_an_open_service_looks_at_no_credential(service: RunningService) -> None:
    """Behind a proxy that has its own, nothing changes while there is no identity."""
    for headers in ({"authorization": "Bearer x"}, {"x-service-key": "ra_nonsense"}, {"authorization": "?"}):
        assert ask(service, **headers)[0] == 200


def test_the_log_says_who_and_no_secret(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of a run, and of each request, carry the principal's name; the key's secret is in none."""
    # The mock Slack of other tests, in this process as well, has switched the access lines off.
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "propagate", True)
    key = a_key(tmp_path, RUNS)
    with logged() as lines, running_service(settings(tmp_path)) as service:
        headers = {"x-service-key": key.text}
        body = {"source_uri": source, "month": MONTH, "dry_run": True}
        assert service.client.post("/runs", json=body, headers=headers).status_code == 200
        service.client.get("/runs/read", headers={"authorization": f"Bearer {key.text}"})
        service.client.get("/runs/read", headers={"authorization": f"Bearer {key.text}x"})
        written = lines()
    (finished,) = [line for line in written if line["message"] == "run_finished"]
    assert finished["principal"] == f"api_key:{key.id}"
    reads = [line for line in written if "/runs/read" in line["message"]]
    assert [line.get("principal") for line in reads] == [f"api_key:{key.id}", None]
    assert [line["message"].rpartition(" ")[2] for line in reads] == ["403", "401"]
    assert key.secret not in str(written)


def test_the_use_of_a_key_is_written_down(tmp_path: Path) -> None:
    """Beside the requests, and at the latest when the service stops."""
    key = a_key(tmp_path, READ)
    with running_service(settings(tmp_path)) as service:
        for _ in range(3):
            assert ask(service, authorization=bearer(key))[0] == 200
    (kept,) = in_store(tmp_path, lambda store: store.access.keys.list())
    assert kept.last_used_at is not None
    assert kept.tenant_id == DEFAULT_TENANT


def test_what_cannot_be_looked_up_is_not_taken_for_open(service: RunningService, tmp_path: Path) -> None:
    """A database that does not answer lets nobody in; probes and the front page are answered all the same."""
    assert ask(service)[0] == 200
    with closing(sqlite3.connect(tmp_path / "risk_alerts.db")) as database:
        database.execute("DROP TABLE access_state")
    status, body = ask(service)
    assert (status, body["error"]) == (503, "database_unusable")
    assert ask(service, "/health")[0] == 200
