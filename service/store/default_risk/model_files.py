"""The files of models, and which of them is active: all that `/health` asks for, at every start."""

import sqlalchemy as sa

from service.domain.default_risk.prediction_kind import PredictionKind
from service.store.part import Part, reads
from service.store.schema.default_risk_tables import model_activations, risk_models


class ModelFiles(Part):
    """Model files as they are kept."""

    @reads
    def activated(self) -> dict[PredictionKind, str]:
        """Return the SHA-256 of the active models; a kind without one has the one that comes with it."""
        columns = model_activations.c
        numbers = sa.select(columns.kind, sa.func.max(columns.number)).group_by(columns.kind)
        newest = sa.tuple_(columns.kind, columns.number).in_(numbers)
        query = sa.select(columns.kind, columns.sha256).where(newest, columns.sha256.is_not(None))
        return {PredictionKind(kind): sha256 for kind, sha256 in self.connection.execute(query)}

    @reads
    def content(self, sha256: str) -> bytes:
        """Return the file of a model that was activated; raises LookupError."""
        query = sa.select(risk_models.c.content).where(risk_models.c.sha256 == sha256)
        content: bytes | None = self.connection.scalar(query)
        if content is None:
            raise LookupError(f"no model {sha256} is kept")
        return content
