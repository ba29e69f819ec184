"""The columns of a source of monthly account rows."""

from typing import Final

from service.sources.parquet.schema import Kind, SourceSchema

ACCOUNT_ID: Final = "account_id"
MONTH: Final = "month"
STATUS: Final = "status"
UPDATED_AT: Final = "updated_at"
ARR: Final = "arr"
NAME: Final = "account_name"
REGION: Final = "account_region"
RENEWAL: Final = "renewal_date"
OWNER: Final = "account_owner"

ACCOUNT_ROWS: Final = SourceSchema(
    kinds={
        ACCOUNT_ID: Kind.TEXT,
        NAME: Kind.TEXT,
        REGION: Kind.TEXT,
        MONTH: Kind.DAY,
        STATUS: Kind.TEXT,
        RENEWAL: Kind.DAY,
        OWNER: Kind.TEXT,
        ARR: Kind.NUMBER,
        UPDATED_AT: Kind.INSTANT,
    },
    optional=frozenset({OWNER}),
    # What the fold needs of every row in the window, and what an alert needs of its own.
    keys=(ACCOUNT_ID, MONTH, STATUS, UPDATED_AT),
    attributes=(NAME, REGION, RENEWAL, OWNER, ARR),
    day=MONTH,
)
