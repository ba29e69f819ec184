"""The app: what the flows work with. `service.wiring` opens and closes it, and makes its policies."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from service.delivery.channels import Channels
from service.delivery.dispatch import DeliveryPolicy
from service.delivery.slack import SlackSender
from service.delivery.support_notice import SupportNotice
from service.domain.delivery_status import AmbiguousSends
from service.domain.evaluation import Evaluation
from service.domain.progress import Progress
from service.domain.run import RunRequest
from service.runs.at_work import RunsAtWork
from service.runtime.clock import Clock
from service.sources.source import StorageAccess
from service.store.store import Store
from service.telemetry.events import Events

Evaluate = Callable[[RunRequest, Progress], Awaitable[Evaluation]]
"""Evaluates what was asked for; raises SourceError."""


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
    details_base_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The resources of one process."""

    channels: Channels
    store: Store
    sender: SlackSender
    notice: SupportNotice
    storage: StorageAccess
    evaluate: Evaluate
    clock: Clock
    events: Events
    policy: RunPolicy
    delivery: DeliveryPolicy
    at_work: RunsAtWork = field(default_factory=RunsAtWork)
