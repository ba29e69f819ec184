"""What the mock is told: the MOCK_SLACK_* environment, or values given in code."""

from pathlib import Path
from typing import Annotated, Any, Self

import orjson
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """The mock's settings, read from `MOCK_SLACK_*`; an empty variable counts as unset.

    Raises `pydantic.ValidationError` naming each wrong value's field (never the value: one is a secret).
    """

    model_config = SettingsConfigDict(
        env_prefix="MOCK_SLACK_",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    fail_rate_429: Share = Field(0.10, description="Share of valid messages answered 429 with Retry-After.")
    fail_rate_500: Share = Field(0.05, description="Share of valid messages answered 500.")
    min_retry_after: Seconds = Field(1.0, description="Shortest Retry-After of a seeded 429, seconds.")
    max_retry_after: Seconds = Field(5.0, description="Longest Retry-After of a seeded 429, seconds.")
    seed: int | None = Field(None, description="Makes the faults of a run repeatable; unset: drawn at start.")
    log_path: Path = Field(Path("mock_slack_requests.jsonl"), description="The JSON Lines log; appended to.")
    port: int = Field(8001, ge=0, le=65535, description="Port that `python -m mock_slack` listens on.")
    auth_token: SecretStr | None = Field(None, description="Wanted in X-Mock-Slack-Token when set.")
    bot_token: SecretStr | None = Field(None, description="The Web API's token; unset: any will do.")
    channels: Annotated[frozenset[str] | None, NoDecode] = Field(
        None, description="The only channels there are; comma separated or a JSON list; unset: any."
    )
    rate_limit: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="Messages per second and channel before a 429; 0: unlimited."
    )

    @field_validator("channels", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            # A JSONDecodeError is a ValueError, so pydantic reports it like any other wrong value.
            return orjson.loads(value)
        return [name for part in value.split(",") if (name := part.strip())]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.fail_rate_429 + self.fail_rate_500 > 1:
            raise ValueError("fail_rate_429 and fail_rate_500 may not exceed 1 together")
        if self.min_retry_after > self.max_retry_after:
            raise ValueError("min_retry_after may not exceed max_retry_after")
        return self


class GivenSettings(Settings):
    """Settings made of the values given and the defaults alone, whatever the environment holds."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the base class fixes the signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the one source that is left: the constructor's arguments."""
        return (init_settings,)
