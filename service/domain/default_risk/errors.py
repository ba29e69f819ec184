"""What is answered to those who ask for companies and predictions that are not to be had."""

from service.domain.errors import RefusedError


class CompanyNotFoundError(RefusedError, code="company_not_found", http_status=404):
    """No company has this id."""

    example = "no company has this id"


class PredictionNotFoundError(RefusedError, code="prediction_not_found", http_status=404):
    """No prediction of this kind has this id."""

    example = "no prediction has this id"


class PredictionExistsError(RefusedError, code="prediction_exists", http_status=409):
    """There is one of this company, kind, period and model: PUT makes a new version of it."""

    example = (
        "prediction 000643f1c9b5d0a80000005f3a9c1e77 is of this company, period and model: PUT changes it"
    )


class OrganizationNeededError(RefusedError, code="organization_needed", http_status=422):
    """The company's organisation is not named, and the caller is in none while the tenant has several."""

    example = "organization_id must be named: your tenant has more than one organisation"


class NotAssignableError(RefusedError, code="not_assignable", http_status=409):
    """Companies are assigned to the role `user`; everybody else sees those of their organisation."""

    example = "only people of the role user are assigned companies"
