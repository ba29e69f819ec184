"""The connection to a Dask cluster: nothing waits for a scheduler or workers that are not there."""

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from service.domain.errors import ClusterUnreachableError, InterruptedRunError

_LOOK_S: Final = 0.005
"""How often a stop is looked for, and whether what is waited for is done."""
_LOOKS: Final = 5
"""How often it is asked within the time limit whether the scheduler answers and has workers."""
_CLOSE_S: Final = 1


class Connection:
    """Does work on a cluster, for as long as it answers; its methods raise ClusterUnreachableError if not."""

    def __init__(self, client: Any, address: str, *, timeout_s: float, stop: threading.Event) -> None:
        self._client = client
        self._address = address
        self._timeout_s = timeout_s
        self._stop = stop
        self._next_look = 0.0
        self._seen_workers = time.monotonic()
        self.threads = 0
        """Of all workers, when they were last looked at; at least 1 once there are some."""
        while not self.threads:
            self._look()

    def submit(self, work: Callable[..., Any], *arguments: Any, retries: int = 0) -> Any:
        """Have `work` done by a worker, and return its future."""
        # Not `pure` in Dask's sense, which would hash all arguments to look for an earlier result.
        return self._client.submit(work, *arguments, retries=retries, pure=False)

    def share(self, value: Any) -> Any:
        """Bring a value to all workers, and return its future."""
        return self._do(lambda: self._client.scatter(value, broadcast=True, asynchronous=True))

    def wait(self, future: Any) -> None:
        """Wait until a task is done; raises what it raised, and InterruptedRunError once all has to stop."""
        while not future.done():
            self._look()
        if future.status == "error":
            future.result()

    def gather(self, futures: Sequence[Any]) -> list[Any]:
        """Return the results of tasks, in their order; raises as `wait` does."""
        for future in futures:
            self.wait(future)
        return list(self._do(lambda: self._client.gather(futures, asynchronous=True)))

    def _do(self, ask: Callable[[], Any]) -> Any:
        async def asked() -> Any:
            return await ask()

        doing = asyncio.run_coroutine_threadsafe(asked(), self._client.loop.asyncio_loop)
        while not doing.done():
            self._look()
        return doing.result()

    def _look(self) -> None:
        if self._stop.wait(_LOOK_S):
            raise InterruptedRunError("the evaluation was stopped")
        if time.monotonic() < self._next_look:
            return
        share = self._timeout_s / _LOOKS
        self.threads = sum(
            self._client.sync(
                self._client.scheduler.ncores, callback_timeout=self._timeout_s - share
            ).values()
        )
        now = time.monotonic()
        self._next_look = now + share
        if self.threads:
            self._seen_workers = now
        elif now - self._seen_workers > self._timeout_s:
            raise ClusterUnreachableError(f"the Dask scheduler at {self._address} has no workers")


@contextmanager
def connected(address: str, *, timeout_s: float, stop: threading.Event) -> Iterator[Connection]:
    """Connect to the Dask scheduler at `address`; raises ClusterUnreachableError also inside the block."""
    from distributed import Client, KilledWorker  # noqa: PLC0415 - an extra, imported where it is used

    client: Any = None
    try:
        client = Client(address, timeout=timeout_s, set_as_default=False)
        yield Connection(client, address, timeout_s=timeout_s, stop=stop)
    except KilledWorker as error:
        raise ClusterUnreachableError(f"workers of the Dask cluster at {address} die at work") from error
    except (OSError, TimeoutError, asyncio.CancelledError, concurrent.futures.CancelledError) as error:
        # Tasks are cancelled when the connection to the scheduler is lost: those that are awaited at the
        # moment as asyncio cancels, those that are asked for afterwards with an error of Dask's own.
        raise ClusterUnreachableError(f"no Dask scheduler answers at {address}") from error
    finally:
        if client is not None:
            with suppress(OSError, TimeoutError):
                client.close(timeout=_CLOSE_S)
