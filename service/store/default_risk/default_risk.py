"""Default risk: every part of the store that is about companies."""

from typing import TYPE_CHECKING

from service.store.part import HasParts, Late

if TYPE_CHECKING:
    from service.store.default_risk.companies import Companies
    from service.store.default_risk.grants import Grants
    from service.store.default_risk.model_files import ModelFiles
    from service.store.default_risk.models import Models
    from service.store.default_risk.predictions import Predictions
    from service.store.jobs.jobs import Jobs
    from service.store.jobs.work import JobWork


class DefaultRisk(HasParts):
    """Companies, who of the role `user` sees them, models, predictions, and jobs, in one scope."""

    companies: "Late[Companies]" = Late("default_risk.companies:Companies")
    grants: "Late[Grants]" = Late("default_risk.grants:Grants")
    model_files: "Late[ModelFiles]" = Late("default_risk.model_files:ModelFiles")
    models: "Late[Models]" = Late("default_risk.models:Models")
    predictions: "Late[Predictions]" = Late("default_risk.predictions:Predictions")
    jobs: "Late[Jobs]" = Late("jobs.jobs:Jobs")
    job_work: "Late[JobWork]" = Late("jobs.work:JobWork")
