"""`stargan translate`."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from stargan.cli.options import check_output, parse, signed
from stargan.errors import BAD_INPUT, ConfigError
from stargan.inference import folders
from stargan.inference.translator import Runtime, load


@dataclasses.dataclass(frozen=True)
class Options:
    """Translate pictures, or whole folders of them.

    Attributes:
        model: An .onnx or .safetensors file, a run folder, or a model that comes with stargan: celeba, cartoons.
        images: Pictures or folders of pictures.
        out: Folder for the translations, one PNG for each picture and target.
        to: What to change, for example --to Blond_Hair Male=0; say it again for another target.
        known: What the pictures show, where you know it, for example --from Black_Hair Male; the rest is estimated.
        all: Every domain, and a labelled grid of them, instead of --to.
        protocol: What a paper asks for, and a grid of it, instead of --to: celeba (hair colour, gender, age and their
            combinations), expressions (from neutral to all others), single (every single change).
        runtime: What runs an .onnx file: onnxruntime, or openvino, which has to be installed, starts later and is
            faster with many pictures.
        overwrite: Replace files that exist.
    """

    model: tyro.conf.Positional[Path]
    images: tyro.conf.Positional[tuple[Path, ...]]
    out: Path
    to: tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]] = ()
    known: Annotated[tuple[str, ...], tyro.conf.arg(name="from")] = ()
    all: bool = False
    protocol: str | None = None
    runtime: Runtime = "onnxruntime"
    overwrite: bool = False


def run(arguments: list[str]) -> int:
    """Runs the command and returns its exit code."""
    options = parse(Options, signed(arguments), "translate")
    if bool(options.to) + options.all + bool(options.protocol) != 1 or not all(options.to):
        raise ConfigError("say either --to WORDS or --all or --protocol NAME")
    if not options.images:
        raise ConfigError("say which pictures or folders to translate")
    check_output("--out", options.out, folder=True)
    jobs = folders.find(options.images, options.out)
    model = load(options.model, runtime=options.runtime)
    for line in dict.fromkeys(line for words in options.to or [None] for line in model.warnings(words)):
        print(f"stargan: warning: {line}; `stargan card {options.model}` says more", file=sys.stderr)
    asked = folders.plan(model.domains, options.to, options.protocol)
    report = folders.translate(model, jobs, asked, options.out, known=options.known, overwrite=options.overwrite)
    for line in report.failed:
        print(f"stargan: left out: {line}", file=sys.stderr)
    print(f"{len(report.written)} files in {options.out}")
    return BAD_INPUT if report.failed else 0
