"""ID tokens over HTTP: an issuer that was configured vouches for a scheduler, and nobody else is let in."""

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest

from service.domain.tenant import DEFAULT_TENANT
from service.runtime.clock import SystemClock
from tests.support.issuer import Issuer, running_issuer
from tests.support.people import Client
from tests.support.served import RunningService, running_service, settings

AUDIENCE: Final = "https://alerts.example.com"
SCHEDULER: Final = "scheduler@project.iam.example"


def configured(folder: Path, issuer: Issuer) -> Any:
    """Return settings in which the issuer may vouch for a scheduler."""
    known = {"issuer": issuer.url, "audience": AUDIENCE, "emails": {SCHEDULER: {"scopes": ["read", "runs"]}}}
    return settings(folder, oidc_issuers=[known])


def bearer(service: RunningService, issuer: Issuer, **changed: Any) -> Client:
    """Return somebody with a token of the issuer's, as a scheduler's job sends it."""
    now = int(SystemClock().now().timestamp())
    claims: dict[str, Any] = {"aud": AUDIENCE, "sub": "1", "iat": now, "exp": now + 600, "email": SCHEDULER}
    return Client(service.client, issuer.token(**claims | {"email_verified": True} | changed))


async def test_a_scheduler_is_let_in_by_its_issuer(tmp_path: Path) -> None:
    """With the scopes that were given to its address, and no more; the service is closed from its start."""

    def asked(service: RunningService, issuer: Issuer) -> None:
        scheduler = bearer(service, issuer)
        me = scheduler.data("GET", "/auth/me")
        assert (me["kind"], me["id"], me["tenant_id"]) == ("oidc", SCHEDULER, DEFAULT_TENANT)
        assert sorted(me["scopes"]) == ["read", "runs"]
        assert scheduler.ask("GET", "/runs").status_code == 200
        assert scheduler.ask("POST", "/runs/none/cancel").status_code == 404
        assert scheduler.refused("GET", "/users") == (403, "FORBIDDEN")
        assert service.client.get("/runs").status_code == 401
        for changed in ({"email": "stranger@iam.example"}, {"email_verified": False}, {"aud": "another"}):
            assert bearer(service, issuer, **changed).ask("GET", "/runs").status_code == 401

    async with running_issuer() as issuer:
        with running_service(configured(tmp_path, issuer)) as service:
            await asyncio.to_thread(asked, service, issuer)
        # Without the issuer nobody is let in, and nobody unnamed either: closed is closed.
        with running_service(settings(tmp_path)) as service:
            assert await asyncio.to_thread(lambda: service.client.get("/runs").status_code) == 401


async def test_an_issuer_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    """503 with Retry-After, so that a scheduler tries again; 401 would be a verdict on its token."""

    def asked(service: RunningService, issuer: Issuer) -> tuple[int, str, str]:
        answer = bearer(service, issuer).ask("GET", "/runs")
        return answer.status_code, answer.json()["error"], answer.headers["retry-after"]

    async with running_issuer() as issuer:
        issuer.status = 503
        with running_service(configured(tmp_path, issuer)) as service:
            assert await asyncio.to_thread(asked, service, issuer) == (503, "issuer_unreachable", "10")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"issuer": "http://accounts.example.com"}, "https:// URL"),
        ({"issuer": "https://accounts.example.com?x=1"}, "https:// URL"),
        ({"emails": {}}, "emails"),
        ({"emails": {"nobody": {"scopes": ["read"]}}}, "e-mail address"),
        ({"emails": {SCHEDULER: {"scopes": ["everything"]}}}, "scopes"),
        ({"emails": {SCHEDULER: {"scopes": []}}}, "scopes"),
        ({"audience": ""}, "audience"),
        ({"audeince": "x"}, "audeince"),
    ],
)
def test_an_issuer_that_could_vouch_for_anybody_is_refused(
    tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    """Plain http, no address, no scope, a misspelled key: the start says which."""
    good = {
        "issuer": "https://accounts.example.com",
        "audience": AUDIENCE,
        "emails": {SCHEDULER: {"scopes": ["read"]}},
    }
    assert settings(tmp_path, oidc_issuers=[good]).oidc_issuers
    with pytest.raises(ValueError, match=says):
        settings(tmp_path, oidc_issuers=[good | changed])
