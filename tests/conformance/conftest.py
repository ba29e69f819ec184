"""Fixtures: every behaviour is tried on a SQLite file and on a real PostgreSQL server."""

from collections.abc import AsyncIterator

import pytest

from service.store.store import Store, open_store
from tests.support.given import Given


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """Open a store on a fresh database."""
    async with open_store(database_url) as store:
        yield store


@pytest.fixture
def given(store: Store) -> Given:
    """Return the shortest way to bring the store into a state."""
    return Given(store)
