"""The service as it is deployed: without pandas, which is here for comparison only.

PyArrow imports pandas, where there is one, as soon as it makes an array: 0.1 s and 30 MB that the service's
own environment, which has none, never pays.
"""

import os
import runpy
import sys
from collections.abc import Sequence


class _NoPandas:
    """Tells whoever asks for pandas that there is none."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> None:
        del path, target
        if name == "pandas":
            raise ModuleNotFoundError("hidden: the service is measured without pandas", name=name)


def hide_pandas() -> None:
    """Let this process find no pandas from now on; threads and memory are set as the command line does."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    sys.meta_path.insert(0, _NoPandas())


if __name__ == "__main__":
    hide_pandas()
    runpy.run_module("service", run_name="__main__", alter_sys=True)
