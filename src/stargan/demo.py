"""`stargan demo`: drawn faces, translated by a model that comes with the package, or by one that is trained here."""

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
from stargan.errors import INTERRUPTED
from stargan.evaluation import metrics
from stargan.inference.load import load
from stargan.inference.translator import Translator
from stargan.interop.export import export
from stargan.model import run_folder
from stargan.progress import Progress

MODEL = "cartoons"  # comes with the package
FACES = 1500  # drawn for training
TEST_SEED = 1  # faces of another seed than the training's are never seen
TEST_PAIRS = 240
SHOWN = 4  # faces in the picture
SIDE = 128  # pixels of a face in the picture, about


def show(out: Path) -> None:
    """Translates faces with the model that comes with the package, and says how good that is and how to train one.

    Args:
        out: Folder for translations.png.
    """
    _tell(load(MODEL), out, f"The model {MODEL!r}")
    print(f"To train one yourself, on faces drawn here, in some minutes on a CPU: stargan demo --train --out {out}")


def train(out: Path, steps: int | None = None) -> int:
    """Draws faces, trains on them, translates others, and says how good it is.

    A demo that was stopped goes on where it was when it is called again.

    Args:
        out: Folder for the faces, the run and translations.png.
        steps: Updates of D; None for the recipe's.

    Returns:
        0, or 130 where Ctrl-C stopped the training.
    """
    began = time.monotonic()
    config = _config(out, steps)
    if not (out / "faces").exists():
        with Progress("draw", FACES, "faces") as progress:
            cartoons.write(out / "faces", FACES, size=config.image_size[0], progress=progress.update)
    result = training.train(config, out / "run", resume=bool(run_folder.checkpoints(out / "run")))
    if not result.finished:
        print(f"stopped after step {result.step}, with a checkpoint; the same command goes on")
        return INTERRUPTED
    export(out / "run", out / "run" / "model.onnx", overwrite=True)
    minutes = (time.monotonic() - began) / 60
    print(f"Drew {FACES} cartoon faces and trained {result.step} steps on them in {minutes:.1f} min.")
    _tell(load(out / "run" / "model.onnx"), out, f"The model {out / 'run' / 'model.onnx'}")
    return 0


def _tell(model: Translator, out: Path, who: str) -> None:
    """Translates faces that no training has seen, into a picture and into figures."""
    pairs = list(cartoons.pairs(TEST_PAIRS, TEST_SEED, model.image_size[0]))
    figures = measure(model, pairs)
    images.save(_picture(model, pairs), out / "translations.png")
    print(f"{who} translated {len(pairs)} faces that it never saw; some of them: {out / 'translations.png'}")
    print(
        f"PSNR against the true translations: {figures['psnr']:.1f} dB; doing nothing: "
        f"{figures['psnr_of_doing_nothing']:.1f} dB."
    )
    print(
        f"Requested changes found in them: {figures['hit']:.0%} by a classifier that the generator never saw "
        f"(it finds {figures['hit_in_truth']:.0%} in the true translations), "
        f"{figures['nearer']:.0%} nearer to the truth than to the source where they must change."
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
    """Figures of a model whose domains are among the cartoons', against true translations.

    Args:
        model: Translates.
        pairs: Faces that it was not trained on; what changes in them is among its domains.
        mask: For a model of several data sets: the mask vector to give it instead of the right one.

    Returns:
        `psnr`: mean over pairs, in dB, to the true translation, see `metrics.psnr`;
        `psnr_of_doing_nothing`: the same of the untouched picture; `hit`: share of requested changes that the
        model's attribute classifier finds; `hit_in_truth`: the same in the true translations; `nearer`: share of
        translations that are nearer to the truth than to the source, over the pixels in which these two differ.
    """
    domains = model.domains
    source = model.prepare([pair.image for pair in pairs])
    truth = model.prepare([pair.truth for pair in pairs])
    _, shown = domains.match(cartoons.ATTRIBUTES, np.stack([pair.source for pair in pairs]))
    _, wanted = domains.match(cartoons.ATTRIBUTES, np.stack([pair.target for pair in pairs]))
    asked = ~domains.agree(shown, wanted)
    labels = domains.labels(wanted, domains.group_datasets[asked.argmax(axis=1)])
    if mask is not None:
        labels[:, domains.domain_mask] = mask
    translated = images.to_array(images.to_images(model.generate(source, labels)))
    differs = np.abs(truth - source) > 0.1
    to_truth = (np.abs(translated - truth) * differs).sum((1, 2, 3))
    to_source = (np.abs(translated - source) * differs).sum((1, 2, 3))
    return {
        "psnr": float(metrics.psnr(translated, truth).mean()),
        "psnr_of_doing_nothing": float(metrics.psnr(source, truth).mean()),
        "hit": float(domains.agree(model.values(translated), wanted)[asked].mean()),
        "hit_in_truth": float(domains.agree(model.values(truth), wanted)[asked].mean()),
        "nearer": float((to_truth < to_source).mean()),
    }


def _picture(model: Translator, pairs: Sequence[cartoons.Pair]) -> Image.Image:
    """Some faces in every domain, each above its true translations."""
    size = model.image_size[0]
    cells: list[np.ndarray] = []
    titles: list[str] = []
    for index in range(SHOWN):
        face, labels = cartoons.sample(TEST_SEED, index)
        wanted = requests.every_target(model.domains, labels.astype(np.float32))
        titles = ["source", *(word.removesuffix("=0") for word, _ in wanted)]
        picture = cartoons.draw(face, labels, size)
        source = np.repeat(model.prepare([picture]), len(wanted), axis=0)
        translated = model.generate(source, np.stack([target for _, target in wanted]))
        blank = Image.new("RGB", (size, size), "white")
        truths = [cartoons.draw(face, target.astype(int), size) for _, target in wanted]
        cells += [np.asarray(picture)[None], images.to_pixels(translated)]
        cells += [np.stack([np.asarray(cell) for cell in (blank, *truths)])]
    zoom = max(1, SIDE // size)
    pixels = np.concatenate(cells).repeat(zoom, axis=1).repeat(zoom, axis=2)
    return images.grid(pixels, len(titles), titles=titles)
