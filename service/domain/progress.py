"""Progress: how far a run has come, for bars, API and log to show the same; `--help` loads this."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any


class RunKindName(StrEnum):
    """The kinds of runs that there are."""

    ACCOUNT_RISK = "account_risk"
    LOG_RULES = "log_rules"
    OUTBOX = "outbox"


class RunStatus(StrEnum):
    """Left by the run itself, or by whoever resumes or closes a run whose process died."""

    RUNNING = "running"
    RELEASED = "released"
    """Its process has stopped or died and nobody works on it; its alerts wait in the outbox."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Phase(StrEnum):
    """Where a run stands on the one-way street."""

    WAITING = "waiting"
    """Another run of the same month, or another evaluation of this process, is at work."""
    PLANNING = "planning"
    SCANNING = "scanning"
    RECORDING = "recording"
    DELIVERING = "delivering"
    FINISHED = "finished"


@dataclass(slots=True)
class Progress:
    """Counters that the flows add to and doors read.

    Written by one thread at a time per field, read by any: each field is a single number, and a reader that
    sees one a moment late does no harm.
    """

    phase: Phase = Phase.PLANNING
    row_groups_done: int = 0
    row_groups_total: int = 0
    rows_done: int = 0
    """Rows read so far, over all phases of the scan."""
    rows_total: int = 0
    """Rows that the plan will read, as far as it is known; at the end those that the ledger calls scanned."""
    alerts_queued: int = 0
    """Alerts that this run has to deliver."""
    alerts_settled: int = 0
    sent_by_channel: Counter[str] = field(default_factory=Counter)
    paused_until: float = 0.0
    """Until when the last of the run's lanes pauses, in seconds since 1970 UTC; none does if that is past."""
    paused_s: float = 0.0
    """For how long lanes pause in all, up to `paused_until`; pauses at the same time count once."""
    settled_in_pauses: int = 0
    """Of the settled ones, those that other lanes settled meanwhile."""

    @classmethod
    def of(cls, snapshot: Mapping[str, Any]) -> "Progress":
        """Return what a heartbeat wrote down, also one of a version that counted other things.

        Raises KeyError or ValueError where it has no phase that there is.
        """
        known = {each.name: snapshot[each.name] for each in fields(cls) if each.name in snapshot}
        sent = Counter(snapshot.get("sent_by_channel", {}))
        return cls(**known | {"phase": Phase(snapshot["phase"]), "sent_by_channel": sent})

    def pause(self, now: float, seconds: float) -> None:
        """Note that a lane pauses from `now` on."""
        until = now + seconds
        if until > self.paused_until:
            self.paused_s += until - max(now, self.paused_until)
            self.paused_until = until

    def pause_left_s(self, now: float) -> float:
        """Return for how long the last lane will still pause."""
        return max(0.0, self.paused_until - now)

    def snapshot(self) -> dict[str, Any]:
        """Return the counters as they stand, for the heartbeat."""
        # Not `asdict` alone: it would rebuild the Counter from pairs, and count them.
        return {**asdict(self), "sent_by_channel": dict(self.sent_by_channel)}
