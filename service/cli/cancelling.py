"""`cancel`: nothing more of a run is sent."""

import sys

from service.api.schemas.run import RunOut
from service.cli.command import operator, print_answer, with_flow
from service.cli.exit_codes import OK
from service.domain.run import RunStatus
from service.runs.interventions import cancel_run as cancel
from service.settings import Settings
from service.wiring import open_app


def cancel_run(run_id: str, *, as_json: bool) -> int:
    """Cancel a run, print it as it stands then, and return the exit code."""

    async def flow(settings: Settings) -> int:
        async with open_app(settings, operator=operator()) as app:
            await cancel(app, run_id)
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

    return with_flow(flow, as_json=as_json)
