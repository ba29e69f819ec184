"""The roles of PostgreSQL: one owns the tables and migrates them, another serves and may only use them."""

from collections.abc import Iterator
from typing import Final

from service.store.schema.access_tables import access_state, audit
from service.store.schema.alert_tables import alert_events
from service.store.schema.default_risk_tables import model_activations, risk_models
from service.store.schema.every_table import metadata

APPLICATION: Final = "risk_alerts_app"
_MODELS: Final = (risk_models.name, model_activations.name)
_APPEND_ONLY: Final = frozenset({audit.name, access_state.name, alert_events.name, *_MODELS})
_ALL: Final = "SELECT, INSERT, UPDATE, DELETE"


def role_sql(role: str = APPLICATION) -> Iterator[str]:
    """Yield the statements that make the application's role and give it what it needs, and no more.

    It neither owns a table nor passes the policies of the rows by, and may not change what is written in the
    audit, nor a model that predictions were made with, nor take away the mark that the door is closed. Its
    password is set by hand.
    """
    yield f"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;"
    for table in metadata.sorted_tables:
        yield f"GRANT {'SELECT, INSERT' if table.name in _APPEND_ONLY else _ALL} ON {table.name} TO {role};"
    yield f"GRANT SELECT ON alembic_version, alert_outcomes TO {role};"
