"""The wall between tenants: what PostgreSQL's row-level security costs a read and a write."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from statistics import median
from typing import Final, Self

import sqlalchemy as sa

from benchmarks.report import Section
from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.domain.tenant import DEFAULT_TENANT
from service.store.database.postgresql import PostgresqlDatabase
from service.store.schema.roles import role_sql
from service.store.store import Store, open_store
from tests.support.databases import running_postgresql
from tests.support.given import Given, routed

ROUNDS: Final = {"small": 15, "full": 40}
QUESTIONS: Final = 25
"""Of each kind in a round; with and without take turns, so that the machine's other work meets both."""
ALERTS: Final = 1_000
_ROLE: Final = "walled"

Question = Callable[[Store], Awaitable[object]]

_QUESTIONS: Final[Mapping[str, Question]] = {
    "one run (`GET /runs/{id}`)": lambda store: store.history.get_run("walled"),
    "a page of 100 of its alerts": lambda store: store.history.list_alerts("walled", limit=100),
    "a change (an entry in the audit)": lambda store: store.audit.note("benchmark"),
}


class _Unwalled(PostgresqlDatabase):
    """A database that names no tenant, to a superuser, whom no policy binds: as if there were none."""

    def within(self, scope: Scope) -> Self:  # noqa: ARG002  # as the one that it stands for
        """Return itself."""
        return self


def bench(size: str) -> Section:
    """Return the section."""
    with running_postgresql() as server:
        found = asyncio.run(_asked(server.new("wall"), ROUNDS[size]))
    return Section(
        title="Asking across the wall between tenants",
        about=(
            "The store's own verbs on PostgreSQL: by the application's role, which names its tenant in each "
            "transaction and is bound by the policies, and by a superuser, who names none and is not. "
            f"Medians of {ROUNDS[size]} rounds of {QUESTIONS}, in turns, with {ALERTS:,} alerts."
        ),
        header=("", "without, ms", "with, ms", "ratio"),
        rows=[
            (name, f"{without:.2f}", f"{walled:.2f}", f"{walled / without:.2f}")
            for name, (without, walled) in found.items()
        ],
    )


async def _asked(url: str, rounds: int) -> dict[str, tuple[float, float]]:
    """Return the milliseconds of each question, without the wall and with it."""
    async with AsyncExitStack() as stack:
        owner = await stack.enter_async_context(open_store(url))
        given = Given(owner)
        for statement in role_sql(_ROLE):
            await given.sql(statement)
        await given.a_recorded("walled", routed(*(f"account-{number}" for number in range(ALERTS))))
        role_url = sa.make_url(url).set(username=_ROLE).render_as_string(hide_password=False)
        walled = await stack.enter_async_context(open_store(role_url))
        scope, actor = Scope.of_system(DEFAULT_TENANT), Actor.system(DEFAULT_TENANT)
        unwalled = Store(_Unwalled(url), scope, actor)
        stack.push_async_callback(unwalled.close)
        found = {}
        for name, question in _QUESTIONS.items():
            taken: tuple[list[float], list[float]] = [], []
            for _ in range(rounds):
                for store, seconds in zip((unwalled, walled), taken, strict=True):
                    began = time.perf_counter()
                    for _ in range(QUESTIONS):
                        await question(store)
                    seconds.append((time.perf_counter() - began) / QUESTIONS)
            without, with_it = (median(each) * 1_000 for each in taken)
            found[name] = without, with_it
    return found
