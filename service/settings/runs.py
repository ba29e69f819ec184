"""The settings of runs: how long they may take, and what becomes of those that were cut short."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from service.domain.delivery_status import AmbiguousSends
from service.settings.value_types import Lower


class RunSettings(BaseModel, defer_build=True):
    """How runs begin, end and are resumed."""

    shutdown_grace_s: float = Field(
        8.0, ge=2, le=3600, description="Time allowed for requests in flight after SIGTERM, in seconds."
    )
    resume_within_h: float = Field(
        24.0,
        ge=0,
        le=8760,
        description="A run whose process died is resumed if it began within this many hours.",
    )
    delivery_deadline_s: float = Field(
        600.0,
        gt=0,
        le=31_536_000,
        description="A run's deliveries end this many seconds after its first claim, downtime not counted.",
    )
    ambiguous_sends: Annotated[AmbiguousSends, Lower] = Field(
        AmbiguousSends.HOLD,
        description="What a run does with alerts in doubt: `hold` them for a person, or `resend` them.",
    )
    rules_folder: Path | None = Field(
        None, description="Folder of the files of rules over logs that the API may name."
    )
    max_alerts_per_rule: int = Field(
        100,
        ge=1,
        le=1_000_000,
        description="More alerts of one log rule in one run, or of one bulk job for one channel, "
        "go out as one digest.",
    )
    checkpoint_limit_mb: int = Field(
        64, ge=1, le=1024, description="What a run over logs may leave for the next one, in MB."
    )
    lease_s: float = Field(
        30.0,
        gt=0,
        le=86_400,
        description="A run without a heartbeat for this many seconds is resumed, closed or taken over.",
    )
