"""Interventions: a person cancels a run, or says whether Slack has an alert in doubt."""

from service.domain.alert import AlertRecord
from service.domain.delivery_status import SettleAs
from service.runs.context import App
from service.telemetry.delivery_events import AlertDecided


async def cancel_run(app: App, run_id: str) -> None:
    """Cancel a run; raises RunNotFoundError, RunFinishedError and DatabaseUnusableError."""
    await app.store.runs.cancel(run_id, now=app.clock.now(), at_work=app.at_work.runs)
    app.at_work.halt(run_id)


async def settle_alert(
    app: App, alert_id: str, settle_as: SettleAs, *, by: str, given_by: str | None = None, note: str | None
) -> AlertRecord:
    """Settle one alert in doubt and return what is known of it now; to repeat it does no harm.

    `by` is who did; `given_by` whom they named, where somebody else asked for it.

    Raises AlertNotFoundError, NotInDoubtError, and DatabaseUnusableError.
    """
    record, changed = await app.store.doubts.settle(
        alert_id, settle_as, by=by, given_by=given_by, note=note, now=app.clock.now()
    )
    if changed:
        app.events.emit(decided(record))
    return record


async def settle_run(
    app: App, run_id: str, settle_as: SettleAs, *, by: str, note: str | None
) -> list[AlertRecord]:
    """Settle all that a run left or found in doubt and that still is; return it in the run's order.

    Raises RunNotFoundError and DatabaseUnusableError.
    """
    records = await app.store.doubts.settle_run(run_id, settle_as, by=by, note=note, now=app.clock.now())
    for record in records:
        app.events.emit(decided(record))
    return records


def decided(record: AlertRecord) -> AlertDecided:
    """Return the event of what was decided last about an alert."""
    last = record.settled[-1]
    return AlertDecided(
        run_id=last.run_id,
        alert_type=record.alert.alert_type,
        subject=record.alert.subject,
        alert_id=record.alert.alert_id,
        channel=record.channel,
        settled_as=last.settled_as,
        settled_by=last.by,
    )
