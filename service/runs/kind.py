"""The kind of run: what a run evaluates, and which type of alerts it makes."""

from collections.abc import Collection
from typing import Protocol

from service.domain.alert_type import AlertType
from service.domain.evaluation import AnyEvaluation
from service.domain.lifecycle.summary import SummaryType
from service.domain.progress import Progress
from service.domain.run import RunRequest
from service.runtime.room import Turn


class RunKind(Protocol):
    """All that the flows know of one kind; made by the wiring."""

    @property
    def name(self) -> str:
        """Stored with each run of it."""

    @property
    def alert_type(self) -> AlertType:
        """The type of its alerts."""

    @property
    def summary(self) -> SummaryType | None:
        """The type of the messages that say what a run changed; None: nothing says so."""

    @property
    def needs_regions(self) -> bool:
        """Whether its alerts reach nobody where no region has a channel."""

    async def load(self) -> None:
        """Load what the first evaluation would have to load."""

    async def evaluate(
        self, request: RunRequest, progress: Progress, turn: Turn, watched: Collection[str] = ()
    ) -> AnyEvaluation:
        """Find the alerts, in the order of sending, when it is their `turn`; raises SourceError.

        Of the subjects that are `watched` it is said what has become of them where they are no alerts.
        """
