"""From settings and a folder to a run that the loop can start or continue: data, engine, batches, validation."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stargan import engine as engines
from stargan.config import Config
from stargan.data import cache, sources
from stargan.data.batches import Batches, TrainingSet
from stargan.data.sources import Source
from stargan.domains import Domains
from stargan.engine import Engine
from stargan.errors import CheckpointError, ConfigError, DataError
from stargan.model import locations, run_folder, safetensors_file
from stargan.model.info import ModelInfo
from stargan.progress import Progress
from stargan.training import checkpoint
from stargan.training.validation import Validation

Say = Callable[[str], None]


@dataclass(frozen=True)
class DataSet:
    """One data set, found and decoded.

    Attributes:
        source: What was found.
        images: Its decoded images.
        values: (N, C) float32, their labels in the layout of `Domains`.
    """

    source: Source
    images: cache.CachedImages
    values: np.ndarray

    def rows(self, split: str) -> np.ndarray:
        """The rows of a split whose images can be read."""
        rows = self.source.rows(split)
        return rows[~np.isin(rows, list(self.images.bad))]


@dataclass(frozen=True)
class PreparedRun:
    """A run, ready for the loop.

    Attributes:
        config: All settings.
        folder: The run folder.
        engine: Holds the weights to start from.
        batches: Of the updates of D.
        g_batches: Of the updates of G, with `g_own_batch`.
        validation: Images to look at; None where there are none.
        data_key: Stands for the training data, see `checkpoint.load`.
        description: What a model file of this run says about itself, but for its steps and figures.
        step: Updates of D that are done.
        figures: The last figures on the validation images.
    """

    config: Config
    folder: Path
    engine: Engine
    batches: Batches
    g_batches: Batches
    validation: Validation | None
    data_key: str
    description: ModelInfo
    step: int
    figures: dict[str, float]

    def info(self, step: int, figures: dict[str, float]) -> ModelInfo:
        """What a model file says about itself after a step."""
        return replace(self.description, steps=step, quality=figures)

    def g_has_its_turn(self, step: int) -> bool:
        """Whether G is updated at a step. Data sets take turns, so the updates of D count for each one by itself."""
        turn = step // len(self.description.domains.sets) + (0 if self.config.g_first else 1)
        return turn % self.config.n_critic == 0


def prepare(config: Config, folder: Path, *, resume: bool, start_from: Path | None, say: Say) -> PreparedRun:
    """Prepares a run; the arguments and errors are those of `stargan.training.train`."""
    data, domains = _data(config, say)
    data_key = _data_key([part.source for part in data])
    engine = engines.create(config, domains)
    description, step = _description(config, domains, data), 0
    if resume:
        description, step = _resume(engine, folder, description, data_key)
    else:
        if start_from is not None:
            _start_from(engine, start_from, description)
        # `auto` is written as what was measured: measured again at a resume, it might come out otherwise.
        run_folder.save_config(folder, replace(config, precision=engine.precision))
    say(_summary(engine, data, domains, config, step))
    sets = [
        TrainingSet(part.images.pixels, part.values, part.rows("train"), engine.upload(part.images.pixels))
        for part in data
    ]
    batches, g_batches = (
        Batches(sets, domains, batch_size=config.batch_size, seed=seed, flip=config.flip, targets=config.targets)
        for seed in (config.seed, config.seed + 1)
    )
    validation = Validation.of(domains, data)
    figures = dict(description.quality)
    return PreparedRun(
        config, folder, engine, batches, g_batches, validation, data_key, description, step, figures
    )  # fmt: skip


# ---------------------------------------------------------------- data


def _data(config: Config, say: Say) -> tuple[list[DataSet], Domains]:
    found, domains = sources.find_all(config.data, config.attributes, config.exclusive)
    decoded = [_decoded(source, config, say) for source in found]
    data = [
        DataSet(source, images, domains.pad(source.labels, index))
        for index, (source, images) in enumerate(zip(found, decoded, strict=True))
    ]
    for part in data:
        if not len(part.rows("train")):
            raise DataError(f"{part.source.root}: no readable image in the training part")
    return data, domains


def _decoded(source: Source, config: Config, say: Say) -> cache.CachedImages:
    with Progress(f"read {source.name}", len(source.files), "images") as progress:
        images = cache.load(
            source,
            config.image_size,
            config.crop,
            max_bad=config.max_bad,
            report=lambda done, total: progress.update(done),
        )
    for row, reason in images.bad.items():
        say(f"left out: {source.files[row]}: {reason}")
    return images


def _data_key(found: Sequence[Source]) -> str:
    """Stands for which images have which labels and which split, wherever they are."""
    digest = hashlib.sha256()
    for source in found:
        digest.update(json.dumps([source.files, source.label_set.names]).encode())
        digest.update(np.ascontiguousarray(source.labels).tobytes() + source.split.tobytes())
    return digest.hexdigest()


def _description(config: Config, domains: Domains, data: Sequence[DataSet]) -> ModelInfo:
    return ModelInfo(
        domains=domains,
        architecture=config.architecture,
        crop=config.crop,
        label_frequencies=domains.frequencies([part.values[part.rows("train")] for part in data]),
        classifier=True,
        engine=config.engine,
        recipe=config.recipe,
        data=tuple(
            {"name": d.source.name, "kind": d.source.kind, "training_images": len(d.rows("train"))} for d in data
        ),
    )


def _summary(engine: Engine, data: Sequence[DataSet], domains: Domains, config: Config, step: int) -> str:
    images = " + ".join(f"{len(part.rows('train'))} of {part.source.name}" for part in data)
    networks = ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in engine.num_parameters.items())
    size = "x".join(map(str, config.image_size))
    return (
        f"{images} training images at {size}; {domains.num_classes} classes "
        f"({', '.join(domains.names)}); parameters: {networks}; steps {step} to {config.steps}"
    )


# ---------------------------------------------------------------- resume, --start-from


def _resume(engine: Engine, folder: Path, description: ModelInfo, data_key: str) -> tuple[ModelInfo, int]:
    saved, arrays = checkpoint.load(folder, data_key=data_key)
    if saved.domains != description.domains:
        raise CheckpointError(
            f"the checkpoint knows {', '.join(saved.domains.names)}; "
            f"the data now shows {', '.join(description.domains.names)}"
        )
    engine.load_state(arrays)
    return replace(description, quality=saved.quality), saved.steps


def _start_from(engine: Engine, path: Path, description: ModelInfo) -> None:
    file = locations.locate(path)
    if file.suffix == ".onnx":
        raise ConfigError(f"--start-from {path}: an .onnx file cannot be trained on; give a run or a .safetensors file")
    other, arrays, _ = safetensors_file.read(file)
    for name, size in vars(description.architecture).items():
        own = getattr(other.architecture, name)
        if own != size:
            raise ConfigError(f"--start-from {path}: its {name} is {own}, not {size}")
    if not other.domains.same_layout(description.domains):
        raise ConfigError(f"--start-from {path}: it knows {', '.join(other.domains.names)}, grouped as there")
    engine.load_weights(arrays)


def check_new(folder: Path) -> None:
    """Refuses a folder that holds a run or anything else already.

    Raises:
        ConfigError: It does.
    """
    if (folder / run_folder.CONFIG).exists():
        raise ConfigError(f"--run {folder}: holds a run already; go on with --resume {folder} or choose another name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"--run {folder}: exists and is not an empty folder; choose another name")


CHANGEABLE = frozenset({
    "data", "steps", "device", "precision", "workers", "max_bad",
    "log_every", "sample_every", "checkpoint_every", "keep_checkpoints",
})  # fmt: skip
"""Settings that a resumed run may change. None of them decides a weight, except that training may be longer, or on
another device or in another precision, which round differently."""


def check_changes(saved: Config, config: Config) -> None:
    """Refuses to resume a run with other settings than it was started with.

    Raises:
        ConfigError: A setting that is not in `CHANGEABLE` differs.
    """
    for name, value in config.to_json().items():
        if name not in CHANGEABLE and value != saved.to_json()[name]:
            option = "--" + name.replace("_", "-")
            raise ConfigError(f"{option}: a resumed run keeps {saved.to_json()[name]!r}; begin a new one for {value!r}")
