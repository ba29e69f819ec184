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
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    name = getattr(function, "__name__", "work")
    threading.Thread(target=work, name=f"daemon-{name}", daemon=True).start()
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
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[_Result] = loop.create_future()

    def resolve(result: Callable[[], None]) -> None:
        if not outcome.done():
            result()

    def work() -> None:
        try:
            value = function(*args)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the caller, not to this thread
            # A future refuses StopIteration, and the caller would wait for ever.
            raised = RuntimeError("StopIteration") if isinstance(error, StopIteration) else error
            _call_soon(loop, resolve, lambda: outcome.set_exception(raised))
        else:
            _call_soon(loop, resolve, lambda: outcome.set_result(value))

    context = contextvars.copy_context()
    name = getattr(function, "__name__", "work")
    threading.Thread(target=context.run, args=(work,), name=f"daemon-{name}", daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await outcome


def _call_soon(
    loop: asyncio.AbstractEventLoop,
    resolve: Callable[[Callable[[], None]], None],
    result: Callable[[], None],
) -> None:
    try:
        loop.call_soon_threadsafe(resolve, result)
    except RuntimeError:
        # The loop was closed meanwhile: nobody is left to hear the answer.
        if not loop.is_closed():
            raise
