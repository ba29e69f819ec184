"""The app: what the flows work with. `service.wiring` opens and closes it, and makes its policies.

What sends is named here and not imported: a preview needs none of it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from service.delivery.channels import Channels
from service.delivery.policy import DeliveryPolicy
from service.domain.delivery_status import AmbiguousSends
from service.runs.at_work import RunsAtWork
from service.runs.kind import RunKind
from service.runtime.clock import Clock
from service.runtime.daemon_thread import run_in_daemon_thread
from service.runtime.room import Room
from service.sources.source import StorageAccess

if TYPE_CHECKING:
    from service.access.authentication import Authenticator
    from service.access.people import People
    from service.default_risk.predictor import Predictor
    from service.delivery.slack.outgoing import MessageSender
    from service.delivery.support_notice import SupportNotice
    from service.store.store import Store
    from service.telemetry.events import Events


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicy:
    """What may be run, and how."""

    database_is_durable: bool
    """Whether the ledger outlives this process and its container."""
    lease_s: float
    resume_within: timedelta
    """A run that began longer ago is closed and not resumed."""
    keep_runs: timedelta
    """What is older is deleted, but for what replays need."""
    ambiguous_sends: AmbiguousSends
    replays: AmbiguousSends
    """What a run does itself about what earlier ones left in doubt: with a bot it is looked for first."""
    reconcile_after_s: float
    """How long after its POST's deadline a message that is not in Slack's history never arrived."""
    reconcile_for_s: float
    """How long a run looks for what it has left in doubt."""
    repeats_notices: bool
    """Whether a run notifies support of what it has been notified of before."""
    summarizes: bool
    """Whether each channel gets a message with what a run changed there."""
    most_of_a_rule: int
    """More alerts of one rule, in one run or bulk job, go out as one digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The resources of a process that sends and writes nothing."""

    channels: Channels
    store: "Store"
    storage: StorageAccess
    kinds: Mapping[str, RunKind]
    """The kinds of runs, by name."""
    clock: Clock
    policy: RunPolicy
    delivery: DeliveryPolicy
    at_work: RunsAtWork = field(default_factory=RunsAtWork)
    room: Room = field(default_factory=Room)
    """For the evaluations of runs and previews alike: `MEMORY_LIMIT_MB` is held by one after another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App(Reading):
    """The resources of a process that runs."""

    tenant_id: str
    """For whom this process works: its channels, sources and settings are that tenant's."""
    authenticator: "Authenticator"
    people: "People"
    sender: "Callable[[], Awaitable[MessageSender]]"
    """Returns what posts to Slack, opened by whoever first asks for it."""
    predictor: "Callable[[], Awaitable[Predictor]]"
    """Returns what scores companies, by the models that are active now; loaded by whoever first asks."""
    notice: "Callable[[], SupportNotice]"
    """Returns what writes to support, which few runs do."""
    events: "Events"

    async def load(self) -> None:
        """Load and open what the first run, or score, needs; whoever comes before does so by themselves."""
        await run_in_daemon_thread(self.store.load)
        for kind in self.kinds.values():
            await kind.load()
        await self.predictor()
        await self.sender()
