"""What stands between financial ratios and a score."""

from collections.abc import Mapping

from service.domain.errors import Kind, RiskAlertsError, UsageError


class BadModelError(UsageError, code="bad_model"):
    """The model file cannot be used; the detail names every problem with its place."""

    example = "annual.json: ratios.2.points: must fall from bin to bin, as net_income_margin lowers the risk"


class ModelUnusableError(RiskAlertsError, code="model_unusable", kind=Kind.REFUSED, http_status=503):
    """The active model is missing or was changed, which `/health` shows, too; the request was right."""

    example = (
        "the annual model cannot be used: annual.json: sha256 is not what the file says: activate another"
    )


class BadCompaniesFileError(UsageError, code="bad_companies_file"):
    """The file of companies, or of training data, cannot be read as such."""

    example = "companies.csv: no column return_on_assets; it has company_symbol, reporting_year"


class SuspectedFractionUnitsError(BadCompaniesFileError, code="suspected_fraction_units"):
    """Every percentage of a whole file is so small that it looks like a fraction: 0.12 instead of 12."""

    example = "companies.csv: all its percentages lie within ±1: say whether they are percent or fraction"


class TrainingNotInstalledError(UsageError, code="training_not_installed"):
    """Training needs scikit-learn, which scoring does not."""

    example = "training needs the extra `train`: pip install 'risk-alerts[train]'"


class BadRatiosError(ValueError):
    """Values of a statement are neither numbers nor missing."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {problem}" for name, problem in problems.items()))
        self.problems = problems
        """Why, by ratio."""
