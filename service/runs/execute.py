"""The run: evaluate, record, dispatch until drained, notify support, finish.

A run holds the lease of its scope from before it reads the source until it has finished, so that what it
sends is what the newest evaluation says. A dry run takes no lease and touches no alert.

Once its alerts are recorded a run that has to stop is not closed but released, and whoever finds a run whose
process has stopped or died resumes it where the outbox stands: `resume_run`.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from service.delivery.reporting import report_actions
from service.delivery.routing import payload_of, region_warnings, route
from service.domain.delivery_status import Outcome, Reason
from service.domain.errors import (
    InterruptedRunError,
    OvertakenError,
    PlanChangedError,
    RiskAlertsError,
)
from service.domain.evaluation import AnyEvaluation, RunWarning
from service.domain.progress import Phase, Progress
from service.domain.replay import RoutedAlert
from service.domain.run import Action, RunError, RunRecord, RunRequest
from service.runs.admission import check_request
from service.runs.at_work import RunAtWork
from service.runs.context import App
from service.runs.doubts.deliver import deliver, settle_earlier_doubts
from service.runs.heartbeat import Heartbeat, heartbeat, take_lease
from service.runs.notify_support import notify_support
from service.runs.plan_digest import plan_digest
from service.runs.warnings import undelivered_alerts, without_channel, would_recover
from service.runtime.daemon_thread import run_in_daemon_thread
from service.runtime.room import Turn
from service.store.alerts.recovery import Seen
from service.store.database.failures import DatabaseBusyError
from service.store.patience import retry_while_unavailable
from service.store.runs.rescue import ResumedRun
from service.store.runs.state import Lease, cancelled
from service.telemetry.run_events import (
    RunFailed,
    RunFinished,
    RunNotClosed,
    RunNotReleased,
    RunReleased,
    RunResumed,
    RunStarted,
)

T = TypeVar("T")


def new_run_id(now: datetime) -> str:
    """Return an id that sorts by time and that a person can read out."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


async def execute_run(app: App, request: RunRequest, *, run_id: str, progress: Progress) -> RunRecord:
    """Do one run from beginning to end and return its record.

    Whatever fails after the run was recorded is recorded with it, and raised with its `run_id`.
    """
    check_request(app, request)
    with app.at_work.entered(run_id, progress) as at_work:
        await retry_while_unavailable(
            app.clock,
            lambda: app.store.runs.begin(
                run_id, request, started_at=app.clock.now(), lease_s=app.policy.lease_s
            ),
            # A caller who has no run yet hears at once that the database is away.
            retry_on=DatabaseBusyError,
        )
        app.events.emit(
            RunStarted(
                run_id=run_id, source_uri=request.source_uri, month=request.period, dry_run=request.dry_run
            )
        )
        return await _supervise(app, run_id, at_work, request)


async def resume_run(app: App, run_id: str, *, since: datetime, progress: Progress) -> RunRecord | None:
    """Bring a run to its end that another process had to leave, if it began `since` then.

    Its source is not read again: what it recorded is what it sends. Returns None when somebody else was
    faster, and raises as `execute_run` does.
    """
    with app.at_work.entered(run_id, progress) as at_work:
        resumed = await retry_while_unavailable(
            app.clock,
            lambda: app.store.rescue.resume(
                run_id, since=since, now=app.clock.now(), lease_s=app.policy.lease_s
            ),
        )
        if resumed is None:
            return None
        app.events.emit(RunResumed(run_id=run_id, in_doubt=resumed.in_doubt, to_send=resumed.to_send))
        return await _supervise(app, run_id, at_work, resumed)


async def _supervise(app: App, run_id: str, at_work: RunAtWork, asked: RunRequest | ResumedRun) -> RunRecord:
    try:
        async with heartbeat(app, run_id, at_work) as beat:
            return await _Run(app, run_id, at_work, beat, asked).execute()
    except RiskAlertsError as error:
        error.run_id = run_id
        raise


class _Run:
    """One run under way."""

    _warnings: tuple[RunWarning, ...] = ()

    def __init__(
        self,
        app: App,
        run_id: str,
        at_work: RunAtWork,
        beat: Heartbeat,
        asked: RunRequest | ResumedRun,
    ) -> None:
        self._app = app
        self._run_id = run_id
        self._progress = at_work.progress
        self._halt = at_work.halt
        self._beat = beat
        self._asked = asked
        self._kind = app.kinds[asked.kind]
        self._resumed = resumed = asked if isinstance(asked, ResumedRun) else None
        self._lease: Lease | None = None
        self._is_recorded = resumed is not None
        if resumed is not None:
            self._hold(resumed.lease)

    def _hold(self, lease: Lease) -> None:
        self._lease = lease
        self._beat.epoch = lease.epoch

    async def execute(self) -> RunRecord:
        """Do the work, and close the run whatever became of it, or leave it to be resumed."""
        try:
            await self._work()
            return await self._finish(None)
        except InterruptedRunError as error:
            # A cancelled run is halted, and refused its claims just as an overtaken one is.
            if await self._retry_while_unavailable(lambda: self._app.store.runs.is_cancelled(self._run_id)):
                why = cancelled(self._run_id)
                await self._fail(why)
                raise why from error
            if not isinstance(error, OvertakenError):  # else another process has closed or resumed it
                await (self._release() if self._is_recorded else self._fail(error))
            raise
        except RiskAlertsError as error:
            await self._fail(error)
            raise
        except Exception as problem:
            self._app.events.emit(RunFailed(run_id=self._run_id, exc_info=problem))
            unforeseen = RiskAlertsError("the run failed for a reason that nobody foresaw; the log has it")
            await self._fail(unforeseen)
            raise unforeseen from problem

    async def _work(self) -> None:
        if isinstance(self._asked, ResumedRun):
            self._progress.alerts_queued = self._asked.to_send
            await self._dispatch(self._asked.lease)
        elif self._asked.dry_run:
            await self._rehearse(self._asked)
        else:
            await self._deliver(self._asked)

    async def _release(self) -> None:
        """Leave the run to be resumed; where not even that can be written, its lease runs out by itself."""
        self._beat.is_closing = True
        try:
            if (lease := self._lease) is not None:
                # For as long as the process has: when its grace is over, this is cancelled.
                await self._retry_while_unavailable(
                    lambda: self._app.store.runs.release(lease, now=self._app.clock.now())
                )
        except RiskAlertsError as problem:
            self._app.events.emit(RunNotReleased(run_id=self._run_id, exc_info=problem))
        else:
            self._app.events.emit(RunReleased(run_id=self._run_id))

    async def _fail(self, error: RiskAlertsError) -> None:
        """Close the run as failed; where not even that can be written, log why it failed."""
        try:
            await self._finish(RunError(code=error.code, detail=error.detail))
        except OvertakenError:
            raise
        except RiskAlertsError:
            self._app.events.emit(RunNotClosed(run_id=self._run_id, exc_info=error))

    async def _rehearse(self, request: RunRequest) -> None:
        """Say what a run would do."""
        with self._app.room.turn() as turn:
            evaluation, routed = await self._evaluate(request, turn)
            seen = Seen.of(evaluation, self._kind.alert_type.name, request.period)
            recovering = await self._retry_while_unavailable(
                lambda: self._app.store.open_alerts.recovering(seen, source_uri=request.source_uri)
            )
            actions = await self._retry_while_unavailable(
                lambda: self._app.store.recording.record_dry_run(
                    self._run_id,
                    request.scope,
                    routed,
                    ambiguous=self._app.policy.replays,
                    restatable=self._kind.alert_type.restatable,
                )
            )
            self._warnings += without_channel(sum(one.reason is Reason.UNKNOWN_REGION for one in actions))
            self._warnings += would_recover(recovering)
            await report_actions(self._app.events, self._run_id, routed, actions, sends=Outcome.WOULD_SEND)

    async def _deliver(self, request: RunRequest) -> None:
        """Evaluate, record, send, and notify support of what has no channel."""
        self._progress.phase = Phase.WAITING
        lease = await take_lease(self._app, self._run_id, request, halt=self._halt)
        self._hold(lease)
        await self._app.at_work.unless_stopped(settle_earlier_doubts(self._app, lease), halt=self._halt)
        await self._record(request, lease)
        await self._dispatch(lease)

    async def _record(self, request: RunRequest, lease: Lease) -> None:
        """Evaluate, and record what is to be done; afterwards no alert is held in memory any more."""
        app = self._app
        with app.room.turn() as turn:
            evaluation, routed = await self._evaluate(request, turn)
            seen = Seen.of(evaluation, self._kind.alert_type.name, request.period)
            self._progress.phase = Phase.RECORDING
            actions = await self._retry_while_unavailable(
                lambda: app.store.recording.record(
                    lease,
                    routed,
                    ambiguous=app.policy.replays,
                    restatable=self._kind.alert_type.restatable,
                    withdraws=evaluation.withdraws,
                    seen=seen,
                    payload_of=lambda item, state: payload_of(
                        item.alert, item.channel, app.channels, self._kind.alert_type, state
                    ),
                    now=app.clock.now(),
                    checkpoint=evaluation.checkpoint,
                )
            )
            self._is_recorded = True
            await report_actions(app.events, self._run_id, routed, actions, sends=Outcome.PENDING)
            self._progress.alerts_queued = sum(taken.action is Action.SEND for taken in actions)

    async def _dispatch(self, lease: Lease) -> None:
        """Send what is in the outbox, and notify support of what has no channel."""
        app = self._app
        self._progress.phase = Phase.DELIVERING
        given_up = await deliver(app, lease, progress=self._progress, halt=self._halt)
        period, alert_type = self._asked.period, self._kind.alert_type
        is_notified = self._resumed is not None and self._resumed.support_notified
        self._warnings += await app.at_work.unless_stopped(
            notify_support(app, self._run_id, period, alert_type, given_up=given_up, is_notified=is_notified),
            halt=self._halt,
        )

    async def _evaluate(self, request: RunRequest, turn: Turn) -> tuple[AnyEvaluation, list[RoutedAlert]]:
        app, alert_type = self._app, self._kind.alert_type
        open_alerts, period = app.store.open_alerts, request.period
        watched = await self._retry_while_unavailable(
            lambda: open_alerts.watched(alert_type.name, source_uri=request.source_uri, period=period)
        )
        evaluating = self._kind.evaluate(request, self._progress, turn, watched)
        found = await app.at_work.unless_stopped(evaluating, halt=self._halt)
        digest = await run_in_daemon_thread(lambda: plan_digest(found, app.channels, alert_type))
        evaluation = replace(found, warnings=found.warnings + region_warnings(found.alerts, app.channels))
        await self._retry_while_unavailable(
            lambda: app.store.runs.note_evaluation(self._run_id, evaluation, plan_digest=digest)
        )
        if request.plan_digest not in {None, digest}:
            raise PlanChangedError(f"nothing was sent: the plan has changed, and its digest is now {digest}")
        routing = route(found.alerts, app.channels, alert_type, in_digest=found.in_digest)
        return evaluation, await run_in_daemon_thread(lambda: list(routing))

    async def _finish(self, error: RunError | None) -> RunRecord:
        app = self._app
        self._beat.is_closing = True
        undelivered = await self._retry_while_unavailable(app.store.outbox.undelivered)
        await self._retry_while_unavailable(
            lambda: app.store.runs.finish(
                self._run_id,
                now=app.clock.now(),
                error=error,
                warnings=self._warnings + undelivered_alerts(undelivered),
                epoch=self._beat.epoch,
                summary=self._kind.summary if app.policy.summarizes else None,
            )
        )
        record = await self._retry_while_unavailable(lambda: app.store.history.get_run(self._run_id))
        app.events.emit(RunFinished(record=record, undelivered=undelivered))
        return record

    async def _retry_while_unavailable(self, verb: Callable[[], Awaitable[T]]) -> T:
        return await retry_while_unavailable(self._app.clock, verb)
