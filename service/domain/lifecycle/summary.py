"""The summary: what a channel is told after a run, once, about all that the run changed there. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.domain.alert import Alert
from service.domain.alert_type import AlertWords
from service.domain.lifecycle.run_changes import SubjectChange


@dataclass(frozen=True, slots=True, kw_only=True)
class SummarizedRun:
    """The run that a summary is about."""

    tenant_id: str
    run_id: str
    period: str


class SummaryType(AlertWords, Protocol):
    """The type of the messages that summarize runs of one kind."""

    def of_channel(self, run: SummarizedRun, channel: str, changes: Sequence[SubjectChange]) -> Alert:
        """Return what a channel reads about a run; `changes` are those of its accounts, as listed."""
