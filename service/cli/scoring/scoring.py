"""`score`: a file of companies becomes scores with reasons, on the terminal or in a file."""

import heapq
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from service.api.csv_lines import csv_lines
from service.cli.command import async_command, parsed_source, print_answer, report
from service.cli.logs.text_table import write_table
from service.cli.scoring.models import check_not_over, model_of
from service.cluster.connection import connected
from service.default_risk.bulk import BulkScoring, ScoredBatch
from service.default_risk.dask.pieces import Work, scored_pieces
from service.default_risk.errors import BadCompaniesFileError
from service.default_risk.levels import RiskThresholds
from service.default_risk.model import RiskModel, with_prior
from service.default_risk.reading.companies import ledger_text, read_companies
from service.default_risk.reading.tables import COMPANY_FILES, pieces_of, read_records
from service.default_risk.reasons import reasons
from service.default_risk.units import Units
from service.domain.default_risk.job import RowOutcome
from service.domain.default_risk.period import period_text
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.default_risk.risk_level import RiskLevel
from service.runtime.daemon_thread import run_in_daemon_thread
from service.settings import Settings
from service.sources.opening import check_allowed, open_source
from service.sources.source import Source
from service.telemetry.terminal import harmless
from service.wiring import check_extras, storage_access

_SHOWN: Final = 20


class Worst:
    """The riskiest companies, and the first rows that were not scored."""

    def __init__(self) -> None:
        self._worst: list[tuple[float, int, dict[str, Any]]] = []
        self.refused: list[dict[str, Any]] = []

    def add(self, model: RiskModel, batch: ScoredBatch) -> None:
        """Take a batch."""
        results = batch.results
        probability = results["probability"].to_numpy()
        for row in np.argsort(-probability, kind="stable")[:_SHOWN].tolist():
            if np.isnan(probability[row]):
                break  # what has no score comes last
            key = (float(probability[row]), -results["row"][row].as_py())
            if len(self._worst) < _SHOWN:
                heapq.heappush(self._worst, (*key, _answer(model, batch, row)))
            elif key > self._worst[0][:2]:
                heapq.heapreplace(self._worst, (*key, _answer(model, batch, row)))
        refused = pc.indices_nonzero(pc.not_equal(results["outcome"], RowOutcome.SCORED))
        for row in refused[: _SHOWN - len(self.refused)].to_pylist():
            names = ("row", "outcome", "problem")
            self.refused.append({name: results[name][row].as_py() for name in names})

    def riskiest(self) -> list[dict[str, Any]]:
        """Return the riskiest companies, most probable default first."""
        return [answer for *_, answer in sorted(self._worst, reverse=True, key=lambda each: each[:2])]


@async_command
async def score_file(
    settings: Settings,
    file: str,
    *,
    kind: PredictionKind,
    model: Path | None,
    out: Path | None,
    units: Units | None,
    sheet: str | None,
    as_json: bool,
) -> None:
    """Score a file and print the ledger and the riskiest companies."""
    chosen = model_of(kind, model)
    if settings.prior is not None:
        chosen = with_prior(chosen, settings.prior)
    check_extras(settings)
    scoring = BulkScoring(chosen, RiskThresholds.parse(settings.risk_thresholds))
    uri, access = parsed_source(file), storage_access(settings)
    await check_allowed(uri, access)
    worst, stop = Worst(), threading.Event()
    asked = _Asked(
        reopen=partial(open_source, uri, access),
        units=units,
        sheet=sheet,
        cluster=settings.evaluate_on,
        timeout_s=settings.storage_timeout_s,
        stop=stop,
        out=out if uri.scheme == "file" else None,
    )

    def work() -> None:
        with _written(out) as write:
            for batch in _batches(asked, scoring):
                worst.add(chosen, batch)
                write(batch.results)

    try:
        await run_in_daemon_thread(work)
    finally:
        stop.set()
    print_answer(_summary(scoring, worst), lambda: _print(scoring, worst, out), as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is to be scored, and where."""

    reopen: Callable[[], Source]
    units: Units | None
    sheet: str | None
    cluster: str | None
    """The scheduler's address; None: here."""
    timeout_s: float
    stop: threading.Event
    out: Path | None
    """Where results go: never over the file itself."""


def _batches(asked: _Asked, scoring: BulkScoring) -> Iterator[ScoredBatch]:
    with asked.reopen() as source:
        files = source.files(COMPANY_FILES, asked.stop)
        if len(files) > 1:
            raise BadCompaniesFileError(f"there are {len(files)} files: score them one by one")
        (file,) = files
        check_not_over(asked.out, Path(file.path))
        with source.open(file) as reader:
            # Other formats have no parts that could be read by themselves.
            pieces = pieces_of(reader, file) if asked.cluster is not None and asked.sheet is None else []
            if not pieces:
                records = read_records(reader, file, sheet=asked.sheet)
                kind = scoring.model.kind
                yield from scoring.score(read_companies(records, kind, file=file.name, units=asked.units))
                return
    work = Work(
        reopen=asked.reopen,
        file=file,
        model=scoring.model,
        thresholds=scoring.thresholds,
        units=asked.units,
    )
    with connected(asked.cluster or "", timeout_s=asked.timeout_s, stop=asked.stop) as cluster:
        yield from scoring.settle(scored_pieces(cluster, work, pieces))


@contextmanager
def _written(out: Path | None) -> Iterator[Callable[[Any], None]]:
    """Give what writes tables of results to a file, which has its name only once it is whole."""
    if out is None:
        yield lambda _results: None
        return
    kinds: dict[str, type[_CsvFile | _ParquetFile]] = {".csv": _CsvFile, ".parquet": _ParquetFile}
    if out.suffix.lower() not in kinds:
        raise BadCompaniesFileError(f"{out.name}: results are written as .csv or .parquet")
    partial = out.with_name(f".{out.name}.partial")
    try:
        with kinds[out.suffix.lower()](partial) as file:
            yield file.write
        partial.replace(out)
    except OSError as problem:
        raise BadCompaniesFileError(f"{out.name} cannot be written: {problem.strerror}") from problem
    finally:
        partial.unlink(missing_ok=True)


class _ParquetFile(ExitStack):
    """Tables, one after the other, as Parquet."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._writer: Any = None

    def write(self, table: Any) -> None:
        """Write one table."""
        if self._writer is None:
            self._writer = self.enter_context(pq.ParquetWriter(self._path, table.schema))
        self._writer.write_table(table)


class _CsvFile(ExitStack):
    """Tables, one after the other, as CSV without formulas."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = self.enter_context(path.open("w", newline="", encoding="utf-8"))
        self._has_header = False

    def write(self, table: Any) -> None:
        """Write one table."""
        if not self._has_header:
            self._file.write(csv_lines([table.schema.names]))
        self._has_header = True
        columns = [column.to_pylist() for column in table.columns]
        self._file.write(csv_lines(zip(*columns, strict=True)))


def _answer(model: RiskModel, batch: ScoredBatch, row: int) -> dict[str, Any]:
    found = batch.results.slice(row, 1).to_pylist()[0]
    contributions = [found[f"{table.ratio.name}_contribution"] for table in model.ratios]
    named, remainder = reasons(model, [float(column[row]) for column in batch.values], contributions)
    return {
        **{name: found[name] for name in ("row", "company_symbol")},
        "company_name": found["company_name"] or "",
        "period": period_text(found["reporting_year"], int((found["reporting_quarter"] or "Q0")[1:])),
        **{name: found[name] for name in ("probability", "risk_level")},
        "reasons": [reason.words for reason in named],
        "remainder": remainder,
    }


def _summary(scoring: BulkScoring, worst: Worst) -> dict[str, Any]:
    model = scoring.model
    return {
        "model": {"name": model.name, "sha256": model.sha256, "horizon": model.horizon, "prior": model.prior},
        "rows": {
            "total": scoring.ledger.total(),
            **{str(outcome): scoring.ledger[outcome] for outcome in RowOutcome},
        },
        "levels": {str(level): scoring.levels[level] for level in RiskLevel},
        "riskiest": worst.riskiest(),
        "not_scored": worst.refused,
    }


def _print(scoring: BulkScoring, worst: Worst, out: Path | None) -> None:
    model, levels = scoring.model, scoring.levels
    say = sys.stdout.write
    say(f"{ledger_text(scoring.ledger)}\n")
    say(" · ".join(f"{level} {levels[level]:,}" for level in RiskLevel))
    say(f" · model {model.name}, calibrated for {100 * model.prior:.1f} % defaults within {model.horizon}\n")
    riskiest = worst.riskiest()
    if riskiest:
        say("\nThe riskiest\n")
        write_table(
            ("company", "period", "%", "level", "first reason"),
            [
                (
                    each["company_name"] or each["company_symbol"],
                    each["period"],
                    100 * each["probability"],
                    each["risk_level"],
                    next(iter(each["reasons"]), ""),
                )
                for each in riskiest
            ],
        )
    if worst.refused:
        say("\nNot scored (the first)\n")
        for each in worst.refused:
            say(harmless(f"row {each['row']}: {each['outcome']}: {each['problem']}") + "\n")
    if out is not None:
        say(f"\nEvery row with its reasons: {harmless(str(out))}\n")
    elif scoring.ledger.total() > len(riskiest) + len(worst.refused):
        report("with --out FILE.csv every row is written with its reasons")
