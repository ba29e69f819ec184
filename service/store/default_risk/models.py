"""Which model statements are scored with: one for each kind, in the whole installation."""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from service.domain.default_risk.prediction import ActiveModel, ModelRecord
from service.domain.default_risk.prediction_kind import PredictionKind
from service.store.audit import database_time, record_audit
from service.store.default_risk.batch import ensure_model
from service.store.default_risk.model_files import ModelFiles
from service.store.part import cleaned, reads, writes
from service.store.schema.default_risk_tables import model_activations, risk_models

_LATER: Final = model_activations.alias()
_ACTIVE: Final = (
    sa.select(*model_activations.c, risk_models.c.name)
    .join(risk_models, risk_models.c.sha256 == model_activations.c.sha256)
    .where(
        model_activations.c.number
        == sa.select(sa.func.max(_LATER.c.number))
        .where(_LATER.c.kind == model_activations.c.kind)
        .scalar_subquery()
    )
)
"""The newest activation of each kind, where it is of a model that is kept. Asked for every statement."""


class Models(ModelFiles):
    """The activations of models: rows are added and never changed, and the newest of a kind counts."""

    @reads
    def active(self) -> Mapping[PredictionKind, ActiveModel]:
        """Return the active models; of a kind without one it is the one that comes with the service."""
        rows = self.connection.execute(_ACTIVE).mappings()
        return {PredictionKind(row["kind"]): ActiveModel(**row) for row in rows}

    @writes
    def activate(self, kind: PredictionKind, model: ModelRecord | None) -> bool:
        """Let statements of a kind be scored with a model; None: with the one that comes with the service.

        False where it is so already. What was predicted before keeps its model.
        """
        before = self._newest(kind)
        sha256 = None if model is None else model.sha256
        if before["sha256"] == sha256:
            return False
        at = database_time(self.connection)
        if model is not None:
            ensure_model(self.connection, model, at)
        principal = self._actor.principal
        values = {"kind": str(kind), "number": before["number"] + 1, "sha256": sha256}
        values |= {"activated_at": at, "activated_by": cleaned(principal.label)}
        self.connection.execute(model_activations.insert().values(values))
        target = f"{kind} {sha256 or 'shipped'}"
        record_audit(self.connection, self._actor, "model.activate", target, tenant_id=principal.tenant_id)
        return True

    def _newest(self, kind: PredictionKind) -> dict[str, Any]:
        """Return the newest activation of a kind, with its model's name; where there is none, number 0."""
        query = (
            sa.select(*model_activations.c, risk_models.c.name)
            .outerjoin(risk_models, risk_models.c.sha256 == model_activations.c.sha256)
            .where(model_activations.c.kind == str(kind))
            .order_by(model_activations.c.number.desc())
            .limit(1)
        )
        row = self.connection.execute(query).mappings().one_or_none()
        return dict(row) if row is not None else {"number": 0, "sha256": None}
