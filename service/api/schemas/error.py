"""The one shape of all errors."""

from pydantic import Field

from service.api.schemas.answer import Out


class ErrorOut(Out):
    """Every error, of every route."""

    error: str = Field(description="Stable code to branch on.")
    detail: str = Field(description="One sentence for a person.")
    run_id: str | None = Field(description="The failed run that was recorded, where there is one.")
