"""The controls: what a test or a person asks of the mock, beside Slack's own interface."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from mock_slack.script import Steps
from mock_slack.stats import Report
from mock_slack.workspace import Workspace

router = APIRouter()


async def _workspace(request: Request) -> Workspace:
    workspace: Workspace = request.app.state.workspace
    return workspace


TheWorkspace = Annotated[Workspace, Depends(_workspace)]


@router.get("/logs")
async def read_logs(
    workspace: TheWorkspace, limit: Annotated[int, Query(ge=1, le=100_000)] = 100
) -> Response:
    """Return the last `limit` records since the start or the last reset, newest last."""
    lines = workspace.log.recent(limit)
    if lines is None:
        lines = await run_in_threadpool(workspace.log.read, limit)
    # The lines are JSON already.
    return Response(b'{"records":[%s]}' % b",".join(lines), media_type="application/json")


@router.get("/stats")
async def read_stats(workspace: TheWorkspace) -> Report:
    """Return the figures per channel and in total."""
    return workspace.stats.report()


@router.delete("/stats", status_code=204)
async def reset_stats(workspace: TheWorkspace) -> None:
    """Set every figure back to zero; scripts, records and faults stay as they are."""
    workspace.stats.reset()


@router.get("/script")
async def read_script(workspace: TheWorkspace) -> dict[str, Any]:
    """Return how many scripted answers are still waiting, per channel that has any."""
    return {"waiting": workspace.script.waiting()}


@router.post("/script/{channel}")
async def add_script(channel: str, steps: Steps, workspace: TheWorkspace) -> dict[str, Any]:
    """Lay down the answers for the channel's next requests, after those already waiting."""
    workspace.script.add(channel, steps)
    return {"waiting": workspace.script.waiting()}


@router.delete("/script", status_code=204)
async def clear_scripts(workspace: TheWorkspace) -> None:
    """Forget every scripted answer."""
    workspace.script.clear()


@router.delete("/script/{channel}", status_code=204)
async def clear_script(channel: str, workspace: TheWorkspace) -> None:
    """Forget the channel's scripted answers."""
    workspace.script.clear(channel)


@router.post("/reset", status_code=204)
async def reset(workspace: TheWorkspace) -> None:
    """Return to the state after the start: figures, scripts, records, sights of alerts, rate limits."""
    workspace.reset()


@router.get("/health")
async def health(workspace: TheWorkspace) -> dict[str, Any]:
    """Return that the mock is up, and the settings it runs with, the seed in use among them."""
    return {
        "status": "healthy",
        "ok": True,
        **workspace.settings.model_dump(mode="json", exclude={"auth_token", "bot_token"}),
        "seed": workspace.seed,
        "wants_token": workspace.settings.auth_token is not None,
    }
