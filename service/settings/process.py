"""The settings of a process: its API and its logs."""

from typing import Literal

from pydantic import AliasChoices, BaseModel, Field

from service.settings.value_types import HostName, SingleLine


class ProcessSettings(BaseModel):
    """What the API answers, and what is logged."""

    max_concurrent_runs: int = Field(
        8,
        ge=1,
        le=1_000,
        description="Most concurrent runs of the API, and most previews; more are answered 429.",
    )
    allowed_hosts: tuple[HostName, ...] | None = Field(
        None,
        description="JSON list of hosts that requests may name beside loopback: `name`, `*.name` or `*`.",
    )

    # Logs
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest severity that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto`: console on a terminal, JSON otherwise."
    )
    google_cloud_project: SingleLine | None = Field(
        None,
        validation_alias=AliasChoices("google_cloud_project", "GOOGLE_CLOUD_PROJECT"),
        description="Project id for the trace field of log lines.",
    )
