"""Memory of what is read comes from one pool, so that what one part gives back the next can take."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_READ = """
import contextlib, json, sys
from service.cli.main import main
sys.argv = ["risk-alerts", "--version"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(sys.stderr):
    main()
from service.sources import allocation
import pyarrow as pa, pyarrow.parquet as pq
for _ in pq.ParquetFile(pa.OSFile(%r), buffer_size=1 << 20).iter_batches():
    pass
used = [pa.jemalloc_memory_pool, pa.mimalloc_memory_pool, pa.system_memory_pool]
print(json.dumps([pool().max_memory() > 0 for pool in used]))
"""


def test_files_are_read_into_the_pool_of_what_is_decoded(tmp_path: Path) -> None:
    """The library's own choice for files, another allocator, kept 40 MB beside it."""
    pq.write_table(pa.table({"n": range(1_000)}), tmp_path / "n.parquet")
    asked = [sys.executable, "-c", _READ % str(tmp_path / "n.parquet")]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == [True, False, False]
