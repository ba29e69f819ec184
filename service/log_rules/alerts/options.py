"""What a run over a log may use, and what it makes of very much."""

from collections.abc import Callable
from dataclasses import dataclass

from service.domain.source_uri import SourceUri
from service.sources.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRunOptions:
    """As this process's settings have it."""

    tenant_id: str
    threads: int
    memory_limit_mb: int | None
    most_of_a_rule: int
    """More alerts of one rule in one run go out as one digest."""
    checkpoint_limit_mb: int
    open_source: Callable[[SourceUri], Source]
