"""The preview: what a run would send, shown without sending, claiming or writing anything."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import orjson

from service.delivery.routing import region_warnings, route
from service.domain.alert_type import AlertType
from service.domain.delivery_status import Outcome, Reason
from service.domain.evaluation import AnyEvaluation
from service.domain.ledger import Ledger
from service.domain.lifecycle.message_state import MessageState
from service.domain.progress import Phase, Progress
from service.domain.replay import Replay, ReplayAction, RoutedAlert, decide_replay
from service.domain.run import Action, Preview, PreviewAlert, RunCounts, RunRequest, WithdrawnAlert
from service.runs.admission import check_request
from service.runs.context import Reading
from service.runs.plan_digest import plan_digest
from service.runs.waiting.summaries import summaries_ahead
from service.runs.warnings import late_lanes, without_channel
from service.runtime.daemon_thread import run_in_daemon_thread
from service.runtime.garbage import rare_collections
from service.store.alerts.recovery import Seen
from service.store.patience import retry_while_unavailable


async def preview(app: Reading, request: RunRequest, *, limit: int, progress: Progress) -> Preview:
    """Show what a run would send now: the same set in the same order; the first `limit` alerts are shown.

    Raises what `check_request` raises for a dry run, SourceError, and DatabaseUnusableError.
    """
    request = replace(request, dry_run=True)
    check_request(app, request)
    kind = app.kinds[request.kind]
    with rare_collections(), app.room.turn() as turn:
        open_alerts, name, source = app.store.open_alerts, kind.alert_type.name, request.source_uri
        watched = await retry_while_unavailable(
            app.clock, lambda: open_alerts.watched(name, source_uri=source, period=request.period)
        )
        evaluation = await app.at_work.unless_stopped(kind.evaluate(request, progress, turn, watched))
        recording = app.store.recording
        elsewhere = () if request.lease is None else [alert.alert_id for alert in evaluation.alerts]
        standings = await retry_while_unavailable(
            app.clock, lambda: recording.standings(request.scope, request.source_uri, elsewhere)
        )
        channel_of, channels = kind.alert_type.channel, app.channels
        routed = ((alert, channel_of(alert, channels)) for alert in evaluation.alerts)
        # Tens of thousands of alerts are looked at here: not on the event loop.
        replay = await run_in_daemon_thread(
            partial(decide_replay, restatable=kind.alert_type.restatable, in_digest=evaluation.in_digest),
            standings,
            routed,
            app.policy.replays,
        )
        withdrawn = await retry_while_unavailable(app.clock, lambda: recording.withdrawable(replay.withdrawn))
        states = await retry_while_unavailable(
            app.clock,
            lambda: open_alerts.states(
                [(alert, kind.alert_type.problem(alert)) for alert in evaluation.alerts[:limit]],
                until=evaluation.until,
            ),
        )
        seen = Seen.of(evaluation, name, request.period)
        recovering = await retry_while_unavailable(
            app.clock, lambda: open_alerts.recovering(seen, source_uri=source)
        )
        summaries = await summaries_ahead(app, request, evaluation, replay, recovering)
        shown = await run_in_daemon_thread(
            _shown, app, request, evaluation, replay, withdrawn[:limit], states, limit
        )
    progress.phase = Phase.FINISHED
    recovered = tuple(recovering[:limit])
    return replace(shown, recovered=recovered, recovered_total=len(recovering), summaries=summaries)


def _shown(
    app: Reading,
    request: RunRequest,
    evaluation: AnyEvaluation,
    replay: Replay,
    withdrawn: Sequence[WithdrawnAlert],
    states: Mapping[str, MessageState],
    limit: int,
) -> Preview:
    actions = replay.actions
    alert_type = app.kinds[request.kind].alert_type
    shown = route(evaluation.alerts[:limit], app.channels, alert_type, states)
    outcomes = Counter(taken.outcome(sends=Outcome.WOULD_SEND) for taken in actions)
    evaluation.rows.check()
    ledger = Ledger(rows=evaluation.rows.values(), outcomes=outcomes)
    counts = _counts(ledger, replay)
    ledger.check()
    sends = Counter(
        taken.channel for taken in actions if taken.action is Action.SEND and taken.channel is not None
    )
    return Preview(
        source_uri=request.source_uri,
        kind=request.kind,
        lease=request.lease,
        period=request.period,
        plan_digest=plan_digest(evaluation, app.channels, alert_type),
        total=len(evaluation.alerts),
        alerts=tuple(
            _preview_alert(item, taken, alert_type) for item, taken in zip(shown, actions, strict=False)
        ),
        withdrawn=tuple(withdrawn),
        counts=counts,
        ledger=ledger,
        warnings=(
            *late_lanes(sends, app.channels, app.delivery),
            *evaluation.warnings,
            *region_warnings(evaluation.alerts, app.channels),
            *without_channel(counts.unknown_region),
        ),
        invalid_samples=evaluation.invalid_samples,
        seconds_by_channel=_seconds_by_channel(app, sends),
    )


def _preview_alert(item: RoutedAlert, taken: ReplayAction, alert_type: AlertType) -> PreviewAlert:
    return PreviewAlert(
        alert=item.alert,
        channel=taken.channel,
        details_url=alert_type.message(item.alert).url,
        action=taken.action,
        reason=taken.reason,
        message=orjson.loads(item.payload),
        restated=taken.restated,
    )


def _counts(ledger: Ledger, replay: Replay) -> RunCounts:
    return RunCounts.of(
        ledger.rows,
        ledger.outcomes,
        withdrawn=len(replay.withdrawn),
        restated=replay.restated,
        unknown_region=sum(taken.reason is Reason.UNKNOWN_REGION for taken in replay.actions),
    )


def _seconds_by_channel(app: Reading, sends: Mapping[str, int]) -> dict[str, float]:
    """Say how long the sends need at the configured pace; channels that share one lane share its pace."""
    rate = app.delivery.messages_per_second
    channels = dict.fromkeys((*app.channels.names, *sends))
    return {channel: round(sends.get(channel, 0) / rate, 1) if rate else 0.0 for channel in channels}
