"""Models: which of them statements are scored with, and another one from now on."""

from typing import Annotated, Any

import orjson
from fastapi import Body, Depends

from service.api.identity.caller import Caller, Needs
from service.api.routes.router import Routes
from service.api.v1.risk.predictions import Kind
from service.api.v1.risk.schemas import ActiveModelOut, ActiveModelsOut, ModelOut
from service.default_risk.errors import BadModelError
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.identity.permission import Permission

router = Routes("models", prefix="/api/v1/models")

Reader = Annotated[Caller, Depends(Needs(Permission.READ_MODELS))]
Activator = Annotated[Caller, Depends(Needs(Permission.ACTIVATE_MODELS))]


@router.declare("GET", "List the active models", "model_unusable", gives="models")
async def list_models(caller: Reader) -> ActiveModelsOut:
    """Say which model statements of each kind are scored with; it is the same one for all tenants."""
    models = [await _active(caller, kind) for kind in PredictionKind]
    return ActiveModelsOut(models=models)


@router.declare("PUT /{kind}", "Activate a model", "bad_model", "model_unusable", gives="model")
async def activate_model(
    caller: Activator,
    kind: Kind,
    body: Annotated[
        dict[str, Any], Body(description="A model file, as `risk-alerts model train` writes it.")
    ],
) -> ActiveModelOut:
    """Let statements of a kind be scored with a model from now on; what was predicted keeps its own."""
    # NumPy, which a start does without.
    from service.default_risk.model_file import parse_model  # noqa: PLC0415
    from service.default_risk.predictor import record_of  # noqa: PLC0415

    model = parse_model(orjson.dumps(body), "body")
    if model.kind is not kind:
        raise BadModelError(f"the model is for {model.kind} statements, not {kind}")
    await caller.app.store.default_risk.models.activate(kind, record_of(model))
    return await _active(caller, kind)


@router.declare(
    "DELETE /{kind}", "Go back to the model that comes with the service", "model_unusable", gives="model"
)
async def deactivate_model(caller: Activator, kind: Kind) -> ActiveModelOut:
    """Let statements of a kind be scored with the model that comes with the service, from now on."""
    await caller.app.store.default_risk.models.activate(kind, None)
    return await _active(caller, kind)


async def _active(caller: Caller, kind: PredictionKind) -> ActiveModelOut:
    predictor = await caller.app.predictor()
    activated = (await caller.app.store.default_risk.models.active()).get(kind)
    model = ModelOut.made(predictor.record(kind), predictor.model(kind).prior)
    return ActiveModelOut(
        **model.model_dump(),
        kind=kind,
        activated_at=activated.activated_at if activated is not None else None,
    )
