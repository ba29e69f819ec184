"""`settle`: a person's decision on alerts in doubt."""

import getpass

from service.api.schemas.alert import AlertOut, SettledOut
from service.cli.command import print_json, with_flow
from service.cli.exit_codes import OK
from service.domain.delivery_status import SettleAs
from service.runs.settle_doubt import settle_alert, settle_run
from service.settings import Settings
from service.wiring import open_app

NOBODY = "cli"
"""Who decided, where the system does not know its user's name."""


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

    async def flow(settings: Settings) -> int:
        who = by or _user()
        async with open_app(settings) as app:
            if alert_id is not None:
                records = [await settle_alert(app, alert_id, settle_as, by=who, note=note)]
            else:
                records = await settle_run(app, run_id or "", settle_as, by=who, note=note)
        alerts = [AlertOut.of(record) for record in records]
        if as_json:
            print_json(alerts[0] if run_id is None else SettledOut(settled=alerts))
        else:
            from service.cli.tables import print_settled  # noqa: PLC0415  # not needed with --json

            print_settled(alerts)
        return OK

    return with_flow(flow, as_json=as_json)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # Containers often run under a number without a name.
        return NOBODY
