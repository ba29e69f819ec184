"""What takes more memory than there is is refused with its number, before it takes it; nothing is dropped."""

import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.domain.errors import MemoryLimitExceededError
from service.log_rules.episode import Episode
from service.log_rules.findings import Before
from service.log_rules.memory import Memory
from service.log_rules.rule import Period, microseconds
from service.log_rules.threshold import ThresholdRule
from tests.support.log_files import NOON, RULES, find, log_row, question_of, write_parquet

ANY_ROW = '[[rules]]\nid = "a"\ntitle = "a"\nthreshold = {gt = 0}\nwindow = "1s"\nchannel = "c"\n'

PEAK = """
import asyncio, sys
from pathlib import Path
from service.domain.errors import MemoryLimitExceededError
from service.log_rules.findings import LogOptions
from service.log_rules.reading.plan import plan_log
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import StorageAccess
from tests.support.log_files import RULES, find, never, question_of

path = Path(sys.argv[1])
grouped = RULES[RULES.index('[[rules]]\\nid = "bundle"'):]
question = question_of('[source]\\ntime = {column = "date", format = "epoch_s"}\\n' + grouped)
with open_source(SourceUri.parse(path.as_uri()), StorageAccess()) as source:
    options = {"threads": 2, "settle_rows": LogOptions().settle_rows, "checkpoint_limit_mb": 64}
    plan = plan_log(source, question.rules, **options, stop=never())
try:
    asyncio.run(find(path, question, threads=2, memory_limit_mb=20))
    raise AssertionError("it was not refused")
except MemoryLimitExceededError:
    status = Path("/proc/self/status").read_text()
memory = plan.memory_bytes
stated = sum(memory[part] for part in ("process", "reading", "counting"))
print(int(status.split("VmHWM:")[1].split()[0]) << 10, stated)
"""


class NeverMade(ThresholdRule):
    """A rule that keeps little of what it finds, and of which no episode may be made."""

    most_kept = 0

    def forget(self) -> None:
        """Note how many episodes were held at a time."""
        held = sum(part.size for part in self._closed)
        NeverMade.most_kept = max(NeverMade.most_kept, held)
        super().forget()

    def facts(self) -> Sequence[Episode]:
        """Fail."""
        raise AssertionError("an episode was made of what there is no memory for")


class Measured(ThresholdRule):
    """A rule that knows how much memory Python had at most while it counted."""

    peak = 0

    def settle(self, until_us: int) -> None:
        """Measure it."""
        tracemalloc.reset_peak()
        super().settle(until_us)
        Measured.peak = max(Measured.peak, tracemalloc.get_traced_memory()[1])


async def test_episodes_are_counted_while_they_are_found(tmp_path: Path) -> None:
    """Beyond the limit they are let go of, and only their number is known."""
    rows = [log_row(at * 4_000 + each, bundle=f"{at % 7}") for at in range(600) for each in range(3)]
    path = write_parquet(tmp_path / "a.parquet", rows, row_group=30)
    asked: dict[str, Any] = {"settle_rows": 1, "memory_limit_mb": 1}
    needed = r"1,200 episodes and reminders .* take 5 MB, more than MEMORY_LIMIT_MB=1"
    with pytest.raises(MemoryLimitExceededError, match=needed):
        await find(path, question_of(make=NeverMade), **asked)
    assert 0 < NeverMade.most_kept < 300
    assert len((await find(path, **asked, alert_bytes=512)).rules[1].episodes) == 600


async def test_groups_count_as_rows_do(tmp_path: Path) -> None:
    """Each of many has its name to be known by; a plan says what that takes."""
    rows = [log_row(place, bundle=f"com.example.{place}") for place in range(20_000)]
    ordered = write_parquet(tmp_path / "a.parquet", rows, row_group=2_000)
    mixed = write_parquet(tmp_path / "b.parquet", rows[::-1], row_group=2_000)
    for path, needed in ((ordered, "windows reach, .* 40,000 .* would take"), (mixed, "disorder .* takes")):
        with pytest.raises(MemoryLimitExceededError, match=rf"{needed} 8 MB.* group by fewer values"):
            await find(path, settle_rows=1, memory_limit_mb=4)
        await find(path, settle_rows=1, memory_limit_mb=8)


@pytest.mark.skipif(sys.platform != "linux", reason="the most that a process had is read from /proc")
def test_a_log_of_unique_groups_takes_what_is_stated(tmp_path: Path) -> None:
    """Each short row has a group of its own: blocks have few of them, and what is read ahead is bytes."""
    rows = (f"fatal,com.example.application.{place:010d},{place}\n" for place in range(300_000))
    (tmp_path / "a.csv").write_text("severity,bundle_id,date\n" + "".join(rows))
    done = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path / "a.csv"], capture_output=True, text=True, check=True
    )
    taken, stated = map(int, done.stdout.split())
    # It has no line breaks in values, and no episodes: 47 MB of what is stated are for those.
    assert taken < stated + (20 - 47 << 20)


async def test_rows_that_are_read_again_count(tmp_path: Path) -> None:
    """What is before the period, in a file that was read before, is held until it is known what is late."""
    rows = [log_row(place / 10) for place in range(20_000)]
    path = write_parquet(tmp_path / "a.parquet", rows, row_group=1_000)
    since = microseconds(NOON) + 1_800_000_000
    memories = {"bundle": Memory()}
    question = question_of(
        period=Period(since_us=since), before=Before(memories=memories, files={str(path): None})
    )
    with pytest.raises(MemoryLimitExceededError, match=r"all 4,000 matched ones would take 4 MB;"):
        await find(path, question, memory_limit_mb=2)
    assert (await find(path, question, memory_limit_mb=4)).rows.rules["bundle"].late == 18_000


async def test_late_rows_that_no_window_reaches_take_no_memory(tmp_path: Path) -> None:
    """All the history of a log beside one period, in files that no run has read: all late, few of use."""
    at = np.arange(60_000) * 20_000_000 + microseconds(NOON)
    table = {
        "date": pa.array(at, pa.timestamp("us")),
        "severity": ["fatal"] * at.size,
        "bundle_id": ["a"] * at.size,
    }
    pq.write_table(pa.table(table), tmp_path / "a.parquet", row_group_size=5_000)
    period = Period(since_us=int(at[-100]))
    before = Before(memories={"burst": Memory(), "bundle": Memory()})
    found = await find(
        tmp_path / "a.parquet", question_of(period=period, before=before), settle_rows=1, memory_limit_mb=1
    )
    assert [(each.rows.late, each.rows.counted) for each in found.rules] == [(59_900, 100)] * 2
    # The windows of the first rows of the period are full of those before.
    assert found.rules[1].episodes[0].events == 100 + 3_600 // 20 - 1


async def test_rows_that_windows_reach_are_counted_as_they_come(tmp_path: Path) -> None:
    """A window of a week over rows in their order holds as much as rows in disorder; so does lateness."""
    rows = [log_row(place * 20) for place in range(20_000)]
    path = write_parquet(tmp_path / "a.parquet", rows, row_group=1_000)
    week, late = RULES.replace('"1h"', '"7d"'), RULES.replace("[source]", '[source]\nlateness = "7d"')
    needed = r"windows reach, .* MEMORY_LIMIT_MB=1; all 40,000 matched ones would take 3 MB;"
    for rules in (week, late):
        with pytest.raises(MemoryLimitExceededError, match=needed):
            await find(path, question_of(rules), settle_rows=1, memory_limit_mb=1)
        assert not (await find(path, question_of(rules), settle_rows=1, memory_limit_mb=3)).collected
    assert not (await find(path, settle_rows=1, memory_limit_mb=1)).collected


async def test_episodes_as_many_as_rows_are_counted_before_all_are_found(tmp_path: Path) -> None:
    """Under a threshold of 0 each row may be one: of rows in disorder they are found step by step."""
    rows = 100_000
    path = written(tmp_path / "a.parquet", np.random.default_rng(1).permutation(rows))
    assert 1 << 20 < await most_while_refused(path, settle_rows=1, memory_limit_mb=6) < 6 << 20
    at_once = await find(path, question_of(ANY_ROW), memory_limit_mb=391)
    in_steps = await find(path, question_of(ANY_ROW), settle_rows=1, memory_limit_mb=6, alert_bytes=32)
    assert len(at_once.rules[0].episodes) == rows
    assert in_steps.rules[0].episodes == at_once.rules[0].episodes


async def test_a_step_in_order_is_parted_where_its_rows_may_be_episodes(tmp_path: Path) -> None:
    """Of rows in their order a fourth of a step is settled at a time, as a plan states."""
    rows = 100_000
    path = written(tmp_path / "a.parquet", np.arange(rows))
    assert 1 << 20 < await most_while_refused(path, settle_rows=40_000, memory_limit_mb=2) < 6 << 20
    at_once = await find(path, question_of(ANY_ROW), memory_limit_mb=391)
    in_steps = await find(path, question_of(ANY_ROW), settle_rows=40_000, memory_limit_mb=2, alert_bytes=16)
    assert not in_steps.collected
    assert len(at_once.rules[0].episodes) == rows
    assert in_steps.rules[0].episodes == at_once.rules[0].episodes


def written(path: Path, order: Any) -> Path:
    """Write a row for every other second, in an order."""
    times = pa.array(order * 2_000_000, pa.timestamp("us"))
    pq.write_table(pa.table({"date": times}), path, row_group_size=5_000)
    return path


async def most_while_refused(path: Path, **options: Any) -> int:
    """Return how much memory Python has at most while 100,000 episodes are counted, and refused."""
    Measured.peak = 0
    tracemalloc.start()
    try:
        with pytest.raises(MemoryLimitExceededError, match=r"100,000 episodes .* take 391 MB"):
            await find(path, question_of(ANY_ROW, make=Measured), **options)
    finally:
        tracemalloc.stop()
    return Measured.peak
