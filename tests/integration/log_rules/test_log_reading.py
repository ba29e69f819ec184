"""Logs of any form give the same episodes, and every row of them is accounted for."""

import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.domain.errors import (
    LogUnreadableError,
    MemoryLimitExceededError,
    PeriodNotInSourceError,
    SchemaMismatchError,
    SourceChangedError,
    SourceNotFoundError,
)
from service.domain.progress import Progress
from service.domain.source_uri import SourceUri
from service.log_rules.evaluate import evaluate_log
from service.log_rules.findings import Before, LogFindings, LogOptions
from service.log_rules.memory import Memory
from service.log_rules.reading import log_files
from service.log_rules.reading.csv_blocks import BLOCK
from service.log_rules.rule import LOG_COLUMNS, Period, microseconds
from service.log_rules.warnings import log_warnings
from service.sources.opening import open_source
from service.sources.source import SourceFile, SourceReader, StorageAccess
from tests.support.log_files import (
    NOON,
    RULES,
    LogRow,
    csv_text,
    find,
    log_row,
    question_of,
    write_csv,
    write_parquet,
)
from tests.support.log_oracle import oracle_episodes

START = microseconds(NOON)


def rows_of(count: int, seed: int = 1) -> list[LogRow]:
    """Return rows in the order of their times: bursts, ties, several bundles, and what matches no rule."""
    chance = random.Random(seed)  # noqa: S311  # the same rows every time
    at = 0.0
    rows = []
    for _ in range(count):
        at += chance.choice([0, 0, 0.25, 1, 5, 90])
        rows.append(log_row(at, chance.choice(["fatal", "fatal", "error"]), chance.choice(["a", "b", ""])))
    return rows


def check(found: LogFindings, rows: Sequence[LogRow]) -> None:
    """Compare with what the definition says of the rows."""
    for rule in found.rules:
        events = [
            (
                tuple(row[name] for name in rule.rule.group_by),
                microseconds(NOON.fromisoformat(row["date"])),
            )
            for row in rows
            if row["severity"] == "fatal"
        ]
        plain = [(one.group, one.onset, one.start, one.last, one.peak, one.events) for one in rule.episodes]
        assert plain == [
            (one.group, one.onset, one.start, one.last, one.peak, one.events)
            for one in oracle_episodes(rule.rule, events)
        ]


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.csv.zst"])
async def test_csv_of_any_compression(tmp_path: Path, name: str) -> None:
    """The first bytes say how a file is compressed; threads change nothing."""
    rows = rows_of(300)
    path = write_csv(tmp_path / name, rows)
    for threads in (1, 4):
        found = await find(path, threads=threads)
        check(found, rows)
        assert found.rows.rows_in_source == 300


@pytest.mark.parametrize("times", [None, pa.timestamp("us"), pa.timestamp("ns", "UTC")], ids=str)
async def test_parquet_of_any_type(tmp_path: Path, times: pa.DataType | None) -> None:
    """Dates as text and as timestamps; row groups of any size, some of which match nothing."""
    rows = rows_of(300) + [log_row(1e6 + place, "error") for place in range(100)]
    path = write_parquet(tmp_path / "log.parquet", rows, row_group=37, times=times)
    found = await find(path, threads=3)
    check(found, rows)
    assert (found.rows.rows_in_source, found.rows.unmatched >= 100) == (400, True)


async def test_a_folder_and_a_glob(tmp_path: Path) -> None:
    """Bursts over the end of a file are found; other files of the folder are not read."""
    rows = rows_of(300)
    write_csv(tmp_path / "1.csv", rows[:100])
    write_csv(tmp_path / "2.csv.gz", rows[100:200], header=None)
    write_parquet(tmp_path / "3.parquet", rows[200:])
    (tmp_path / "notes.txt").write_text("nothing")
    check(await find(tmp_path), rows)
    several = write_csv(tmp_path / "4.csv.zst", rows_of(50))
    several.write_bytes(b"\x50\x2a\x4d\x18\x04\x00\x00\x00size" + several.read_bytes())
    check(await find(several), rows_of(50))
    check(await find(f"file://{tmp_path}/[12].*"), rows[:200])


async def test_small_blocks_cut_nothing_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a block ends, the record it ends in belongs to the next one."""
    rows = rows_of(200)
    path = write_csv(tmp_path / "log.csv", rows)
    for block in (1, 7, 150, 4_096):
        monkeypatch.setattr(log_files.LogFiles.__init__, "__kwdefaults__", {"block": block})
        check(await find(path, threads=3), rows)


@pytest.mark.parametrize("text", ['line\nbreak, "quoted"', '5" screen', "\n\n\n", '"'])
async def test_quotes_and_line_breaks_in_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Also where a block would have to be cut inside of them, and is taken in pieces."""
    rows = [dict(row, error_message=text) for row in rows_of(150)]
    path = write_csv(tmp_path / "log.csv", rows)
    for block, piece in ((64, 7), (1_000, 149), (100_000, 150)):
        monkeypatch.setattr(log_files, "ROWS", piece)
        monkeypatch.setattr(log_files.LogFiles.__init__, "__kwdefaults__", {"block": block})
        found = await find(path)
        check(found, rows)
        assert (found.rows.rows_in_source, found.rows.malformed) == (150, 0)


async def test_a_quote_that_closes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`5" screen`, unquoted as some writers leave it, is a value like any other."""
    rows = rows_of(150)
    text = csv_text(rows, header=LOG_COLUMNS).replace(",x,", ',5" x,', 40)
    (tmp_path / "log.csv").write_text(text)
    monkeypatch.setattr(log_files.LogFiles.__init__, "__kwdefaults__", {"block": 2_000})
    check(await find(tmp_path / "log.csv"), rows)


@pytest.mark.parametrize("blank", ["", "\n\r\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_headers_by_name_by_number_or_none(tmp_path: Path, end: str, blank: str) -> None:
    """A byte order mark before them, also blank lines, and any line break behind them."""
    rows = rows_of(60)
    numbers = [str(number) for number in range(24)]
    for header in (LOG_COLUMNS, numbers, None):
        text = csv_text(rows, header=header).replace("\n", end)
        (tmp_path / "log.csv").write_bytes(b"\xef\xbb\xbf" + blank.encode() + text.encode())
        found = await find(tmp_path / "log.csv")
        assert found.rows.rows_in_source == 60
        check(found, rows)


async def test_a_quote_that_is_opened_and_never_closed(tmp_path: Path) -> None:
    """All rows after it would be one value: that is said, and they are not left out in silence."""
    rows = [log_row(place) for place in range(3)]
    text = csv_text(rows, header=LOG_COLUMNS) + '"opened' + csv_text(rows) * 60_000
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(LogUnreadableError, match=r"log\.csv cannot be read: a quoted value goes on for"):
        await find(path)
    # Shorter ones have too few columns: as many rows are malformed as there are lines.
    path.write_text(csv_text(rows, header=LOG_COLUMNS) + 'x,"opened\n' + csv_text(rows) * 100)
    found = (await find(path)).rows
    assert (found.rows_in_source, found.malformed, found.matched) == (304, 301, 3)


async def test_columns_in_any_order(tmp_path: Path) -> None:
    """A header decides, not source.columns; columns that no rule names may be missing."""
    lines = [
        "date,bundle_id,more,severity",
        *(f"{r['date']},{r['bundle_id']},,{r['severity']}" for r in rows_of(90)),
    ]
    (tmp_path / "log.csv").write_text("\n".join(lines))
    check(await find(tmp_path / "log.csv"), rows_of(90))


async def test_missing_columns_are_all_named(tmp_path: Path) -> None:
    """In CSV and in Parquet; with `required = "all"` also those that no rule names."""
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    with pytest.raises(
        SchemaMismatchError, match=r"2 columns, .* 24; a header would name severity, date, bun"
    ):
        await find(tmp_path / "log.csv")
    (tmp_path / "log.csv").write_text("date,model\n1,2\n")
    rules = RULES.replace("columns =", "columns = [] #")
    with pytest.raises(SchemaMismatchError, match=r"log\.csv: missing severity, bundle_id;"):
        await find(tmp_path / "log.csv", question_of(rules))
    (tmp_path / "log.csv").write_text("date,severity,bundle_id\n1,2,3\n")
    with pytest.raises(SchemaMismatchError, match=r"missing error_code, error_message, log_location"):
        await find(tmp_path / "log.csv", question_of(rules.replace("[source]", '[source]\nrequired = "all"')))
    pa.parquet.write_table(pa.table({"date": ["1"]}), tmp_path / "log.parquet")
    with pytest.raises(SchemaMismatchError, match=r"severity, bundle_id; it has date"):
        await find(tmp_path / "log.parquet")


async def test_a_header_that_lacks_a_column_is_no_row(tmp_path: Path) -> None:
    """Its columns may stand in another order: read by position, the file would quietly match nothing."""
    header = [*reversed([name for name in LOG_COLUMNS if name != "severity"]), "Severity"]
    write_csv(tmp_path / "log.csv", rows_of(10), header=header)
    with pytest.raises(
        SchemaMismatchError, match=r"log\.csv: missing severity; its header is date, country_code"
    ):
        await find(tmp_path / "log.csv")


async def test_short_and_long_rows_are_malformed(tmp_path: Path) -> None:
    """They are counted, also where they hold no UTF-8, and cost the rows around them nothing."""
    rows = rows_of(60)
    lines = csv_text(rows, header=LOG_COLUMNS).encode().splitlines()
    lines[5:5] = [b"short,\xff", b"x," * 30, b"", "kurz,ß".encode()]
    (tmp_path / "log.csv").write_bytes(b"\n".join(lines))
    found = await find(tmp_path / "log.csv")
    check(found, rows)
    assert (found.rows.rows_in_source, found.rows.malformed) == (63, 3)
    assert [one.code for one in log_warnings(found, Before())] == ["cold_start", "malformed_rows"]


async def test_bytes_that_are_no_utf_8(tmp_path: Path) -> None:
    """In a column that nobody reads they do not matter; in a group they are shown as what they are not."""
    row = ",".join(
        "fatal" if n == "severity" else "\udcff" if n != "date" else "2021-09-12" for n in LOG_COLUMNS
    )
    (tmp_path / "log.csv").write_bytes((row + "\n").encode("utf-8", "surrogateescape") * 5)
    found = await find(tmp_path / "log.csv")
    assert [episode.group for rule in found.rules for episode in rule.episodes] == [(), ("\ufffd",)]


async def test_parquet_values_of_one_length_in_bytes(tmp_path: Path) -> None:
    """What is no UTF-8 is shown as what it is not, as in any other column of bytes."""
    table = {
        "severity": pa.array([b"fatal"] * 3, pa.binary(5)),
        "bundle_id": pa.array([b"\xff\x00"] * 3, pa.binary(2)),
        "date": pa.array([NOON] * 3),
    }
    pq.write_table(pa.table(table), tmp_path / "log.parquet")
    found = await find(tmp_path / "log.parquet")
    assert [episode.group for episode in found.rules[1].episodes] == [("\ufffd\0",)]


async def test_times_that_cannot_be_used_are_counted_one_by_one(tmp_path: Path) -> None:
    """By their reason; a null date kills nothing."""
    bad = ["", "yesterday", "0000-01-01", "2021-02-30T00:00:00"]
    rows = rows_of(60)
    found = await find(write_csv(tmp_path / "log.csv", [*rows, *(log_row(date=date) for date in bad)]))
    check(found, rows)
    for rule in found.rules:
        ledger = rule.rows
        assert (ledger.time_null, ledger.time_unparsable, ledger.time_out_of_range) == (1, 2, 1)
        assert ledger.matched == ledger.counted + 4


@pytest.mark.parametrize(
    "odd",
    [
        log_row(date=""),
        log_row(date="2021-09-12T12:00:00,5Z"),
        log_row(date="yesterday"),
        log_row(severity="error", date="no instant, and no match either"),
        log_row(bundle="\udcff"),
        {},
        {"date": "x" * 5, "severity": "line\nbreak"},
    ],
    ids=lambda row: "-".join(row.values()) or "none",
)
async def test_what_is_odd_after_much_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: LogRow
) -> None:
    """Where most rows match, times are read at once: what is of another kind, and late, changes nothing."""
    monkeypatch.setattr(log_files.LogFiles.__init__, "__kwdefaults__", {"block": 2_000})
    before, after = rows_of(300)[:200], rows_of(300)[200:]
    (tmp_path / "log.csv").write_bytes(
        b"".join(
            csv_text(rows).encode("utf-8", "surrogateescape") for rows in (before, [odd], after, [odd], after)
        )
        + b"short,\xff\n"
    )
    found, apart = await find(tmp_path / "log.csv"), tmp_path / "apart"
    apart.mkdir()
    write_csv(apart / "1.csv", [*before, *after, *after], header=None)
    (apart / "2.csv").write_bytes(csv_text([odd, odd]).encode("utf-8", "surrogateescape") + b"short\n")
    assert found.rows.malformed == 1
    assert (found.rows, [rule.episodes for rule in found.rules]) == (
        (other := await find(apart)).rows,
        [rule.episodes for rule in other.rules],
    )


async def test_epoch_seconds_with_a_decimal_comma(tmp_path: Path) -> None:
    """As a spreadsheet of some countries writes them."""
    rows = [log_row(date=f"{1631442730 + place},384516") for place in range(5)]
    path = write_csv(tmp_path / "log.csv", rows)
    rules = RULES.replace("[[rules]]", "", 1).replace("[source]", '[source]\ntime = {format = "epoch_s"}\n')
    rules = rules.replace('id = "burst"', '[[rules]]\nid = "burst"')
    found = await find(path, question_of(rules))
    assert [episode.onset for episode in found.rules[0].episodes] == [1_631_442_730_384_516]


async def test_nothing_to_read(tmp_path: Path) -> None:
    """Missing, empty, without rows, and without rows of the period: each is an error that says so."""
    with pytest.raises(SourceNotFoundError):
        await find(tmp_path / "none.csv")
    with pytest.raises(SourceNotFoundError, match=r"\*.csv or \*.csv.gz"):
        await find(tmp_path)
    for content in ("", "\n\r\n \n", "\ufeff", "\ufeff\n", csv_text([], header=LOG_COLUMNS)):
        (tmp_path / "log.csv").write_text(content)
        with pytest.raises(PeriodNotInSourceError, match="the source has no rows"):
            await find(tmp_path / "log.csv")
    write_csv(tmp_path / "log.csv", [log_row(date="x"), log_row(date="")])
    with (tmp_path / "log.csv").open("a") as log:
        log.write("short\n")
    with pytest.raises(PeriodNotInSourceError, match=r"of the 3 rows .* 1 malformed and 2 without a"):
        await find(tmp_path / "log.csv")
    write_csv(tmp_path / "log.csv", [log_row(0), log_row(5, "error")])
    tomorrow = Period(since_us=START + 86_400_000_000)
    with pytest.raises(
        PeriodNotInSourceError, match=r"from 2021-09-12T12:00:00\+00:00 to 2021-09-12T12:00:05"
    ):
        await find(tmp_path / "log.csv", question_of(period=tomorrow))


async def test_a_blank_file_among_others_costs_them_nothing(tmp_path: Path) -> None:
    """One with nothing but blank lines is one without rows, however many it has; a header may follow them."""
    rows = rows_of(50)
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf\n")
    (tmp_path / "b.csv").write_text("\n" * (BLOCK + 9) + csv_text(rows, header=LOG_COLUMNS))
    write_csv(tmp_path / "c.csv", rows, header=None)
    found = await find(tmp_path)
    check(found, [*rows, *rows])


async def test_a_period_without_a_match_is_a_quiet_one(tmp_path: Path) -> None:
    """Rows that match no rule show that the log is there."""
    path = write_csv(tmp_path / "log.csv", [log_row(place, "error") for place in range(9)])
    found = await find(path)
    assert (found.rows.unmatched, [rule.episodes for rule in found.rules]) == (9, [[], []])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.csv.gz", b"\x1f\x8b\x08\x00broken"),
        ("log.csv.zst", b"\x28\xb5\x2f\xfdbroken"),
        ("log.parquet", b"PAR1 and nothing more"),
        ("log.csv", csv_text([log_row(0)]).encode("utf-16")),
        ("log.csv", b"a" * 200_000 + b"\n"),
    ],
)
async def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    """What breaks off or is something else ends the run, not the process."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LogUnreadableError, match=name):
        await find(tmp_path / name)


@pytest.mark.parametrize("column", ["severity", "bundle_id"])
async def test_rows_that_point_beyond_their_dictionary(tmp_path: Path, column: str) -> None:
    """A damaged page ends the run, of the column that filters and of those that are read of matched rows."""
    table = {"severity": ["fatal"] * 1_016, "bundle_id": ["a"] * 1_016, "date": [NOON] * 1_016}
    table[column] = ["a"] * 8 + ["b"] * 8 + ["c"] * 1_000
    damaged = tmp_path / "damaged.parquet"
    pq.write_table(pa.table(table), damaged, compression="none", use_dictionary=[column])
    # The last thousand rows are one run of the third of three values.
    content = damaged.read_bytes()
    assert content.count(b"\xd0\x0f\x02") == 1
    damaged.write_bytes(content.replace(b"\xd0\x0f\x02", b"\xd0\x0f\x03"))
    with pytest.raises(LogUnreadableError, match=f"{column} points beyond its dictionary"):
        await find(damaged)


def grow(path: Path) -> None:
    """Write to a file that is being read."""
    with path.open("ab") as log:
        log.write(b"more")


def shrink(path: Path) -> None:
    """Cut it off."""
    os.truncate(path, path.stat().st_size // 2)


def replace(path: Path) -> None:
    """Put another of the same size and time in its place."""
    other = path.with_name("other.tmp")
    shutil.copy2(path, other)
    other.rename(path)


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.parquet"])
@pytest.mark.parametrize("change", [grow, shrink, replace, Path.unlink])
async def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, name: str, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a file, or half of two, is nobody's answer: that is said, and not that the file is damaged."""
    rows = rows_of(50)
    path = tmp_path / name
    write_parquet(path, rows) if name.endswith("parquet") else write_csv(path, rows)
    uri = SourceUri.parse(path.as_uri())
    with open_source(uri, StorageAccess()) as source:
        opened = source.open

        def changed_when_opened(file: SourceFile) -> SourceReader:
            reader = opened(file)
            monkeypatch.setattr(source, "open", opened)
            change(path)
            return reader

        monkeypatch.setattr(source, "open", changed_when_opened)
        with pytest.raises(SourceChangedError):
            await evaluate_log(source, question_of(), options=LogOptions(), progress=Progress())


@pytest.mark.parametrize("settle_rows", [1, 20])
async def test_what_comes_in_order_is_counted_as_it_comes(tmp_path: Path, settle_rows: int) -> None:
    """Row group by row group, in memory for the windows alone."""
    rows = rows_of(400)
    found = await find(write_parquet(tmp_path / "a.parquet", rows, row_group=25), settle_rows=settle_rows)
    check(found, rows)
    assert not found.collected


async def test_disorder_beyond_lateness_is_collected(tmp_path: Path) -> None:
    """The answer is the same, it costs a second reading, and a warning says so."""
    rows = rows_of(400)
    shuffled = random.Random(2).sample(rows, len(rows))  # noqa: S311  # the same every time
    path = write_parquet(tmp_path / "a.parquet", shuffled, row_group=25)
    found = await find(path, settle_rows=1)
    check(found, rows)
    assert "rows_in_disorder" in [one.code for one in log_warnings(found, Before())]
    # Within the lateness that the rules allow it is no disorder.
    rules = RULES.replace("[source]", '[source]\nlateness = "10d"')
    allowed = await find(path, question_of(rules), settle_rows=1)
    assert (allowed.collected, [rule.episodes for rule in allowed.rules]) == (
        False,
        [rule.episodes for rule in found.rules],
    )


async def test_rows_may_always_come_a_step_late(tmp_path: Path) -> None:
    """Between two countings they may stand in any order, also across the point where one happened."""
    rows = rows_of(400)
    order = sorted(range(400), key=lambda place: place + random.Random(place).randrange(90))  # noqa: S311  # as above
    path = write_parquet(tmp_path / "a.parquet", [rows[place] for place in order], row_group=5)
    found = await find(path, settle_rows=100)
    check(found, rows)
    assert not found.collected
    assert (await find(path, settle_rows=10)).collected


async def test_disorder_beyond_the_memory_limit_is_refused(tmp_path: Path) -> None:
    """With the number that it needs; nothing is dropped in silence."""
    rows = [log_row(-place, "fatal") for place in range(10_000)]
    path = write_parquet(tmp_path / "a.parquet", rows, row_group=100)
    with pytest.raises(
        MemoryLimitExceededError, match=r"20,000 matched .* takes 2 MB, more than MEMORY_LIMIT_MB=1"
    ):
        await find(path, settle_rows=1, memory_limit_mb=1)


async def test_near_misses_and_values_never_seen(tmp_path: Path) -> None:
    """`Fatal` is not `fatal`, and somebody should know."""
    rows = [log_row(0), log_row(1, "Fatal"), log_row(2, " fatal"), log_row(3, "panic")]
    found = await find(write_csv(tmp_path / "log.csv", rows))
    before = Before(values={"severity": frozenset({"fatal", "Fatal", " fatal"})})
    _, near, new = log_warnings(found, before)
    assert (near.code, near.count) == ("near_miss_value", 2)
    assert (new.code, new.count, "'panic' (1 rows)" in new.detail) == ("new_value", 1, True)


async def test_a_column_of_many_values_takes_no_memory_for_them(tmp_path: Path) -> None:
    """Near misses are counted all the same; values that were never seen are no news there."""
    rows = [log_row(0, f"severity {place}") for place in range(3_000)] + [log_row(1), log_row(2, "FATAL")]
    found = await find(write_csv(tmp_path / "log.csv", rows))
    assert len(found.values["severity"]) <= 1_003
    (warning,) = log_warnings(found, Before(memories={"burst": Memory(), "bundle": Memory()}))
    assert (warning.code, warning.count) == ("near_miss_value", 1)
    known = Before(
        memories={"burst": Memory(), "bundle": Memory()}, values={"severity": frozenset({"fatal"})}
    )
    assert len(log_warnings(found, known)) == 1


@pytest.mark.parametrize("problem", ["disorder", "damage", "nothing"])
async def test_whatever_ends_an_evaluation_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    """Not one that is read ahead of its turn either."""
    rows = rows_of(400)
    for place in range(4):
        step = rows[::-1] if problem == "disorder" else rows[place * 100 : place * 100 + 100]
        write_csv(tmp_path / f"{place}.csv", step)
    if problem == "damage":
        (tmp_path / "2.csv").write_text("date\n1\n")
    open_now: list[SourceReader] = []
    with open_source(SourceUri.parse(tmp_path.as_uri()), StorageAccess()) as source:
        opened = source.open

        def counted(file: SourceFile) -> SourceReader:
            # One after the other, also where all is read a second time.
            assert all(reader.file.closed for reader in open_now)
            open_now.append(opened(file))
            return open_now[-1]

        monkeypatch.setattr(source, "open", counted)
        options = LogOptions(threads=3, settle_rows=1)
        evaluating = evaluate_log(source, question_of(), options=options, progress=Progress())
        if problem == "damage":
            with pytest.raises(SchemaMismatchError):
                await evaluating
        else:
            assert (await evaluating).collected == (problem == "disorder")
    assert open_now
    assert all(reader.file.closed for reader in open_now)


async def test_many_groups(tmp_path: Path) -> None:
    """Tens of thousands in one file, of which two violate."""
    rows = [log_row(place / 100, bundle=f"com.{place}") for place in range(30_000)]
    rows += [log_row(400 + place, bundle=f"com.{place % 2}") for place in range(6)]
    found = await find(write_parquet(tmp_path / "a.parquet", rows, row_group=4_000))
    assert [episode.group for episode in found.rules[1].episodes] == [("com.0",), ("com.1",)]


async def test_equal_rows_count_once(tmp_path: Path) -> None:
    """Where the source asks for it; other rows of the same instant still count."""
    rows = [log_row(0, session_id="1")] * 3 + [log_row(0, session_id="2"), log_row(0, session_id="3")]
    rules = RULES.replace("[source]", '[source]\ndeduplicate = ["session_id"]')
    found = await find(write_csv(tmp_path / "log.csv", rows), question_of(rules))
    (episode,) = found.rules[0].episodes
    assert (episode.peak, found.rules[0].rows.duplicates, found.rules[0].rows.counted) == (3, 2, 3)


async def test_rows_that_are_shown_alike_are_equal(tmp_path: Path) -> None:
    """Also where a malformed record, or a line break in a value, has a file read in another way."""
    row = csv_text([log_row(0, session_id="\udcff")]).encode("utf-8", "surrogateescape")
    rules = RULES.replace("[source]", '[source]\ndeduplicate = ["session_id"]').replace("gt = 2", "gt = 0")
    for name, content in (("1", row), ("2", row + b"short,\xff\n"), ("3", row.replace(b"x", b'"\n"', 1) * 2)):
        (tmp_path / f"{name}.csv").write_bytes(content)
    found = await find(tmp_path, question_of(rules))
    assert (found.rules[0].rows.duplicates, found.rows.malformed) == (3, 1)
