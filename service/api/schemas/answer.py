"""The base of the answers, which are made from the domain's records as they stand.

Dates are ISO 8601, months their first day, timestamps RFC 3339 in UTC, amounts whole units of the source's
currency.
"""

from typing import Annotated, Self

from pydantic import AliasChoices, AliasGenerator, AliasPath, BaseModel, ConfigDict, Field


class Out(BaseModel):
    """Base of the answers."""

    # Built when it is first used: one inside another is built with it, and need not be by itself.
    model_config = ConfigDict(frozen=True, from_attributes=True, defer_build=True)

    @classmethod
    def of(cls, record: object) -> Self:
        """Return a record of the domain, or a mapping with the names of the fields, as the API says it."""
        return cls.model_validate(record)


def flattened(part: str) -> AliasGenerator:
    """Return what takes each field from a record's `part`, or else from the record itself."""
    return AliasGenerator(validation_alias=lambda name: AliasChoices(AliasPath(part, name), name))


NextCursor = Annotated[
    str | None, Field(description="Pass it as `cursor` for what follows; null at the end.")
]
