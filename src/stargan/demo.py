"""`stargan demo`: translates drawn faces, with a model that comes with the package or one that it trains."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from stargan import images, training
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.data import cartoons
from stargan.domains import requests
from stargan.errors import INTERRUPTED, ConfigError
from stargan.evaluation import metrics
from stargan.inference.load import load
from stargan.inference.translator import Translator
from stargan.interop.export import export
from stargan.model import run_folder
from stargan.progress import Progress
from stargan.training.prepare import check_new

_LOGGER = logging.getLogger(__name__)
MODEL = "cartoons"  # comes with the package
FACES = 1500  # to train on
TEST_SEED = 1  # not the seed of the training's faces
TEST_PAIRS = 240
_NAME, _SHEET = "stargan demo", "translations.png"
ROWS = 4  # faces in translations.png
SIDE = 128  # approximate size of a face in translations.png, in pixels


def show(out: Path) -> None:
    """Translates faces with the model that comes with the package, and prints how well it does.

    Args:
        out: Folder for translations.png.

    Raises:
        ConfigError: The folder has a translations.png that no demo has made.
    """
    _check(out)
    _report(load(MODEL), out, f"The model {MODEL!r}")
    _LOGGER.info(f"To train a model yourself, in a few minutes on a CPU: stargan demo --train --out {out}")


def train(out: Path, steps: int | None = None) -> int:
    """Draws faces, trains a model on them, translates other faces, and prints how well it does.

    A training that was stopped is resumed by the next call.

    Args:
        out: Folder for the faces, the run and translations.png.
        steps: Updates of D; by default as many as the recipe has.

    Returns:
        The exit code: 0, or 130 if Ctrl-C stopped the training.

    Raises:
        ConfigError: As `show`, or the folder for the run has other files.
    """
    began = time.monotonic()
    _check(out)
    resume = (out / "run" / run_folder.CONFIG).exists()
    if not resume:
        check_new(out / "run")
    config = _config(out, steps)
    if not (out / "faces").exists():
        with Progress("draw", FACES, "faces") as progress:
            cartoons.write(out / "faces", FACES, size=config.image_size[0], progress=progress.update)
    result = training.train(config, out / "run", resume=resume)
    if not result.finished:
        _LOGGER.info(f"stopped after step {result.step}, with a checkpoint; run the same command again to go on")
        return INTERRUPTED
    export(out / "run", out / "run" / "model.onnx", overwrite=True)
    minutes = (time.monotonic() - began) / 60
    _LOGGER.info(f"Drew {FACES} cartoon faces and trained {result.step} steps on them in {minutes:.1f} min.")
    _report(load(out / "run" / "model.onnx"), out, f"The model {out / 'run' / 'model.onnx'}")
    return 0


def _check(out: Path) -> None:
    if not images.may_replace(_NAME, out / _SHEET):
        raise ConfigError(f"{out / _SHEET}: exists, and stargan demo has not made it; say another folder with --out")


def _report(model: Translator, out: Path, name: str) -> None:
    """Translates faces that the model was not trained on; writes an image of some and prints figures of all."""
    pairs = list(cartoons.pairs(TEST_PAIRS, TEST_SEED, model.image_size[0]))
    figures = measure(model, pairs)
    images.save_as_made_by(_NAME, _grid(model), out / _SHEET)
    _LOGGER.info(f"{name} translated {len(pairs)} faces that it was not trained on; some of them: {out / _SHEET}")
    _LOGGER.info(
        f"PSNR to the true translations: {figures['psnr']:.1f} dB; of the untouched faces: "
        f"{figures['baseline_psnr']:.1f} dB."
    )
    _LOGGER.info(
        f"A classifier finds {figures['hit']:.0%} of the requested changes in them, and "
        f"{figures['hit_in_truth']:.0%} in the true translations. "
        f"{figures['nearer']:.0%} are nearer to the true translation than to the source where the two differ."
    )


def _config(out: Path, steps: int | None) -> Config:
    config = replace(
        recipe("demo"),
        data=(str(out / "faces"),),
        attributes=cartoons.ATTRIBUTES,
        exclusive=(",".join(cartoons.EXCLUSIVE),),
    )
    return config if steps is None else replace(config, steps=steps)


def measure(model: Translator, pairs: Sequence[cartoons.Pair], mask: Sequence[float] | None = None) -> dict[str, float]:
    """Compares translations with the true ones, for a model of the cartoons' domains.

    Args:
        model: Translates.
        pairs: Faces that it was not trained on, and their true translations.
        mask: For a model of several data sets: a domain mask to use instead of the right one.

    Returns:
        `psnr`: of the translations to the true ones, mean over pairs, in dB, see `metrics.psnr`; `baseline_psnr`: the
        same of the untouched images; `hit`: share of the requested changes that the model's attribute classifier
        finds; `hit_in_truth`: the same in the true translations; `nearer`: share of translations that are nearer to
        the true one than to the source, over the pixels in which the two differ.
    """
    domains = model.domains
    source = model.prepare([pair.image for pair in pairs])
    truth = model.prepare([pair.truth for pair in pairs])
    _, source_values = domains.match(cartoons.ATTRIBUTES, np.stack([pair.source for pair in pairs]))
    _, target_values = domains.match(cartoons.ATTRIBUTES, np.stack([pair.target for pair in pairs]))
    requested = ~domains.agree(source_values, target_values)
    labels = domains.labels(target_values, domains.group_datasets[requested.argmax(axis=1)])
    if mask is not None:
        labels[:, domains.domain_mask] = mask
    translated = images.to_array(images.to_images(model.generate(source, labels, source_values)))
    differs = np.abs(truth - source) > 0.1
    to_truth = (np.abs(translated - truth) * differs).sum((1, 2, 3))
    to_source = (np.abs(translated - source) * differs).sum((1, 2, 3))
    return {
        "psnr": float(metrics.psnr(translated, truth).mean()),
        "baseline_psnr": float(metrics.psnr(source, truth).mean()),
        "hit": float(domains.agree(model.values(translated), target_values)[requested].mean()),
        "hit_in_truth": float(domains.agree(model.values(truth), target_values)[requested].mean()),
        "nearer": float((to_truth < to_source).mean()),
    }


def _grid(model: Translator) -> Image.Image:
    """Some faces translated to every domain, each row above one of the true translations."""
    size = model.image_size[0]
    cells: list[np.ndarray] = []
    titles: list[str] = []
    for index in range(ROWS):
        face, labels = cartoons.sample(TEST_SEED, index)
        targets = requests.every_target(model.domains, labels.astype(np.float32))
        titles = ["source", *(word.removesuffix("=0") for word, _ in targets)]
        drawn = cartoons.draw(face, labels, size)
        source = np.repeat(model.prepare([drawn]), len(targets), axis=0)
        own = np.repeat(labels[None].astype(np.float32), len(targets), axis=0)
        translated = model.generate(source, np.stack([target for _, target in targets]), own)
        blank = Image.new("RGB", (size, size), "white")
        truths = [cartoons.draw(face, target.astype(int), size) for _, target in targets]
        cells += [np.asarray(drawn)[None], images.to_pixels(translated)]
        cells += [np.stack([np.asarray(cell) for cell in (blank, *truths)])]
    zoom = max(1, SIDE // size)
    pixels = np.concatenate(cells).repeat(zoom, axis=1).repeat(zoom, axis=2)
    return images.grid(pixels, len(titles), titles=titles)
