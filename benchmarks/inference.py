"""Inference, ours against the official code: latency, memory, time to the first image, whole folders.

The same random weights are used in the official generator and in ours on PyTorch, ONNX Runtime and, if installed,
OpenVINO. Before timing, all must compute the same images. The benchmark also measures the time from the start of a
process to the written file, against the official main.py in test mode, and the time for a folder of JPEGs, against ONNX
Runtime alone on prepared batches.

Without --reference there is no official row, and ratios refer to our PyTorch path. PyTorch is imported only by sides
that need it, so that the memory of each side is realistic.
"""

import argparse
import contextlib
import importlib.util
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import measure
import numpy as np
import reference
from PIL import Image

from stargan import engine as engines
from stargan import images, load
from stargan.config.recipes import recipe
from stargan.data import cartoons
from stargan.domains import Domains, Group, LabelSet
from stargan.domains.presets import CELEBA_ATTRIBUTES, CELEBA_HAIR
from stargan.errors import ConfigError
from stargan.inference import folders, jobs
from stargan.inference.folders import Reading
from stargan.inference.translator import max_batch
from stargan.interop.export import export
from stargan.interop.foreign import export_official
from stargan.model import safetensors_file
from stargan.model.info import ModelInfo

TOLERANCE = 1e-4  # of images in [-1, 1]
LEVELS = 1.0  # of 255, mean difference of images after JPEG compression
SOURCE_LABELS = ("Black_Hair", "Male", "Young")  # of the photograph
TARGETS = (*CELEBA_HAIR, "Male=0", "Young=0")  # the translations that the official test makes
WORD = "Blond_Hair"
IMAGES = 64  # in the folder
PHOTO = (178, 218)  # CelebA's
CROP = 178

Generate = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(N, 3, H, W) and (N, L) to (N, 3, H, W), as `Translator.generate`."""


@dataclass(frozen=True)
class Model:
    """A folder with one set of weights in the file formats of all sides.

    Attributes:
        folder: Contains model.safetensors, model.onnx, 0-G.ckpt and 0-D.ckpt.
        size: Image size in pixels.
        width: Channels of the first layers.
        blocks: Residual blocks of G.
        checkout: The official code, or None.
    """

    folder: Path
    size: int
    width: int
    blocks: int
    checkout: Path | None

    @property
    def layers(self) -> int:
        """Stride-2 layers of D: six, or fewer for small images."""
        return min(6, (self.size & -self.size).bit_length() - 1)

    def write(self) -> None:
        """Creates random weights and writes all files."""
        hair, others = Group(CELEBA_HAIR), (Group((name,)) for name in CELEBA_ATTRIBUTES[len(CELEBA_HAIR) :])
        domains = Domains((LabelSet("faces", (hair, *others)),))
        size = (self.size, self.size)
        config = replace(
            recipe("official"),
            image_size=size,
            width=self.width,
            blocks=self.blocks,
            d_layers=self.layers,
            device="cpu",
        )
        info = ModelInfo(domains, config.architecture, CROP, classifier=True)
        state = engines.create(config, domains).state()
        weights = {name: array for name, array in state.items() if not name.startswith(safetensors_file.TRAINING)}
        safetensors_file.write(self.folder / "model.safetensors", info, weights, {})
        export(self.folder / "model.safetensors", self.folder / "model.onnx")
        export_official(self.folder / "model.safetensors", self.folder)

    def data(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Random images, (N, 3, H, W), and labels, (N, L), float32."""
        rng = np.random.default_rng(0)
        batch_images = rng.uniform(-1, 1, (batch, 3, self.size, self.size)).astype(np.float32)
        return batch_images, rng.integers(0, 2, (batch, len(CELEBA_ATTRIBUTES))).astype(np.float32)


# ---------------------------------------------------------------- the sides


def official(model: Model, threads: int | None) -> Generate:
    """The official generator."""
    _set_threads(threads)
    assert model.checkout is not None  # without one this side is not measured
    labels = len(CELEBA_ATTRIBUTES)
    checkpoint = model.folder / "0-G.ckpt"
    return reference.generator(model.checkout, checkpoint, labels=labels, width=model.width, blocks=model.blocks)


def ours_torch(model: Model, threads: int | None) -> Generate:
    """Ours on PyTorch."""
    _set_threads(threads)
    return load(model.folder / "model.safetensors").generate


def ours_onnx(model: Model, threads: int | None) -> Generate:
    """Ours on ONNX Runtime, which chooses its number of threads."""
    return load(model.folder / "model.onnx").generate


def ours_openvino(model: Model, threads: int | None) -> Generate:
    """Ours on OpenVINO, which chooses its number of threads."""
    return load(model.folder / "model.onnx", runtime="openvino").generate


def _set_threads(threads: int | None) -> None:
    if threads:
        import torch

        torch.set_num_threads(threads)


Side = Callable[[Model, int | None], Generate]
"""Opens a model with a number of threads."""


def sides(checkout: Path | None) -> dict[str, Side]:
    """The sides that can be measured here, by name."""
    found: dict[str, Side] = {"official": official} if checkout else {}
    found |= {"ours, PyTorch": ours_torch, "ours, ONNX Runtime": ours_onnx}
    if importlib.util.find_spec("openvino"):
        found["ours, OpenVINO"] = ours_openvino
    else:
        print("OpenVINO is not installed, so it is not measured")
    return found


def use(side: Side, model: Model, batch: int, threads: int | None) -> None:
    """Uses a model as a user does, to measure the memory it takes."""
    generate, data = side(model, threads), model.data(batch)
    generate(*data)
    generate(*data)


# ---------------------------------------------------------------- latency


def latency(
    known: Mapping[str, Side], model: Model, batch: int, repeats: int, threads: int | None
) -> list[dict[str, Any]]:
    """Measures all sides at one image size and batch size; returns one row per side.

    Raises:
        ConfigError: The sides compute different images.
    """
    memory = {name: measure.peak_memory(use, side, model, batch, threads).whole for name, side in known.items()}
    opened = {name: side(model, threads) for name, side in known.items()}
    data = model.data(batch)
    results = {name: generate(*data) for name, generate in opened.items()}  # also warms up
    first = next(iter(known))
    differences = {name: float(np.abs(result - results[first]).max()) for name, result in results.items()}
    for name, difference in differences.items():
        if not difference < TOLERANCE:
            raise ConfigError(f"{name} differs from {first} by {difference:.1e}; rounding explains at most {TOLERANCE}")
    timed = {name: partial(measure.seconds_of, partial(generate, *data)) for name, generate in opened.items()}
    seconds = measure.alternate(timed, repeats)
    rows = []
    for name, times in seconds.items():
        middle = median(times)
        rows.append(
            {
                "side": name,
                "px": model.size,
                "batch": batch,
                "median ms": 1e3 * middle,
                "p95 ms": 1e3 * float(np.percentile(times, 95)),
                "images/s": batch / middle,
                "process MiB": memory[name] / measure.MIB,
                "speed ratio": median(seconds[first]) / middle,
                "memory ratio": memory[name] / memory[first],
                "differs by": f"{differences[name]:.0e}",
            }
        )
    return rows


# ---------------------------------------------------------------- cold start


def cold_start(model: Model, repeats: int) -> list[dict[str, Any]]:
    """Measures the seconds from the start of a process to the written files, for one photograph.

    The official test writes the five translations of an image as one strip; our --all writes them as files.

    Raises:
        ConfigError: A command failed, or the two did not write the same images.
    """
    photo = draw(model.folder / "photo", 1)[0]
    stargan = [sys.executable, "-m", "stargan", "translate", str(model.folder / "model.onnx"), str(photo)]
    out = ["--crop", "--no-align", "--overwrite", "--out", str(model.folder / "out")]
    known = ["--from", *SOURCE_LABELS]  # the official test reads them from its list
    commands = {"official, 5 targets": official_test(model, photo)} if model.checkout else {}
    commands |= {
        "ours, 1 target, labels estimated": [*stargan, "--to", WORD, *out],
        "ours, 1 target": [*stargan, "--to", WORD, *known, *out],
        "ours, 5 targets": [*stargan, "--all", *known, *out],
    }
    for command in commands.values():  # the first run reads the files from disk
        run(command, model.folder)
    if model.checkout:
        check_files(model, photo)
    timed = {name: partial(measure.seconds_of, partial(run, each, model.folder)) for name, each in commands.items()}
    seconds = measure.alternate(timed, repeats)
    first = median(next(iter(seconds.values())))
    return [
        {
            "side": name,
            "px": model.size,
            "median s": median(times),
            "slowest s": max(times),
            "speed ratio": first / median(times),
        }
        for name, times in seconds.items()
    ]


def check_files(model: Model, photo: Path) -> None:
    """Checks that both commands wrote the same images, after making a JPEG strip of ours."""
    theirs = np.asarray(Image.open(model.folder / "official" / "1-images.jpg"), float)
    source = np.asarray(images.read(photo, (model.size, model.size), CROP))
    ours = [np.asarray(Image.open(model.folder / "out" / f"{photo.stem}.{target}.png")) for target in TARGETS]
    strip = io.BytesIO()
    Image.fromarray(np.concatenate([source, *ours], axis=1)).save(strip, "JPEG")
    difference = float(np.abs(np.asarray(Image.open(strip), float) - theirs).mean())
    if difference > LEVELS:
        raise ConfigError(f"the two commands wrote different images: {difference:.1f} of 255 levels apart on average")


def official_test(model: Model, photo: Path) -> list[str]:
    """The command of the official test for one image in CelebA's format."""
    labels = photo.with_name("list.txt")
    values = " ".join("1" if name in SOURCE_LABELS else "-1" for name in CELEBA_ATTRIBUTES)
    labels.write_text(f"1\n{' '.join(CELEBA_ATTRIBUTES)}\n{photo.name} {values}\n")
    options: dict[str, object] = {
        "mode": "test", "dataset": "CelebA", "celeba_image_dir": photo.parent, "attr_path": labels, "batch_size": 1,
        "image_size": model.size, "celeba_crop_size": CROP, "test_iters": 0, "model_save_dir": model.folder,
        "result_dir": model.folder / "official", "log_dir": model.folder / "logs", "sample_dir": model.folder / "logs",
        "g_conv_dim": model.width, "d_conv_dim": model.width, "g_repeat_num": model.blocks,
        "d_repeat_num": model.layers, "use_tensorboard": "false",
    }  # fmt: skip
    words = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, str(Path(reference.__file__).resolve()), str(model.checkout), *words]


def run(command: Sequence[str], folder: Path) -> None:
    """Runs a command to its end.

    Raises:
        ConfigError: It failed; the message is the last line of its output.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise ConfigError(f"{Path(command[1]).name} {command[2]} failed: {reason}")


def draw(folder: Path, count: int) -> list[Path]:
    """Draws cartoon faces as JPEGs of CelebA's size."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{index:06}.jpg" for index in range(1, count + 1)]
    for index, path in enumerate(paths):
        face, labels = cartoons.sample(0, index)
        cartoons.draw(face, labels, PHOTO[1]).crop((20, 0, 20 + PHOTO[0], PHOTO[1])).save(path, quality=95)
    return paths


# ---------------------------------------------------------------- folders


def whole_folder(model: Model, count: int, repeats: int) -> list[dict[str, Any]]:
    """Translates a folder of JPEGs to PNGs, against ONNX Runtime alone on prepared batches of the same size.

    ONNX Runtime alone neither decodes images nor estimates their labels nor writes files.
    """
    import onnxruntime

    paths = draw(model.folder / "photos", count)
    translator = load(model.folder / "model.onnx")
    session = onnxruntime.InferenceSession(model.folder / "model.onnx", providers=["CPUExecutionProvider"])
    prepared = translator.prepare(paths)
    size = max_batch(translator.image_size)
    labels = np.zeros((count, translator.domains.num_labels), np.float32)

    def bare() -> None:
        for start in range(0, count, size):
            part = slice(start, start + size)
            session.run(["translated"], {"images": prepared[part], "labels": labels[part]})

    def whole() -> None:
        requested = jobs.plan(translator.domains, [[WORD]])
        output = jobs.Output(model.folder / "out", squares=True, existing="overwrite")
        with contextlib.redirect_stderr(io.StringIO()):
            folders.translate(translator, jobs.find([paths[0].parent]), requested, output, Reading(align=False))

    bare()
    whole()
    work = {"ONNX Runtime alone": bare, "stargan.inference.folders.translate": whole}
    seconds = measure.alternate({name: partial(measure.seconds_of, each) for name, each in work.items()}, repeats)
    least = median(seconds["ONNX Runtime alone"])
    return [
        {
            "side": name,
            "px": model.size,
            "images": count,
            "median s": median(times),
            "images/s": count / median(times),
            "speed ratio": least / median(times),
        }
        for name, times in seconds.items()
    ]


# ---------------------------------------------------------------- the command line


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = measure.parser(__doc__)
    parser.add_argument("--reference", type=Path, help="checkout of github.com/yunjey/stargan")
    parser.add_argument(
        "--sizes", type=measure.at_least_one, nargs="+", default=[128, 256], help="image sizes in pixels"
    )
    parser.add_argument("--batch", type=measure.at_least_one, nargs="+", default=[1, 8])
    parser.add_argument("--width", type=measure.at_least_one, default=64, help="channels of the first layers")
    parser.add_argument("--blocks", type=measure.at_least_one, default=6, help="residual blocks of G")
    parser.add_argument("--images", type=measure.at_least_one, default=IMAGES, help="number of images in the folder")
    return parser.parse_args()


def main() -> None:
    """Measures and prints. Cold start and folder are measured at the first size."""
    options = arguments()
    checkout = reference.checked(options.reference) if options.reference else None
    if any(size % 8 for size in options.sizes):
        raise ConfigError(f"--sizes {' '.join(map(str, options.sizes))}: must be multiples of 8")
    measure.use_device("cpu", options.threads)
    if options.threads:
        print("--threads applies to PyTorch; ONNX Runtime and OpenVINO use all cores")
    known = sides(checkout)
    results: dict[str, list[dict[str, Any]]] = {"latency": []}
    for index, size in enumerate(options.sizes):
        with tempfile.TemporaryDirectory() as place:
            model = Model(Path(place), size, options.width, options.blocks, checkout)
            model.write()
            for batch in options.batch:
                results["latency"] += latency(known, model, batch, options.repeats or 20, options.threads)
            if index == 0:
                results["cold start"] = cold_start(model, options.repeats or 5)
                results["folder"] = whole_folder(model, options.images, min(options.repeats or 3, 3))
    machine = measure.machine()
    print(*(f"{name}: {value}" for name, value in machine.items()), sep="\n")
    for title, rows in results.items():
        print(f"\n{title}\n\n{measure.table(rows)}")
    measure.write_json(options.json, results, machine)


if __name__ == "__main__":
    sys.exit(measure.command(main))
