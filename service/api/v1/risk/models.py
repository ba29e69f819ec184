"""Models: which of them statements are scored with, and another one from now on."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Depends

from service.api.errors import MAX_BODY_BYTES
from service.api.identity.caller import Caller, Needs
from service.api.openapi import CHANGING, READING, v1_answers
from service.api.v1.envelope import AnswerMeta, Success
from service.api.v1.risk.predictions import Kind
from service.api.v1.risk.schemas import ActiveModelOut, ActiveModelsOut, ModelOut
from service.default_risk.errors import BadModelError
from service.domain.default_risk.prediction import PredictionKind
from service.domain.identity.permission import Permission

router = APIRouter(prefix="/api/v1/models", tags=["models"], max_body_size=MAX_BODY_BYTES)

Reader = Annotated[Caller, Depends(Needs(Permission.READ_MODELS))]
Activator = Annotated[Caller, Depends(Needs(Permission.ACTIVATE_MODELS))]


@router.get(
    "",
    summary="List the active models",
    responses=v1_answers("model_unusable", *READING, examples=["models"]),
)
async def list_models(caller: Reader, meta: AnswerMeta) -> Success[ActiveModelsOut]:
    """Say which model statements of each kind are scored with; it is the same one for all tenants."""
    models = [await _active(caller, kind) for kind in PredictionKind]
    return Success(data=ActiveModelsOut(models=models), meta=meta)


@router.put(
    "/{kind}",
    summary="Activate a model",
    responses=v1_answers("bad_model", "model_unusable", *CHANGING, examples=["model"]),
)
async def activate_model(
    caller: Activator,
    meta: AnswerMeta,
    kind: Kind,
    body: Annotated[
        dict[str, Any], Body(description="A model file, as `risk-alerts model train` writes it.")
    ],
) -> Success[ActiveModelOut]:
    """Let statements of a kind be scored with a model from now on; what was predicted keeps its own."""
    # NumPy, which a start does without.
    from service.default_risk.model_file import parse_model  # noqa: PLC0415
    from service.default_risk.predictor import record_of  # noqa: PLC0415

    model = parse_model(orjson.dumps(body), "body")
    if model.kind is not kind:
        raise BadModelError(f"the model is for {model.kind} statements, not {kind}")
    await caller.app.store.default_risk.models.activate(kind, record_of(model))
    return Success(data=await _active(caller, kind), meta=meta)


@router.delete(
    "/{kind}",
    summary="Go back to the model that comes with the service",
    responses=v1_answers("model_unusable", *CHANGING, examples=["model"]),
)
async def deactivate_model(caller: Activator, meta: AnswerMeta, kind: Kind) -> Success[ActiveModelOut]:
    """Let statements of a kind be scored with the model that comes with the service, from now on."""
    await caller.app.store.default_risk.models.activate(kind, None)
    return Success(data=await _active(caller, kind), meta=meta)


async def _active(caller: Caller, kind: PredictionKind) -> ActiveModelOut:
    predictor = await caller.app.predictor()
    activated = (await caller.app.store.default_risk.models.active()).get(kind)
    model = ModelOut.made(predictor.record(kind), predictor.model(kind).prior)
    return ActiveModelOut(
        **model.model_dump(),
        kind=kind,
        activated_at=activated.activated_at if activated is not None else None,
    )
