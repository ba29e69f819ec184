"""The webhook: the one thing here that Slack has too."""

import asyncio
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from mock_slack.answer import Answer
from mock_slack.message import Message

if TYPE_CHECKING:
    from mock_slack.workspace import Workspace

router = APIRouter()


@router.post("/slack/webhook/{channel}", response_class=Response)
@router.post("/hooks/{channel}", response_class=Response)
async def post_message(
    channel: str, request: Request, x_mock_slack_token: Annotated[str, Header()] = ""
) -> Response:
    """Receive a message as Slack's incoming webhook does."""
    workspace: Workspace = request.app.state.workspace
    with workspace.stats.visit(channel) as visit:
        try:
            message = Message(await request.body())
        except ClientDisconnect:
            return HangUp()
        answer = workspace.answer(channel, x_mock_slack_token, message, visit)
        if answer.delay_s and not await wait(answer.delay_s, request.receive):
            return HangUp()
        visit.answered(answer)
    return HangUp() if answer.drop else respond(answer)


class HangUp(Response):
    """Closes the connection without a byte of answer.

    ASGI has no message for that. uvicorn's `receive` is a method of its request cycle, which holds the
    transport, with h11 and httptools alike; tests guard this. Under another server the answer is a 501 that
    says so.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close it, as soon as there is nothing left to be sent."""
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        if transport is None:
            sorry = Response("this server cannot drop a connection: run under uvicorn", 501)
            await sorry(scope, receive, send)
            return
        transport.abort()
        # uvicorn notes the loss in its next turn and from then on expects no answer from us.
        while (await receive())["type"] != "http.disconnect":
            pass


def respond(answer: Answer) -> Response:
    """Return an answer as it goes over the wire."""
    headers = dict(answer.headers)
    if answer.reason is not None:
        # The reason may quote the payload, so it is escaped to what a header can hold.
        headers["x-mock-slack-reason"] = answer.reason.encode("unicode_escape").decode()
    return Response(answer.body, answer.status, headers, media_type=answer.media_type)


async def wait(seconds: float, receive: Receive) -> bool:
    """Wait, and return whether anybody is still there to be answered.

    The wait ends at once when the client leaves or the server stops. Stopping cancels it; nobody can be
    answered then either, and a request that a script left hanging is no error to be logged.
    """
    leaving = asyncio.ensure_future(receive())
    try:
        done, _ = await asyncio.wait({leaving}, timeout=seconds)
    except asyncio.CancelledError:
        return False
    finally:
        leaving.cancel()
    return not done
