"""Who is asked for an identity."""

from enum import StrEnum


class Auth(StrEnum):
    """Who is asked who they are."""

    AUTO = "auto"
    """Nobody, until there is an identity; then everybody, for good."""
    REQUIRED = "required"
    """Everybody; without any identity the service refuses to start."""
    NONE = "none"
    """Nobody, whatever there is: the door is elsewhere, such as a cloud's IAM."""
