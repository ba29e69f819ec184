"""The options of an evaluation, named without loading what evaluates."""

from collections.abc import Callable
from dataclasses import dataclass

from service.sources.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What an evaluation may use of the machine, and of others."""

    threads: int = 2
    memory_limit_mb: int | None = None
    cluster: str | None = None
    """Address of a Dask scheduler that evaluates, such as tcp://scheduler:8786; None: this process."""
    cluster_timeout_s: float = 15
    """How long the scheduler may not answer, or have no workers."""
    reopen: Callable[[], Source] | None = None
    """How the workers of a cluster open the same source; must be picklable, and holds its credentials."""
