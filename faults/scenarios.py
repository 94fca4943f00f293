"""What is interrupted: commands on tiny data and models, and what must be there afterwards."""

import base64
import json
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from stargan import training
from stargan.cli import main as stargan
from stargan.config import Config
from stargan.data import cache, sources
from stargan.evaluation import classifier, features
from stargan.interop.export import export
from stargan.model import locations, run_folder, safetensors_file

SETTINGS = Config(
    image_size=(16, 16), width=4, blocks=1, d_layers=2, batch_size=4, device="cpu", precision="fp32", steps=16,
    log_every=4, sample_every=8, checkpoint_every=4, keep_checkpoints=100, workers=1,
)  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """Something to interrupt.

    Attributes:
        work: Does it in a folder, and goes on with it if it was interrupted there; returns the exit code.
        prepare: Puts into the folder what is there before; it must be there, or its successor, at any time.
        serves: Whether it is a server, which ends when it is told to.
    """

    work: Callable[[Path, Path], int]
    prepare: Callable[[Path, Path], object] = lambda given, folder: None
    serves: bool = False


def make(given: Path) -> int:
    """Draws the data, and trains the model that all scenarios use."""
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (given / "data" / name).mkdir(parents=True)
        for index in range(30):
            pixels = rng.integers(0, 128, (20, 24, 3)) + 127 * (name == "light")
            Image.fromarray(pixels.astype(np.uint8)).save(given / "data" / name / f"{name}-{index}.png")
    config = replace(SETTINGS, data=(str(given / "data"),), steps=4)
    training.train(config, given / "run")
    export(given / "run", given / "model.safetensors")
    shutil.copy(locations.SHIPPED / "cartoons.onnx", given / "cartoons.onnx")
    return 0


def _train(given: Path, folder: Path) -> int:
    run = folder / "run"
    resume = (run / run_folder.CONFIG).exists()
    training.train(replace(SETTINGS, data=(str(given / "data"),)), run, resume=resume)
    return 0


def _cache(given: Path, folder: Path) -> int:
    cache.load(sources.find(given / "data"), (64, 64), folder=folder / "cache")
    return 0


def _export(given: Path, folder: Path) -> int:
    """With another description each; writing the graph anew would take seconds in memory only."""
    changed = ["--licence", "MIT", "--overwrite"]
    first = stargan(["export", str(given / "model.safetensors"), str(folder / "m.safetensors"), *changed])
    return first or stargan(["export", str(given / "cartoons.onnx"), str(folder / "m.onnx"), *changed])


def _translate(given: Path, folder: Path) -> int:
    to = ["--to", "smile", "--out", str(folder / "out"), "--skip-existing", "--no-align", "-q"]
    return stargan(["translate", str(given / "cartoons.onnx"), str(given / "data" / "dark"), *to])


def _evaluate(given: Path, folder: Path) -> int:
    classifier.STEPS, classifier.VALIDATE_EVERY, classifier.BATCH = 6, 3, 8  # as fast as possible
    features.installed = lambda: False
    chosen = ["--data", str(given / "data"), "--split", "all", "--limit", "8", "--classifiers", "1", "-q"]
    return stargan(
        ["evaluate", str(given / "model.safetensors"), *chosen, "--out", str(folder / "report"), "--overwrite"]
    )


def _serve(given: Path, folder: Path) -> int:
    return stargan(["serve", str(given / "cartoons.onnx"), "--port", str(PORT), "--no-browser"])


def ask(given: Path) -> bytes:
    """Asks the server for a translation."""
    photo = (given / "data" / "dark" / "dark-0.png").read_bytes()
    fields = {"target": ["smile"], "image": base64.b64encode(photo).decode()}
    address = f"http://127.0.0.1:{PORT}/v1/translate"
    request = urllib.request.Request(address, json.dumps(fields).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def _before(name: str) -> Callable[[Path, Path], object]:
    """Puts an earlier result into the folder."""
    return lambda given, folder: shutil.copy(given / "cartoons.onnx", folder / name)


PORT = 8917
SCENARIOS = {
    "train": Scenario(_train),
    "cache": Scenario(_cache),
    "export": Scenario(_export, _before("m.onnx")),
    "translate": Scenario(_translate, _before("mine.onnx")),
    "evaluate": Scenario(_evaluate),
    "serve": Scenario(_serve, serves=True),
}


def contents(folder: Path) -> dict[str, object]:
    """What is in a folder, by file: comparable, without times and durations."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or path.name.startswith("events.out") or path.name == run_folder.LOCK:
            continue
        if path.name == run_folder.STATS:
            found[name] = _figures(path)
        elif path.suffix == ".safetensors" and not path.name.startswith("classifier-"):
            info, arrays, _ = safetensors_file.read(path, training=True)
            found[name] = info.dumps(), {key: array.tobytes() for key, array in arrays.items()}
        else:
            found[name] = path.read_bytes()
    return found


def _figures(path: Path) -> list[dict[str, float]]:
    """The lines of a log; the last one may be cut off."""
    lines = path.read_text().split("\n")[:-1]
    times = ("seconds", "steps_per_second")
    return [{k: v for k, v in json.loads(line).items() if k not in times} for line in lines]
