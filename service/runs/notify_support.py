"""The support notice of a run: who has no channel hears of it from people."""

from collections.abc import Sequence

from service.delivery.reporting import GivenUpLane
from service.domain.alert_type import AlertType
from service.domain.evaluation import RunWarning
from service.runs.context import App
from service.runs.warnings import destinations_failed, without_channel
from service.store.patience import retry_while_unavailable


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

    Unless it `is_notified`; returns what to warn of.

    Raises OvertakenError and DatabaseUnusableError, but nothing for a mail server.
    """
    store = app.store
    nowhere = await retry_while_unavailable(app.clock, lambda: store.history.alerts_without_channel(run_id))
    warnings = destinations_failed(given_up) + without_channel(len(nowhere))
    if is_notified or not (nowhere or given_up):
        return warnings
    if await app.notice.send(
        run_id=run_id,
        period=period,
        alerts=nowhere,
        alert_type=alert_type,
        given_up=given_up,
        undelivered=await retry_while_unavailable(app.clock, store.outbox.undelivered),
        clock=app.clock,
        events=app.events,
    ):
        await retry_while_unavailable(
            app.clock, lambda: store.runs.note_support_notified(run_id, now=app.clock.now())
        )
        return warnings
    detail = "the support notice about alerts that reached nobody could not be delivered"
    count = len(nowhere) + sum(lane.alerts for lane in given_up)
    return (*warnings, RunWarning(code="support_notice_failed", count=count, detail=detail))
