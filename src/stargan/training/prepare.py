"""Preparation of a run, new or resumed: data, engine, batches and validation."""

import shlex
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stargan import engine as engines
from stargan.config import Config
from stargan.config.architecture import OF_EDIT
from stargan.config.checks import as_option
from stargan.data import crops, face_sample, ranges, sources
from stargan.data.batches import Batch, Batches, TrainingSet
from stargan.data.sources import Source
from stargan.data.windows import Windows
from stargan.domains import Domains
from stargan.engine import Engine, Processes
from stargan.engine.transfer import HEAD, transfer
from stargan.errors import CheckpointError, ConfigError
from stargan.faces import CELEBA, FaceCrop
from stargan.model import locations, run_folder, safetensors_file
from stargan.model.info import ModelInfo
from stargan.progress import counted
from stargan.training import checkpoint, data_sets, same_data
from stargan.training.data_sets import DataSet, Say
from stargan.training.forecast import forecast
from stargan.training.validation import Validation
from stargan.training.windowed import WindowedBatches


@dataclass(frozen=True)
class PreparedRun:
    """Everything the training loop needs.

    Attributes:
        config: All settings.
        folder: The run folder.
        engine: The engine, with the weights to start from.
        processes: The processes that train together.
        batches: The batches for the updates of D.
        g_batch: Returns the batch of a step for the update of G if `g_own_batch` is set.
        validation: Measures figures and draws sample grids; None if there are no images for it.
        data_key: Identifies the training data, see `checkpoint.load`.
        description: The description for this run's model files, except for steps and figures.
        step: The number of updates of D already done.
        seconds: How long the run has trained.
        figures: The latest figures on the validation images.
    """

    config: Config
    folder: Path
    engine: Engine
    processes: Processes
    batches: Batches | WindowedBatches
    g_batch: Callable[[int], Batch]
    validation: Validation | None
    data_key: str
    description: ModelInfo
    step: int
    seconds: float
    figures: dict[str, float]

    def info(self, step: int, figures: dict[str, float], *, finished: bool) -> ModelInfo:
        """Returns the description for a model file written after a step; the last one has temperatures."""
        temperatures = self.validation.temperatures(self.engine) if self.validation and finished else ()
        return replace(self.description, steps=step, quality=figures, temperatures=temperatures)

    def stream(self, stopped: Callable[[], bool]) -> Generator[Batch, None, None]:
        """Returns the batches from `step` on. It ends only if this process is `stopped` while it waits for a window.

        Several processes go on until all have that window, since all have to stop after the same update.
        """
        if isinstance(self.batches, Batches):
            return self.batches.stream(self.step, self.config.workers)
        alone = self.processes.world_size == 1
        return self.batches.stream(self.step, self.config.workers, stopped if alone else lambda: False)

    def waited(self) -> dict[str, float]:
        """Returns how many seconds of this part of the run went by waiting for windows, for the log, if it has some."""
        return {} if isinstance(self.batches, Batches) else {"waited": round(self.batches.waited, 3)}

    def updates_g_at(self, step: int) -> bool:
        """Whether G is updated at a step. Data sets take turns, so the updates of D are counted for each one."""
        turn = step // len(self.description.domains.sets) + (0 if self.config.g_first else 1)
        return turn % self.config.n_critic == 0


def prepare(
    config: Config,
    folder: Path,
    processes: Processes,
    windows_folder: Path,
    *,
    resume: bool,
    start_from: Path | None,
    allow_changes: bool,
    measure: bool,
    say: Say,
) -> PreparedRun:
    """Prepares a run; `windows_folder` is for its windows, if it has some.

    The other arguments and the errors are those of `stargan.training.train`.
    """
    _check_places(config, folder, start_from, resume=resume)
    found, domains, windows = data_sets.find(config, windows_folder, say)
    has_checkpoint = resume and _has_checkpoint(folder)
    if resume:
        found = _split_as_before(found, windows, folder)
        config = replace(config, range=config.range or ranges.before_ranges(found))
    else:
        crop = crops.fraction(found, config.image_size, config.crop, say)
        config = replace(config, crop=crop, range=ranges.of_sources(found, config.range, say))
    empty = resume or config.allow_empty
    data = data_sets.decode(found, domains, config, windows, windows_folder, say, allow_empty=empty)
    data_key = same_data.data_key(found, windows)
    if resume:
        _check_same(folder, data_key, data, say, allow_changes=allow_changes)
    elif measure:
        say(str(forecast(config, domains)))
    engine = _engine(config, domains, say)
    description, step = _description(config, domains, data, windows), 0
    if has_checkpoint:
        description, step = _resume(engine, folder, description, data_key)
    elif start_from is not None:
        _start_from(engine, start_from, description, say)
    if not has_checkpoint or (config.crop or 0) > 1:  # a run of an earlier version, which keeps to its central pixels
        description = replace(description, face_crop=_face_crop(config, data, say))
    if not has_checkpoint:  # before the settings: without it, the run could not begin again from the same weights
        _save_start(folder, config, engine, description, data_key)
    if resume:
        _note_moved(config, folder, say)
    else:
        # Saves the precision that `auto` selected, because measuring again on resume could select the other one.
        run_folder.save_config(folder, replace(config, precision=engine.precision))
    if processes.rank == 0:
        same_data.save(folder, data_key, [part.images for part in data])
    say(_summary(engine, data, domains, config, windows, step))
    say(f"watch it: stargan serve --run {shlex.quote(str(folder))}")
    own = slice(processes.rank, None, processes.world_size)
    batches, g_batch = _batches(config, windows, data, domains, engine, own, folder, windows_folder)
    validation = Validation.of(config.architecture, domains, data)
    seconds = checkpoint.seconds(folder) if has_checkpoint else 0.0
    _say_if_spent(config, step, seconds, say)
    figures = dict(description.quality)
    return PreparedRun(
        config, folder, engine, processes, batches, g_batch, validation, data_key, description, step, seconds, figures
    )  # fmt: skip


# ---------------------------------------------------------------- engine, data and description


def _say_if_spent(config: Config, step: int, seconds: float, say: Say) -> None:
    """Tells the user if a resumed run has nothing left to do."""
    if step >= config.steps:
        say(f"the run has had its {counted(config.steps, 'step')}; a larger --steps goes on")
    elif config.minutes and seconds >= 60 * config.minutes:
        say(f"the run has had its time, --minutes {config.minutes:g}; a larger number goes on")


def _engine(config: Config, domains: Domains, say: Say) -> Engine:
    engine = engines.create(config, domains)
    if config.precision not in ("auto", engine.precision):  # also of a run that another engine has begun
        say(f"--precision {config.precision}: with --engine {config.engine}, this recipe trains in {engine.precision}")
    return engine


def _batches(
    config: Config,
    windows: Windows | None,
    data: Sequence[DataSet],
    domains: Domains,
    engine: Engine,
    own: slice,
    run: Path,
    windows_folder: Path,
) -> tuple[Batches | WindowedBatches, Callable[[int], Batch]]:
    """The batches of a run, and the function that returns one of G's own."""
    if windows:
        drawn = WindowedBatches(config, windows, data[0], domains, engine, own=own, run=run, folder=windows_folder)
        return drawn, drawn.g_batch
    sets = [
        TrainingSet(part.images.pixels, part.values, part.rows("train"), engine.upload(part.images.pixels))
        for part in data
    ]
    batches, g_batches = (data_sets.batches(sets, domains, config, config.seed + extra, own) for extra in (0, 1))
    return batches, g_batches.batch


def _split_as_before(found: list[Source], windows: Windows | None, folder: Path) -> list[Source]:
    """The data sets as the run to resume splits them; earlier versions used another rule where there is no split."""
    by_name = [sources.split_by_name(source) for source in found]
    return by_name if checkpoint.data_key(folder) == same_data.data_key(by_name, windows) else found


def _face_crop(config: Config, data: Sequence[DataSet], say: Say) -> FaceCrop | None:
    """Where the face lies in the training images: as they were aligned, or as measured on some of them."""
    if config.align == "faces":
        return CELEBA
    sample = face_sample.look([(part.images.pixels, part.rows("train")) for part in data])
    if sample.face_crop:
        say("the images are aligned faces; the model file will say where eyes and mouth are, to find them in photos")
    if sample.unaligned:
        say("the images show faces in different places; --align faces would cut out each face as in CelebA")
    return sample.face_crop


def _description(config: Config, domains: Domains, data: Sequence[DataSet], windows: Windows | None) -> ModelInfo:
    def size(part: DataSet) -> dict[str, int]:
        return {"shards": len(windows.names)} if windows else {"training_images": len(part.rows("train"))}

    return ModelInfo(
        domains=domains,
        architecture=config.architecture,
        crop=crops.described([part.source for part in data], config.image_size, config.crop),
        range=config.range,
        label_frequencies=domains.frequencies([part.values[part.rows("train")] for part in data]),
        classifier=True,
        engine=config.engine,
        recipe=config.recipe,
        data=tuple({"name": part.source.name, "kind": part.source.kind, **size(part)} for part in data),
    )


def _summary(
    engine: Engine, data: Sequence[DataSet], domains: Domains, config: Config, windows: Windows | None, step: int
) -> str:
    images = " + ".join(f"{len(part.rows('train'))} of {part.source.name}" for part in data)
    networks = ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in engine.num_parameters.items())
    size = "x".join(map(str, config.image_size)) + (f" in {windows.title(0)}" if windows else "")
    return (
        f"{images} training images at {size}; {domains.num_classes} classes "
        f"({', '.join(domains.names)}); parameters: {networks}; steps {step} to {config.steps}"
    )


# ---------------------------------------------------------------- resume, --start-from


def _has_checkpoint(folder: Path) -> bool:
    """Whether a run has a checkpoint. One that was killed before it wrote its first begins again, with its seed.

    Raises:
        CheckpointError: It must have had one.
    """
    if run_folder.checkpoints(folder):
        return True
    logged = max((step for steps, _ in run_folder.stats(folder).values() for step in steps), default=0)
    if logged > run_folder.saved_config(folder).checkpoint_every:
        raise CheckpointError(f"{folder}: has no checkpoint to continue from, although it reached step {logged:.0f}")
    return False


def _check_places(config: Config, folder: Path, start_from: Path | None, *, resume: bool) -> None:
    """Refuses to resume where the data are no longer, or to start from nothing, before the images are read."""
    if start_from is not None:
        locations.locate(start_from)
    gone = [path for path in config.data if resume and not sources.is_there(path)]
    if gone:
        raise CheckpointError(f"{gone[0]}: no such file or folder; if the data of {folder} have moved, say --data PATH")


def _note_moved(config: Config, folder: Path, say: Say) -> None:
    """Saves the place of data that have moved since the run was begun, and says so."""
    saved = run_folder.saved_config(folder)
    if config.data != saved.data:
        say(f"the data were {', '.join(saved.data)} and are {', '.join(config.data)} now; the run goes on with them")
        run_folder.save_config(folder, replace(saved, data=config.data))


def _save_start(folder: Path, config: Config, engine: Engine, description: ModelInfo, data_key: str) -> None:
    checkpoint.save(folder, engine.state(), description, data_key=data_key, keep=config.keep_checkpoints)


def _check_same(folder: Path, data_key: str, data: Sequence[DataSet], say: Say, *, allow_changes: bool) -> None:
    change = same_data.check(folder, data_key, [part.source for part in data], [part.images for part in data])
    if change and not allow_changes:
        raise CheckpointError(f"{folder}: {change}; say --allow-changes to go on with them")
    if change:
        say(f"{change}; the run goes on with them")


def _resume(engine: Engine, folder: Path, description: ModelInfo, data_key: str) -> tuple[ModelInfo, int]:
    saved, arrays = checkpoint.load(folder, data_key=data_key)
    if not saved.domains.same_layout(description.domains):  # whatever their folders are called
        raise CheckpointError(
            f"the labels of the checkpoint are {', '.join(saved.domains.names)}; "
            f"those of the data are {', '.join(description.domains.names)}"
        )
    try:
        engine.load_state(arrays)
    except CheckpointError as error:
        raise CheckpointError(
            f"{folder}: {error}; its networks are not those of this version; start a new run with --start-from {folder}"
        ) from error
    description = replace(description, domains=saved.domains, face_crop=saved.face_crop, quality=saved.quality)
    return description, saved.steps


def _start_from(engine: Engine, path: Path, description: ModelInfo, say: Say) -> None:
    """Starts from the weights of a model; if it has other labels or sizes, from those that fit, as `say` tells."""
    file = locations.locate(path)
    if file.suffix == ".onnx":
        raise ConfigError(f"--start-from {path}: cannot train an .onnx file; use a run folder or a .safetensors file")
    other, arrays, _ = safetensors_file.read(file)
    for name, size in vars(description.architecture).items():
        own = getattr(other.architecture, name)
        fits = name in ("image_size", "d_layers", "cls_pooling") or (name, own) in OF_EDIT.items()  # starts without
        if own != size and not fits:
            raise ConfigError(f"--start-from {path}: its {name} is {own}, not {size}; say {as_option(name, own)}")
    fresh = {n: array for n, array in engine.state().items() if not n.startswith(safetensors_file.TRAINING)}
    found = transfer(arrays, other.domains, fresh, description.domains)
    for line in found.lines:
        say(f"--start-from {path}: {line}")
    before, now = other.architecture, description.architecture
    if HEAD in found.unfit and before.image_size != now.image_size and min(now.image_size) >= 2**before.d_layers:
        say(f"--start-from {path}: --d-layers {before.d_layers} --cls-pooling would keep all of the discriminator")
    same = other.architecture == description.architecture and other.domains.same_layout(description.domains)
    # A file with the same networks has to be complete.
    engine.load_weights(arrays if same and arrays.keys() <= fresh.keys() else found.arrays)


def check_new(folder: Path) -> None:
    """Checks that a folder for a new run is empty or does not exist.

    Raises:
        ConfigError: The folder contains a run or other files.
    """
    if (folder / run_folder.CONFIG).exists():
        raise ConfigError(f"--run {folder}: already contains a run; use --resume {folder} or choose another name")
    if folder.exists() and not run_folder.is_unused(folder):
        raise ConfigError(f"--run {folder}: exists and is not an empty folder; choose another name")
    for above in folder.parents:
        if above.is_file():
            raise ConfigError(f"--run {folder}: {above} is a file; must be a folder")


CHANGEABLE = frozenset({
    "data", "steps", "minutes", "engine", "device", "precision", "workers", "max_bad", "allow_empty",
    "accumulate", "gradient_checkpointing", "log_every", "sample_every", "checkpoint_every", "keep_checkpoints",
})  # fmt: skip
"""Settings that may change when a run is resumed. They do not affect the weights, except that the run may become longer
or move to another device or precision, which round differently."""


def check_changes(saved: Config, config: Config) -> None:
    """Checks that a run is resumed with the settings it was started with.

    Raises:
        ConfigError: A setting differs that is not in `CHANGEABLE`.
    """
    for name, value in config.to_json().items():
        if name not in CHANGEABLE and value != saved.to_json()[name]:
            option = "--" + name.replace("_", "-")
            raise ConfigError(f"{option}: a resumed run keeps {saved.to_json()[name]!r}; start a new run for {value!r}")
