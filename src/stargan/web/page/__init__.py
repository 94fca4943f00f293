"""The page: its files, and the routes that serve them."""

from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException
from swagger_ui_bundle import swagger_ui_path

FILES = Path(__file__).parent
KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")


def routes(*, photos: bool = True, runs: bool = False) -> APIRouter:
    """The pages, their files, and the page of the API, which needs nothing from the network.

    Args:
        photos: Whether there is the page that changes photos; it is the first one.
        runs: Whether there is the page that shows training runs.
    """
    router = APIRouter(include_in_schema=False)
    known = {path.relative_to(FILES).as_posix(): path for path in FILES.rglob("*") if path.suffix in KINDS}
    known |= {f"docs/{name}": Path(swagger_ui_path) / name for name in SWAGGER}

    def file(name: str) -> Response:
        if name not in known:
            raise HTTPException(404, f"no file {name}")
        return FileResponse(known[name], media_type=KINDS[known[name].suffix])

    @router.get("/")
    async def index() -> Response:
        return file("index.html" if photos else "watch/index.html")

    if runs:

        @router.get("/runs")
        async def watch() -> Response:
            return file("watch/index.html")

    @router.get("/docs")
    async def docs() -> Response:
        return file("docs.html")

    @router.get("/page/{name:path}")
    async def asset(name: str) -> Response:
        return file(name)

    @router.get("/favicon.ico")
    async def icon() -> Response:
        return file("icon.svg")

    return router
