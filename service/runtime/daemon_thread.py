"""Blocking work away from the event loop, in threads that never delay the exit of the process."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar, TypeVarTuple

_Result = TypeVar("_Result")
_Args = TypeVarTuple("_Args")


def in_daemon_thread(function: Callable[[*_Args], _Result], *args: *_Args) -> Future[_Result]:
    """Begin `function(*args)` in a daemon thread of its own, for a thread that waits; see below."""
    outcome: Future[_Result] = Future()

    def work() -> None:
        if not outcome.set_running_or_notify_cancel():
            return
        try:
            result = function(*args)
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits, not to this thread
            # The event loop's futures refuse StopIteration, and the caller would wait for ever.
            outcome.set_exception(
                RuntimeError("StopIteration") if isinstance(error, StopIteration) else error
            )
        else:
            outcome.set_result(result)

    name = getattr(function, "__name__", "work")
    threading.Thread(
        target=contextvars.copy_context().run, args=(work,), name=f"daemon-{name}", daemon=True
    ).start()
    return outcome


async def run_in_daemon_thread(
    function: Callable[[*_Args], _Result], *args: *_Args, timeout_s: float | None = None
) -> _Result:
    """Call `function(*args)` in a daemon thread of its own; return what it returns, raise what it raises.

    Executor threads are joined when the interpreter exits, so that one storage call that hangs would keep the
    process alive; a daemon thread is left behind instead. Raises TimeoutError after `timeout_s` seconds. On a
    timeout, as on cancellation, the thread runs on and its result is dropped: a function that may take long
    should look at an event of the caller's. The context (`run_id` of the logs) goes along.
    """
    async with asyncio.timeout(timeout_s):
        return await asyncio.wrap_future(in_daemon_thread(function, *args))


async def run_until_stopped(
    stop: threading.Event, close: Callable[[], None], function: Callable[[*_Args], _Result], *args: *_Args
) -> _Result:
    """Do the same for a function that looks at `stop`: cancelled, this returns after its thread has ended.

    Then `close` is called as well, which ends what waits for a storage that hangs.
    """
    working = asyncio.wrap_future(in_daemon_thread(function, *args))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.set()
        close()
        await asyncio.gather(working, return_exceptions=True)
        raise
    finally:
        stop.set()
