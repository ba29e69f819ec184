"""Late routes: a start builds those of health alone, and all others once they are asked for (decision 0038).

A route costs a start about a millisecond and its models as much again: together a fifth of the time until
`/health` first answers.
"""

import threading
from collections.abc import Sequence
from importlib import import_module

from fastapi import APIRouter
from starlette.types import Receive, Scope, Send

from service.runtime.daemon_thread import run_in_daemon_thread
from service.runtime.garbage import load


class LateRoutes:
    """What a router asks when no route matches: adds those of `modules`, and lets it look again."""

    def __init__(self, router: APIRouter, modules: Sequence[str]) -> None:
        self._router = router
        self._modules = modules
        self._unknown_path = router.default
        self._adding = threading.Lock()
        router.default = self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request that no route matched so far."""
        if not self._modules:
            await self._unknown_path(scope, receive, send)
            return
        await run_in_daemon_thread(self.add)
        await self._router(scope, receive, send)

    def add(self) -> None:
        """Add the routes, unless they are there; safe to call from any thread."""
        with self._adding:
            for module in self._modules:
                load(module)
            # As they are: `include_router` would build each of them a second time.
            self._router.routes += [
                route for module in self._modules for route in import_module(module).router.routes
            ]
            self._modules = ()
