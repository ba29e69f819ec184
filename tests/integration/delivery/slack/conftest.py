"""A sender for each test."""

from collections.abc import AsyncIterator

import pytest

from service.delivery.slack.sender import SlackSender
from tests.support.sending import new_sender


@pytest.fixture
async def sender() -> AsyncIterator[SlackSender]:
    """Return an open sender."""
    async with new_sender() as sender:
        yield sender
