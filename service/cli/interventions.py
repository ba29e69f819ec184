"""`settle` and `cancel`: what people say of alerts in doubt, and of runs that shall send no more."""

import sys

from service.api.schemas.alert import AlertOut, SettledOut
from service.api.schemas.run import RunOut
from service.cli.command import async_command, operator, print_answer
from service.cli.exit_codes import OK
from service.domain.delivery_status import SettleAs
from service.domain.run import RunStatus
from service.runs import interventions
from service.settings import Settings
from service.wiring import open_app


@async_command
async def settle_doubts(
    settings: Settings,
    settle_as: SettleAs,
    *,
    alert_id: str | None,
    run_id: str | None,
    note: str | None,
    by: str | None,
    as_json: bool,
) -> int:
    """Settle one alert, or all in doubt of a run, print what was settled, and return the exit code."""
    who = by or operator()
    answer: AlertOut | SettledOut
    async with open_app(settings, operator=operator()) as app:
        if alert_id is not None:
            settled = await interventions.settle_alert(app, alert_id, settle_as, by=who, note=note)
            answer = AlertOut.of(settled)
        else:
            all_settled = await interventions.settle_run(app, run_id or "", settle_as, by=who, note=note)
            answer = SettledOut.of({"settled": all_settled})
    print_answer(answer, as_json=as_json)
    return OK


@async_command
async def cancel_run(settings: Settings, run_id: str, *, as_json: bool) -> int:
    """Cancel a run, print it as it stands then, and return the exit code."""
    async with open_app(settings, operator=operator()) as app:
        await interventions.cancel_run(app, run_id)
        run = RunOut.of(await app.store.history.get_run(run_id))
    is_ending = run.status is RunStatus.RUNNING
    if is_ending and not as_json:
        # The process that it runs in hears of it at its next claim.
        run = run.model_copy(update={"status": "cancelling"})
    print_answer(run, as_json=as_json)
    if is_ending and not as_json:
        sys.stdout.write(
            "Nothing more of it is sent; requests in flight are answered first. "
            f"`risk-alerts runs show {run_id}` says how it ended.\n"
        )
    return OK
