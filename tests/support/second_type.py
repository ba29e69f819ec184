"""A second type of alerts, and the kind of run that makes it: outages of services, read from a JSON file.

It exists to show that delivery and store know nothing of accounts: all that is particular to it is here.
"""

import asyncio
import json
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from service.domain.alert import Alert, Fact, alert_id_of
from service.domain.alert_type import Line, Message, Notice, Routes
from service.domain.evaluation import Condition, Evaluation
from service.domain.ledger import balance
from service.domain.lifecycle.alert_status import Severity
from service.domain.lifecycle.problem import Problem
from service.domain.progress import Progress
from service.domain.run import RunRequest
from service.domain.source_uri import SourceUri
from service.runtime.room import Turn

OUTAGE: Final = "outage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A service that was down on a day."""

    service: str
    day: str
    team: str | None
    minutes: int
    cause: str | None
    tenant_id: str

    alert_type: ClassVar[str] = OUTAGE

    @property
    def alert_id(self) -> str:
        """The same for the same service and day."""
        return alert_id_of(tenant_id=self.tenant_id, alert_type=OUTAGE, subject=self.service, period=self.day)

    @property
    def subject(self) -> str:
        """The service."""
        return self.service

    @property
    def period(self) -> str:
        """The day."""
        return self.day

    @property
    def route(self) -> str | None:
        """The team that hears of it."""
        return self.team

    @property
    def facts(self) -> Mapping[str, Fact]:
        """For how long, and why."""
        return {"minutes": self.minutes, "cause": self.cause}


class OutageType:
    """What is particular to outages."""

    name: ClassVar[str] = OUTAGE
    restatable: ClassVar[Collection[str]] = ("minutes",)
    wording: ClassVar[Mapping[str, Fact]] = {}

    def message(self, alert: Alert) -> Message:
        """Say which service, for how long, and why."""
        return Message(
            headline="Down:",
            name=alert.subject,
            key=alert.period,
            lines=(
                Line(label="Minutes", value=str(alert.facts["minutes"])),
                Line(label="Cause", value=str(alert.facts["cause"] or ""), if_blank="not known"),
            ),
            url=f"https://status.example.com/{alert.subject}",
            link_text="Status page",
            without_link="the name is too long for a link",
        )

    def problem(self, alert: Alert) -> Problem:
        """Each day is a problem of its own."""
        return Problem(
            rule_name=OUTAGE, message=f"Down: {alert.subject}", severity=Severity.HIGH, began=alert.period
        )

    def channel(self, alert: Alert, routes: Routes) -> str | None:
        """Return the team's channel; a team that begins with `#` names its own."""
        if alert.route is not None and alert.route.startswith("#"):
            return routes.named(alert.route[1:])
        return routes.of(alert.route)

    def why_unrouted(self, alert: Alert) -> str:
        """Say that the team has no channel."""
        return f"team {alert.route} has no channel"

    def notice(self, count: int, period: str | None) -> Notice:
        """Say how many outages nobody was told of."""
        return Notice(
            subject=f"{count} outages of {period}", explanation=("No channel.",), about=f"Day: {period}"
        )

    def notice_line(self, alert: Alert) -> str:
        """Name the service."""
        return alert.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageRows:
    """What became of the entries of a file."""

    entries: int
    short: int
    alerts: int

    def check(self) -> None:
        """Raise LedgerImbalanceError unless they add up."""
        balance("entries", self.entries, self.short, self.alerts)

    def values(self) -> dict[str, Any]:
        """Return the counts."""
        return {"entries": self.entries, "short": self.short, "alerts": self.alerts}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outages:
    """The kind of run that makes them: outages of at least five minutes, the longest first."""

    tenant_id: str
    alert_type: OutageType = field(default_factory=OutageType)

    name: ClassVar[str] = "outages"
    summary: ClassVar[None] = None
    needs_regions: ClassVar[bool] = False

    async def load(self) -> None:
        """Nothing has to be loaded."""

    async def evaluate(
        self, request: RunRequest, progress: Progress, turn: Turn, watched: Collection[str] = ()
    ) -> Evaluation[Outage, OutageRows]:
        """Read the file."""
        entries = await asyncio.to_thread(_entries, request.source.base, turn)
        progress.rows_done = len(entries)
        day = str(request.period)
        found = [Outage(day=day, tenant_id=self.tenant_id, **entry) for entry in entries]
        alerts = tuple(sorted((one for one in found if one.minutes >= 5), key=lambda one: -one.minutes))
        rows = OutageRows(entries=len(entries), short=len(entries) - len(alerts), alerts=len(alerts))
        down, known = {one.service for one in alerts}, {one.service for one in found}
        return Evaluation(
            criteria={"day": day, "minutes": 5},
            alerts=alerts,
            rows=rows,
            conditions={
                service: Condition.RECOVERED if service in known else Condition.NOT_SEEN
                for service in watched
                if service not in down
            },
        )


def _entries(path: str, turn: Turn) -> list[dict[str, Any]]:
    with turn.taken(threading.Event()):
        entries: list[dict[str, Any]] = json.loads(Path(path).read_text(encoding="utf-8"))
        return entries


def outages_request(path: Path, day: str, *, scope: str | None = None, **details: Any) -> RunRequest:
    """Ask for the outages of a day."""
    return RunRequest(
        kind=Outages.name,
        scope=scope or f"{OUTAGE}:{day}",
        source=SourceUri.parse(path.as_uri()),
        period=day,
        **details,
    )
