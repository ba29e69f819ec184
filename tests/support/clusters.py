"""Dask clusters: a local one of two worker processes, or a scheduler of its own that can be lost."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.support.waiting import PATIENCE_S, wait_until


@contextmanager
def local_cluster() -> Iterator[Any]:
    """Start a real cluster: two workers, each a process."""
    from distributed import LocalCluster  # noqa: PLC0415 - an extra

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True) as running:
        yield running


@contextmanager
def started(folder: Path, *, workers: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start a scheduler of its own and its workers, and give its address and process."""
    from distributed import Client  # noqa: PLC0415 - an extra

    known = folder / "scheduler.json"
    python = [sys.executable, "-m"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with ExitStack() as processes:

        def start(*command: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen([*python, *command], **quiet)  # type: ignore[call-overload]
            processes.callback(process.wait)
            processes.callback(process.kill)
            return process  # type: ignore[no-any-return]

        place = ("--scheduler-file", str(known), "--no-dashboard")
        scheduler = start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *place)
        wait_until(known.exists)
        address = json.loads(known.read_text())["address"]
        for _ in range(workers):
            start("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        if workers:
            with Client(address, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=PATIENCE_S)
        yield address, scheduler
