"""The checksum of a model file proves that nobody has changed it; without NumPy, for `/health`."""

import hashlib
from pathlib import Path
from typing import Any, Final

import orjson

from service.default_risk.errors import BadModelError
from service.domain.default_risk.prediction_kind import PredictionKind

SHIPPED: Final = Path(__file__).parents[1] / "models"
"""The folder of the models that come with this service."""


def shipped_content(kind: PredictionKind, folder: Path = SHIPPED) -> bytes:
    """Return the file of the model that comes with this service; raises BadModelError."""
    try:
        return (folder / f"{kind}.json").read_bytes()
    except OSError as problem:
        raise BadModelError(f"{kind}.json cannot be read: {problem.strerror}") from problem


def checksum(content: dict[str, Any]) -> str:
    """Return the SHA-256 of everything but the checksum itself, however the file is indented."""
    rest = {name: value for name, value in content.items() if name != "sha256"}
    return hashlib.sha256(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS)).hexdigest()


def read_json(content: bytes, name: str) -> dict[str, Any]:
    """Return what a model file says, unchecked; raises BadModelError."""
    try:
        raw = orjson.loads(content)
    except orjson.JSONDecodeError as problem:
        raise BadModelError(f"{name} is not JSON: {problem}") from problem
    if not isinstance(raw, dict):
        raise BadModelError(f"{name} is not a JSON object")
    return raw


def check_sha256(raw: dict[str, Any], name: str, expected: str | None = None) -> str:
    """Return a model file's checksum, which must be what it says and, where that is given, what is expected.

    Raises BadModelError.
    """
    if raw.get("sha256") != (found := checksum(raw)):
        raise BadModelError(f"{name}: sha256 is {found}, not what the file says: it has been changed")
    if expected not in {None, found}:
        raise BadModelError(f"{name}: sha256 is {found}, and {expected} was activated: it is another model")
    return found
