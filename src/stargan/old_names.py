"""Names that earlier versions wrote or took, and what they are called now. Only readers use them: nothing writes them.

Model files, run folders, reports and command lines of every earlier version keep working through these tables.
"""

from collections.abc import Mapping
from typing import Any

SETTINGS = {
    "mask": "attention_mask",
    "resize": "resize_conv",
    "critic_updates": "n_critic",
    "lambda_slope": "lambda_cls_gp",
}
"""Settings in `config.json` and fields of a model's description; as options, with hyphens."""

OPTIONS = {"--judges": "--classifiers"} | {
    prefix + old.replace("_", "-"): prefix + new.replace("_", "-")
    for old, new in SETTINGS.items()
    for prefix in ("--", "--no-")
}
"""Options of commands. They still work and are not shown in the help."""

RECIPES = {"default": "paper"}
"""Recipes, which `--recipe` still takes."""

DESCRIPTION = {"labeller": "classifier", "typical": "label_frequencies"}
"""Fields of a model's description."""

DATA = {"training_pictures": "training_images"}
"""Fields of its `data`."""

NETWORKS = {"labeller": "classifier"}
"""Networks, as the names of arrays begin with them, and in the metadata of an `.onnx` file."""

METRICS = {
    "stranger": "other_person",
    **{f"idle_{name}": f"baseline_{name}" for name in ("kid", "psnr", "ssim", "perceptual")},
    "inception_idle_kid": "inception_baseline_kid",
}
"""Figures in model cards and in `report.json`."""

REPORT = {
    "pictures": "images",
    "judges": "classifiers",
    "classifier_error_on_real_pictures": "classifier_error_on_real_images",
    "less_the_first": "difference_to_first",
    "skipped": "not_measured",
    "What the model says": "model",
    "Configuration of its run": "training_configuration",
}
"""Keys of a report, of its entry for a model and of that entry's `about`; `measured` in a model card uses the first."""


def renamed(data: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    """A mapping with its old keys replaced; a key that is new already stays."""
    return {table.get(name, name): value for name, value in data.items()}
