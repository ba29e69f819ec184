"""The storage loop: an event loop in a thread of its own, on which one source talks to its storage."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from service.runtime.daemon_thread import in_daemon_thread

_Result = TypeVar("_Result")
_Params = ParamSpec("_Params")


class StorageLoop:
    """Runs coroutines for threads that wait. Whatever hangs on it never delays the exit of the process.

    One loop per source: a client library that blocks it (S3's reads its service description from disk) stalls
    nobody else.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        # Names are looked up, and credentials searched for, in the default executor's threads.
        self._loop.set_default_executor(_DaemonExecutor())
        threading.Thread(target=self._serve, name=f"storage-{name}", daemon=True).start()

    def submit(self, work: Coroutine[Any, Any, _Result]) -> Future[_Result]:
        """Begin `work` on the loop; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Stop the loop once it gets to it; does not wait for it."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()


class _DaemonExecutor(ThreadPoolExecutor):
    # asyncio insists on this class, whose own threads are joined when the interpreter exits: a name server
    # that does not answer would hold the process.

    def submit(
        self, function: Callable[_Params, _Result], /, *args: _Params.args, **kwargs: _Params.kwargs
    ) -> Future[_Result]:
        return in_daemon_thread(partial(function, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as the base
        """Do nothing: `loop.close` must not wait for threads that may hang."""
