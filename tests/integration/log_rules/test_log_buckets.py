"""Logs on gs:// and s3://: the same episodes as from a disk, in few requests."""

from pathlib import Path

from service.domain.progress import Progress
from service.domain.source_uri import SourceUri
from service.log_rules.evaluate import evaluate_log
from service.log_rules.findings import LogOptions
from service.sources.opening import open_source
from tests.support.emulators import Emulator
from tests.support.log_files import find, log_row, question_of, write_csv, write_parquet


async def test_a_folder_of_a_bucket(tmp_path: Path, emulator: Emulator, bucket: str) -> None:
    """CSV, compressed CSV and Parquet, each read from its own first byte to its last."""
    rows = [log_row(place, bundle=f"com.{place % 3}") for place in range(90)]
    for path in (
        write_csv(tmp_path / "1.csv", rows[:30]),
        write_csv(tmp_path / "2.csv.gz", rows[30:60]),
        write_parquet(tmp_path / "3.parquet", rows[60:]),
    ):
        emulator.put(bucket, f"logs/{path.name}", path.read_bytes())
    here = await find(tmp_path)
    uri = SourceUri.parse(f"{emulator.kind}://{bucket}/logs/*")
    with open_source(uri, emulator.access()) as source:
        there = await evaluate_log(source, question_of(), options=LogOptions(), progress=Progress())
    assert [rule.episodes for rule in there.rules] == [rule.episodes for rule in here.rules]
    assert there.rows.values() == here.rows.values()
    # One for each CSV file; footer and two columns' worth of ranges for Parquet; listings before and after.
    assert emulator.counters().ranges <= 6
