"""Storage: what gs:// and s3:// reads really move, counted at an emulator."""

import json
import sys
from dataclasses import replace
from typing import Final

from benchmarks.data_shape import LAYOUTS, Shape
from benchmarks.measure import made, preview, run
from benchmarks.report import TIMES, Section, Target
from tests.support.emulators import running_gcs, running_s3

SHAPES: Final = {
    "small": Shape(accounts=20_000, row_group_size=100_000, extra_columns=4),
    "full": Shape(accounts=100_000, extra_columns=10),
}
BUCKET: Final = "benchmark"
EMULATORS: Final = {"gs": running_gcs, "s3": running_s3}
ENVIRONMENTS: Final = {
    "gs": {"GCS_TOKEN": "anon"},
    "s3": {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"},
}


def bench(size: str) -> list[Section]:
    """Return the section."""
    shape = SHAPES[size]
    section = Section(
        title="Object storage",
        about=(
            f"`risk-alerts preview` of one object with {shape.accounts:,} accounts {TIMES} {shape.months} "
            f"months and {9 + shape.extra_columns} columns, against emulators behind a proxy that counts "
            "the bodies of all answers, footers and listings included. Needed: the compressed chunks of "
            "the key columns in the window, and of the attributes in row groups that may hold the target "
            "month."
        ),
        header=("storage", "layout", "object MB", "needed MB", "read MB", "chunks", "requests", "wall s"),
    )
    for kind, running in EMULATORS.items():
        for layout in LAYOUTS:
            source = made(replace(shape, layout=layout))
            needed = json.loads(
                run([sys.executable, "-m", "benchmarks.needed_bytes", str(source), shape.month]).output
            )
            with running() as emulator:
                emulator.put(BUCKET, "data.parquet", source.read_bytes())
                emulator.reset()
                endpoint = {f"{'GCS' if kind == 'gs' else 'S3'}_ENDPOINT_URL": emulator.endpoint_url}
                env = ENVIRONMENTS[kind] | endpoint
                used = preview(f"{kind}://{BUCKET}/data.parquet", month=shape.month, env=env)
                counted = emulator.counters()
            section.rows.append(
                (
                    f"{kind}://",
                    layout,
                    f"{needed['file'] / 1e6:.1f}",
                    f"{needed['bytes'] / 1e6:.1f}",
                    f"{counted.bytes / 1e6:.1f}",
                    str(needed["chunks"]),
                    str(counted.requests),
                    f"{used.wall_s:.2f}",
                )
            )
            section.targets.append(
                Target(f"bytes read, {kind}, {layout}", counted.bytes / needed["bytes"], 1.1)
            )
    return [section]
