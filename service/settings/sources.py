"""The settings of sources: what may be read, how it is reached, and what an evaluation may use."""

from typing import Annotated

from pydantic import BaseModel, Field, field_validator

from service.domain.errors import BadSourceUriError
from service.settings.value_types import HttpUrl, Listed, SchedulerAddress, SingleLineSecret
from service.sources.allowed import AllowedSources


class SourceSettings(BaseModel, defer_build=True):
    """How sources are read and evaluated."""

    allowed_sources: Annotated[tuple[str, ...] | None, *Listed] = Field(
        None,
        description="URI prefixes that may be read, by comma (`gs://`: any bucket); unset: any source.",
    )
    storage_timeout_s: float = Field(
        15.0, gt=0, le=86_400, description="Timeout of one storage operation, in seconds."
    )
    source_max_files: int = Field(
        100_000,
        ge=1,
        le=1_000_000_000,
        description="Files and folders that one source may have; with more it is refused.",
    )
    gcs_token: SingleLineSecret | None = Field(
        None, description="Unset: application default credentials; `anon`: none; or a key file's path."
    )
    gcs_endpoint_url: HttpUrl | None = Field(
        None, description="Endpoint for gs://, for example an emulator's."
    )
    s3_endpoint_url: HttpUrl | None = Field(
        None, description="Endpoint for s3://, for example an emulator's."
    )
    s3_anon: bool = Field(default=False, description="Read s3:// without credentials.")
    scan_threads: int | None = Field(None, ge=1, le=256, description="Scan threads; unset: one per core.")
    memory_limit_mb: int | None = Field(
        None,
        ge=1,
        description="Memory for evaluations, which go one by one: one that needs more fails and says so.",
    )
    evaluate_on: SchedulerAddress | None = Field(
        None,
        description="Dask scheduler to compute on, such as `tcp://scheduler:8786`; unset: this process.",
    )

    @field_validator("allowed_sources")
    @classmethod
    def _are_prefixes(cls, sources: tuple[str, ...] | None) -> tuple[str, ...] | None:
        try:
            AllowedSources.parse(sources)
        except BadSourceUriError as problem:
            raise ValueError(problem.detail.replace("source_uri", "each place", 1)) from None
        return sources
