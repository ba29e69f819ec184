"""Pieces of a Parquet file are scored where they are sent, and come back in the file's order.

Every task is a pure function of the file and the model, so that one whose worker dies is done again somewhere
else. Which rows are duplicates is left to whoever sees the whole file.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from service.cluster.connection import Connection
from service.default_risk.bulk import ScoredBatch, score_batch
from service.default_risk.levels import RiskThresholds
from service.default_risk.model import RiskModel
from service.default_risk.reading.companies import read_companies
from service.default_risk.reading.tables import Piece, read_piece
from service.default_risk.units import Units
from service.sources.source import Source, SourceFile

_AHEAD_PER_THREAD: Final = 2
"""So many pieces are with a worker's thread, done or not: the memory of the workers, not of this process."""
_RETRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """All that a worker needs to know."""

    reopen: Callable[[], Source]
    file: SourceFile
    """As it was listed here: another version of it is refused there."""
    model: RiskModel
    thresholds: RiskThresholds
    units: Units | None


def scored_pieces(cluster: Connection, work: Work, pieces: Sequence[Piece]) -> Iterator[ScoredBatch]:
    """Yield the batches of all pieces; raises what reading raises, and ClusterUnreachableError."""
    ahead: deque[Any] = deque()
    for piece in pieces:
        ahead.append(cluster.submit(_score, work, piece, retries=_RETRIES))
        if len(ahead) > cluster.threads * _AHEAD_PER_THREAD:
            yield from cluster.gather([ahead.popleft()])[0]
    while ahead:
        yield from cluster.gather([ahead.popleft()])[0]


def _score(work: Work, piece: Piece) -> list[ScoredBatch]:
    # What units a file has is seen in its first records.
    units = work.units if piece.begin == 0 else work.units or Units.PERCENT
    with work.reopen() as source, source.open(work.file) as reader:
        records = read_piece(reader, work.file, piece)
        companies = read_companies(records, work.model.kind, file=work.file.name, units=units)
        return [score_batch(work.model, work.thresholds, each) for each in companies]
