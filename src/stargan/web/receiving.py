"""Receives the body of a request, bounded and in memory only, as JSON or as a form with a file."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from stargan.web.limits import Limits
from stargan.web.refusals import ApiError

M = TypeVar("M", bound=BaseModel)
Parse = Callable[[], tuple[M, bytes | None]]
LISTS = ("target", "known", "faces")  # in a form, repeated or separated by commas
FIELDS = 64


async def receive(request: Request, kind: type[M], limits: Limits) -> Parse[M]:
    """Receives the body of a request.

    Args:
        request: The request.
        kind: What it should contain.
        limits: How large it may be, and how long it may take.

    Returns:
        A function for a thread, which reads the body: the message, and the image file of a form.

    Raises:
        ApiError: It is too large, too slow or of another kind; the function raises it if the body is not right.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in ("application/json", "multipart/form-data"):
        raise ApiError(415, "content_type", "send application/json or multipart/form-data")
    try:
        async with asyncio.timeout(limits.seconds):
            if content_type == "application/json":
                content = b"".join([chunk async for chunk in _bounded(request, limits)])
                return lambda: (_message(kind, lambda: kind.model_validate_json(content)), None)
            fields, upload = await _form(request, limits)
    except TimeoutError:
        raise ApiError(408, "slow_upload", f"the request took longer than {limits.seconds:g} seconds") from None
    return lambda: (_message(kind, lambda: kind.model_validate(fields)), upload)


async def _bounded(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    too_large = ApiError(413, "bytes", f"the request is too large; at most {limits.megabytes:g} MB are accepted")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limits.bytes:
        raise too_large
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limits.bytes:
            raise too_large
        yield chunk


async def _form(request: Request, limits: Limits) -> tuple[dict[str, Any], bytes | None]:
    parser = MultiPartParser(request.headers, _bounded(request, limits), max_files=1, max_fields=FIELDS)
    parser.spool_max_size = limits.bytes + 1  # so that no image is written to a disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise ApiError(400, "form", error.message) from error
    except (KeyError, ValueError) as error:  # no boundary, or a wrong one
        raise ApiError(400, "form", "not a form with a boundary") from error
    try:
        upload = form.get("image")
        return _fields(form), await upload.read() if isinstance(upload, UploadFile) else None
    finally:
        await form.close()
        for file in parser._files_to_close_on_error:  # also that of a part without an end, which is not in the form
            file.close()


def _fields(form: FormData) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name != "image":
                raise ApiError(422, "value", "the file must be in the field `image`")
        elif name in LISTS:
            fields.setdefault(name, []).extend(word for word in value.split(",") if word.strip())
        elif name in fields:
            raise ApiError(422, "value", f"{name} is given twice")
        else:
            fields[name] = value
    if fields.get("faces") in (["all"], ["largest"]):
        fields["faces"] = fields["faces"][0]
    return fields


def _message(kind: type[M], read: Callable[[], M]) -> M:
    try:
        return read()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or kind.__name__
        raise ApiError(422, "value", f"{where}: {first['msg']}") from None
