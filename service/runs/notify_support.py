"""The support notice of a run: who has no channel hears of it from people."""

from service.domain.alert_type import AlertType
from service.domain.evaluation import RunWarning
from service.runs.context import App
from service.runs.warnings import without_channel
from service.store.patience import retry_while_unavailable


async def notify_support(
    app: App, run_id: str, period: str | None, alert_type: AlertType, *, is_notified: bool
) -> tuple[RunWarning, ...]:
    """Notify support of a run's alerts without a channel, unless it `is_notified`; return what to warn of.

    Raises OvertakenError and DatabaseUnusableError, but nothing for a mail server.
    """
    store = app.store
    nowhere = await retry_while_unavailable(app.clock, lambda: store.history.alerts_without_channel(run_id))
    warnings = without_channel(len(nowhere))
    if is_notified or not nowhere:
        return warnings
    if await app.notice.tell(
        run_id=run_id,
        period=period,
        alerts=nowhere,
        alert_type=alert_type,
        undelivered=await retry_while_unavailable(app.clock, store.outbox.undelivered),
        clock=app.clock,
        events=app.events,
    ):
        await retry_while_unavailable(
            app.clock, lambda: store.runs.note_support_notified(run_id, now=app.clock.now())
        )
        return warnings
    detail = "the support notice about accounts without a channel could not be delivered"
    return (*warnings, RunWarning(code="support_notice_failed", count=len(nowhere), detail=detail))
