"""The active models: which they are and whether they can be used, without loading what scores with them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from service.default_risk.errors import BadModelError
from service.default_risk.integrity.checksum import SHIPPED, check_sha256, read_json, shipped_content
from service.domain.default_risk.prediction_kind import PredictionKind
from service.store.default_risk.model_files import ModelFiles


class ActiveModels:
    """Verifies the models that statements are scored with: each file once, as it is loaded only once."""

    def __init__(self, files: ModelFiles, shipped: Path = SHIPPED) -> None:
        self._files: Final = files
        self._shipped: Final = shipped
        self._verified: dict[str, str | None] = {}
        """By what it is called: the SHA-256 of a file, None where that is not what it says or must be."""

    async def look(self) -> Mapping[PredictionKind, str | None]:
        """Return the SHA-256 of the model of each kind; None: its file is missing, damaged or changed.

        Raises DatabaseUnusableError.
        """
        active = await self._files.activated()
        found = {}
        for kind in PredictionKind:
            activated = active.get(kind)
            name = activated or str(kind)
            if name not in self._verified:
                self._verified[name] = await self._verify(kind, activated)
            found[kind] = self._verified[name]
        return found

    async def _verify(self, kind: PredictionKind, activated: str | None) -> str | None:
        try:
            if activated is None:
                content = await asyncio.to_thread(shipped_content, kind, self._shipped)
            else:
                content = await self._files.content(activated)
            return check_sha256(read_json(content, kind), kind, activated)
        except (BadModelError, LookupError):
            return None
