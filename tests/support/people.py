"""People of a test: written down with a password that all of them have, and logged in."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import httpx2

from service.access import passwords
from service.domain.identity.actor import Actor
from service.domain.identity.people import User
from service.domain.identity.permission import Role
from service.domain.identity.scope import Scope
from service.domain.tenant import DEFAULT_TENANT
from service.store.store import Store
from tests.support.clocks import START
from tests.support.served import RunningService

PASSWORD: Final = "canary-correct-horse-battery"
V1: Final = "/api/v1"


@cache
def hashed() -> str:
    """Return what is stored of the password."""
    return passwords._hasher().hash(PASSWORD)


def all_seeing(store: Store) -> Store:
    """Return a store as the command line of a super_admin sees it."""
    return store.seen_by(Actor.system(DEFAULT_TENANT), Scope.of_all())


async def add_person(
    store: Store,
    name: str,
    role: Role,
    *,
    tenant_id: str = DEFAULT_TENANT,
    organization_id: str | None = None,
) -> User:
    """Write somebody down, with the address `NAME@example.com`."""
    return await all_seeing(store).access.users.create(
        tenant_id=tenant_id,
        organization_id=organization_id,
        email=f"{name}@example.com",
        name=name,
        role=role,
        password_hash=hashed(),
        now=START,
    )


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who asks the API, with a token or without."""

    http: httpx2.Client
    token: str | None = None
    refresh_token: str = ""

    def ask(self, method: str, path: str, body: object = None, **more: Any) -> httpx2.Response:
        """Return what a request is answered."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token is not None else {}
        if body is not None:
            more["json"] = body
        return self.http.request(method, path, headers=headers | more.pop("headers", {}), **more)

    def data(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
        """Return the data of an answer in the envelope, which must have this status."""
        response = self.ask(method, f"{V1}{path}", body)
        assert response.status_code == status, response.text
        answer = response.json()
        assert answer["success"] is True
        assert answer["meta"]["request_id"] == response.headers["x-request-id"]
        return answer["data"]

    def refused(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """Return status and code of an error in the envelope."""
        response = self.ask(method, f"{V1}{path}", body)
        answer = response.json()
        assert answer["success"] is False, response.text
        assert set(answer) == {"success", "error", "meta"}
        return response.status_code, answer["error"]["code"]


def logged_in(service: RunningService, name: str, password: str = PASSWORD) -> Client:
    """Log somebody in."""
    nobody = Client(service.client)
    pair = nobody.data("POST", "/auth/login", {"email": f"{name}@example.com", "password": password})
    return Client(service.client, pair["access_token"], pair["refresh_token"])
