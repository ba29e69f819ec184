"""Requests that are made again: for a day, a key that the caller chose names one run."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import orjson
import sqlalchemy as sa

from service.domain.errors import (
    IdempotencyKeyReusedError,
    InterruptedRunError,
    RunNotFoundError,
    errors_by_code,
)
from service.domain.run import RunError, RunRequest, RunStatus
from service.store.database.database import DatabaseClock
from service.store.part import Part, reads
from service.store.schema.tables import idempotency_keys, runs

KEPT_S: Final = 24 * 3600.0
FREEING: Final = frozenset(code for code, error in errors_by_code().items() if error.frees_key())
"""Failures that are this side's: before anything was recorded, they leave the key free for another try."""


_FIRST_KIND: Final = "account_risk"


class RequestedBeforeError(Exception):
    """The key names a run already, and it was asked for in the same words: no other run has begun."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended."""

    error: RunError | None
    """None where it succeeded."""


class Requests(Part):
    """The requests for runs: which run a request's key names, and how that ended."""

    async def run_of(self, request: RunRequest) -> str | None:
        """Return the id of the run that the request's key names; None where it is free, or there is none.

        Where another run took that one over, it is the other's. Raises IdempotencyKeyReusedError.
        """
        return None if request.idempotency_key is None else await self._run_of_key(request)

    @reads
    def _run_of_key(self, request: RunRequest) -> str | None:
        return _run_of_key(self.connection, self._tenant_id, request)

    @reads
    def end_of(self, run_id: str) -> RunEnd | None:
        """Return how a run ended, and None while it is running; raises RunNotFoundError."""
        query = sa.select(runs.c.status, runs.c.error, runs.c.error_detail).where(
            runs.c.run_id == run_id, runs.c.tenant_id == self._tenant_id
        )
        row = self.connection.execute(query).one_or_none()
        if row is None:
            raise RunNotFoundError(f"no run has the id {run_id[:60]!r}")
        if row.status == RunStatus.RUNNING:
            return None
        return RunEnd(error=RunError(code=row.error, detail=row.error_detail) if row.error else None)


def bind_key(connection: sa.Connection, tenant_id: str, run_id: str, request: RunRequest) -> None:
    """Let the request's key name the run that begins in this very transaction: none is without the other.

    Raises RequestedBeforeError where it names another, and IdempotencyKeyReusedError.
    """
    if request.idempotency_key is None:
        return
    earlier = _run_of_key(connection, tenant_id, request)
    if earlier is not None:
        raise RequestedBeforeError(earlier)
    given_up = sa.or_(
        idempotency_keys.c.created_at <= DatabaseClock() - KEPT_S,
        idempotency_keys.c.key == request.idempotency_key,
    )
    connection.execute(idempotency_keys.delete().where(idempotency_keys.c.tenant_id == tenant_id, given_up))
    connection.execute(
        idempotency_keys.insert().values(
            tenant_id=tenant_id,
            key=request.idempotency_key,
            request_hash=_hash(request),
            run_id=run_id,
            created_at=DatabaseClock(),
        )
    )


def _run_of_key(connection: sa.Connection, tenant_id: str, request: RunRequest) -> str | None:
    is_free = sa.and_(
        runs.c.status == RunStatus.FAILED, runs.c.error.in_(FREEING), runs.c.recorded_at.is_(None)
    )
    held = connection.execute(
        sa.select(idempotency_keys.c.request_hash, idempotency_keys.c.run_id)
        .join(runs, runs.c.run_id == idempotency_keys.c.run_id)
        .where(
            idempotency_keys.c.tenant_id == tenant_id,
            idempotency_keys.c.key == request.idempotency_key,
            idempotency_keys.c.created_at > DatabaseClock() - KEPT_S,
            sa.not_(is_free),
        )
    ).one_or_none()
    if held is None:
        return None
    if held.request_hash != _hash(request):
        raise IdempotencyKeyReusedError("this Idempotency-Key was used for another request within a day")
    return connection.scalar(_taken_over(held.run_id, request)) or str(held.run_id)


def _taken_over(run_id: str, request: RunRequest) -> sa.Select[Any]:
    """Return the question which run of the same request took over the alerts of one that was interrupted.

    A later holder of the scope over the same source sends them. One that was interrupted itself was taken
    over in turn.
    """
    taker = runs.alias()
    later = [
        taker.c.tenant_id == runs.c.tenant_id,
        taker.c.scope == runs.c.scope,
        taker.c.source_uri == runs.c.source_uri,
        taker.c.epoch > runs.c.epoch,
        sa.not_(_was_interrupted(taker)),
    ]
    if request.plan_digest is not None:
        later.append(taker.c.plan_digest == request.plan_digest)
    taken = sa.select(taker.c.run_id).join(runs, sa.and_(*later))
    return taken.where(runs.c.run_id == run_id, _was_interrupted(runs)).order_by(taker.c.epoch).limit(1)


def _was_interrupted(run: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(run.c.status == RunStatus.FAILED, run.c.error == InterruptedRunError.code)


def _hash(request: RunRequest) -> str:
    """Return a hash over everything that is asked for; two spellings of one month ask for the same."""
    # The first version's words for its one kind of run: its keys are still known after an upgrade.
    asked = {
        "source_uri": request.source_uri,
        "month": request.period,
        "dry_run": request.dry_run,
        "plan_digest": request.plan_digest,
        "idempotency_key": None,
    }
    if request.kind != _FIRST_KIND:
        asked |= {"kind": request.kind, "scope": request.scope, **request.options}
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()
