"""Interactions: Slack says that somebody pressed a button of a message, and is answered within 3 seconds."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.background import BackgroundTask

from service.api.access import PRESSES
from service.api.context import Opened
from service.api.errors import InvalidRequestError, NotFoundError
from service.api.openapi import answers
from service.api.slack.pressing import BadSignatureError, carry_out, reply
from service.delivery.slack.pressing.buttons import NotAPressError, read_press
from service.delivery.slack.pressing.signature import is_signed

MOST_BYTES: Final = 256 * 1024
"""The payload repeats the whole message, and a form takes eight bytes for a letter that is not ASCII."""
ANSWER_WITHIN_S: Final = 2.5

_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "required": ["payload"],
                "properties": {
                    "payload": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "description": "Slack's `block_actions`.",
                    }
                },
            }
        }
    },
}
_HEADERS: Final = [
    {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": text}
    for name, text in (
        ("X-Slack-Request-Timestamp", "When Slack signed it, seconds since 1970; five minutes off at most."),
        ("X-Slack-Signature", "`v0=` and the HMAC-SHA256 of `v0:{timestamp}:{body}` by the signing secret."),
    )
]

router = APIRouter(max_body_size=MOST_BYTES, tags=["slack"])


@router.post(
    PRESSES,
    summary="Hear of a pressed button, from Slack",
    response_class=Response,
    responses=answers(
        *("malformed_request", "host_not_allowed", "cross_site_request", "unsupported_media_type"),
        *("body_too_large", "not_found", "bad_signature", "invalid_request", "internal_error"),
        media_type="text/plain",
    ),
    openapi_extra={"requestBody": _BODY, "parameters": _HEADERS},
)
async def take_press(request: Request, context: Opened) -> Response:
    """Acknowledge or resolve an alert for whoever pressed the button, before the answer, which is empty.

    What there is to say is said to that person alone, in the channel. Requests are known to be Slack's by
    their signature and by nothing else: without `SLACK_SIGNING_SECRET` there is nothing here.
    """
    app = context.app
    secret = app.channels.signing_secret
    if secret is None or not app.channels.has_buttons:
        raise NotFoundError(NotFoundError.example)
    body = await request.body()
    is_slacks = is_signed(
        secret,
        body,
        timestamps=request.headers.getlist("X-Slack-Request-Timestamp"),
        signatures=request.headers.getlist("X-Slack-Signature"),
        now=app.clock.now().timestamp(),
    )
    if not is_slacks:
        raise BadSignatureError(BadSignatureError.example)
    try:
        press = read_press(body)
    except NotAPressError as problem:
        raise InvalidRequestError(f"body: {problem}") from None
    address = request.client.host if request.client else None
    request_id = getattr(request.state, "request_id", None)
    working = asyncio.create_task(carry_out(app, press, address=address, request_id=request_id))
    # A step that has begun is taken, however busy the database is: Slack does not wait for that.
    done, _ = await asyncio.wait([working], timeout=ANSWER_WITHIN_S)
    if done:
        working.result()
    return Response(background=BackgroundTask(reply, app, press, working))
