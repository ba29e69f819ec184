"""Identities for tests: principals without a log-in, keys, and two tenants that share a database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from service.access.authentication import Authenticator
from service.domain.delivery_status import DeliveryStatus
from service.domain.identity.api_key import KeySecret
from service.domain.identity.auth import Auth
from service.domain.identity.errors import UnauthenticatedError
from service.domain.identity.permission import KeyScope, Role
from service.domain.identity.principal import Principal, PrincipalKind
from service.domain.tenant import DEFAULT_TENANT
from service.settings import Settings
from service.store.store import Store, open_store
from service.wiring import App, open_app
from tests.support.alerts import an_alert
from tests.support.given import Given, routed, the_answer
from tests.support.served import RunningService, running_service, settings

OTHER_TENANT: Final = "11111111-2222-4333-8444-555555555555"
TENANTS: Final = {"own": DEFAULT_TENANT, "foreign": OTHER_TENANT}
RUN_IDS: Final = {"own": "ours", "foreign": "theirs", "absent": "nobodys"}
ALERT_IDS: Final = {
    "own": an_alert("acme").alert_id,
    "foreign": replace(an_alert("acme"), tenant_id=OTHER_TENANT).alert_id,
    "absent": "0" * 32,
}

T = TypeVar("T")


class SpelledOut:
    """Reads tokens that say whose they are: a role and `own` or `foreign`, or `deactivated`."""

    async def principal(self, token: str) -> Principal:
        """Return that principal; raises UnauthenticatedError."""
        role, _, place = token.partition(" ")
        if place not in TENANTS:
            raise UnauthenticatedError(UnauthenticatedError.example)
        return Principal(
            kind=PrincipalKind.USER,
            id=f"{role}-{place}",
            tenant_id=TENANTS[place],
            organization_id="o1",
            role=Role(role),
        )


@asynccontextmanager
async def _asking(settings: Settings) -> AsyncIterator[App]:
    async with open_app(settings) as app:
        authenticator = Authenticator(
            app.store,
            auth=Auth.REQUIRED,
            tenant_id=settings.tenant_id,
            clock=app.clock,
            tokens=SpelledOut(),
        )
        yield replace(app, authenticator=authenticator)
        await authenticator.close()


@contextmanager
def asking_service(folder: Path, **values: Any) -> Iterator[RunningService]:
    """Serve the API to those only who show a token of `SpelledOut` or an API key."""
    with running_service(settings(folder, **values), opened=_asking) as running:
        yield running


def in_store(folder: Path, work: Callable[[Store], Awaitable[T]], *, tenant_id: str = DEFAULT_TENANT) -> T:
    """Do something in the store of a service in `folder`, from beside it."""

    async def opened() -> T:
        async with open_store(f"sqlite:///{folder / 'risk_alerts.db'}", tenant_id=tenant_id) as store:
            return await work(store)

    return asyncio.run(opened())


def a_key(folder: Path, *scopes: KeyScope, tenant_id: str = DEFAULT_TENANT) -> KeySecret:
    """Make an API key."""
    secret = KeySecret.new()

    async def work(store: Store) -> None:
        now = datetime.now(UTC)
        await store.access.keys.create(secret, name="test", scopes=scopes, now=now, expires_at=None)

    in_store(folder, work, tenant_id=tenant_id)
    return secret


def two_tenants(folder: Path) -> None:
    """Give each tenant a finished run with one alert that is in doubt, of the same account."""

    async def work(store: Store, run_id: str, tenant_id: str) -> None:
        given = Given(store)
        alert = replace(an_alert("acme"), tenant_id=tenant_id)
        lease, entries = await given.a_recorded(run_id, routed(alert))
        await given.claimed(lease, entries)
        await given.settled(lease, the_answer(entries[0], DeliveryStatus.UNKNOWN))
        await given.finished(run_id, alerts=1)

    for place, tenant_id in TENANTS.items():

        async def begin(store: Store, place: str = place, tenant_id: str = tenant_id) -> None:
            await work(store, RUN_IDS[place], tenant_id)

        in_store(folder, begin, tenant_id=tenant_id)
