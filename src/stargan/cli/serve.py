"""`stargan serve`."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import Annotated

import tyro

from stargan import web
from stargan.cli.options import Command, option
from stargan.errors import ConfigError
from stargan.inference.onnx import Runtime
from stargan.model.locations import shipped
from stargan.web import Access, Limits

KEY = "STARGAN_API_KEY"


@dataclasses.dataclass(frozen=True)
class Options:
    """Open a page in the browser to change photos, or to watch trainings, and answer an HTTP API.

    For example: stargan serve

    Attributes:
        models: Model files, run folders, or names of models that come with stargan; by default all of the latter, or
            none with --run.
        run: Run folder to watch, while it trains or afterwards. Repeat it to see several side by side.
        port: Where to listen; 0 takes any that is free.
        host: The address to listen at. With 0.0.0.0, other machines reach the server.
        browser: Open the page in the browser.
        allow_host: Names under which other machines may call the server; * allows all.
        cors: Sites whose pages may call the API, such as https://example.org.
        api_key_file: A file with a key that calls must bring; or set the variable STARGAN_API_KEY.
        runtime: What runs .onnx files.
        limits: How much the server takes on.
    """

    models: Annotated[tyro.conf.Positional[tuple[Path, ...]], option("MODEL...")] = ()
    run: Annotated[tyro.conf.UseAppendAction[tuple[Path, ...]], option("FOLDER")] = ()
    port: Annotated[int, option("PORT")] = 8000
    host: Annotated[str, option("ADDRESS")] = "127.0.0.1"
    browser: bool = True
    allow_host: Annotated[tuple[str, ...], option("NAME...")] = ()
    cors: Annotated[tuple[str, ...], option("ORIGIN...")] = ()
    api_key_file: Annotated[Path | None, option("FILE")] = None
    runtime: Annotated[Runtime, option()] = "onnxruntime"
    limits: tyro.conf.OmitArgPrefixes[Limits] = dataclasses.field(default_factory=Limits)


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    web.check_installed()
    from stargan.web import server, watching  # loads FastAPI

    key = _key(options.api_key_file)
    if not 0 <= options.port < 65536:
        raise ConfigError(f"--port {options.port}: must be from 0 to 65535")
    runs = watching.open_runs(options.run)
    with server.listen(options.host, options.port) as opened:
        default = [] if runs else [Path(name) for name in _shipped()]
        models = server.load_all(options.models or default, options.runtime)
        places = [(f"training of {', '.join(run.name for run in runs)}", server.address(opened, key, "runs"))]
        places = [*(places if runs else []), *([(", ".join(models), server.address(opened, key))] if models else [])]

        def ready() -> None:
            print(f"stargan: {'; '.join(f'{what} at {url}' for what, url in places)} (Ctrl-C stops)", flush=True)
            if options.browser and sys.stdout.isatty():
                server.open_browser(places[0][1])

        server.run(models, opened, options.limits, Access(key, options.allow_host, options.cors), ready, runs)
    return 0


def _shipped() -> list[str]:
    """The models that come with the package, those for photographs of faces first."""
    return sorted(shipped(), key=lambda name: name == "cartoons")


def _key(file: Path | None) -> str:
    if file is None:
        return os.environ.get(KEY, "").strip()
    key = file.read_text("utf-8").strip()
    if not key:
        raise ConfigError(f"--api-key-file {file}: is empty; must contain a key")
    return key


COMMAND = Command(Options, run)
