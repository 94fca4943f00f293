"""`stargan evaluate`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from stargan.cli.options import (
    Bins,
    Command,
    Flag,
    Folder,
    Int,
    Labels,
    OptionalFile,
    OptionalFolder,
    Range,
    Shared,
    check_output,
    option,
)
from stargan.config.training import Align
from stargan.errors import require


@dataclasses.dataclass(frozen=True)
class Options(Shared):
    """Evaluate models on images that they were not trained on; writes report.json and report.html.

    Attributes:
        models: Model files, run folders or names of shipped models. Several are compared on the same images.
        data: A data set as for stargan train, or cartoons: drawn faces whose true translations are known.
        out: Folder for the report.
        protocol: Translations to request: single (every single change), celeba (the paper's seven tasks) or
            expressions.
        split: Part of the data: train, val, test or all. Default: test, or val if there is no test.
        limit: Maximum number of images.
        classifiers: Number of evaluation classifiers. The spread between them is part of the intervals.
        skip: Number of images to leave out first, such as those used to choose a model or its settings.
        pairs: Folder with images, their true translations and a pairs.csv: source,truth,target.
        groups: Labels of the data, whether or not the model knows them. Figures are also given for source images with
            and without each.
        bins: Column of numbers to cut into groups, as in training; repeat it for another column.
        inception: The feature network used in papers, as an .onnx file, for FID values comparable with theirs.
        seed: Seed of the choice of images, of the classifiers and of the intervals.
        max_bad: Maximum number of unreadable images, which are left out.
        align: faces to look for faces in photos, and to align the largest one of each as in the model's training
            images. Photos without a face are left out.
        range: Values of samples that become black and white in images with more than 8 bits or floats. Default: as in
            the model's training, or from the images.
        overwrite: Replace an existing report.
    """

    models: Annotated[tyro.conf.Positional[tuple[Path, ...]], option("MODEL...")]
    data: Annotated[str, option("DATA")]
    out: Folder
    protocol: Annotated[str, option("NAME")] = "single"
    split: Annotated[str | None, option("SPLIT")] = None
    limit: Int = 500
    classifiers: Int = 3
    skip: Int = 0
    pairs: OptionalFolder = None
    groups: Labels = ()
    bins: Bins = ()
    inception: OptionalFile = None
    seed: Int = 0
    max_bad: Int = 10
    align: Annotated[Align, option()] = "none"
    range: Range = None
    overwrite: Flag = False


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    check_output("--out", options.out, folder=True)
    evaluation = require("stargan.evaluation.evaluate", "evaluate", "evaluate models")
    print(evaluation.evaluate(**options.own()).summary())
    print(f"report: {options.out / evaluation.HTML}")
    return 0


COMMAND = Command(Options, run)
