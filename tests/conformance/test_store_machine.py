"""The store against a model of a few lines, over random histories of runs that overtake one another.

Hypothesis begins, records, claims, settles, kills, freezes, resumes, rescues and finishes runs of one month
in any order, over two sources whose accounts change, vanish and come back, while people settle doubts. After
every step the outbox has to be as the model says, and what was once true has to have stayed true.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from service.account_risk.account_at_risk import AccountAtRisk
from service.domain.delivery_status import AmbiguousSends, DeliveryStatus, Reason
from service.domain.errors import CancelledRunError, OvertakenError
from service.domain.replay import decide_replay
from service.domain.run import Action
from service.store.runs.state import Lease
from service.store.store import open_store
from tests.conformance.store_doubts import Doubts
from tests.conformance.store_lives import RunLives
from tests.conformance.store_model import Row, Run, choices
from tests.support.alerts import MONTH, an_alert
from tests.support.given import CHANNELS, NOW, RESTATABLE, Given, routed, scope_of, the_answer

ACCOUNTS: Final = "abc"
Evaluation = dict[str, tuple[str | None, int, int]]
"""By account: the channel of its region, its ARR, its duration in months."""

evaluations = st.dictionaries(
    st.sampled_from(ACCOUNTS),
    st.tuples(
        st.sampled_from([*CHANNELS, *CHANNELS, None]),
        st.integers(1, 3),
        st.sampled_from([1, 1, 2]),
    ),
    max_size=len(ACCOUNTS),
)
sources = st.sampled_from(["file:///first.parquet", "file:///first.parquet", "file:///second.parquet"])
statuses = st.sampled_from(
    [DeliveryStatus.SENT, DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN, DeliveryStatus.PENDING]
)


class StoreMachine(RunLives, Doubts):
    """Any history of runs of one month."""

    @initialize(evaluation=evaluations, source=sources, some=st.integers(0, 3))
    def open(self, evaluation: Evaluation, source: str, some: int) -> None:
        """Open a store on a fresh database, and have its first alerts recorded."""
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        shutil.copyfile(self.template, Path(folder) / "x.db")
        store = self.runner.run(self.stack.enter_async_context(open_store(f"sqlite:///{folder}/x.db")))
        self.given = Given(store)
        self.next_run(evaluation, source, some, resend=False)

    def teardown(self) -> None:
        """See that no finished run has changed its report, and close the store."""
        try:
            for run in self.runs:
                if run.report is not None:
                    assert self.report_of(run) == run.report
        finally:
            self.runner.run(self.stack.aclose())
            self.runner.close()

    # What the runs do.

    @precondition(lambda self: len(self.alive()) < 2)
    @rule(source=sources)
    def begin(self, source: str) -> None:
        """Another run of the month begins."""
        run = Run(run_id=f"r{len(self.runs)}", source=source)
        self.runner.run(self.given.a_run(run.run_id, source=source))
        self.runs.append(run)

    @precondition(lambda self: self.alive())
    @rule(choice=choices)
    def acquire(self, choice: int) -> None:
        """Ask for the month: a run gets it unless another living run has it."""
        run = self.pick(self.alive(), choice)
        asking = self.given.store.runs.acquire_lease(run.run_id, scope_of(MONTH), now=NOW)
        if run.cancelled:
            with pytest.raises(CancelledRunError):
                self.runner.run(asking)
            return
        got = self.runner.run(asking)
        for other in self.alive():
            if other.lease is not None and other.expired and other is not run:
                self.closed_expected(other)
        holders = [other for other in self.alive() if other.lease is not None]
        if holders and holders != [run]:
            assert got == holders[0].run_id
        else:
            assert isinstance(got, Lease)
            assert run.lease in {None, got}
            assert all(got.epoch > other.lease.epoch for other in self.runs if other.lease and other != run)
            run.lease = got

    @rule(evaluation=evaluations, source=sources, resend=st.booleans(), some=st.integers(0, 3))
    def next_run(self, evaluation: Evaluation, source: str, some: int, *, resend: bool) -> None:
        """Let another run take the month, from a holder gone silent if there is one, record and claim."""
        for holder in self.alive():
            if holder.lease is not None and not holder.expired:
                self.runner.run(self.given.expired(holder.run_id))
                holder.expired = True
        self.begin(source)
        self.acquire(0)
        self.record(evaluation, resend=resend)
        if some:
            self.claim(0, some)

    @precondition(lambda self: self.to_record())
    @rule(evaluation=evaluations, resend=st.booleans())
    def record(self, evaluation: Evaluation, *, resend: bool) -> None:
        """Record what the holder evaluated: new, restated, routed elsewhere, or gone."""
        (run,) = self.to_record()
        assert run.lease is not None
        items = [
            routed(an_alert(account, arr=arr, duration_months=months), channel=channel)[0]
            for account, (channel, arr, months) in evaluation.items()
        ]
        foretold = decide_replay(
            self.runner.run(self.given.store.recording.standings(scope_of(MONTH), run.source)),
            [(item.alert, item.channel) for item in items],
            AmbiguousSends.RESEND if resend else AmbiguousSends.HOLD,
            restatable=RESTATABLE,
        )
        actions = self.runner.run(self.given.recorded(run.lease, items, resend=resend))
        assert actions == foretold.actions
        gone = self.gone_from(run, evaluation)
        assert set(foretold.withdrawn) == {an_alert(account).alert_id for account in gone}
        reported = self.withdrawn_by(run)
        assert {account: str(item.status) for account, item in reported.items()} == gone
        for account, lost in reported.items():
            row = self.rows[account]
            gone_alert = AccountAtRisk.of(lost.alert)
            assert (lost.channel, gone_alert.arr, gone_alert.duration_months) == (
                row.channel,
                row.arr,
                row.duration_months,
            )
        run.outcomes = {}
        for item, taken in zip(items, actions, strict=True):
            account = item.alert.subject
            expected, outcome = self.expected_action(account, item.channel, resend=resend)
            assert taken.action is expected
            assert taken.channel == (
                self.rows[account].channel if expected in {Action.SKIP_REPLAY, Action.HOLD} else item.channel
            )
            assert taken.restated == self.expected_restatement(AccountAtRisk.of(item.alert))
            run.outcomes[account] = outcome
            if expected in {Action.SEND, Action.FAIL}:
                self.rows[account] = Row(
                    status="pending" if expected is Action.SEND else "failed",
                    run_id=run.run_id,
                    channel=item.channel,
                    arr=AccountAtRisk.of(item.alert).arr or 0,
                    duration_months=AccountAtRisk.of(item.alert).duration_months,
                    claims=self.rows[account].claims if account in self.rows else 0,
                )
        for account, status in gone.items():
            if status in {"pending", "failed"}:
                self.rows[account].status = "withdrawn"

    @precondition(lambda self: any(run.report is None and not run.cancelled for run in self.with_recorded()))
    @rule(choice=choices, some=st.integers(1, 3))
    def claim(self, choice: int, some: int) -> None:
        """Claim the first of what the holder has to send."""
        open_runs = [run for run in self.with_recorded() if run.report is None and not run.cancelled]
        run = self.pick(open_runs, choice)
        entries = self.to_send(run)
        assert self.claimed(run, entries[:some]) == {entry.alert_id for entry in entries[:some]}
        run.expired = run.expired and not entries
        for entry in entries[:some]:
            row = self.rows[entry.subject]
            row.status, row.claims = "sending", row.claims + 1
        run.seen += entries
        run.in_flight += entries[:some]

    @precondition(lambda self: any(run.report or run.cancelled for run in self.with_recorded()))
    @rule(choice=choices)
    def claim_overtaken(self, choice: int) -> None:
        """Claim what a run has to send that was closed or cancelled without knowing it: it gets nothing."""
        run = self.pick([run for run in self.with_recorded() if run.report or run.cancelled], choice)
        if entries := self.to_send(run) or run.seen:
            assert self.claimed(run, entries) is None

    @precondition(lambda self: any(run.seen and not run.cancelled for run in self.alive()))
    @rule(choice=choices)
    def claim_late(self, choice: int) -> None:
        """Claim an alert by an entry that was handed out some time ago and may be out of date."""
        run = self.pick([run for run in self.alive() if run.seen and not run.cancelled], choice)
        assert run.lease is not None
        entry = run.seen[choice % len(run.seen)]
        row = self.rows[entry.subject]
        is_current = self.is_pending(entry.subject, run) and row.claims == entry.claims
        granted = self.runner.run(self.given.claimed(run.lease, [entry]))
        assert granted == ({entry.alert_id} if is_current else set())
        run.expired = False
        if is_current:
            row.status, row.claims = "sending", row.claims + 1
            run.in_flight.append(entry)

    @precondition(lambda self: any(run.in_flight or run.late for run in self.runs))
    @rule(choice=choices, status=statuses)
    def settle(self, choice: int, status: DeliveryStatus) -> None:
        """Bring an answer: in time, late, or after its alert was claimed once more."""
        run = self.pick([run for run in self.runs if run.in_flight or run.late], choice)
        assert run.lease is not None
        awaited = run.in_flight or run.late
        entry = awaited.pop(choice % len(awaited))
        reason = None if status is DeliveryStatus.SENT else Reason.SERVER_ERROR
        self.runner.run(self.given.settled(run.lease, the_answer(entry, status, reason=reason)))
        row = self.rows[entry.subject]
        is_last_claim = row.claims == entry.claims + 1
        if is_last_claim and (row.status == "sending" or (status is DeliveryStatus.SENT)):
            row.status = status

    @precondition(lambda self: self.with_recorded())
    @rule(choice=choices, channel=st.sampled_from(CHANNELS), gives_up=st.booleans())
    def end_lane(self, choice: int, channel: str, *, gives_up: bool) -> None:
        """End a lane before its alerts do."""
        run = self.pick(self.with_recorded(), choice)
        assert run.lease is not None
        status = DeliveryStatus.FAILED if gives_up else DeliveryStatus.PENDING
        ending = self.given.store.outbox.end_lane(
            run.lease, [channel], status=status, reason=Reason.DEADLINE, message="", now=NOW
        )
        if run.report is not None:
            with pytest.raises(OvertakenError):
                self.runner.run(ending)
            return
        assert run.outcomes is not None
        own = [account for account in run.outcomes if self.is_pending(account, run)]
        rest = [account for account in own if self.rows[account].channel == channel]
        assert [alert.subject for alert in self.runner.run(ending)] == rest
        for account in rest:
            self.rows[account].status = status

    # What must be so after every step.

    @invariant()
    def the_outbox_is_as_the_model_says(self) -> None:
        """Every alert is where the model has it, with the facts of the evaluation that it goes out with."""
        if not hasattr(self, "given"):
            return
        facts = "facts ->> 'arr' AS arr, facts ->> 'duration_months' AS duration_months"
        columns = f"subject, status, run_id, channel, {facts}, claims"
        found = self.runner.run(self.given.sql(f"SELECT {columns} FROM outbox"))  # noqa: S608
        assert {row.pop("subject"): Row(**row) for row in found} == self.rows

    @invariant()
    def sent_has_no_exit(self) -> None:
        """Keep what was sent once sent for ever."""
        sent = {account for account, row in self.rows.items() if row.status == "sent"}
        assert self.ever_sent <= sent
        self.ever_sent = sent

    @invariant()
    def no_alert_is_in_two_hands(self) -> None:
        """No two claims of living runs are open for the same alert."""
        claimed = Counter(entry.alert_id for run in self.alive() for entry in run.in_flight)
        assert all(count == 1 for count in claimed.values())

    @invariant()
    def nothing_is_lost(self) -> None:
        """Every alert of the newest evaluation is in its run's list, once, in order, with an outcome."""
        recorded = [run for run in self.runs if run.outcomes is not None]
        if not recorded:
            return
        newest = max(recorded, key=lambda run: run.lease.epoch if run.lease else 0)
        assert newest.outcomes is not None
        _, alerts = self.report_of(newest)
        assert list(alerts) == list(newest.outcomes)
        expected = newest.outcomes if newest.report is not None else self.outcomes_as_of_now(newest)
        assert {account: str(item.outcome) for account, item in alerts.items()} == expected


@pytest.mark.timeout(400)  # success takes seconds, but telling a failure in the fewest steps takes minutes
@pytest.mark.parametrize("histories", [20, pytest.param(100, marks=pytest.mark.fault)])
def test_any_history_of_runs_keeps_what_it_promises(tmp_path: Path, histories: int) -> None:
    """No history of runs loses an alert, sends one twice unasked, or changes what was reported."""

    async def migrate() -> None:
        async with open_store(f"sqlite:///{tmp_path}/x.db"):
            pass

    asyncio.run(migrate())
    StoreMachine.template = tmp_path / "x.db"
    machine: Any = StoreMachine.TestCase
    machine.settings = settings(
        max_examples=histories,
        stateful_step_count=30,
        suppress_health_check=list(HealthCheck),
    )
    machine().runTest()
