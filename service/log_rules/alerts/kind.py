"""The kind of run `log_rules`: a period of a stream of logs, from the checkpoint of the one before it.

What evaluates is loaded by the first run: it needs NumPy and PyArrow.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from service.domain.alert_type import Routes
from service.domain.errors import BadPeriodError, BadRulesError, RulesNotFoundError
from service.domain.progress import Progress
from service.domain.run import RunRequest
from service.domain.source_uri import SourceUri
from service.log_rules.alerts.log_rule import LOG_RULE, LogRuleAlert
from service.log_rules.alerts.options import LogRunOptions
from service.runtime.clock import Clock
from service.runtime.daemon_thread import run_in_daemon_thread
from service.runtime.room import Turn

if TYPE_CHECKING:
    from service.log_rules.alerts.evaluation import LogEvaluation
    from service.store.runs.checkpoints import Checkpoints

LOG_RULES: Final = "log_rules"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
"""How a stream, and a file of rules without its ending, may be called."""
_EVALUATION: Final = "service.log_rules.alerts.evaluation"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRules:
    """What a run of this kind does."""

    options: LogRunOptions
    rules_folder: Path | None
    checkpoints: "Checkpoints"
    clock: Clock
    alert_type: LogRuleAlert = field(default_factory=LogRuleAlert)

    name: ClassVar[str] = LOG_RULES
    summary: ClassVar[None] = None
    needs_regions: ClassVar[bool] = False

    def rules_path(self, name: str) -> Path:
        """Return the file of this name in the folder of rules; raises RulesNotFoundError."""
        if self.rules_folder is None:
            raise RulesNotFoundError("there is no folder of rules: set RULES_FOLDER")
        path = self.rules_folder / f"{name}.toml"
        if not _NAME.fullmatch(name) or not path.is_file():
            raise RulesNotFoundError(f"there is no {name[:70]}.toml in RULES_FOLDER")
        return path

    async def load(self) -> None:
        """Load what evaluates, away from the event loop."""
        await run_in_daemon_thread(import_module, _EVALUATION)

    async def evaluate(
        self, request: RunRequest, progress: Progress, turn: Turn, watched: Collection[str] = ()
    ) -> "LogEvaluation":
        """Find the episodes of a period that no earlier run has seen begin; raises SourceError."""
        del watched  # of all groups it is said what lasts
        await self.load()
        from service.log_rules.alerts.evaluation import evaluate  # noqa: PLC0415  # loaded by now
        from service.store.patience import retry_while_unavailable  # noqa: PLC0415  # a plan needs no database

        since, _, _ = (request.period or "").partition("/")
        lease = request.lease or request.scope
        found = await retry_while_unavailable(self.clock, lambda: self.checkpoints.at(lease, since))
        return await evaluate(self.options, request, found, progress=progress, turn=turn)


async def check_rules(request: RunRequest, routes: Routes) -> None:
    """Raise BadRulesError where a request's rules cannot be used, or name a channel that nothing leads to."""
    await run_in_daemon_thread(_check_rules, Path(request.options["rules"]), routes)


def _check_rules(path: Path, routes: Routes) -> None:
    from service.log_rules.rules_file import check_channels, load_rules  # noqa: PLC0415  # as above

    check_channels(load_rules(path), routes, path.name)


def log_request(
    source: SourceUri,
    rules: Path,
    *,
    since: datetime,
    until: datetime,
    stream: str,
    dry_run: bool = False,
    plan_digest: str | None = None,
    idempotency_key: str | None = None,
) -> RunRequest:
    """Ask for a period of a stream: only one run at a time works on a stream. Raises BadPeriodError."""
    if not _NAME.fullmatch(stream):
        raise BadRulesError(f"stream must be lower case letters, digits and ._-, not {stream[:70]!r}")
    period = f"{_second(since, 'from')}/{_second(until, 'until')}"
    if period[:19] >= period[20:]:
        raise BadPeriodError("from must come before until")
    return RunRequest(
        kind=LOG_RULES,
        scope=f"{LOG_RULE}:{stream}:{period}",
        lease=f"{LOG_RULE}:{stream}",
        source=source,
        period=period,
        options={"rules": str(rules), "stream": stream},
        dry_run=dry_run,
        plan_digest=plan_digest,
        idempotency_key=idempotency_key,
    )


def stream_of(lease: str | None) -> str | None:
    """Return the stream that a run's lease is of."""
    return None if lease is None else lease.removeprefix(f"{LOG_RULE}:")


def _second(instant: datetime, name: str) -> str:
    """Return an instant of UTC as a period has it: `2026-01-31T00:00:00`; texts sort as instants do."""
    if instant.microsecond:
        raise BadPeriodError(f"{name} must be a whole second")
    try:
        utc = instant.astimezone(UTC) if instant.tzinfo else instant
    except OverflowError:
        raise BadPeriodError(f"{name} lies outside the years 1 to 9999") from None
    return utc.replace(tzinfo=None).isoformat()
