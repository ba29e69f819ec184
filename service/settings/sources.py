"""The settings of sources: what may be read, how it is reached, and what an evaluation may use."""

from typing import Annotated

from pydantic import BaseModel, Field, field_validator

from service.domain.errors import BadSourceUriError
from service.settings.value_types import HttpUrl, SingleLine, SingleLineSecret
from service.sources.allowed import AllowedSources


class SourceSettings(BaseModel):
    """How sources are read and evaluated."""

    allowed_sources: tuple[str, ...] | None = Field(
        None, description="JSON list of the URI prefixes that may be read; unset: any file, gs or s3 source."
    )
    storage_timeout_s: float = Field(15.0, gt=0, description="Timeout of one storage operation, in seconds.")
    source_max_files: int = Field(
        100_000, ge=1, description="Files and folders that one source may have; with more it is refused."
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
    evaluate_on: Annotated[SingleLine, Field(pattern=r"^(tcp|tls)://\S+$")] | None = Field(
        None,
        description="Dask scheduler to evaluate on, such as `tcp://scheduler:8786`; unset: this process.",
    )

    @field_validator("allowed_sources")
    @classmethod
    def _are_prefixes(cls, sources: tuple[str, ...] | None) -> tuple[str, ...] | None:
        try:
            AllowedSources.parse(sources)
        except BadSourceUriError as problem:
            raise ValueError(problem.detail) from None
        return sources
