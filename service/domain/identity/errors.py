"""What is answered to those who do not show who they are, or may not do what they ask."""

from service.domain.errors import RefusedError, UsageError


class UnauthenticatedError(RefusedError, code="unauthenticated", http_status=401):
    """No identity was shown, or none that is valid here now: which of it, is not said."""

    example = "a valid API key or access token is needed"


class ForbiddenError(RefusedError, code="forbidden", http_status=403):
    """Who asks is known, and may not do this."""

    example = "this needs the permission runs.write"


class NotServedHereError(RefusedError, code="not_served_here", http_status=403):
    """This process works for another tenant: its channels, sources and settings are that one's."""

    example = "this service does not work for your tenant"


class NoIdentityError(UsageError, code="no_identity", http_status=503):
    """`AUTH=required`, and there is nobody who could be let in."""

    example = "AUTH=required, and there is no identity: make one with `risk-alerts keys new`"


class TenantNotFoundError(RefusedError, code="tenant_not_found", http_status=404):
    """No tenant has this id."""

    example = "no tenant has this id"


class OrganizationNotFoundError(RefusedError, code="organization_not_found", http_status=404):
    """No organisation has this id."""

    example = "no organisation has this id"


class UserNotFoundError(RefusedError, code="user_not_found", http_status=404):
    """No user has this id."""

    example = "no user has this id"


class KeyNotFoundError(RefusedError, code="key_not_found", http_status=404):
    """No API key has this id."""

    example = "no API key has this id"


class AlreadyExistsError(RefusedError, code="already_exists", http_status=409):
    """The address, or the code, is another's."""

    example = "the e-mail address is another user's"
