"""The service with a fail point: `python -m tests.support.failing POINT NTH serve …` dies there, by SIGKILL.

A fail point is a named place of a run. It is put in from outside, around the verb that stands there, so that
nothing in the service knows of it and no setting can switch one on.
"""

import asyncio
import functools
import os
import signal
import sys
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from service.account_risk.folding.fold import Fold
from service.cli.main import main
from service.delivery.slack.bot import Bot
from service.delivery.slack.sender import SlackSender
from service.delivery.support_notice import SupportNotice
from service.log_rules.reading.log_files import LogFiles
from service.log_rules.tally import Tally
from service.sources.parquet.scan import Scan
from service.store.alerts import changing, recovery, work
from service.store.outbox import record
from service.store.outbox.message_updates import MessageUpdates
from service.store.outbox.record import Recording
from service.store.outbox.send import Outbox
from service.store.runs import leases
from service.store.runs.leases import Runs

_Matters = Callable[[tuple[Any, ...]], bool]
"""Whether a call, by its arguments, is one of those that the fail point stands at."""


def _always(_: tuple[Any, ...]) -> bool:
    return True


def _settles(args: tuple[Any, ...]) -> bool:
    return bool(args[2])


def _claims(args: tuple[Any, ...]) -> bool:
    return bool(args[3])


FAIL_POINTS: Final = MappingProxyType(
    {
        "before_footers": (Scan, "footers", "before", _always),
        "after_footers": (Scan, "footers", "after", _always),
        "mid_fold": (Fold, "target_batch", "after", _always),
        "before_record": (Recording, "record", "before", _always),
        # Between the UPDATE (or INSERT) of an alert and its event.
        "before_alert_event": (changing, "_event_row", "before", _always),
        # Between an alert that somebody creates and its message.
        "before_waiting": (work, "let_wait", "before", _always),
        "after_record": (Recording, "record", "after", _always),
        "after_claim": (Outbox, "settle_and_claim", "after", _claims),
        "before_post": (SlackSender, "post", "before", _always),
        "after_answer": (SlackSender, "post", "after", _always),
        "before_settle": (Outbox, "settle_and_claim", "before", _settles),
        "after_settle": (Outbox, "settle_and_claim", "after", _settles),
        "before_notice": (SupportNotice, "send", "before", _always),
        "after_notice": (SupportNotice, "send", "after", _always),
        # Between the end of a run and the messages that say what it changed.
        "before_summary": (leases, "let_summaries_wait", "before", _always),
        "after_summary": (leases, "let_summaries_wait", "after", _always),
        "before_finish": (Runs, "finish", "before", _always),
        "after_finish": (Runs, "finish", "after", _always),
    }
)
"""By name: the verb, the side of it, and which of its calls count. After the bytes of a POST have left, only
Slack can tell: there the test kills when the mock has the request."""

BOT_FAIL_POINTS: Final = MappingProxyType(
    {
        "before_update": (Bot, "update", "before", _always),
        "after_update": (Bot, "update", "after", _always),
        "before_shown": (MessageUpdates, "shown", "before", _always),
        "after_shown": (MessageUpdates, "shown", "after", _always),
    }
)
"""Where a bot's message is changed to what has become of its alert: asked for, and written down."""

LOG_FAIL_POINTS: Final = MappingProxyType(
    {
        "after_listing": (LogFiles, "list", "after", _always),
        "mid_count": (Tally, "take", "after", _always),
        "before_ending": (recovery, "_end_what_is_over", "before", _always),
        "before_checkpoint": (record, "write_checkpoint", "before", _always),
        "after_checkpoint": (record, "write_checkpoint", "after", _always),
    }
)
"""What a run over a log has besides."""


def put_in(point: str, nth: int) -> None:
    """Let this process die at the `nth` passage of a fail point."""
    owner, verb, side, matters = (FAIL_POINTS | BOT_FAIL_POINTS | LOG_FAIL_POINTS)[point]
    passages = iter(range(1, nth + 1))

    def pass_by(args: tuple[Any, ...]) -> None:
        if matters(args) and next(passages) == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    works = getattr(owner, verb)
    if asyncio.iscoroutinefunction(works):

        @functools.wraps(works)
        async def watched(*args: Any, **kwargs: Any) -> Any:
            if side == "before":
                pass_by(args)
            result = await works(*args, **kwargs)
            if side == "after":
                pass_by(args)
            return result
    else:

        @functools.wraps(works)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if side == "before":
                pass_by(args)
            result = works(*args, **kwargs)
            if side == "after":
                pass_by(args)
            return result

    setattr(owner, verb, watched)


if __name__ == "__main__":
    _, its_name, its_nth, *command = sys.argv
    put_in(its_name, int(its_nth))
    sys.argv = ["risk-alerts", *command]
    main()
