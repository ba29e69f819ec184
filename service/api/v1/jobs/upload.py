"""Uploads: a form with one file, read as it comes and never larger than it may be."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import orjson
from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.api.errors import MAX_BODY_BYTES, BodyTooLargeError, InvalidRequestError

PART_BYTES: Final = 256 * 1024
"""Of an upload, as it is kept."""
_FORM_BYTES: Final = 64 * 1024
"""What a form may have beside its file."""
_MOST_FIELDS: Final = 10
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form, as it was sent."""

    name: str
    file: BinaryIO

    def parts(self) -> Iterator[bytes]:
        """Yield its content in parts."""
        self.file.seek(0)
        return iter(lambda: self.file.read(PART_BYTES), b"")


@asynccontextmanager
async def read_form(
    request: Request, *, limit_mb: int
) -> AsyncGenerator[tuple[Mapping[str, Any], Upload | None]]:
    """Give the fields of a request's form, and its file, until the block is left; JSON has fields only.

    Raises BodyTooLargeError and InvalidRequestError.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        yield await _json(request), None
        return
    stream = _limited(request, limit_mb * 1_000_000 + _FORM_BYTES, f"UPLOAD_LIMIT_MB={limit_mb}")
    parser = MultiPartParser(
        request.headers, stream, max_files=1, max_fields=_MOST_FIELDS, max_part_size=_FORM_BYTES
    )
    try:
        form = await parser.parse()
    except MultiPartException as problem:
        raise InvalidRequestError(f"body: {problem.message}") from problem
    finally:
        await stream.aclose()
    try:
        yield _parts_of(form)
    finally:
        await form.close()


def _parts_of(form: FormData) -> tuple[Mapping[str, str], Upload | None]:
    fields: dict[str, str] = {}
    upload = None
    for name, value in form.multi_items():
        if name in fields or (upload is not None and name == "file"):
            raise InvalidRequestError(f"body.{name[:60]}: comes twice")
        if isinstance(value, UploadFile) != (name == "file"):
            raise InvalidRequestError(f"body.{name[:60]}: the file, and nothing else, is sent as a file")
        if isinstance(value, UploadFile):
            last = (value.filename or "").replace("\\", "/").rpartition("/")[2]
            shown = "".join(character for character in last if character.isprintable())
            upload = Upload(shown[-_LONGEST_NAME:] or "upload", value.file)
        else:
            fields[name] = value
    return fields, upload


async def _json(request: Request) -> Mapping[str, Any]:
    content = b"".join(
        [chunk async for chunk in _limited(request, MAX_BODY_BYTES, f"{MAX_BODY_BYTES:,} bytes")]
    )
    try:
        fields = orjson.loads(content)
    except orjson.JSONDecodeError as problem:
        raise InvalidRequestError(f"body: it is not JSON: {problem}") from problem
    if not isinstance(fields, dict):
        raise InvalidRequestError("body: it must be a JSON object, or a form")
    return fields


async def _limited(request: Request, most: int, shown: str) -> AsyncGenerator[bytes]:
    """Yield the body; raises BodyTooLargeError as soon as it is known to be too large."""
    too_large = BodyTooLargeError(f"the body is larger than {shown}")
    said: Any = request.headers.get("content-length", "0")
    if said.isdecimal() and int(said) > most:
        raise too_large
    read = 0
    async for chunk in request.stream():
        read += len(chunk)
        if read > most:
            raise too_large
        yield chunk
