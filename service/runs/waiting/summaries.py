"""The summaries that a run would leave, as a preview shows them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from service.delivery.slack.message import render
from service.domain.evaluation import AnyEvaluation
from service.domain.lifecycle.run_changes import SubjectChange, in_order
from service.domain.lifecycle.summary import SummarizedRun
from service.domain.replay import Replay
from service.domain.run import PreviewSummary, RunRequest
from service.domain.tenant import DEFAULT_TENANT
from service.runs.context import Reading
from service.runtime.daemon_thread import run_in_daemon_thread
from service.store.alerts.summaries import Foreseen
from service.store.patience import retry_while_unavailable

_THIS_RUN: Final = "RUN_ID"
"""Stands where the id of the run will."""


async def summaries_ahead(
    app: Reading,
    request: RunRequest,
    evaluation: AnyEvaluation,
    replay: Replay,
    recovering: Sequence[SubjectChange],
) -> tuple[PreviewSummary, ...]:
    """Return the message for each channel in which a run would change something, if it left any."""
    kind = app.kinds[request.kind]
    summary = kind.summary if app.policy.summarizes else None
    if summary is None or request.period is None:
        return ()
    found = await run_in_daemon_thread(
        lambda: [
            Foreseen(alert, kind.alert_type.problem(alert), taken.channel)
            for alert, taken in zip(evaluation.alerts, replay.actions, strict=True)
        ]
    )
    changes = await retry_while_unavailable(
        app.clock,
        lambda: app.store.summaries.ahead(
            found, replay.withdrawn, scope=request.scope, source_uri=request.source_uri
        ),
    )
    by_channel: defaultdict[str, list[tuple[SubjectChange, bool]]] = defaultdict(list)
    for one, is_news in (*changes, *((one, True) for one in recovering)):
        if one.channel is not None:
            by_channel[one.channel].append((one, is_news))
    run = SummarizedRun(tenant_id=DEFAULT_TENANT, run_id=_THIS_RUN, period=request.period)
    shown = []
    for channel, of_channel in by_channel.items():
        if any(is_news for _, is_news in of_channel):
            alert = summary.of_channel(run, channel, sorted((one for one, _ in of_channel), key=in_order))
            named = channel if app.channels.is_single_lane else None
            payload = render(alert, summary.message(alert), named_channel=named)
            shown.append(PreviewSummary(channel=channel, message=payload))
    return tuple(shown)
