"""Interactivity: buttons are pressed here by whoever tests, and the app's answers are kept."""

from typing import Any

import aiohttp
import orjson
from fastapi import APIRouter, HTTPException, Request, Response

from mock_slack.controls import TheWorkspace
from mock_slack.web_api.pressing import NoSuchButtonError, Press, signed
from mock_slack.webhook import HangUp, respond, wait

PATIENCE_S = 3.0
"""After so long without an answer Slack shows a warning to whoever pressed the button."""

router = APIRouter()


@router.post("/press")
async def press_button(press: Press, request: Request, workspace: TheWorkspace) -> dict[str, Any]:
    """Press a button of a message as a user would, and return what was sent and how the app answered."""
    user = workspace.methods.people.get(press.user)
    if user is None:
        raise HTTPException(422, f"nobody is {press.user!r}")
    now = workspace.wall()
    base_url = str(request.base_url).rstrip("/")
    try:
        payload = workspace.presses.payload(press, user["name"], now, base_url)
    except NoSuchButtonError as problem:
        raise HTTPException(422, str(problem)) from None
    body, headers = signed(press, payload, now)
    sent = {"headers": headers, "body": body.decode()}
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(press.request_url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            said = await answer.text(errors="replace")
            return {"status": answer.status, "body": said, "error": None, "request": sent}
    except TimeoutError:
        error = "operation_timeout"
    except aiohttp.ClientError as problem:
        error = type(problem).__name__
    return {"status": None, "body": "", "error": error, "request": sent}


@router.post("/actions/{path:path}", response_class=Response)
async def take_answer(path: str, request: Request, workspace: TheWorkspace) -> Response:
    """Take what the app answers to a press, as Slack's `response_url` does; scripted as `response_url`."""
    step = workspace.script.next("response_url")
    if step is not None and step.delay_s and not await wait(step.delay_s, request.receive):
        return HangUp()
    if step is not None and (step.drop or not step.is_plain):
        return HangUp() if step.drop else respond(step)
    try:
        answer = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        answer = None
    error = "invalid_payload"
    if isinstance(answer, dict):
        taken = workspace.presses.answered(f"actions/{path}", answer, workspace.wall())
        if taken is None:
            return Response("ok", media_type="text/plain")
        error = taken
    return Response(orjson.dumps({"ok": False, "error": error}), 404, media_type="application/json")


@router.get("/web-api/answers")
async def read_answers(workspace: TheWorkspace) -> dict[str, Any]:
    """Return what the app has answered to presses, in the order of the presses."""
    return {"answers": workspace.presses.answers()}
