"""Every table, in one metadata, for what goes through all of them: a part of the store loads only its own."""

from service.store.schema import access_tables, alert_tables, default_risk_tables, job_tables
from service.store.schema.tables import metadata

__all__ = ["access_tables", "alert_tables", "default_risk_tables", "job_tables", "metadata"]
