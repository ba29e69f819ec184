"""What the store should do, in a few lines of Python: the model that its machine is held against."""

import asyncio
from collections import Counter
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from service.account_risk.account_at_risk import AccountAtRisk
from service.domain.delivery_status import Outcome, SettleAs
from service.domain.run import Action, Restatement, RunAlert, RunRecord, WithdrawnAlert
from service.store.outbox.send import OutboxEntry
from service.store.runs.state import Lease
from tests.support.given import Given

choices = st.integers(0, 1000)


@dataclass(slots=True)
class Row:
    """An alert as the outbox should have it."""

    status: str
    run_id: str
    channel: str | None
    arr: int
    duration_months: int
    claims: int = 0


@dataclass(slots=True)
class Run:
    """A run as the model knows it."""

    run_id: str
    source: str
    lease: Lease | None = None
    outcomes: dict[str, str] | None = None
    """By account, in the order of sending; None before anything is recorded."""
    expired: bool = False
    cancelled: bool = False
    report: tuple[RunRecord, dict[str, RunAlert]] | None = None
    """What it said when it was closed."""
    seen: list[OutboxEntry] = field(default_factory=list)
    """Every entry that it was ever handed."""
    in_flight: list[OutboxEntry] = field(default_factory=list)
    """Claims that an answer is awaited for."""
    late: list[OutboxEntry] = field(default_factory=list)
    """Claims given up for lost, whose answers may come all the same."""


class StoreModel(RuleBasedStateMachine):
    """The outbox and the runs of one month as they should be, beside the store itself."""

    template: Path
    given: Given

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.rows: dict[str, Row] = {}
        self.runs: list[Run] = []
        self.ever_sent: set[str] = set()
        self.put_back: set[tuple[str, int, str]] = set()
        """What a person had sent again, by account, claim and the run that it waits for the end of."""
        self.settled: dict[tuple[str, int], SettleAs] = {}
        """What was decided about which claim of which account."""

    def alive(self) -> list[Run]:
        """Return the runs that nobody has closed."""
        return [run for run in self.runs if run.report is None]

    def to_record(self) -> list[Run]:
        """Return the holder of the month if it has not recorded yet."""
        return [run for run in self.alive() if run.lease is not None and run.outcomes is None]

    def with_recorded(self) -> list[Run]:
        """Return the runs that have recorded, closed ones as well."""
        return [run for run in self.runs if run.outcomes is not None]

    def pick(self, runs: list[Run], choice: int) -> Run:
        """Choose a run; the newest is the simplest choice."""
        return runs[-1 - choice % len(runs)]

    def to_send(self, run: Run) -> list[OutboxEntry]:
        """Return what the store hands out to a run, after a look whether it is what it should be."""
        assert run.lease is not None
        entries = self.runner.run(self.given.pending(run.lease))
        assert [entry.subject for entry in entries] == [
            account
            for account in run.outcomes or ()
            if self.is_pending(account, run)
            and (account, self.rows[account].claims, run.run_id) not in self.put_back
        ]
        return entries

    def claimed(self, run: Run, entries: list[OutboxEntry]) -> set[str] | None:
        """Return what the store grants."""
        assert run.lease is not None
        return self.runner.run(self.given.claimed(run.lease, entries))

    def is_pending(self, account: str, run: Run) -> bool:
        """Tell whether an alert waits to be sent by a run."""
        row = self.rows.get(account)
        return row is not None and (row.status, row.run_id) == ("pending", run.run_id)

    def expected_action(self, account: str, channel: str | None, *, resend: bool) -> tuple[Action, str]:
        """Return what a run does about an alert, and its outcome to begin with."""
        status = self.rows[account].status if account in self.rows else "new"
        if status == "sent":
            return Action.SKIP_REPLAY, Outcome.SKIPPED_REPLAY
        if status == "unknown" and (channel is None or not resend):
            return Action.HOLD, Outcome.UNKNOWN
        return (Action.FAIL, Outcome.FAILED) if channel is None else (Action.SEND, Outcome.PENDING)

    def expected_restatement(self, alert: AccountAtRisk) -> Restatement | None:
        """Return what reads otherwise than it was sent."""
        row = self.rows.get(alert.account_id)
        if (
            row is None
            or row.status != "sent"
            or (row.arr, row.duration_months)
            == (
                alert.arr,
                alert.duration_months,
            )
        ):
            return None
        found = {
            "arr": (row.arr, alert.arr),
            "duration_months": (row.duration_months, alert.duration_months),
        }
        return {name: (before, now) for name, (before, now) in found.items() if before != now}

    def gone_from(self, run: Run, evaluated: Collection[str]) -> dict[str, str]:
        """Return the state of what a run's source had and has no more, by account."""
        sources = {other.run_id: other.source for other in self.runs}
        return {
            account: row.status
            for account, row in self.rows.items()
            if account not in evaluated and sources[row.run_id] == run.source and row.status != "withdrawn"
        }

    def settle_expected(self, account: str, settle_as: SettleAs) -> None:
        """Settle a doubt in the model."""
        row = self.rows[account]
        row.status = "sent" if settle_as is SettleAs.SENT else "pending"
        self.settled[account, row.claims] = settle_as
        if settle_as is SettleAs.RESEND:
            self.put_back.add((account, row.claims, row.run_id))

    def outcomes_as_of_now(self, run: Run, *, otherwise: str = Outcome.PENDING) -> dict[str, str]:
        """Return a run's outcomes with what the outbox has decided meanwhile."""
        decided = {"sent", "failed", "unknown"}
        return {
            account: outcome
            if outcome != Outcome.PENDING
            else (self.rows[account].status if self.rows[account].status in decided else otherwise)
            for account, outcome in (run.outcomes or {}).items()
        }

    def resumable(self) -> list[Run]:
        """Return the runs that died with their alerts recorded, and that nobody cancelled."""
        return [run for run in self.alive() if run.expired and run.outcomes is not None and not run.cancelled]

    def doubted(self, run: Run) -> int:
        """Let what a run has on its way be in doubt in the model, and return how much that is."""
        doubts = [row for row in self.rows.values() if (row.run_id, row.status) == (run.run_id, "sending")]
        for row in doubts:
            row.status = "unknown"
        run.late += run.in_flight
        run.in_flight.clear()
        return len(doubts)

    def closed_expected(self, run: Run) -> None:
        """Close a run in the model, and keep what it reports at this moment."""
        self.doubted(run)
        if run.outcomes is not None:
            run.outcomes = self.outcomes_as_of_now(run, otherwise=Outcome.UNSENT)
        run.report = self.report_of(run)
        record, alerts = run.report
        counted = Counter(str(item.outcome) for item in alerts.values())
        assert counted["pending"] == 0
        if run.outcomes is not None:
            assert record.counts.alerts_sent == counted["sent"]
            assert record.counts.failed_deliveries == counted["failed"]
            assert (record.counts.unknown, record.counts.unsent) == (counted["unknown"], counted["unsent"])
            assert sum(counted.values()) == record.counts.alerts == len(run.outcomes)

    def withdrawn_by(self, run: Run) -> dict[str, WithdrawnAlert]:
        """Return what the store says that a run's source has no more."""
        page = self.runner.run(self.given.store.history.list_withdrawn(run.run_id, limit=100))
        return {item.alert.subject: item for item in page.items}

    def report_of(self, run: Run) -> tuple[RunRecord, dict[str, RunAlert]]:
        """Return what the store says of a run."""

        async def ask() -> tuple[RunRecord, dict[str, RunAlert]]:
            record = await self.given.store.history.get_run(run.run_id)
            return replace(record, progress=None), await self.given.outcomes(run.run_id)

        return self.runner.run(ask())
