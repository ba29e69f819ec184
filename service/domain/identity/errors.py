"""What is answered to those who do not show who they are, or may not do what they ask."""

from service.domain.errors import RefusedError


class UnauthenticatedError(RefusedError):
    """No identity was shown, or none that is valid here now: which of it, is not said."""

    code = "unauthenticated"
    http_status = 401
    example = "a valid API key or access token is needed"


class ForbiddenError(RefusedError):
    """Who asks is known, and may not do this."""

    code = "forbidden"
    http_status = 403
    example = "this needs the permission runs.write"


class NotServedHereError(RefusedError):
    """This process works for another tenant: its channels, sources and settings are that one's."""

    code = "not_served_here"
    http_status = 403
    example = "this service does not work for your tenant"
