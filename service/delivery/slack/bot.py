"""The bot: messages go out by `chat.postMessage`, each with a marker, and Slack says where it put them."""

import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson

from service.delivery.slack.answer import WebApiError, rows_of
from service.delivery.slack.history import Place, read_history
from service.delivery.slack.marker import Marker, Markers
from service.delivery.slack.message import with_link
from service.delivery.slack.outgoing import OutgoingMessage
from service.delivery.slack.posted import classify_posted
from service.delivery.slack.send_result import InDoubt, RateLimited, Retry, SendResult, Sent
from service.delivery.slack.sender import SlackSender, open_slack
from service.delivery.slack.web_api import WebApi
from service.domain.alert_type import Link
from service.domain.delivery_status import Reason
from service.runtime.clock import Clock
from service.store.outbox.earlier import EarlierMessage
from service.telemetry.delivery_events import BotOpened, BotRefused
from service.telemetry.events import Events

CLOCKS_DIFFER_S: Final = 120.0
"""How far before a claim its message is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotChannel:
    """A channel as Slack knows it."""

    channel_id: str
    name: str
    is_member: bool
    is_archived: bool


class Bot:
    """Posts as a bot, whose token is a secret; what an answer means for the lane is not its business."""

    def __init__(self, slack: SlackSender, api: WebApi, markers: Markers) -> None:
        self.senders = slack.senders
        self.api = api
        self.markers = markers
        self._slack = slack
        self.identity: Mapping[str, Any] = {}
        """What Slack has said of the token, once it did."""
        self._channels: dict[str, BotChannel] = {}
        """By name and by id: looked up once, and kept."""

    async def send(
        self, message: OutgoingMessage, *, timeout_s: float, may_leave: Callable[[], bool]
    ) -> SendResult:
        """POST a message and say what came of it; only cancellation is ever raised.

        One whose earlier POST was answered by a 5xx is looked for first: where it stands it was sent, and
        where that cannot be seen nobody knows.
        """
        if message.unsure_since is not None:
            try:
                place = await self._stands(message, message.unsure_since)
            except WebApiError as problem:
                if problem.retry_after_s is not None:
                    return RateLimited(retry_after_s=problem.retry_after_s)
                why = f"an earlier POST may have arrived, and the history could not be read: {problem}"
                return InDoubt(reason=Reason.RESPONSE_LOST, message=why)
            if place is not None:
                return Sent(http_status=200, channel=place.channel_id, ts=place.ts)
        result = await self._post(message, timeout_s=timeout_s, may_leave=may_leave)
        if isinstance(result, Retry) and result.reason is Reason.SERVER_ERROR:
            return replace(result, may_have_arrived=True)
        return result

    async def _stands(self, message: OutgoingMessage, since: datetime) -> Place | None:
        history = await self.history(message.channel, oldest=since.timestamp() - CLOCKS_DIFFER_S)
        claims = range(message.claim, 0, -1)
        found = (history.get(Marker(message.occurrence, claim)) for claim in claims)
        return next((place for place in found if place is not None), None)

    async def _post(
        self, message: OutgoingMessage, *, timeout_s: float, may_leave: Callable[[], bool]
    ) -> SendResult:
        known = self._channels.get(message.channel)
        payload = orjson.loads(message.payload)
        if message.earlier is not None:
            payload = with_link(payload, self.link_to(message.earlier))
        body = payload | {
            # Slack takes a name as well, for as long as nobody could look the id up.
            "channel": message.channel if known is None else known.channel_id,
            "metadata": self.markers.metadata(Marker(message.occurrence, message.claim)),
        }
        return await self._slack.post(
            message.url,
            orjson.dumps(body).decode(),
            timeout_s=timeout_s,
            may_leave=may_leave,
            token=self.api.token,
            classify=classify_posted,
        )

    async def update(
        self,
        channel_id: str,
        ts: str,
        payload: dict[str, Any],
        *,
        timeout_s: float,
        may_leave: Callable[[], bool],
    ) -> SendResult:
        """Put other words into a message of its own, and say what came of it; its marker stays with it."""
        # Left out, the way that words are treated would become another than that of a new message.
        body = payload | {"channel": channel_id, "ts": ts, "parse": "none"}
        return await self._slack.post(
            f"{self.api.url}/chat.update",
            orjson.dumps(body).decode(),
            timeout_s=timeout_s,
            may_leave=may_leave,
            token=self.api.token,
            classify=classify_posted,
        )

    def link_to(self, earlier: EarlierMessage) -> Link:
        """Return the way to an earlier message; words alone where the workspace is not known."""
        period = earlier.period.removesuffix("-01")  # a month is its first day
        workspace = str(self.identity.get("url", ""))
        path = f"archives/{earlier.slack_channel}/p{earlier.slack_ts.replace('.', '')}"
        url = f"{workspace.rstrip('/')}/{path}" if workspace.startswith("https://") else None
        return Link(text=f"Message before this one ({period})", url=url)

    async def whoami(self, *, patient_until: float = -math.inf) -> Mapping[str, Any]:
        """Return what Slack says of the token, asked once; raises WebApiError."""
        if not self.identity:
            identity = await self.api.call("auth.test", patient_until=patient_until)
            if not isinstance(identity.get("bot_id"), str):  # by which its own messages are known
                raise WebApiError("no_bot_id")
            self.identity = identity
        return self.identity

    async def answer(self, response_url: str, text: str) -> bool:
        """Answer the person who pressed a button, seen by them alone; return whether Slack took it.

        The URL is a secret, and never another host's than Slack's.
        """
        body = {"response_type": "ephemeral", "replace_original": False, "text": text}
        try:
            api, place = urlsplit(self.api.url), urlsplit(response_url)
            if place.scheme != api.scheme or place.netloc not in {api.netloc, f"hooks.{api.netloc}"}:
                return False
            status = await self._slack.answer(response_url, orjson.dumps(body), timeout_s=self.api.timeout_s)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return False
        return status == HTTPStatus.OK

    async def history(
        self, channel: str, *, oldest: float, patient_until: float = -math.inf
    ) -> dict[Marker, Place]:
        """Return the bot's own messages of a channel, as `read_history` does; raises WebApiError."""
        identity = await self.whoami(patient_until=patient_until)
        known = (await self.channels()).get(channel)
        if known is None:  # it was made, or the bot invited, since the names were looked up
            self._channels = {}
            known = (await self.channels()).get(channel)
        return await read_history(
            self.api,
            self.markers,
            bot_id=str(identity.get("bot_id")),
            channel_id=channel if known is None else known.channel_id,
            oldest=oldest,
            patient_until=patient_until,
        )

    async def channels(self) -> dict[str, BotChannel]:
        """Return the channels that the bot sees, by name and by id; raises WebApiError."""
        if not self._channels:
            found = [each async for each in self._listed("public_channel")]
            try:
                found += [each async for each in self._listed("private_channel")]
            except WebApiError as refused:
                if refused.word != "missing_scope":  # groups:read, which public channels do not need
                    raise
            by_name = {each.name: each for each in found}
            self._channels = by_name | {each.channel_id: each for each in found}
        return self._channels

    async def _listed(self, types: str) -> AsyncIterator[BotChannel]:
        async for page in self.api.pages("conversations.list", types=types, limit="200"):
            for each in rows_of(page, "channels"):
                match each:
                    case {"id": str(channel_id), "name": str(name)}:
                        yield BotChannel(
                            channel_id=channel_id,
                            name=name,
                            is_member=each.get("is_member") is True,
                            is_archived=each.get("is_archived") is True,
                        )


@asynccontextmanager
async def open_bot(
    *,
    api_url: str,
    token: str,
    marker_key: str,
    concurrency: int,
    timeout_s: float,
    clock: Clock,
    events: Events,
) -> AsyncIterator[Bot]:
    """Open this process's connections and ask Slack whose token it is.

    Where Slack refuses the token, or does not answer, that is logged: what is to be sent fails with its
    reason, or waits, and is in the ledger either way.
    """
    async with open_slack(concurrency=concurrency, auth_token=None, clock=clock) as slack:
        api = WebApi(slack=slack, url=api_url, token=token, clock=clock, timeout_s=timeout_s)
        bot = Bot(slack, api, Markers(marker_key))
        try:
            identity = await bot.whoami()
            channels = await bot.channels()
        except WebApiError as refused:
            events.emit(BotRefused(detail=str(refused)))
        else:
            events.emit(
                BotOpened(
                    team=str(identity.get("team")),
                    user=str(identity.get("user")),
                    channels=len(channels) // 2,
                )
            )
        yield bot
