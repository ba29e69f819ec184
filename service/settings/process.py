"""The settings of a process: its API and its logs."""

from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, Field

from service.settings.value_types import HostName, Listed, Lower, SingleLine, Upper


class ProcessSettings(BaseModel, defer_build=True):
    """What the API answers, and what is logged."""

    max_concurrent_runs: int = Field(
        8,
        ge=1,
        le=1_000,
        description="Most concurrent runs of the API, and most previews; more are answered 429.",
    )
    upload_limit_mb: int = Field(
        20, ge=1, le=1024, description="Largest upload of a bulk job, in MB; name larger files by their URI."
    )
    allowed_hosts: Annotated[tuple[HostName, ...] | None, *Listed] = Field(
        None,
        description="Hosts that requests may name beside loopback, by comma: `name`, `*.name` or `*`.",
    )

    # Logs
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Upper] = Field(
        "INFO", description="Lowest severity that is logged."
    )
    log_format: Annotated[Literal["auto", "json", "console"], Lower] = Field(
        "auto", description="`auto`: console on a terminal, JSON otherwise."
    )
    google_cloud_project: SingleLine | None = Field(
        None,
        validation_alias=AliasChoices("google_cloud_project", "GOOGLE_CLOUD_PROJECT"),
        description="Project id for the trace field of log lines.",
    )
