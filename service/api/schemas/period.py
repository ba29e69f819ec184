"""What a run or an alert is about: a month, or a period of a stream of logs."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from service.log_rules.alerts.kind import stream_of


def _month(period: Any) -> Any:
    """Return a period that is a day; None for any other."""
    if isinstance(period, str):
        try:
            return date.fromisoformat(period)
        except ValueError:
            return None
    return period


def _end(place: int) -> BeforeValidator:
    def end(period: Any) -> Any:
        if not isinstance(period, str) or period.endswith("Z"):
            return period
        parts = period.split("/")
        return f"{parts[place]}Z" if len(parts) > 1 else None

    return BeforeValidator(end)


MonthOut = Annotated[
    date | None,
    BeforeValidator(_month),
    Field(validation_alias=AliasChoices("period", "month"), description="null for logs."),
]
StreamOut = Annotated[
    str | None,
    BeforeValidator(stream_of),
    Field(validation_alias=AliasChoices("lease", "stream"), description="Of logs."),
]
FromOut = Annotated[
    datetime | None,
    _end(0),
    Field(
        validation_alias=AliasChoices("period", "from"),
        serialization_alias="from",
        description="Of logs: the first instant.",
    ),
]
UntilOut = Annotated[
    datetime | None,
    _end(1),
    Field(
        validation_alias=AliasChoices("period", "until"),
        description="Of logs: the first instant after the period.",
    ),
]
