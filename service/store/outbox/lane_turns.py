"""Lane turns: the pace of a lane, and the pauses that Slack asks of it, are one over all processes.

The database's row of a lane is read and advanced inside the transaction that claims: there is one writer at a
time, so a turn is granted once, and it costs no commit of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import sqlalchemy as sa

from service.domain.pace import Pace
from service.store.database.json_rows import json_rows, over_rows

STANDING_SQL: Final = {
    "sqlite": """
        (SELECT json_group_array(json_array(lane, next_turn, paused_until)) FROM lanes
         WHERE lane IN (SELECT value FROM json_each(:lanes)))""",
    "postgresql": """
        (SELECT json_agg(json_build_array(lane, next_turn, paused_until))::text FROM lanes
         WHERE lane IN (SELECT json_array_elements_text(CAST(:lanes AS json))))""",
}
"""How the lanes of the parameter `:lanes` stand, as part of a statement that is made anyway: one more for
each claim would cost a tenth of the alerts that leave in a second where there is no pace."""

_ADVANCE: Final = over_rows(
    """
    INSERT INTO lanes (lane, next_turn) SELECT r.lane, r.next_turn FROM {rows} WHERE true
    ON CONFLICT (lane) DO UPDATE SET next_turn = excluded.next_turn
    """,
    {"lane": "text", "next_turn": "double precision"},
)

_PAUSE: Final = over_rows(
    """
    INSERT INTO lanes (lane, paused_until) SELECT r.lane, {clock} + max(r.pause_s) FROM {rows} GROUP BY r.lane
    ON CONFLICT (lane) DO UPDATE SET paused_until = excluded.paused_until
    WHERE lanes.paused_until < excluded.paused_until
    """,
    {"lane": "text", "pause_s": "double precision"},
)


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


def take_turns(
    connection: sa.Connection,
    wanted: Mapping[str, tuple[SharedLane, int]],
    *,
    now: float,
    standing: str | None,
) -> dict[str, Turns]:
    """Book as many of the turns `wanted` of each lane, by its key, as have come by the database's clock.

    `standing` is what `STANDING_SQL` said.
    """
    known = {key: times for key, *times in orjson.loads(standing or "[]")}
    taken: dict[str, Turns] = {}
    advanced: list[dict[str, Any]] = []
    for key, (lane, count) in wanted.items():
        next_turn, paused_until = known.get(key, (0.0, 0.0))
        pace = Pace(
            interval=lane.interval,
            # No turn lies further ahead than this, unless the clock was put back, or the pace was slower.
            next_turn=min(next_turn, now + lane.interval),
            paused_until=paused_until,
        )
        turns = taken[key] = Turns()
        while turns.granted < count and pace.turn <= now:
            pace.take_turn(now)
            turns.granted += 1
        turns.wait_s = max(0.0, pace.turn - now)
        if turns.granted and lane.interval:
            advanced.append({"lane": key, "next_turn": pace.next_turn})
    if advanced:
        connection.execute(_ADVANCE[connection.dialect.name], {"rows": json_rows(advanced)})
    return taken


def pause_lanes(connection: sa.Connection, pauses: Sequence[tuple[str, float]]) -> None:
    """Let nothing leave the lanes named for so many seconds from now; a longer pause stays as it is."""
    rows = [{"lane": key, "pause_s": pause_s} for key, pause_s in pauses]
    connection.execute(_PAUSE[connection.dialect.name], {"rows": json_rows(rows)})
