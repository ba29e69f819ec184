"""`settle`: a person says whether Slack has the alerts in doubt."""

from service.api.schemas.alert import AlertOut, SettledOut
from service.cli.command import operator, with_app
from service.domain.delivery_status import SettleAs
from service.runs.interventions import settle_alert, settle_run
from service.wiring import App

NOBODY = "cli"
"""Who settled it, where the system does not know its user's name."""


def settle_doubts(
    settle_as: SettleAs,
    *,
    alert_id: str | None,
    run_id: str | None,
    note: str | None,
    by: str | None,
    as_json: bool,
) -> int:
    """Settle one alert, or all in doubt of a run, print what was settled, and return the exit code."""

    async def ask(app: App) -> AlertOut | SettledOut:
        who = by or operator()
        if alert_id is not None:
            return AlertOut.of(await settle_alert(app, alert_id, settle_as, by=who, note=note))
        return SettledOut.of({"settled": await settle_run(app, run_id or "", settle_as, by=who, note=note)})

    return with_app(ask, as_json=as_json)
