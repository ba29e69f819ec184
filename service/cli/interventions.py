"""`settle`, `reconcile` and `cancel`: of alerts in doubt, and of runs that shall send no more."""

import sys

from service.api.schemas.alert import AlertOut, SettledOut
from service.api.schemas.run import RunOut
from service.cli.command import async_command, operator, print_answer, print_json
from service.cli.exit_codes import NOT_ALL_SENT, OK
from service.delivery.channels import Destination
from service.domain.delivery_status import SettleAs
from service.domain.errors import SlackNotConfiguredError
from service.domain.run import RunStatus
from service.runs import interventions
from service.settings import Settings
from service.telemetry.terminal import harmless
from service.wiring import channels_of, open_app


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
) -> None:
    """Settle one alert, or all in doubt of a run, and print what was settled."""
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


@async_command
async def cancel_run(settings: Settings, run_id: str, *, as_json: bool) -> None:
    """Cancel a run and print it as it stands then."""
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


@async_command
async def reconcile_doubts(settings: Settings, *, as_json: bool) -> int:
    """Settle what can be, print how many were found, put back and left, and return the exit code."""
    from service.runs.doubts.reconcile import reconcile_all  # noqa: PLC0415  # loads what asks Slack

    if channels_of(settings).destination is not Destination.BOT:
        raise SlackNotConfiguredError("set SLACK_BOT_TOKEN: only a bot can read what stands in a channel")
    async with open_app(settings, operator=operator()) as app:
        reconciler = await reconcile_all(app)
    answer = reconciler.answer()
    if as_json:
        print_json(answer)
        return _code(answer)
    lines = [
        "{found} found and settled as sent, {resend} to be sent again, {held} not there and held, "
        "{unread} not looked for to the end.".format(**answer),
        *(f"#{channel}: {why}" for channel, why in reconciler.unreadable.items()),
    ]
    sys.stdout.write(harmless("\n".join(lines)) + "\n")
    return _code(answer)


def _code(answer: dict[str, int]) -> int:
    return NOT_ALL_SENT if answer["held"] or answer["unread"] else OK
