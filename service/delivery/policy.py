"""The policy of deliveries: their pace, and how long and how often they are tried."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """How deliveries are made."""

    messages_per_second: float
    """Pace of each lane; 0 is unpaced."""
    timeout_s: float
    max_retries: int
    deadline_s: float
    """From the first claim."""
    lease_s: float
    shutdown_grace_s: float
    """From the moment the process is asked to stop, what is on its way may take this long."""
