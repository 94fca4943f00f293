"""Training runs from Python: what `stargan train` does."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stargan import training
from stargan.config import Config, recipes
from stargan.config.architecture import NOT_OF_EDIT, fitting, parse_size
from stargan.errors import ConfigError
from stargan.inference import notebook
from stargan.inference.load import describe, load
from stargan.inference.translator import Translator
from stargan.interop.export import export
from stargan.machine import place
from stargan.model import run_folder
from stargan.model.run_folder import Curve
from stargan.progress import Callback, about, reported_to
from stargan.training.prepare import check_changes, check_new

_LOGGER = logging.getLogger(__name__)

MODELS = ("model.safetensors", "model.onnx")
Paths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class Run:
    """A training run and its folder.

    Attributes:
        folder: The run folder; `stargan.evaluate` and `stargan.load` take it.
        step: The number of updates of D done.
        finished: False if Ctrl-C or SIGTERM stopped the training; `stargan.train(resume=folder)` continues it.
        seconds: How long it has trained, in all its parts.
        figures: The latest figures on the validation images, for example `val/hit`, the share of requests that succeed.
    """

    folder: Path
    step: int
    finished: bool
    seconds: float
    figures: dict[str, float]

    @property
    def config(self) -> Config:
        """All settings."""
        return run_folder.saved_config(self.folder)

    @property
    def curves(self) -> dict[str, Curve]:
        """The logged figures: steps and values by name."""
        return run_folder.stats(self.folder)

    @property
    def samples(self) -> list[Path]:
        """The grids of samples, oldest first."""
        return list(run_folder.samples(self.folder).values())

    def _repr_html_(self) -> str:
        """The figures and the newest samples, for notebooks."""
        state = "finished" if self.finished else "stopped"
        title = f"{self.folder}: {state} after {self.step:,} steps and {about(self.seconds)[6:]}"
        figures = {name: f"{value:.3g}" for name, value in self.figures.items()}
        newest = self.samples[-1:]
        return notebook.figures_html(title, figures, newest[0].read_bytes() if newest else b"")

    @property
    def model(self) -> Path:
        """The trained model, which needs no PyTorch."""
        return self.folder / run_folder.MODEL

    def load(self) -> Translator:
        """Loads the trained model.

        Raises:
            ModelError: The training has not finished.
        """
        return load(self.model)


def train(
    data: Paths = (),
    run: str | Path | None = None,
    *,
    recipe: str | None = None,
    resume: str | Path | None = None,
    start_from: str | Path | None = None,
    allow_changes: bool = False,
    progress: Callback | None = None,
    **settings: Any,
) -> Run:
    """Trains a model and exports it, or resumes a run.

    All options of `stargan train` have the same names here, with underscores, for example `image_size=64` or
    `minutes=60`. Messages go to the logger `stargan`.

    Args:
        data: Folders or tables of labelled images.
        run: Folder for a new run.
        recipe: The settings to start from; by default those that fit the method, the image size and
            the number of data sets.
        resume: Folder of a run to resume with its own settings, instead of `data` and `run`.
        start_from: Model file or run folder with the weights to start from.
        allow_changes: Whether to resume although images of the run have changed.
        progress: Is called whenever some work begins, moves or ends, with its `stargan.Progress`. An error that it
            raises ends the training.
        settings: Other settings, see `stargan.config.Config`.

    Returns:
        The run. Ctrl-C saves a checkpoint and returns as well, with `finished` False.

    Raises:
        StarganError: The data, the settings or the checkpoint cannot be used, or a loss became NaN.
    """
    given = {"data": _texts(data), **settings} if _texts(data) else settings
    with reported_to(progress):
        if resume is not None:
            if run is not None or start_from is not None:
                raise ConfigError("--resume uses the folder of its run; leave out --run and --start-from")
            saved = run_folder.saved_config(Path(resume))
            return resumed(Path(resume), _changed(saved, given), allow_changes=allow_changes)
        start = None if start_from is None else Path(start_from)
        folder = None if run is None else Path(run)
        size, sets = _size(settings.get("image_size")), len(given.get("data", ()))
        parts = {name: settings.get(name) for name in ("generator", "discriminator")}
        base = recipes.base(recipe, settings.get("method"), size, sets=max(1, sets), **parts)
        if said := recipes.why_not_default(recipe, base, parts.values()):
            _LOGGER.info(said)
        return started(_changed(base, _fitted(base, given)), folder, start_from=start)


def distill(
    model: str | Path,
    data: Paths = (),
    run: str | Path | None = None,
    *,
    progress: Callback | None = None,
    **settings: Any,
) -> Run:
    """Trains a small model that makes the translations of another one many times faster, and exports it.

    It learns the labels of that model and takes images of its size. `train(resume=...)` continues it.

    Args:
        model: The other model, as for `stargan.load`.
        data: A data set with labels of the same names.
        run: Folder for the new run.
        progress: As for `train`.
        settings: Other settings than those of the recipe `student`.

    Raises:
        StarganError: As `train`; or the model has several data sets or no labels that the data have.
    """
    info = describe(model)
    if len(info.domains.sets) > 1:
        raise ConfigError(f"{model}: learned from several data sets together; such a model cannot teach yet")
    groups = info.domains.sets[0].groups
    own = {
        "attributes": [name for group in groups for name in ([group.name] if group.name else group.names)],
        "exclusive": [",".join(group.names) for group in groups if len(group.names) > 1 and not group.name],
        "image_size": info.architecture.image_size,
    }
    return train(data, run, recipe="student", progress=progress, teacher=str(model), **(own | settings))


def started(config: Config, folder: Path | None, *, start_from: Path | None = None) -> Run:
    """Trains a new run with these settings; see `train`.

    Where `torchrun` has started the processes again, the run goes on from its last checkpoint.
    """
    if not folder or not config.data:
        raise ConfigError("say --data PATH and --run FOLDER for a new run, or --resume FOLDER")
    if place().rank == 0:  # the others do not look at the folder before it is prepared
        if place().restarts and (folder / run_folder.CONFIG).exists():
            return resumed(folder, run_folder.saved_config(folder))
        check_new(folder)
    return _finished(folder, training.train(config, folder, start_from=start_from, measure=True))


def resumed(folder: Path, config: Config, *, allow_changes: bool = False) -> Run:
    """Continues a run with these settings; see `train`."""
    check_changes(run_folder.saved_config(folder), config)
    return _finished(folder, training.train(config, folder, resume=True, allow_changes=allow_changes))


def _finished(folder: Path, result: training.Result) -> Run:
    for name in MODELS if result.finished and place().rank == 0 else ():
        export(folder, folder / name, overwrite=True)
    return Run(folder, result.step, result.finished, result.seconds, result.figures)


def _changed(base: Config, settings: dict[str, Any]) -> Config:
    """Settings with some changed, in the forms that are natural in Python."""
    given = {name: _plain(getattr(base, name, None), value) for name, value in settings.items()}
    return Config.from_json(base.to_json() | given)


def _fitted(base: Config, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with an image size that G can take, the layers of D that fit it, and one mask."""
    if settings.get("generator") == "edit":
        settings = {**dict.fromkeys(NOT_OF_EDIT, False), **settings}
    size = _size(settings.get("image_size"))
    if size is None:
        return settings  # if there is one, its check says what is right
    size, layers, told = fitting(size, str(settings.get("generator", base.generator)))
    if told:
        _LOGGER.info(told)
    return {"d_layers": recipes.layers_for(base, layers), **settings, "image_size": size}


def _size(given: Any) -> tuple[int, int] | None:
    """The image size, (width, height); None if there is none, or it is something else."""
    size = _plain(Config.image_size, given)
    valid = isinstance(size, list | tuple) and len(size) == 2 and all(isinstance(side, int) for side in size)
    return (size[0], size[1]) if valid else None


def _plain(default: Any, value: Any) -> Any:
    """A setting in the form that `Config.from_json` takes; it also checks the type."""
    if isinstance(default, tuple) and default and all(isinstance(side, int) for side in default):  # an image size
        return parse_size(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else value
    texts = isinstance(default, tuple) and isinstance(value, str | Path | list | tuple)
    return _texts(value) if texts else value


def _texts(paths: Paths) -> list[str]:
    return [str(paths)] if isinstance(paths, str | Path) else [str(path) for path in paths]
