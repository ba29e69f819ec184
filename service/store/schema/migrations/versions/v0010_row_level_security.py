"""PostgreSQL shows a transaction the rows of the tenant that it named; SQLite has nothing of the kind.

The second wall, behind the conditions of each statement: `app.tenant_id` is set inside every transaction, `*`
stands for all, and unset for none. FORCE binds the owner of the tables as well.
"""

from typing import Final

from alembic import op

revision = "0010"
down_revision = "0009"

TENANT: Final = "current_setting('app.tenant_id', true)"
ITS_OWN: Final = {
    **dict.fromkeys(("runs", "leases", "outbox", "idempotency_keys"), "tenant_id"),
    **dict.fromkeys(("organizations", "users", "api_keys", "refresh_tokens", "audit"), "tenant_id"),
    "tenants": "id",
}
"""By table, the column that says whose a row is."""
A_PARENTS: Final = {
    **dict.fromkeys(("run_outcomes", "run_withdrawals"), ("runs", "run_id", "run_id")),
    **dict.fromkeys(("attempts", "doubt_settlements"), ("outbox", "id", "alert_id")),
}
"""By table, whose row it belongs to: that is seen under its own policy."""


def upgrade() -> None:
    """Give each table that holds somebody's rows its policy."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, column in ITS_OWN.items():
        _secure(table, f"{column} = {TENANT}")
    for table, (parent, key, column) in A_PARENTS.items():
        _secure(table, f"EXISTS (SELECT 1 FROM {parent} p WHERE p.{key} = {table}.{column})")  # noqa: S608  # our own names
    if (op.get_bind().dialect.server_version_info or (0,)) >= (15,):
        # Before, a view is read with the rights of its owner, whom the policies bind like everybody else.
        op.execute("ALTER VIEW alert_outcomes SET (security_invoker = true)")


def _secure(table: str, condition: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {table} USING ({TENANT} = '*' OR {condition})")
