"""FastAPI, loaded without building most of its models of an OpenAPI document.

Only who asks for the document needs them, and building all forty was a fifteenth of a service's start.
pydantic builds a model when it is first used where its configuration says so; while FastAPI declares its own,
the base of all models says it for them.
"""

from pydantic import BaseModel

BaseModel.model_config["defer_build"] = True
try:
    import fastapi.openapi.models  # noqa: F401  # for what it does
finally:
    del BaseModel.model_config["defer_build"]
