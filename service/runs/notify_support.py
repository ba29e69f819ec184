"""The support notice of a run: who has no channel hears of it from people."""

from collections.abc import Sequence
from functools import partial

from service.delivery.reporting import GivenUpLane
from service.domain.alert import Alert
from service.domain.alert_type import AlertType
from service.domain.evaluation import RunWarning
from service.runs.context import App
from service.runs.warnings import destinations_failed, of_destinations, without_channel
from service.store.patience import retry_while_unavailable
from service.store.runs.notices import LastNotice
from service.telemetry.delivery_events import NoticeUnchanged


async def notify_support(
    app: App,
    run_id: str,
    period: str | None,
    alert_type: AlertType,
    *,
    given_up: Sequence[GivenUpLane],
    is_notified: bool,
) -> tuple[RunWarning, ...]:
    """Notify support of a run's alerts without a channel, and of channels that were given up.

    Unless it `is_notified`, or was of just the same after the month's last run and policy does not repeat
    that; returns what to warn of.

    Raises OvertakenError and DatabaseUnusableError, but nothing for a mail server.
    """
    store = app.store
    nowhere = await retry_while_unavailable(app.clock, lambda: store.history.alerts_without_channel(run_id))
    warnings = destinations_failed(given_up) + without_channel(len(nowhere))
    if is_notified or not (nowhere or given_up):
        return warnings
    notified = partial(store.runs.note_support_notified, run_id)
    if not app.policy.repeats_notices:
        last = await retry_while_unavailable(app.clock, lambda: store.notices.last(run_id))
        if last is not None and _is_known(last, nowhere, given_up):
            app.events.emit(NoticeUnchanged(run_id=run_id, accounts=len(nowhere)))
            await retry_while_unavailable(app.clock, lambda: notified(now=app.clock.now()))
            return warnings
    if await app.notice().send(
        run_id=run_id,
        period=period,
        alerts=nowhere,
        alert_type=alert_type,
        given_up=given_up,
        undelivered=await retry_while_unavailable(app.clock, store.outbox.undelivered),
        clock=app.clock,
        events=app.events,
    ):
        await retry_while_unavailable(app.clock, lambda: notified(now=app.clock.now()))
        return warnings
    detail = "the support notice about alerts that reached nobody could not be delivered"
    count = len(nowhere) + sum(lane.alerts for lane in given_up)
    return (*warnings, RunWarning(code="support_notice_failed", count=count, detail=detail))


def _is_known(last: LastNotice, nowhere: Sequence[Alert], given_up: Sequence[GivenUpLane]) -> bool:
    """Whether support was notified of just these alerts and just these channels, where there are any."""
    if nowhere and last.alert_ids != {alert.alert_id for alert in nowhere}:
        return False
    return not given_up or set(destinations_failed(given_up)) == set(of_destinations(last.warnings))
