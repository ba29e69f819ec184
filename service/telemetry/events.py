"""Events: what happened, as small records; hooks turn them into log lines, and whatever else is wanted.

Those of runs, and of deliveries, stand in modules of their own.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar

from service.telemetry.structured import structlog


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; its fields are those of its line in the log."""

    name: ClassVar[str]
    """Stable, for alerting rules and dashboards."""
    level: ClassVar[int] = logging.INFO

    @property
    def severity(self) -> int:
        """How urgently a person should look at it: a level of `logging`."""
        return self.level

    def values(self) -> dict[str, Any]:
        """Return the fields of the line."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(Event):
    """An error that nobody foresaw, with its stack."""

    level = logging.ERROR
    exc_info: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Event):
    """The process has its database, and knows how it reaches Slack."""

    name = "opened"
    database: str
    """Its URL without the password."""
    slack: str | None
    """The setting that leads to Slack; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerNotNamed(Event):
    """The ledger is the one that lies in this folder, where it was the default once."""

    name = "ledger_not_named"
    level = logging.WARNING
    database: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerMayBeLost(Event):
    """SQLite inside a pod: the ledger lasts as long as the volume that it lies on."""

    name = "ledger_may_be_lost"
    level = logging.WARNING
    database: str
    detail: str = (
        "a SQLite file in a Kubernetes pod is lost with the pod unless it lies on a persistent volume, and "
        "the next run would then send everything again"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFailed(Failure):
    """The sweep could not look after runs whose process died."""

    name = "rescue_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned(Event):
    """What was older than `KEEP_RUNS_DAYS` was deleted: how many rows of which table."""

    name = "pruned"
    rows: Mapping[str, int]
    before: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneFailed(Failure):
    """What is too old could not be deleted this time."""

    name = "prune_failed"


Hook = Callable[[Event], None]


def log_line(event: Event) -> None:
    """Write the event's one line of the log; the hook that every process has."""
    values = {name: _shown(value) for name, value in event.values().items()}
    structlog.get_logger().log(event.severity, event.name, **values)


class Events:
    """Where flows emit events; every hook hears of each, in turn."""

    def __init__(self, *hooks: Hook) -> None:
        self._hooks = hooks or (log_line,)

    def also(self, hook: Hook) -> None:
        """Let a hook hear of every event from now on, beside those that are there."""
        self._hooks = (*self._hooks, hook)

    def emit(self, event: Event) -> None:
        """Give the event to every hook; raises nothing, since no run may fail of being watched."""
        for hook in self._hooks:
            try:
                hook(event)
            except Exception as error:  # noqa: BLE001  # see above
                structlog.get_logger().error("hook_failed", event_name=event.name, exc_info=error)


def _shown(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value
