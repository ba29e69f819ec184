"""Earlier messages: where the message before one about the same stands in Slack."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from service.store.sql import NamedSql, json_rows

_SQL: Final = NamedSql(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierMessage:
    """The message before one about the same, and where it stands."""

    period: str
    slack_channel: str
    slack_ts: str


def earlier_messages(
    connection: sa.Connection, tenant_id: str, occurrence_ids: Sequence[str]
) -> dict[str, EarlierMessage]:
    """Return the last message before each occurrence about the same, where one stands in Slack."""
    rows = json_rows({"id": each} for each in occurrence_ids)
    found = _SQL.execute(connection, "earlier", {"rows": rows, "tenant_id": tenant_id})
    return {
        row.id: EarlierMessage(period=row.period, slack_channel=row.slack_channel, slack_ts=row.slack_ts)
        for row in found
    }
