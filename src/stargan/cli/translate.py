"""`stargan translate`."""

import dataclasses
import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from stargan import images
from stargan.cli.options import Command, Flag, Model, OptionalFolder, OptionalName, Range, Shared, check_output, option
from stargan.config.checks import check_range
from stargan.data import ranges, remote
from stargan.domains import requests
from stargan.errors import BAD_INPUT, ConfigError, one_line
from stargan.inference import bulk, clips, folders, jobs
from stargan.inference.bulk import on_ray
from stargan.inference.folders import Reading, Report
from stargan.inference.jobs import STREAM, Output
from stargan.inference.load import load
from stargan.inference.onnx import Runtime
from stargan.inference.steps import check_strength
from stargan.inference.views import Choice
from stargan.model import locations
from stargan.progress import counted

TOLD = 20  # images up to which the command says for each of them what it saw


@dataclasses.dataclass(frozen=True)
class Options(Shared):
    """Translate photos, or whole folders of them.

    For example: stargan translate celeba photo.jpg blond.jpg --to Blond_Hair

    Attributes:
        model: A model file, a run folder, or a model that comes with stargan: celeba, cartoons.
        images: Photos or folders of photos, - for standard input; without --out, one photo and the file to write. Or
            WebDataset shards: a .tar file, a folder of them, a pattern, or an address such as s3://bucket/faces. An
            address may also have images.
        out: Folder for the translations: one file for each photo and target. Shards become shards of the same names,
            there or at an address, images at an address files of the same names; finished ones are skipped.
        to: What to change, for example --to Blond_Hair Male=0; repeat it for another target.
        known: The labels of the photos as far as you know them, for example --from Black_Hair Male; the others are
            estimated.
        strength: Scale the change: 0 is the photo itself, 1 what the model makes, at most 1.5.
        face: Which faces to change: largest, or their numbers, from left to right; all by default.
        faces: Only draw numbered boxes around the faces, to choose from.
        crop: Write the aligned faces at the model's size instead of whole photos.
        align: Look for faces; --no-align if each image is one face that is cut and aligned already.
        range: Values of samples that become black and white in photos with more than 8 bits or floats. Default: as in
            the model's training, or from the photos.
        all: Translate to every domain instead, with a labelled grid.
        protocol: Make a paper's translations instead, with a labelled grid: celeba (hair colour, gender, age and
            their combinations), expressions (from neutral to all others) or single (every single change).
        runtime: What runs an .onnx file. OpenVINO has to be installed; it starts more slowly and is faster with many
            images.
        overwrite: Replace existing files.
        skip_existing: Leave out translations whose file exists, to go on with a folder.
        ray: Translate shards, or a folder of images, on a cluster of Ray: that of $RAY_ADDRESS, or else this machine
            alone.
    """

    model: Model
    images: Annotated[tyro.conf.Positional[tuple[Path, ...]], option("IMAGE...")]
    out: OptionalFolder = None
    to: Annotated[tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], option("LABEL...")] = ()
    known: Annotated[tuple[str, ...], option("LABEL...", name="from")] = ()
    strength: Annotated[float, option("0..1.5")] = 1.0
    face: Annotated[tuple[str, ...], option("N|largest...")] = ()
    faces: Annotated[Literal["boxes"] | None, option("boxes")] = None
    crop: Flag = False
    align: bool = True
    range: Range = None
    all: Flag = False
    protocol: OptionalName = None
    runtime: Annotated[Runtime, option()] = "onnxruntime"
    overwrite: Flag = False
    skip_existing: Flag = False
    ray: Flag = False


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    in_bulk = bulk.find(options.images[0], files=options.ray) if len(options.images) == 1 else None
    if in_bulk:
        return _in_bulk(options, in_bulk)
    if options.ray:
        raise ConfigError("--ray: translates WebDataset shards or many images; name one folder or address with them")
    sources, output = _places(options)
    _check(options, output)
    reading = Reading(options.known, _choice(options.face), options.align, not options.crop)
    if any(map(clips.is_clip, sources)):
        return _clips(options, reading, sources, output)
    notes: list[str] = []  # not shown before all that may be wrong is known to be right
    found = jobs.find(sources, None if output.file else output.folder, say=notes.append)
    if output.file and len(found) > 1:
        raise ConfigError(f"{output.file}: {len(found)} images cannot go into one file; say --out FOLDER")
    model = load(options.model, runtime=options.runtime)
    if options.face and not (options.align and model.info.face_crop):
        why = "--no-align looks for none" if model.info.face_crop else f"{options.model} is not about faces"
        raise ConfigError(f"--face {' '.join(options.face)}: chooses among faces, and {why}; leave it out")
    if options.known:
        requests.check_plain(model.domains, options.known)
    check_range(options.range)
    files = [job.path for job in found if job.path != STREAM]
    reading = dataclasses.replace(
        reading, range=ranges.of_files(files, options.range or model.info.range, notes.append)
    )
    plan = None
    if not options.faces:
        edit = model.info.architecture.generator == "edit"
        plan = jobs.plan(model.domains, options.to, options.protocol, strength=options.strength, edit=edit)
        warned = [line for words in options.to or [None] for line in model.warnings(words)]
        notes += [f"warning: {line}; `stargan card {options.model}` says more" for line in dict.fromkeys(warned)]
    jobs.check(found, plan.files if plan else [jobs.BOXES], output)
    for note in notes:
        _warn(note)
    if plan is None:
        report = folders.draw_boxes(model, found, output, reading)
    else:
        report = folders.translate(model, found, plan, output, reading)
    _tell(report, output)
    return BAD_INPUT if report.failed else 0


def _clips(options: Options, reading: Reading, sources: Sequence[Path], output: Output) -> int:
    """Translates videos and animated images."""
    still = [path for path in sources if not clips.is_clip(path)]
    if still:
        raise ConfigError(f"{still[0]}: is not a video; translate images and videos in two calls")
    if not options.to or options.crop:
        raise ConfigError(f"{sources[0]}: of a video or an animation, say --to LABEL..., without --crop")
    found = jobs.find(sources)
    names = {",".join(words): words for words in options.to}
    jobs.check(found, list(names), output)
    model = load(options.model, runtime=options.runtime)
    jobs.plan(model.domains, options.to)  # refuses what the model does not know
    for job in found:
        for name, words in names.items():
            out = output.path(job, name)
            if output.existing == "skip" and out.exists():
                print(f"skipped {out}, which exists")
                continue
            lines = clips.translate(
                model,
                job.path,
                out,
                words,
                known=reading.known,
                strength=options.strength,
                choice=reading.faces,
                align=reading.align,
            )
            for line in [*(f"{job.path}: {line}" for line in lines), out]:
                print(line)
    return 0


def _in_bulk(options: Options, found: Sequence[str] | bulk.Files) -> int:
    """Translates WebDataset shards into shards, and images at an address or on a cluster into files."""
    what = "images in bulk" if isinstance(found, bulk.Files) else "shards"
    unused = ("all", "protocol", "faces", "face", "crop", "range")
    given = [name for name in unused if getattr(options, name) != Options.__dataclass_fields__[name].default]
    if given:
        raise ConfigError(f"--{given[0]}: not for {what}, which are translated whole; say --to LABEL...")
    if not options.out or not options.to or not all(options.to):
        raise ConfigError(f"{options.images[0]}: has {what}; say --to LABEL... and --out FOLDER")
    if options.overwrite and options.skip_existing:
        raise ConfigError("say either --overwrite or --skip-existing")
    _check_strength(options.strength)
    model = load(options.model, runtime=options.runtime)
    if options.known:
        requests.check_plain(model.domains, options.known)
    digest = hashlib.sha256(locations.locate(options.model).read_bytes()).hexdigest()
    request = bulk.Request(options.to, options.known, options.strength, options.align, digest)
    place = remote.address(options.out) or str(options.out.resolve())
    path = options.model.resolve() if options.model.exists() else options.model
    cluster = on_ray.cluster(path, options.runtime, place, request) if options.ray else None
    done, finished = bulk.translate(model, found, options.out, request, again=options.overwrite, run=cluster)
    left_out = [line for shard in done for line in shard.left_out]
    for line in left_out:
        _warn(f"left out: {line}")
    print("\n".join(map(one_line, bulk.summary(done, finished, found, options.out))))
    return BAD_INPUT if left_out else 0


def _places(options: Options) -> tuple[tuple[Path, ...], Output]:
    """The images to read, and where translations go."""
    if not options.images:
        raise ConfigError(_no_images(options))
    if options.overwrite and options.skip_existing:
        raise ConfigError("say either --overwrite or --skip-existing")
    existing: Literal["refuse", "skip", "overwrite"] = (
        "overwrite" if options.overwrite else "skip" if options.skip_existing else "refuse"
    )
    if options.out:
        check_output("--out", options.out, folder=True)
        return options.images, Output(options.out, None, options.crop, existing)
    *sources, file = options.images
    if len(sources) != 1:
        raise ConfigError("say --out FOLDER, or one photo and the file to write, such as: photo.jpg blond.jpg")
    if file != STREAM:
        check_output("the output", file, folder=False)
        if not clips.is_clip(sources[0]):
            images.kind(file)
    return tuple(sources), Output(Path(), file, options.crop, existing)


def _no_images(options: Options) -> str:
    """Says that images are missing, and if an option has taken them, which."""
    for name, words in (*(("--to", words) for words in options.to), ("--from", options.known)):
        taken = [word for word in words if Path(word).exists() or Path(word).suffix.lower() in images.SUFFIXES]
        if taken:
            return f"{name} took {taken[0]} for a label; name the images right after the model, before {name}"
    return "no images; name images or folders after the model"


def _warn(line: str) -> None:
    print(f"stargan: {one_line(line)}", file=sys.stderr)


def _check(options: Options, output: Output) -> None:
    if bool(options.to) + options.all + bool(options.protocol) + bool(options.faces) != 1 or not all(options.to):
        raise ConfigError("say either --to LABEL... or --all or --protocol NAME or --faces boxes")
    if output.file and (options.all or options.protocol or len(options.to) > 1):
        raise ConfigError(f"{output.file}: several translations cannot go into one file; say --out FOLDER")
    if output.file and options.crop and len(options.face) != 1:
        raise ConfigError(f"{output.file}: say --face largest or --face N with --crop, or --out FOLDER")
    _check_strength(options.strength)


def _check_strength(strength: float) -> None:
    try:
        check_strength(strength)
    except ConfigError as error:
        raise ConfigError(f"--{error}") from None


def _choice(words: Sequence[str]) -> Choice:
    """What --face says."""
    if not words:
        return "all"
    if list(words) in (["all"], ["largest"]):
        return "all" if words[0] == "all" else "largest"
    for word in words:
        if not word.isdecimal() or len(word) > 6 or int(word) < 1:
            raise ConfigError(f"--face {word}: must be largest or numbers from 1; --faces boxes shows the numbers")
    return [int(word) for word in words]


def _tell(report: Report, output: Output) -> None:
    """Says what the model saw, what was written and what was not."""
    told = sys.stderr if output.file == STREAM else sys.stdout
    for line in report.seen if len(report.seen) <= TOLD else ():
        print(one_line(line), file=told)
    if report.uncertain:
        others = len(report.uncertain) - 1
        more = f" (as in {counted(others, 'other image')})" if others else ""
        _warn(f"{report.uncertain[0]}{more}, and the result depends on it; if that is wrong, say so with --from")
    for line in report.warnings:
        _warn(f"warning: {line}")
    for line in report.failed:
        _warn(f"left out: {line}")
    if report.skipped:
        print(f"skipped {counted(report.skipped, 'image')} whose translations exist", file=told)
    if output.file is None and (report.written or not report.failed):
        print(f"{counted(len(report.written), 'file')} in {output.folder}", file=told)
    elif report.written and output.file not in (None, STREAM):
        print(output.file, file=told)


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
