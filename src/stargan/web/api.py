"""The HTTP API."""

import base64
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, FastAPI, Path, Request, Response
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.cors import CORSMiddleware

from stargan import __version__
from stargan.errors import StarganError
from stargan.inference.translator import Translator, max_batch
from stargan.web import page
from stargan.web.describe import describe
from stargan.web.gathering import Gathering
from stargan.web.guard import Guard
from stargan.web.limits import Access, Limits
from stargan.web.messages import Health, Made, Models, Problem, Runs, Seen, Sheet, SheetRequest, Source, Translation
from stargan.web.metrics import Metrics
from stargan.web.receiving import receive
from stargan.web.refusals import ApiError, refusal_of
from stargan.web.translations import Translations
from stargan.web.watching import MOST, Watched
from stargan.web.workers import Workers

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
PATHS = (
    "/", "/runs", "/v1/translate", "/v1/faces", "/v1/sheet", "/v1/models", "/v1/runs", "/healthz", "/metrics",
    "/openapi.json",
)  # fmt: skip
IMAGE: dict[str, dict[str, str]] = {"image/jpeg": {}, "image/png": {}, "image/webp": {}}


def create(
    models: dict[str, Translator],
    limits: Limits = Limits(),  # noqa: B008
    access: Access = Access(),  # noqa: B008
    runs: Sequence[Watched] = (),
) -> FastAPI:
    """Makes the application, for Uvicorn or another ASGI server.

    Args:
        models: The models by name; the first is the default. There may be none if there are runs.
        limits: How much it takes on.
        access: Who may call it.
        runs: Training runs to show.
    """
    workers = Workers(limits)
    metrics = Metrics(lambda: workers.open, lambda: len(work.memory))
    gathering = {
        name: Gathering(
            model.backend,
            max_batch(model.image_size),
            limits.gather / 1000,
            metrics.batches.labels(name).observe,
        )
        for name, model in models.items()
    }
    work = Translations({name: Translator(models[name].info, gathering[name]) for name in models}, limits, workers)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        workers.close()
        for one in gathering.values():
            one.close()

    app = FastAPI(
        title="stargan",
        version=__version__,
        description="Translates photos between labelled domains. Photos are never written to a disk.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses={code: {"model": Problem} for code in ("4XX", "5XX")},
    )
    if models:
        app.include_router(_photo_routes(work))
    if runs:
        app.include_router(_run_routes(runs))
    app.include_router(_other_routes(work, metrics, len(runs)))
    app.include_router(page.routes(photos=bool(models), runs=bool(runs)))
    for kind in (StarganError, RequestValidationError, StarletteHTTPException, Exception):
        app.add_exception_handler(kind, _problem)
    if access.origins:
        app.add_middleware(CORSMiddleware, allow_origins=access.origins, allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(Guard, access=access, metrics=metrics, paths=frozenset(PATHS))
    return app


def _photo_routes(work: Translations) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/translate", openapi_extra=_body(Translation), responses={200: {"content": IMAGE}})
    async def translate(request: Request) -> Response:
        """Translates a photo, and returns the image file; in JSON, if that is all that the request accepts."""
        content, format_name, size = await _answer(request, work, Translation, work.translate)
        kind = format_name.lower()
        if request.headers.get("accept", "").strip() == "application/json":
            made = Made(image=base64.b64encode(content).decode(), format=kind, width=size[0], height=size[1])
            return Response(made.model_dump_json(), media_type="application/json")
        return Response(content, media_type=f"image/{kind}")

    @router.post("/v1/faces", openapi_extra=_body(Source), response_model=Seen)
    async def faces(request: Request) -> Seen:
        """Finds the faces of a photo and their labels. The photo stays in memory for a while, under a name."""
        return await _answer(request, work, Source, work.see)

    @router.post("/v1/sheet", openapi_extra=_body(SheetRequest), response_model=Sheet)
    async def sheet(request: Request) -> Sheet:
        """Translates a photo to every domain, in small."""
        return await _answer(request, work, SheetRequest, work.sheet)

    @router.delete("/v1/photos/{name}", status_code=204)
    async def forget(name: str) -> Response:
        """Forgets a photo at once."""
        work.memory.forget(name)
        return Response(status_code=204)

    return router


def _run_routes(runs: Sequence[Watched]) -> APIRouter:
    """Training runs. The functions are not async, so that they read files in threads."""
    router = APIRouter()

    @router.get("/v1/runs", response_model=Runs)
    def seen() -> Runs:
        """Says how the training runs go."""
        return Runs(runs=[run.look() for run in runs])

    @router.get(
        "/v1/runs/{number}/samples/{step}", responses={200: {"content": {"image/png": {}}}}, response_class=Response
    )
    def sample(number: Annotated[int, Path(ge=1, le=MOST)], step: Annotated[int, Path(ge=0, le=10**15)]) -> Response:
        """Returns the samples of a run at a step, an image."""
        if number > len(runs):
            raise ApiError(404, "run", f"no run {number}; there are {len(runs)}")
        return Response(runs[number - 1].sample(step), media_type="image/png")

    return router


def _other_routes(work: Translations, metrics: Metrics, runs: int) -> APIRouter:
    router = APIRouter()
    described = Models(models=[describe(name, model) for name, model in work.models.items()], runs=runs)

    @router.get("/v1/models", response_model=Models)
    async def models() -> Models:
        """Says what the models can do."""
        return described

    @router.get("/healthz", response_model=Health)
    async def healthz() -> Health:
        """Says that the server works."""
        return Health(version=__version__)

    @router.get("/metrics", responses={200: {"content": {"text/plain": {}}}}, response_class=Response)
    async def metric_values() -> Response:
        """Counters for Prometheus."""
        work.memory.forget_old()
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    return router


async def _answer(request: Request, work: Translations, kind: type[M], do: Callable[[M, bytes | None], T]) -> T:
    """Receives a request, and does what it asks for in a thread."""
    with work.workers.place() as keep:
        parse = await receive(request, kind, work.limits)

        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        return await work.workers.run(lambda: do(*parse()), keep, gone)


def _body(kind: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of a body that is JSON or a form."""
    schema = kind.model_json_schema()
    definitions = schema.pop("$defs", {})
    for field in schema["properties"].values():
        if name := field.get("items", {}).get("$ref", "").rpartition("/")[2]:
            field["items"] = definitions[name]
    form = {**schema, "properties": {n: p for n, p in schema["properties"].items() if n != "edits"}}
    form["properties"] |= {"image": {"type": "string", "format": "binary", "description": "An image file."}}
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


async def _problem(_: Request, error: Exception) -> Response:
    """The answer to a request that failed."""
    if isinstance(error, StarganError):
        refusal = refusal_of(error)
    elif isinstance(error, HTTPException | StarletteHTTPException):
        refusal = ApiError(error.status_code, "http", str(error.detail))
        refusal.headers = dict(error.headers or {})
    elif isinstance(error, RequestValidationError):
        refusal = ApiError(422, "value", "; ".join(str(one["msg"]) for one in error.errors()))
    else:
        refusal = ApiError(500, "error", "something went wrong in the server; its log says more")
    return JSONResponse(refusal.body(), refusal.status, refusal.headers)
