"""The sender, as the app opens it."""

from contextlib import AbstractAsyncContextManager

from service.delivery.slack.sender import SlackSender, open_slack
from service.runtime.clock import SystemClock


def new_sender(
    *, concurrency: int = 4, auth_token: str | None = None
) -> AbstractAsyncContextManager[SlackSender]:
    """Open a sender on the machine's own time."""
    return open_slack(concurrency=concurrency, auth_token=auth_token, clock=SystemClock())
