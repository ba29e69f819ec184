"""The behaviour: what the bot may do, how fast, and how late a message is found."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mock_slack.web_api.people import Person

SCOPES = frozenset({"chat:write", "channels:read", "channels:history", "users:read", "users:read.email"})


class Behaviour(BaseModel):
    """How the Web API behaves; the default is an app with every scope, in every channel, without a limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scopes: frozenset[str] = Field(SCOPES, description="What the bot's token allows.")
    absent_from: frozenset[str] = Field(frozenset(), description="Channels that the bot is no member of.")
    archived: frozenset[str] = Field(frozenset(), description="Channels that were archived.")
    history_lag_s: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="How long after it was posted a message is not found."
    )
    history_page: int = Field(
        999, ge=1, le=999, description="Most messages of one answer: 15 for apps that Slack restricts."
    )
    calls_per_minute: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        {}, description='Calls of a method before a 429, such as `{"conversations.history": 1}`.'
    )
    people: dict[str, Person] = Field(
        {},
        description='What `users.info` says otherwise, or besides: `{"U0ANN": {"deleted": true}}`.',
    )
