"""`stargan translate`."""

import dataclasses
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from stargan import images
from stargan.cli.options import Command, Flag, Folder, Model, OptionalName, check_output, option
from stargan.errors import BAD_INPUT, ConfigError
from stargan.inference import folders
from stargan.inference.load import load
from stargan.inference.onnx import Runtime
from stargan.progress import counted


@dataclasses.dataclass(frozen=True)
class Options:
    """Translate images, or whole folders of them.

    For example: stargan translate celeba photo.jpg --to Blond_Hair --out translated

    Attributes:
        model: A model file, a run folder, or a model that comes with stargan: celeba, cartoons.
        images: Images or folders of images.
        out: Folder for the translations; one PNG for each image and target.
        to: What to change, for example --to Blond_Hair Male=0; repeat it for another target.
        known: The labels of the images as far as you know them, for example --from Black_Hair Male; the others are
            estimated.
        all: Translate to every domain instead, with a labelled grid.
        protocol: Make a paper's translations instead, with a labelled grid: celeba (hair colour, gender, age and
            their combinations), expressions (from neutral to all others) or single (every single change).
        runtime: What runs an .onnx file. OpenVINO has to be installed; it starts more slowly and is faster with many
            images.
        overwrite: Replace existing files.
    """

    model: Model
    images: Annotated[tyro.conf.Positional[tuple[Path, ...]], option("IMAGE...")]
    out: Folder
    to: Annotated[tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], option("LABEL...")] = ()
    known: Annotated[tuple[str, ...], option("LABEL...", name="from")] = ()
    all: Flag = False
    protocol: OptionalName = None
    runtime: Annotated[Runtime, option()] = "onnxruntime"
    overwrite: Flag = False


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    if bool(options.to) + options.all + bool(options.protocol) != 1 or not all(options.to):
        raise ConfigError("say either --to LABEL... or --all or --protocol NAME")
    if not options.images:
        raise ConfigError(_no_images(options))
    check_output("--out", options.out, folder=True)
    jobs = folders.find(options.images, options.out, say=_warn)
    model = load(options.model, runtime=options.runtime)
    plan = folders.plan(model.domains, options.to, options.protocol)
    folders.check(model, jobs, plan, options.out, known=options.known, overwrite=options.overwrite)
    for line in dict.fromkeys(line for words in options.to or [None] for line in model.warnings(words)):
        _warn(f"warning: {line}; `stargan card {options.model}` says more")
    report = folders.translate(model, jobs, plan, options.out, known=options.known, overwrite=options.overwrite)
    for line in report.failed:
        _warn(f"left out: {line}")
    print(f"{counted(len(report.written), 'file')} in {options.out}")
    return BAD_INPUT if report.failed else 0


def _no_images(options: Options) -> str:
    """Says that images are missing, and if an option has taken them, which."""
    for name, words in (*(("--to", words) for words in options.to), ("--from", options.known)):
        taken = [word for word in words if Path(word).exists() or Path(word).suffix.lower() in images.SUFFIXES]
        if taken:
            return f"{name} took {taken[0]} for a label; name the images right after the model, before {name}"
    return "no images; name images or folders after the model"


def _warn(line: str) -> None:
    print(f"stargan: {line}", file=sys.stderr)


def _without_signs(arguments: Sequence[str]) -> list[str]:
    """Spells `-Male` behind --to or --from as `Male=0`, since option parsers would take it for an option."""
    spelled, inside = [], False
    for word in arguments:
        if word.startswith("--"):
            inside = word in ("--to", "--from")
        off = inside and re.fullmatch(r"-[^-].+", word)
        spelled.append(f"{word[1:]}=0" if off else word)
    return spelled


COMMAND = Command(Options, run, rewrite=_without_signs)
