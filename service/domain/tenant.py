"""The tenant: whose runs and alerts these are."""

import uuid
from typing import Final

DEFAULT_TENANT: Final = "7a1c0a4e-5f0e-4d53-9d6b-3c1f2e8b9a60"
"""Of a deployment that knows of no tenants. The ids of its alerts are those of the first version."""


def parse_tenant(text: str) -> str:
    """Return a tenant's id as it is stored: a UUID, in lower case and with dashes; raises ValueError."""
    return str(uuid.UUID(text))
