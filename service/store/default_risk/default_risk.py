"""Default risk: every part of the store that is about companies."""

from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.store.database.database import Database
from service.store.default_risk.companies import Companies
from service.store.default_risk.grants import Grants
from service.store.default_risk.models import Models
from service.store.default_risk.predictions import Predictions
from service.store.jobs.jobs import Jobs
from service.store.jobs.work import JobWork


class DefaultRisk:
    """Companies, who of the role `user` sees them, models, predictions, and jobs, in one scope."""

    def __init__(self, database: Database, scope: Scope, actor: Actor) -> None:
        of = database, scope, actor
        self.companies = Companies(*of)
        self.grants = Grants(*of)
        self.models = Models(*of)
        self.predictions = Predictions(*of)
        self.jobs = Jobs(*of)
        self.job_work = JobWork(*of)
