"""The workspace: everything one running mock knows, and how it arrives at an answer."""

import hmac
import secrets
from collections.abc import Callable

from mock_slack.answer import OK, Answer, rate_limited, refused
from mock_slack.faults import Faults
from mock_slack.log import Log
from mock_slack.message import Message
from mock_slack.rate import RateLimit
from mock_slack.script import Script
from mock_slack.settings import Settings
from mock_slack.stats import Stats, Visit
from mock_slack.web_api.conversations import USUAL, Conversations
from mock_slack.web_api.methods import Methods
from mock_slack.web_api.pressing import Presses


class Workspace:
    """A Slack workspace with its channels; used on one event loop only, so nothing is locked."""

    def __init__(self, settings: Settings, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self.settings = settings
        self.seed = secrets.randbits(32) if settings.seed is None else settings.seed
        self.script = Script()
        self.log = Log(settings.log_path)
        self.stats = Stats(clock)
        self._clock = clock
        self.wall = wall
        self._forget()

    def answer(self, channel: str, token: str, message: Message, visit: Visit) -> Answer:
        """Decide what a request is answered, and record it, unless its connection is dropped before that.

        A scripted answer wins over everything else, so that a test's next N answers are the next N requests'.
        """
        answer = self.script.next(channel) or self._answer(channel, token, message)
        if answer.drop != "before":
            self.log.append(channel, message, answer)
        visit.decided(message.alert, answer)
        return answer

    def bad_day(self, channel: str, message: Message) -> Answer | None:
        """Return why a bot's message is not posted although nothing is wrong with it; None where it is."""
        if wait_s := self._rate_limit.wait_s(channel):
            return rate_limited(wait_s, error="ratelimited")
        return None if message.refusal() else self._faults.draw(message.alert)

    def reset(self) -> None:
        """Return to the state after the start; the seed stays, so the same faults come again."""
        self.script.clear()
        self.log.reset()
        self.stats.reset()
        self._forget()

    def _forget(self) -> None:
        self._faults = Faults(self.settings, self.seed)
        self._rate_limit = RateLimit(self.settings.rate_limit, self._clock)
        channels = self.settings.channels
        conversations = Conversations(USUAL if channels is None else channels)
        self.methods = Methods(conversations, self._clock, self.wall)
        self.presses = Presses(conversations)

    def _answer(self, channel: str, token: str, message: Message) -> Answer:
        """Answer as Slack would: from who may speak, to what is said, to Slack having a bad day."""
        wanted = self.settings.auth_token
        if wanted is not None and not hmac.compare_digest(token.encode(), wanted.get_secret_value().encode()):
            return refused(403, "invalid_token")
        channels = self.settings.channels
        if channels is not None and channel not in channels:
            return refused(404, "channel_not_found")
        if wait_s := self._rate_limit.wait_s(channel):
            return rate_limited(wait_s)
        return message.refusal() or self._faults.draw(message.alert) or OK
