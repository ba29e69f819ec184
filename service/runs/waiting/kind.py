"""The kind `outbox`: its source is the outbox itself, its alerts are of every type that can wait there."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

from service.domain.alert import Alert, Fact
from service.domain.alert_type import AlertWords, Message, Notice, Routes
from service.domain.delivery_status import AmbiguousSends
from service.domain.evaluation import Evaluation
from service.domain.lifecycle.problem import Problem
from service.domain.progress import Progress
from service.domain.run import RunRequest
from service.domain.source_uri import SourceUri
from service.runs.kind import RunKind
from service.runs.waiting.created import Created
from service.runs.waiting.high_risk import HighRiskAlert
from service.runs.waiting.high_risk_digest import HighRiskDigestMessage
from service.runtime.clock import Clock
from service.runtime.room import Turn
from service.store.outbox.waiting import OUTBOX, Waiting, outbox_scope
from service.store.patience import retry_while_unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingTypes:
    """The types of what can wait, as one: each alert is put into words by its own."""

    types: Mapping[str, AlertWords]

    name: ClassVar[str] = OUTBOX
    restatable: ClassVar[Collection[str]] = ()
    wording: ClassVar[Mapping[str, Fact]] = {}

    def message(self, alert: Alert) -> Message:
        """Return what a person reads about an alert."""
        return self.types[alert.alert_type].message(alert)

    def problem(self, alert: Alert) -> Problem:
        """Return what its type says; whoever recorded it has made the alert that people work on."""
        return self.types[alert.alert_type].problem(alert)

    def channel(self, alert: Alert, routes: Routes) -> str | None:
        """Return where an alert goes."""
        return self.types[alert.alert_type].channel(alert, routes)

    def why_unrouted(self, alert: Alert) -> str:
        """Say why an alert has no channel."""
        return self.types[alert.alert_type].why_unrouted(alert)

    def notice(self, count: int, period: str | None) -> Notice:
        """Return what support reads above the list of alerts."""
        del period
        alerts = "1 alert" if count == 1 else f"{count} alerts"
        return Notice(
            subject=f"Alerts: {alerts} without a Slack channel",
            explanation=(
                f"{alerts} could not be sent: no Slack channel is configured for their route.",
                "They go out with the next alert that is sent, once there is one.",
            ),
            about="Sent outside the runs of months",
        )

    def notice_line(self, alert: Alert) -> str:
        """Return an alert's line of that list."""
        return self.types[alert.alert_type].notice_line(alert)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRows:
    """How many alerts waited; none is left out."""

    alerts: int

    def check(self) -> None:
        """Find nothing: there is one number only."""

    def values(self) -> dict[str, Any]:
        """Return the count."""
        return {"alerts": self.alerts}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRuns:
    """What a run of this kind does."""

    alert_type: WaitingTypes
    waiting: Waiting
    ambiguous: AmbiguousSends
    clock: Clock

    name: ClassVar[str] = OUTBOX
    summary: ClassVar[None] = None
    needs_regions: ClassVar[bool] = False

    async def load(self) -> None:
        """Find nothing to load: an outbox run reads no files."""

    async def evaluate(
        self, request: RunRequest, progress: Progress, turn: Turn, watched: Collection[str] = ()
    ) -> Evaluation[Alert, WaitingRows]:
        """Look at what waits, which takes no memory worth a turn, and says nothing of what others watch."""
        del request, progress, turn, watched
        look = partial(
            self.waiting.to_send,
            self.alert_type.types,
            also_in_doubt=self.ambiguous is AmbiguousSends.RESEND,
        )
        alerts = await retry_while_unavailable(self.clock, look)
        rows = WaitingRows(alerts=len(alerts))
        return Evaluation(criteria={}, alerts=tuple(alerts), rows=rows, withdraws=False)


def outbox_request(tenant_id: str) -> RunRequest:
    """Ask for all that waits in a tenant's outbox."""
    return RunRequest(kind=OUTBOX, scope=outbox_scope(tenant_id), source=_ITSELF, period=None)


_ITSELF = SourceUri(text=f"{OUTBOX}:", scheme="file", bucket="", base="", segments=(), is_folder=False)


def with_outbox(
    kinds: Mapping[str, RunKind], waiting: Waiting, clock: Clock, ambiguous: AmbiguousSends
) -> Mapping[str, RunKind]:
    """Add the kind that sends what waits: what was created or predicted, and of each type of the `kinds`."""
    of_kinds = (each for kind in kinds.values() for each in (kind.alert_type, kind.summary))
    own = Created(), HighRiskAlert(), HighRiskDigestMessage()
    types: dict[str, AlertWords] = {each.name: each for each in (*own, *of_kinds) if each is not None}
    outbox = OutboxRuns(
        alert_type=WaitingTypes(types=types), waiting=waiting, ambiguous=ambiguous, clock=clock
    )
    return MappingProxyType({**kinds, outbox.name: outbox})
