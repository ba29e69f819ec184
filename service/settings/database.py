"""The settings of the database, and what tells whether it outlives its container."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr

from service.domain.tenant import DEFAULT_TENANT
from service.settings.value_types import DatabaseUrl, TenantId


class DatabaseSettings(BaseModel):
    """Where the ledger and the outbox are, and whose rows they hold."""

    database_url: DatabaseUrl = Field(
        SecretStr("sqlite:///data/risk_alerts.db"), description="The database of the ledger and the outbox."
    )
    tenant_id: TenantId = Field(
        DEFAULT_TENANT, description="Whose runs and alerts these are, a UUID; those of others are not seen."
    )
    keep_runs_days: int = Field(
        400,
        ge=1,
        le=36_500,
        description="Runs and attempts older than this are deleted, but never what replays need.",
    )
    allow_ephemeral_database: bool = Field(
        default=False,
        description="Allow real runs on SQLite inside a Cloud Run, ECS or Lambda container.",
    )
    k_service: str | None = Field(None, description="Set by Cloud Run for services.")
    cloud_run_job: str | None = Field(None, description="Set by Cloud Run for jobs.")
    ecs_container_metadata_uri_v4: str | None = Field(None, description="Set by ECS, Fargate included.")
    aws_lambda_function_name: str | None = Field(None, description="Set by Lambda.")
    kubernetes_service_host: str | None = Field(
        None, description="Set by Kubernetes, where a volume may or may not outlive the pod: a warning."
    )

    def sqlite_path(self) -> Path | None:
        """Return the file that the ledger is, as the URL has it; None where it lives on a server."""
        scheme, _, path = self.database_url.get_secret_value().partition(":///")
        return Path(path.split("?")[0].removeprefix("file:")) if scheme.startswith("sqlite") else None

    def database_shown(self) -> str:
        """Return where the ledger lives, for people: a file's whole path, or a server without its secrets."""
        if path := self.sqlite_path():
            return str(path.absolute())
        url = urlsplit(self.database_url.get_secret_value())
        user = f"{url.username}@" if url.username else ""
        # A password may stand in the query as well.
        return f"{url.scheme}://{user}{url.netloc.rpartition('@')[2]}{url.path}"
