"""Where the process of a command line begins: what has to be said before anything is loaded."""

import os
import sys

from service.runtime.garbage import loading


def main() -> None:
    """Run the command line and exit with one of the documented codes."""
    loading()
    # Nothing here multiplies large matrices, and the threads that NumPy starts for that spin for 30 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What reads files takes this pool, whatever Python sets: another beside it would keep memory of its own.
    if sys.platform == "linux":
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    # To look for plugins, pydantic reads the metadata of every installed package; there are none of ours.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from service.cli.commands import run_command  # noqa: PLC0415  # nothing is loaded before all this

    run_command()
