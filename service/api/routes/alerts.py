"""Alerts: what has become of one over all runs, and how a person settles one in doubt."""

from typing import Annotated, Final

from fastapi import APIRouter, Path

from service.api.context import Opened
from service.api.errors import MAX_BODY_BYTES
from service.api.examples import with_example
from service.api.openapi import CHANGING, READING, answers
from service.api.schemas.alert import AlertOut, SettleIn
from service.runs.settle_doubt import settle_alert

NOBODY: Final = "api"
"""Who settled it, where the request does not say."""

router = APIRouter(max_body_size=MAX_BODY_BYTES)

AlertId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("alert_id"))]


@router.get(
    "/alerts/{alert_id}",
    summary="Show what has become of an alert over all runs",
    tags=["alerts"],
    responses=answers("alert_not_found", *READING, examples=["alert"]),
)
async def get_alert(context: Opened, alert_id: AlertId) -> AlertOut:
    """Show where an alert stands, and who settled it how and when."""
    return AlertOut.of(await context.app.store.history.get_alert(alert_id))


@router.post(
    "/alerts/{alert_id}/settle",
    summary="Settle whether Slack has an alert in doubt",
    tags=["alerts"],
    responses=answers(
        "alert_not_found",
        "not_in_doubt",
        *CHANGING,
        examples=["alert"],
    ),
)
async def settle(context: Opened, alert_id: AlertId, body: SettleIn) -> AlertOut:
    """Take an `unknown` alert as sent, or put it back to `pending` for the month's next run.

    Nothing is posted by this request, and to repeat it does no harm.
    """
    record = await settle_alert(context.app, alert_id, body.settle_as, by=body.by or NOBODY, note=body.note)
    return AlertOut.of(record)
