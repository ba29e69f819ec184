"""Doubts: how a person settles whether Slack has an occurrence of an alert."""

from typing import Annotated, Final

from fastapi import Depends, Path

from service.api.examples import with_example
from service.api.identity.caller import Caller, Needs, not_here_if_seen
from service.api.routes.router import Routes
from service.api.schemas.alert import AlertOut, SettleIn
from service.domain.errors import AlertNotFoundError
from service.domain.identity.permission import Permission
from service.domain.identity.principal import PrincipalKind
from service.runs.interventions import settle_alert

NOBODY: Final = "api"
"""Who settled it, where the request does not say."""

router = Routes("alerts")

MayRun = Annotated[Caller, Depends(Needs(Permission.WRITE_RUNS, here=True))]
AlertId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("alert_id"))]


@router.declare(
    "POST /alerts/{alert_id}/settle",
    "Settle whether Slack has an alert in doubt",
    "not_in_doubt",
    gives="alert",
)
async def settle(caller: MayRun, alert_id: AlertId, body: SettleIn) -> AlertOut:
    """Take an `unknown` alert as sent, or put it back to `pending` for the next run of its month or period.

    Nothing is posted by this request, and to repeat it does no harm.
    """
    principal = caller.principal
    is_anonymous = principal.kind is PrincipalKind.ANONYMOUS
    try:
        record = await settle_alert(
            caller.app,
            alert_id,
            body.settle_as,
            by=(body.by or NOBODY) if is_anonymous else principal.label,
            given_by=None if is_anonymous else body.by,
            note=body.note,
        )
    except AlertNotFoundError as absent:
        await not_here_if_seen(caller, absent, alert_id=alert_id)
        raise
    return AlertOut.of(record)
