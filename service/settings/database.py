"""The settings of the database, and what says whether it outlives its container."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, Field

from service.domain.errors import TwoLedgersError
from service.domain.tenant import DEFAULT_TENANT
from service.settings.value_types import DatabaseUrl, TenantId

_FOLDERS_LEDGER: Final = Path("data", "risk_alerts.db")
"""The default until there was one ledger per user: relative, so that two folders had two ledgers."""


class DatabaseSettings(BaseModel, defer_build=True):
    """Where the ledger and the outbox are, and whose rows they hold."""

    database_url: DatabaseUrl | None = Field(
        None,
        description="The database of the ledger and the outbox; unset: SQLite in the user's data folder.",
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

    def ledger_url(self) -> str:
        """Return the URL of the ledger: `DATABASE_URL`, or a file.

        There is one for each user, wherever a command is given. One that lies in this folder, where it was
        the default once, is used as long as there is no other; where both are there, nobody but a person
        knows which one says what was sent: raises TwoLedgersError.
        """
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        of_user, of_folder = _ledger_of_user(), self.ledger_of_this_folder()
        if of_folder is None:
            return f"sqlite:///{of_user}"
        if of_user.exists():
            raise TwoLedgersError(
                f"DATABASE_URL is not set, and there are two ledgers: {of_folder} (this folder's) and "
                f"{of_user} (yours, the default). What one of them knows to be sent would be sent again from "
                f"the other: set DATABASE_URL=sqlite:///{of_folder} or DATABASE_URL=sqlite:///{of_user}"
            )
        return f"sqlite:///{of_folder}"

    def ledger_of_this_folder(self) -> Path | None:
        """Return the ledger that an earlier version left in this folder, where nothing else is named."""
        ledger = _FOLDERS_LEDGER.absolute()
        return ledger if self.database_url is None and ledger.is_file() else None

    def ledger_warning(self) -> str | None:
        """Say what a person should know of a ledger that nobody named; None where there is nothing."""
        if (ledger := self.ledger_of_this_folder()) is None:
            return None
        return (
            f"DATABASE_URL is not set: this folder's ledger is used, {ledger}. The default is now one ledger "
            f"per user, {_ledger_of_user()}: move it there, or set DATABASE_URL=sqlite:///{ledger}"
        )

    def sqlite_path(self) -> Path | None:
        """Return the file that the ledger is, as the URL has it; None where it lives on a server."""
        scheme, _, path = self.ledger_url().partition(":///")
        return Path(path.split("?")[0].removeprefix("file:")) if scheme.startswith("sqlite") else None

    def database_shown(self) -> str:
        """Return where the ledger lives, for people: a file's whole path, or a server without its secrets."""
        if path := self.sqlite_path():
            return str(path.absolute())
        url = urlsplit(self.ledger_url())
        user = f"{url.username}@" if url.username else ""
        # A password may stand in the query as well.
        return f"{url.scheme}://{user}{url.netloc.rpartition('@')[2]}{url.path}"


def _ledger_of_user() -> Path:
    return platformdirs.user_data_path("risk-alerts", appauthor=False) / "risk_alerts.db"
