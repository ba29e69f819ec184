"""Lane turns: the pace of a lane, and the pauses that Slack asks of it, are one over all processes.

The database's row of a lane is read and advanced inside the transaction that claims: there is one writer at a
time, so a turn is granted once, and it costs no commit of its own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import sqlalchemy as sa

from service.domain.pace import CLOCK_SLACK_S, Pace, due_unless_possible
from service.store.runs.state import Lease
from service.store.sql import NamedSql, json_rows

_SQL: Final = NamedSql(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLane:
    """A lane as all processes know it."""

    key: str
    """A hash of its destination."""
    interval: float
    """Seconds between two messages; 0 is unpaced, but pauses all the same."""


@dataclass(slots=True, kw_only=True)
class Turns:
    """What a lane lets out."""

    granted: int = 0
    """How many messages may leave now."""
    wait_s: float = 0.0
    """In how many seconds the next turn comes, where more were wanted."""


def renew_lease(
    connection: sa.Connection,
    tenant_id: str,
    lease: Lease,
    lanes: Sequence[str],
    *,
    lease_s: float,
    left_s: float = math.inf,
) -> sa.Row[Any] | None:
    """Renew a lease, and return the database's time, how `lanes` stand by their keys, and the seconds left.

    None where the run was cancelled, closed or resumed elsewhere.
    """
    values = {
        "tenant_id": tenant_id,
        "run_id": lease.run_id,
        "epoch": lease.epoch,
        "lease_s": lease_s,
        "left_s": left_s,
        "lanes": orjson.dumps(lanes).decode(),
    }
    return _SQL.execute(connection, "renew", values).one_or_none()


def take_turns(
    connection: sa.Connection,
    wanted: Mapping[str, tuple[SharedLane, int]],
    *,
    now: float,
    standing: str | None,
) -> dict[str, Turns]:
    """Book as many of the turns `wanted` of each lane, by its key, as have come by the database's clock.

    `standing` is how they stand: JSON rows of key, next turn, end and length of the pause.
    """
    paces = _paces([lane for lane, _ in wanted.values()], now, standing)
    taken: dict[str, Turns] = {}
    for key, (_, count) in wanted.items():
        pace, turns = paces[key], Turns()
        while turns.granted < count and pace.turn <= now:
            pace.take_turn(now)
            turns.granted += 1
        turns.wait_s = max(0.0, pace.turn - now)
        taken[key] = turns
    _advance(connection, {key: paces[key] for key, turns in taken.items() if turns.granted})
    return taken


def take_turn_of_all(
    connection: sa.Connection, lanes: Sequence[SharedLane], *, now: float, standing: str | None
) -> float:
    """Book a turn of each lane or of none; return in how many seconds all have come, 0 where they are booked.

    `standing` is as for `take_turns`.
    """
    paces = _paces(lanes, now, standing)
    wait_s = max(pace.turn for pace in paces.values()) - now
    if wait_s > 0:
        return wait_s
    for pace in paces.values():
        pace.take_turn(now)
    _advance(connection, paces)
    return 0.0


def _paces(lanes: Sequence[SharedLane], now: float, standing: str | None) -> dict[str, Pace]:
    known = {key: times for key, *times in orjson.loads(standing or "[]")}
    paces: dict[str, Pace] = {}
    for lane in lanes:
        next_turn, paused_until, pause_s = known.get(lane.key, (0.0, 0.0, 0.0))
        longest_s = math.inf if pause_s is None else pause_s
        paces[lane.key] = Pace(
            interval=lane.interval,
            # A process with a slower pace books turns that are further ahead, too; each keeps to its own.
            next_turn=due_unless_possible(next_turn, now=now, longest_s=lane.interval),
            paused_until=due_unless_possible(paused_until, now=now, longest_s=longest_s),
        )
    return paces


def _advance(connection: sa.Connection, paces: Mapping[str, Pace]) -> None:
    rows = [{"lane": key, "next_turn": pace.next_turn} for key, pace in paces.items() if pace.interval]
    if rows:
        _SQL.execute(connection, "advance", {"rows": json_rows(rows)})


def is_paused(connection: sa.Connection, key: str) -> bool:
    """Return whether a lane pauses now, by the database's clock."""
    return bool(_SQL.execute(connection, "is_paused", {"lane": key, "slack_s": CLOCK_SLACK_S}).scalar_one())


def pause_lanes(connection: sa.Connection, pauses: Sequence[tuple[str, float]]) -> None:
    """Let nothing leave the lanes named for so many seconds from now; a longer pause stays as it is.

    Unless it ends further ahead than it was long: that one was booked before the clock was put back.
    """
    rows = [{"lane": key, "pause_s": pause_s} for key, pause_s in pauses]
    _SQL.execute(connection, "pause", {"rows": json_rows(rows), "slack_s": CLOCK_SLACK_S})
