"""Other services of the operator: INTERNAL_SERVICE_KEY opens what is under /internal/, and nothing else."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from service.api.identity.internal import InternalService
from service.domain.identity.actor import Actor
from service.domain.identity.errors import TenantNotFoundError
from service.domain.identity.permission import KeyScope, Permission
from service.domain.identity.principal import Principal, PrincipalKind
from service.domain.identity.scope import Scope
from service.domain.tenant import DEFAULT_TENANT
from service.wiring import open_app
from tests.support.identities import OTHER_TENANT, a_key
from tests.support.served import RunningService, logged, running_service, settings

KEY: Final = "canary-internal-service-key"
NOWHERE: Final = "/internal/nowhere"
"""Who is let in is answered 404: that there is nothing is said to them only."""


def ask(service: RunningService, path: str = NOWHERE, **headers: str) -> tuple[int, str]:
    """Return the status and the error's code of a POST."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = service.client.post(path, json={}, headers=headers)
    return answer.status_code, answer.json().get("error", "")


@pytest.mark.parametrize("auth", ["auto", "none", "required"])
def test_who_is_let_in_under_internal(tmp_path: Path, auth: str) -> None:
    """Whoever shows the key in `X-Service-Key`, once; nobody else, however open the service is."""
    with running_service(settings(tmp_path, auth=auth, internal_service_key=KEY)) as service:
        assert ask(service, x_service_key=KEY) == (404, "not_found")
        key = a_key(tmp_path, *KeyScope).text
        wrong = ("", "x", KEY[:-1], f"{KEY}x", KEY.upper(), key, "x" * 600)
        answers = [ask(service, x_service_key=shown) for shown in wrong]
        answers += [ask(service), ask(service, authorization=f"Bearer {KEY}")]
        answers += [ask(service, path, x_service_key="x") for path in ("/internal/", "/internal/%6eowhere")]
        assert set(answers) == {(401, "unauthenticated")}
        twice = service.client.post(NOWHERE, json={}, headers=[("x-service-key", KEY)] * 2)
        assert twice.status_code == 401


def test_nobody_is_let_in_without_a_key_to_compare(service: RunningService) -> None:
    """Also not who shows nothing to a service where nothing is set."""
    for shown in ({}, {"x_service_key": ""}, {"x_service_key": KEY}):
        assert ask(service, **shown) == (401, "unauthenticated")


def test_the_key_opens_and_closes_nothing_else(tmp_path: Path) -> None:
    """Set, it leaves an open service open; to a closed one it is no identity, on any path but its own."""
    with running_service(settings(tmp_path, internal_service_key=KEY)) as service:
        assert service.client.get("/runs").status_code == 200
        a_key(tmp_path, KeyScope.READ)
        for path in ("/runs", "/internal", "/internalx", "/api/v1/users", "//internal/nowhere"):
            for header in ({"x-service-key": KEY}, {"authorization": f"Bearer {KEY}"}):
                assert service.client.get(path, headers=header).status_code == 401, path


def test_its_lines_say_who_and_not_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The access line names the principal; the key is in no line."""
    # The mock Slack of other tests, in this process as well, has switched the access lines off.
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "propagate", True)
    with logged() as lines, running_service(settings(tmp_path, internal_service_key=KEY)) as service:
        ask(service, x_service_key=KEY)
        ask(service, x_service_key=f"{KEY}x")
        written = lines()
    assert [line.get("principal") for line in written if NOWHERE in line["message"]] == ["internal", None]
    assert "canary" not in str(written)


async def test_it_creates_for_a_tenant_that_there_is(tmp_path: Path) -> None:
    """Open: for any. From the first identity on: for its process's own, and for those that are active."""
    async with open_app(settings(tmp_path)) as app:
        asking = InternalService(Actor(principal=Principal.internal(DEFAULT_TENANT), address="::1"), app)
        caller = await asking.for_tenant(OTHER_TENANT)
        assert caller.scope == Scope.of_tenant(OTHER_TENANT)
        assert (caller.principal.kind, caller.principal.tenant_id) == (PrincipalKind.INTERNAL, OTHER_TENANT)
        assert caller.actor.address == "::1"
        assert not any(caller.principal.reach(permission) for permission in Permission)
        now = datetime.now(UTC)
        await app.store.access.door.close(now=now)
        assert (await asking.for_tenant(DEFAULT_TENANT)).scope.tenant_id == DEFAULT_TENANT
        with pytest.raises(TenantNotFoundError):
            await asking.for_tenant(OTHER_TENANT)
        every = app.store.seen_by(Actor.system(DEFAULT_TENANT), Scope.of_all())
        made = await every.access.tenants.create(name="Other", code="other", now=now)
        assert (await asking.for_tenant(made.id)).scope.tenant_id == made.id
        await every.access.tenants.update(made.id, now=now, is_active=False)
        with pytest.raises(TenantNotFoundError):
            await asking.for_tenant(made.id)
