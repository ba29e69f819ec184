"""How runs live and die, as rules of the store's machine: silence, freezing, resuming, cancelling, an end."""

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from service.domain.errors import OvertakenError
from service.domain.run import RunError
from tests.conformance.store_model import StoreModel, choices
from tests.support.given import LEASE_S, NOW


class RunLives(StoreModel):
    """What befalls a run."""

    @precondition(lambda self: self.alive())
    @rule(choice=choices)
    def expire(self, choice: int) -> None:
        """Nothing is heard of a run for longer than its lease."""
        run = self.pick(self.alive(), choice)
        self.runner.run(self.given.expired(run.run_id))
        run.expired = True

    @precondition(lambda self: self.alive())
    @rule(choice=choices)
    def keep_alive(self, choice: int) -> None:
        """Send a heartbeat, perhaps late but before anyone looked."""
        run = self.pick(self.alive(), choice)
        beat = self.given.store.runs.keep_alive(run.run_id, lease_s=LEASE_S, progress={})
        assert self.runner.run(beat) is run.cancelled
        run.expired = False

    @precondition(lambda self: any(run.outcomes is not None for run in self.alive()))
    @rule(choice=choices)
    def release(self, choice: int) -> None:
        """Leave a run as a process does that has to stop; what it still has on its way is in doubt."""
        run = self.pick([run for run in self.alive() if run.outcomes is not None], choice)
        assert run.lease is not None
        self.runner.run(self.given.store.runs.release(run.lease, now=NOW))
        self.doubted(run)
        run.expired = True

    @precondition(lambda self: self.resumable())
    @rule(choice=choices)
    def resume(self, choice: int) -> None:
        """Another process goes on with a dead run; what the one before still tries is refused."""
        run = self.pick(self.resumable(), choice)
        before = run.lease
        assert before is not None
        asking = self.given.store.rescue.resumable(since=NOW, kinds=["account_risk"])
        assert run.run_id in self.runner.run(asking)
        resuming = self.given.store.rescue.resume(run.run_id, since=NOW, now=NOW, lease_s=LEASE_S)
        resumed = self.runner.run(resuming)
        assert resumed is not None
        assert resumed.in_doubt == self.doubted(run)
        run.lease, run.expired = resumed.lease, False
        assert resumed.lease.epoch > before.epoch
        assert resumed.to_send == len(self.to_send(run))
        for late in (
            self.given.store.runs.release(before, now=NOW),
            self.given.store.runs.keep_alive(run.run_id, lease_s=LEASE_S, progress={}, epoch=before.epoch),
            self.given.store.runs.finish(run.run_id, now=NOW, error=None, epoch=before.epoch),
        ):
            with pytest.raises(OvertakenError):
                self.runner.run(late)

    @precondition(lambda self: self.alive())
    @rule(choice=choices)
    def cancel(self, choice: int) -> None:
        """Somebody cancels a run: one whose process has died is closed at once."""
        run = self.pick(self.alive(), choice)
        self.runner.run(self.given.store.runs.cancel(run.run_id, now=NOW))
        run.cancelled = True
        if run.expired:
            self.closed_expected(run)

    @rule(resumes=st.booleans())
    def rescue(self, *, resumes: bool) -> None:
        """Close whatever has expired, but for what can be resumed, where that is wanted."""
        spared = self.resumable() if resumes else []
        dead = [run for run in self.alive() if run.expired and run not in spared]
        on_its_way = Counter(row.run_id for row in self.rows.values() if row.status == "sending")
        rescuing = self.given.store.rescue.close_dead(now=NOW, resumable_since=NOW if resumes else None)
        rescued = self.runner.run(rescuing)
        assert {item.run_id: item.in_doubt for item in rescued} == {
            run.run_id: on_its_way[run.run_id] for run in dead
        }
        for run in dead:
            self.closed_expected(run)

    @precondition(lambda self: self.runs)
    @rule(choice=choices, fails=st.booleans())
    def finish(self, choice: int, *, fails: bool) -> None:
        """Finish a run, well or with an error; one that was closed before is refused."""
        run = self.pick(self.runs, choice)
        count = None if run.outcomes is None else len(run.outcomes)
        error = RunError(code="storage_unreachable", detail="gone") if fails or count is None else None
        ending = self.given.finished(run.run_id, alerts=count, error=error)
        if run.report is not None:
            with pytest.raises(OvertakenError):
                self.runner.run(ending)
            return
        self.runner.run(ending)
        self.closed_expected(run)
        assert run.report is not None
        record, _ = run.report
        if run.outcomes is not None:
            assert record.ledger is not None
            record.ledger.check()
