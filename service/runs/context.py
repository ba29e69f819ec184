"""The app: what the flows work with. `service.wiring` opens and closes it."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from service.account_risk.engine import EvaluationOptions
from service.account_risk.evaluate import evaluate
from service.delivery.channels import Channels
from service.delivery.dispatch import DeliveryPolicy
from service.delivery.slack import SlackSender
from service.delivery.support_notice import SupportNotice
from service.domain.alert import Criteria
from service.domain.errors import InterruptedRunError
from service.domain.evaluation import Evaluation
from service.domain.month import Month
from service.domain.progress import Progress
from service.domain.run import RunRequest
from service.domain.source_uri import SourceUri
from service.runtime.clock import Clock
from service.runtime.first_of import first_of
from service.settings import Settings
from service.sources.opening import open_source
from service.sources.source import Source, StorageAccess
from service.store.store import Store
from service.telemetry.events import Events, RunRescued

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """What the flows work with; made by `open_app`."""

    settings: Settings
    channels: Channels
    store: Store
    sender: SlackSender
    notice: SupportNotice
    clock: Clock
    events: Events
    running: dict[str, Progress] = field(default_factory=dict)
    """How far the runs of this process have come, by run id."""
    halts: dict[str, asyncio.Event] = field(default_factory=dict)
    """Set to let a run of this process halt, by run id: it was cancelled, or the process has to stop."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that outlives the request which asked for it; it is awaited when the app closes."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def stop(self) -> None:
        """Let all runs halt: what has not left stays in the outbox, for whoever resumes them."""
        self.stopping.set()
        for halt in self.halts.values():
            halt.set()

    async def unless_stopped(self, work: Coroutine[Any, Any, T], *, halt: asyncio.Event | None = None) -> T:
        """Await `work`; raises InterruptedRunError as soon as the run, or all of the service, has to halt."""
        task = asyncio.ensure_future(work)
        await first_of(task, (halt or self.stopping).wait())
        if task.done():
            return task.result()
        raise InterruptedRunError("the service was stopped before the run could finish")

    async def cancel_run(self, run_id: str) -> None:
        """Let nothing more of a run leave, wherever it runs; raises RunNotFoundError and RunFinishedError."""
        await self.store.runs.cancel(run_id, now=self.clock.now())
        if run_id in self.halts:
            self.halts[run_id].set()

    def resumable_since(self) -> datetime:
        """Return how long ago a run may have begun that is still resumed."""
        return self.clock.now() - timedelta(hours=self.settings.resume_within_h)

    async def rescue_runs(self) -> None:
        """Close the runs whose process has died, but for those to resume; raises DatabaseUnusableError."""
        for rescued in await self.store.rescue.close_dead(
            now=self.clock.now(), resumable_since=self.resumable_since()
        ):
            self.events.emit(RunRescued(run_id=rescued.run_id, in_doubt=rescued.in_doubt))

    async def evaluate(self, request: RunRequest, progress: Progress) -> Evaluation:
        """Evaluate what was asked for under this process's settings; runs and previews share it.

        Raises SourceError.
        """
        asked = configured(self.settings, request.source, request.month)
        with asked.reopen() as source:
            return await evaluate(source, asked.criteria, options=asked.options, progress=progress)

    @property
    def delivery_policy(self) -> DeliveryPolicy:
        """How this process delivers."""
        settings = self.settings
        return DeliveryPolicy(
            messages_per_second=settings.slack_messages_per_second,
            concurrency=settings.slack_concurrency,
            timeout_s=settings.slack_timeout_s,
            max_retries=settings.slack_max_retries,
            deadline_s=settings.delivery_deadline_s,
            lease_s=settings.lease_s,
            shutdown_grace_s=settings.shutdown_grace_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A question to a source, as this process's settings put it."""

    criteria: Criteria
    options: EvaluationOptions
    reopen: Callable[[], Source]
    """Opens the source; picklable, so that the workers of a cluster can do the same."""


def storage_access(settings: Settings) -> StorageAccess:
    """Return how, and how far, this process may reach into storage."""
    token = settings.gcs_token
    return StorageAccess(
        gcs_token=token.get_secret_value() if token else None,
        gcs_endpoint_url=settings.gcs_endpoint_url,
        s3_endpoint_url=settings.s3_endpoint_url,
        s3_anon=settings.s3_anon,
        timeout_s=settings.storage_timeout_s,
        allowed_sources=settings.allowed_sources,
    )


def configured(settings: Settings, source: SourceUri, month: Month) -> Configured:
    """Put the settings to use on one source and month."""
    reopen = partial(open_source, source, storage_access(settings))
    return Configured(
        criteria=Criteria(
            month=month,
            arr_threshold=settings.arr_threshold,
            alert_on_unknown_arr=settings.alert_on_unknown_arr,
            history_months=settings.history_months,
        ),
        options=EvaluationOptions(
            threads=settings.scan_threads or os.cpu_count() or 1,
            memory_limit_mb=settings.memory_limit_mb,
            cluster=settings.evaluate_on,
            reopen=reopen,
        ),
        reopen=reopen,
    )
