"""Scoring on a cluster: the answers of one process, to the bit, whatever happens to a worker."""

import json
import os
import re
import signal
import threading
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.cluster.connection import connected
from service.default_risk.bulk import BulkScoring, ScoredBatch
from service.default_risk.dask.pieces import Work, scored_pieces
from service.default_risk.errors import SuspectedFractionUnitsError
from service.default_risk.levels import RiskThresholds
from service.default_risk.reading.companies import read_companies
from service.default_risk.reading.tables import COMPANY_FILES, pieces_of, read_piece, read_records
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.errors import SourceChangedError
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import Source, SourceFile, StorageAccess
from tests.support.clusters import local_cluster
from tests.support.companies import HEALTHY, small_model
from tests.support.processes import command

# Found, and not loaded, by every process that collects this.
pytestmark = [
    pytest.mark.skipif(find_spec("distributed") is None, reason="Dask is an extra"),
    pytest.mark.filterwarnings("ignore"),
]
PIECE = 50
MODEL = small_model()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Start a real cluster."""
    with local_cluster() as running:
        yield running


def companies(path: Path, rows: int = 400, *, row_group_size: int = 37, share: float = 1.0) -> Path:
    """Write companies of whom some are missing values, some invalid, and some there before."""
    table = []
    for number in range(rows):
        values = {name: str(share * (number * 7 % 90 - 30)) for name in list(HEALTHY)[3:]}
        values |= {} if number % 11 else dict.fromkeys(list(HEALTHY)[3:6], "NM")
        values |= {} if number % 13 else {"reporting_year": "soon"}
        table.append(HEALTHY | {"company_symbol": f"C{number % 290}"} | values)
    pq.write_table(pa.Table.from_pylist(table), path, row_group_size=row_group_size)
    return path


class Local:
    """A file, to be read here or by workers."""

    def __init__(self, path: Path) -> None:
        self.uri = SourceUri.parse(path.as_uri())
        with self.open() as source:
            (self.file,) = source.files(COMPANY_FILES, threading.Event())

    def open(self) -> Source:
        """Open it."""
        return open_source(self.uri, StorageAccess())

    def here(self) -> tuple[Any, BulkScoring]:
        """Return the results of this process, and what became of the rows."""
        scoring = BulkScoring(MODEL, RiskThresholds())
        with self.open() as source, source.open(self.file) as reader:
            records = read_records(reader, self.file)
            found = read_companies(records, PredictionKind.ANNUAL, file=self.file.name)
            return together(scoring.score(found)), scoring

    def on(
        self, cluster: Any, file: SourceFile | None = None, *, kills: int | None = None
    ) -> tuple[Any, BulkScoring]:
        """Return those of the cluster, of which a process is killed once the first batch is there."""
        scoring = BulkScoring(MODEL, RiskThresholds())
        with self.open() as source, source.open(self.file) as reader:
            pieces = pieces_of(reader, self.file, rows=PIECE)
        work = Work(
            reopen=self.open,
            file=file or self.file,
            model=MODEL,
            thresholds=RiskThresholds(),
            units=None,
        )
        stop = threading.Event()
        with connected(cluster.scheduler_address, timeout_s=15, stop=stop) as connection:
            found = scoring.settle(scored_pieces(connection, work, pieces))
            first = next(found)
            if kills is not None:
                os.kill(kills, signal.SIGKILL)
            return together(chain([first], found)), scoring


def together(batches: Iterable[ScoredBatch]) -> Any:
    """Return the results of all batches."""
    return pa.concat_tables([batch.results for batch in batches]).combine_chunks()


@pytest.mark.parametrize("row_group_size", [1, 37, 400])
def test_the_pieces_are_the_file(tmp_path: Path, row_group_size: int) -> None:
    """Each record is in one piece, under its number, whether row groups are tiny or the file is one."""
    source = Local(companies(tmp_path / "c.parquet", row_group_size=row_group_size))
    with source.open() as opened, opened.open(source.file) as reader:
        pieces = pieces_of(reader, source.file, rows=PIECE)
        assert len(pieces) > 4
        records = [each for piece in pieces for each in read_piece(reader, source.file, piece)]
        assert [number for each in records for number in each.numbers] == [*range(2, 402)]
        symbols = [symbol for each in records for symbol in each.columns["company_symbol"].to_pylist()]
        (whole,) = read_records(reader, source.file)
        assert symbols == whole.columns["company_symbol"].to_pylist()


@pytest.mark.parametrize("kills", [False, True], ids=["all live", "one dies"])
def test_the_answer_is_that_of_one_process(cluster: Any, tmp_path: Path, *, kills: bool) -> None:
    """Scores, reasons, duplicates of earlier pieces and the ledger; what a dead worker had is done again."""
    source = Local(companies(tmp_path / "c.parquet"))
    expected, of_one = source.here()
    assert set(of_one.ledger) == {"scored", "abstained", "duplicate", "invalid"}
    victim = next(iter(cluster.workers.values())).pid if kills else None
    found, scoring = source.on(cluster, kills=victim)
    assert found.equals(expected)
    assert (scoring.ledger, scoring.levels) == (of_one.ledger, of_one.levels)


def test_what_has_no_pieces_is_read_here(tmp_path: Path) -> None:
    """A file of no rows, and one that is no Parquet; both can be read as a whole after that was seen."""
    pq.write_table(pa.table({"company_symbol": pa.array([], pa.string())}), tmp_path / "empty.parquet")
    (tmp_path / "c.csv").write_text("company_symbol\nA\n")
    for name in ("empty.parquet", "c.csv"):
        source = Local(tmp_path / name)
        with source.open() as opened, opened.open(source.file) as reader:
            assert pieces_of(reader, source.file) == []
            (records,) = read_records(reader, source.file)
            assert [*records.columns] == ["company_symbol"]


def test_what_is_refused_here_is_refused_there(cluster: Any, tmp_path: Path) -> None:
    """Units in doubt, by the first records alone; and a file that was replaced meanwhile."""
    fractions = Local(companies(tmp_path / "f.parquet", share=0.01))
    with pytest.raises(SuspectedFractionUnitsError) as refused:
        fractions.on(cluster)
    with pytest.raises(SuspectedFractionUnitsError, match=re.escape(refused.value.detail)):
        fractions.here()
    source = Local(companies(tmp_path / "c.parquet"))
    companies(tmp_path / "c.parquet", rows=500)
    with pytest.raises(SourceChangedError):
        source.on(cluster, source.file)


def test_the_command_scores_where_evaluate_on_says(cluster: Any, tmp_path: Path) -> None:
    """The same file and summary as without; CSV is scored here; one line where no scheduler answers."""
    companies(tmp_path / "c.parquet", rows=3000)
    said = []
    for out, evaluate_on in (("here", ""), ("there", cluster.scheduler_address)):
        asked = "score", "c.parquet", "--out", f"{out}.parquet", "--json"
        done = command(tmp_path, *asked, **({"EVALUATE_ON": evaluate_on} if evaluate_on else {}))
        assert done.returncode == 0, done.stderr
        said.append(json.loads(done.stdout))
    assert said[0] == said[1]
    assert pq.read_table(tmp_path / "there.parquet").equals(pq.read_table(tmp_path / "here.parquet"))
    nowhere = {"EVALUATE_ON": "tcp://127.0.0.1:1", "STORAGE_TIMEOUT_S": "0.5"}
    done = command(tmp_path, "score", "c.parquet", "--out", "none.parquet", **nowhere)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "risk-alerts: cluster_unreachable: no Dask scheduler answers at tcp://127.0.0.1:1\n"
    )
    assert not list(tmp_path.glob("*none*"))
    made = command(tmp_path, "sample-data", "--kind", "companies", "c.csv", "--companies", "20")
    assert made.returncode == 0
    assert command(tmp_path, "score", "c.csv", **nowhere).returncode == 0
