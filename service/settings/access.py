"""The settings of access: who is asked for an identity."""

from pydantic import BaseModel, Field

from service.domain.identity.auth import Auth


class AccessSettings(BaseModel):
    """Who is let in."""

    auth: Auth = Field(
        Auth.AUTO,
        description="Who is asked for an identity: `auto`: everybody, once there is one; `required`; `none`.",
    )
