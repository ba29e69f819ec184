"""What is answered to those who do not show who they are, or may not do what they ask."""

from service.domain.errors import RefusedError, UsageError


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


class NoIdentityError(UsageError):
    """`AUTH=required`, and there is nobody who could be let in."""

    code = "no_identity"
    http_status = 503
    example = "AUTH=required, and there is no identity: make one with `risk-alerts keys new`"


class TenantNotFoundError(RefusedError):
    """No tenant has this id."""

    code = "tenant_not_found"
    http_status = 404
    example = "no tenant has this id"


class OrganizationNotFoundError(RefusedError):
    """No organisation has this id."""

    code = "organization_not_found"
    http_status = 404
    example = "no organisation has this id"


class UserNotFoundError(RefusedError):
    """No user has this id."""

    code = "user_not_found"
    http_status = 404
    example = "no user has this id"


class KeyNotFoundError(RefusedError):
    """No API key has this id."""

    code = "key_not_found"
    http_status = 404
    example = "no API key has this id"


class AlreadyExistsError(RefusedError):
    """The address, or the code, is another's."""

    code = "already_exists"
    http_status = 409
    example = "the e-mail address is another user's"
