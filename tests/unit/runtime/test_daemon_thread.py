"""Blocking work runs beside the event loop and never holds up the process."""

import asyncio
import contextvars
import subprocess
import sys
import threading

import pytest

from service.runtime.daemon_thread import run_in_daemon_thread


async def test_returns_what_the_function_returns() -> None:
    """The caller gets the result of the function, called with its arguments."""
    assert await run_in_daemon_thread(divmod, 7, 2) == (3, 1)


async def test_raises_what_the_function_raises() -> None:
    """An error of the function is an error of the caller."""
    with pytest.raises(ValueError, match="invalid literal"):
        await run_in_daemon_thread(int, "x")


async def test_a_stop_iteration_does_not_hang_the_caller() -> None:
    """Even the one exception that a future refuses comes back as an error."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await run_in_daemon_thread(next, iter(()))


async def test_times_out_while_the_thread_runs_on() -> None:
    """A function that takes too long raises TimeoutError at once."""
    release = threading.Event()
    with pytest.raises(TimeoutError):
        await run_in_daemon_thread(release.wait, timeout_s=0.01)
    release.set()


async def test_the_context_goes_along() -> None:
    """What is bound around the call, such as a run's id for the logs, is bound inside the thread."""
    run_id = contextvars.ContextVar("run_id", default="")
    run_id.set("r1")
    assert await run_in_daemon_thread(run_id.get) == "r1"


async def test_cancellation_returns_at_once() -> None:
    """A cancelled caller does not wait for the thread."""
    release = threading.Event()
    task = asyncio.create_task(run_in_daemon_thread(release.wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()


def test_a_hanging_thread_does_not_keep_the_process() -> None:
    """The process exits although a thread would wait for ever."""
    program = (
        "import asyncio, threading\n"
        "from service.runtime.daemon_thread import run_in_daemon_thread\n"
        "async def main():\n"
        "    try:\n"
        "        await run_in_daemon_thread(threading.Event().wait, timeout_s=0.01)\n"
        "    except TimeoutError:\n"
        "        print('timed out')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout == "timed out\n"
