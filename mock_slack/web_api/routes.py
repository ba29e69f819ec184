"""The routes: `/api/{method}` as Slack has it, and what a test or a person asks of the Web API's mock."""

import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from mock_slack.answer import Answer, rate_limited
from mock_slack.controls import TheWorkspace
from mock_slack.message import Message
from mock_slack.web_api.behaviour import Behaviour
from mock_slack.web_api.methods import RefusedError, SlowDownError
from mock_slack.webhook import HangUp, respond, wait

if TYPE_CHECKING:
    from mock_slack.workspace import Workspace

router = APIRouter()
# These put a message into a channel: they are logged, and scripted by the channel's name.
_WRITE = {"chat.postMessage", "chat.update"}
_JSON_IN_FORMS = {"blocks", "attachments", "metadata"}


async def _arguments(request: Request) -> dict[str, Any] | None:
    """Return a call's arguments, from the query, a form or JSON; None where the body holds no object."""
    arguments: dict[str, Any] = dict(request.query_params)
    body = await request.body()
    if not body:
        return arguments
    try:
        if "json" in request.headers.get("content-type", ""):
            given: dict[str, Any] = arguments | orjson.loads(body)
            return given
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        return arguments | {
            name: orjson.loads(value) if name in _JSON_IN_FORMS else value for name, value in form.items()
        }
    except (TypeError, ValueError):
        return None


@router.get("/api/{method}", response_class=Response)
@router.post("/api/{method}", response_class=Response)
async def call_method(method: str, request: Request, workspace: TheWorkspace) -> Response:
    """Answer a call of the Web API."""
    try:
        arguments = await _arguments(request)
    except ClientDisconnect:
        return HangUp()
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given = token if scheme.lower() == "bearer" else str((arguments or {}).get("token", ""))
    if method not in _WRITE:
        answer = _scripted(workspace, method, method, arguments, given)
        return await _sent(answer, request)
    channel = str((arguments or {}).get("channel", ""))
    name = workspace.methods.conversations.name_of(channel) or channel
    with workspace.stats.visit(name) as visit:
        answer = _scripted(workspace, name, method, arguments, given)
        message = Message(await request.body() if arguments is None else orjson.dumps(arguments))
        if answer.drop != "before":
            workspace.log.append(name, message, answer, method=method)
        if method == "chat.postMessage":
            visit.decided(message.alert, answer)
        return await _sent(answer, request, visit.answered)


async def _sent(answer: Answer, request: Request, answered: Any = lambda _: None) -> Response:
    if answer.delay_s and not await wait(answer.delay_s, request.receive):
        return HangUp()
    answered(answer)
    return HangUp() if answer.drop else respond(answer)


def _scripted(
    workspace: "Workspace", script: str, method: str, arguments: dict[str, Any] | None, token: str
) -> Answer:
    """Answer as the script has it; a step that says nothing of the answer leaves that to the method."""
    step = workspace.script.next(script)
    if step is None:
        return _answer(workspace, method, arguments, token)
    if step.drop == "before":
        return step
    if step.is_plain:
        answer = _answer(workspace, method, arguments, token)
        return replace(answer, delay_s=step.delay_s, drop=step.drop)
    if step.posted:
        _answer(workspace, method, arguments, token)
    return step


def _answer(workspace: "Workspace", method: str, arguments: dict[str, Any] | None, token: str) -> Answer:
    """Answer as Slack would: from who may call, to what is asked for, to Slack having a bad day."""
    wanted = workspace.settings.bot_token
    is_known = wanted is None or hmac.compare_digest(token.encode(), wanted.get_secret_value().encode())
    if not token or not is_known or arguments is None:
        return _json({"ok": False, "error": _why_not(token, is_known=is_known)})
    if method == "chat.postMessage":
        channel = workspace.methods.conversations.name_of(str(arguments.get("channel", "")))
        if channel is not None and (bad_day := workspace.bad_day(channel, Message(orjson.dumps(arguments)))):
            return bad_day
    try:
        return _json(workspace.methods.call(method, arguments))
    except RefusedError as refused:
        return _json(refused.said)
    except SlowDownError as slow_down:
        return rate_limited(slow_down.wait_s, error="ratelimited")


def _why_not(token: str, *, is_known: bool) -> str:
    if not token:
        return "not_authed"
    return "invalid_json" if is_known else "invalid_auth"


def _json(said: dict[str, Any]) -> Answer:
    return Answer(body=orjson.dumps(said), media_type="application/json")


@router.put("/web-api", status_code=204)
async def behave(behaviour: Behaviour, workspace: TheWorkspace) -> None:
    """Let the Web API behave so from now on."""
    workspace.methods.behave(behaviour)


@router.get("/web-api/calls")
async def read_calls(workspace: TheWorkspace) -> dict[str, int]:
    """Return how often each method was called since the start or the last reset."""
    return workspace.methods.calls


@router.get("/web-api/messages/{channel}")
async def read_messages(channel: str, workspace: TheWorkspace) -> dict[str, Any]:
    """Return all that stands in a channel, oldest first, whatever the bot may see of it."""
    return {"messages": workspace.methods.conversations.read(channel)[::-1]}
