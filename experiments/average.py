"""The mean of generators that were trained from the same weights, and stronger or weaker requests.

The mean of two stages of one training lies between them and is often better than both: what only one of them draws
fades ("model soups", Wortsman et al., 2022). The first model's attribute classifier is kept. With one
model, only --strength matters.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from options import Parser, above_zero, command

from stargan.domains import Domains
from stargan.errors import ConfigError
from stargan.interop import onnx_arrays
from stargan.model import locations, safetensors_file
from stargan.model.info import ModelInfo
from stargan.model.safetensors_file import Arrays

NETWORKS = ("generator", "classifier")


def read(path: Path) -> tuple[ModelInfo, Arrays]:
    """Reads a model with the edit generator.

    Raises:
        ConfigError: It has another generator, or is for several data sets.
    """
    file = locations.locate(path)
    if file.suffix == ".onnx":
        info, arrays = onnx_arrays.read(file, "pytorch")
    else:
        info, arrays, _ = safetensors_file.read(file, networks=NETWORKS)
    if info.architecture.generator != "edit" or len(info.domains.sets) > 1:
        raise ConfigError(f"{path}: must be a model with the edit generator, of one data set")
    return info, arrays


def mean(paths: Sequence[Path], weights: Sequence[float]) -> tuple[ModelInfo, Arrays]:
    """The first model, with the mean of all generators.

    Args:
        paths: The models.
        weights: Of each model; above 0, of any sum.

    Raises:
        ConfigError: One differs from the first in its labels or sizes, or there are more or fewer weights than models.
    """
    if len(weights) != len(paths):
        raise ConfigError(f"--weights: {len(weights)}; must be {len(paths)}, one for each model")
    (info, arrays), *others = (read(path) for path in paths)
    for path, (other, _) in zip(paths[1:], others, strict=True):
        if not other.domains.same_layout(info.domains) or other.architecture != info.architecture:
            raise ConfigError(f"{path}: must have the same labels and sizes as {paths[0]}")
    generator = {
        name: np.average([array, *(each[name] for _, each in others)], axis=0, weights=weights).astype(np.float32)
        for name, array in arrays.items()
        if name.startswith("generator/")
    }
    return info, arrays | generator


def strength(given: Sequence[str], domains: Domains) -> np.ndarray:
    """The factor of each label, (L,) float32.

    Raises:
        ConfigError: One is not of the form LABEL=FACTOR, with a label of the model and a number above 0.
    """
    factors = np.ones(domains.num_labels, np.float32)
    for each in given:
        name, _, factor = each.partition("=")
        try:
            factors[domains.names.index(name)] = above_zero(factor)
        except (ValueError, argparse.ArgumentTypeError) as error:
            raise ConfigError(f"--strength {each}: must be LABEL=FACTOR, with one of {domains}") from error
    return factors


def main() -> None:
    """Writes the model."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the .safetensors file to write")
    parser.add_argument("models", type=Path, nargs="+", help="model files, runs or names, of the same labels and sizes")
    parser.add_argument(
        "--weights", type=above_zero, nargs="+", help="of each model in the mean; all the same by default"
    )
    parser.add_argument(
        "--strength",
        nargs="+",
        default=[],
        metavar="LABEL=FACTOR",
        help="factors of the changes that requests make, times those that the first model has",
    )
    options = parser.parse_args()
    if options.out.suffix != ".safetensors":
        raise ConfigError(f"{options.out}: must end in .safetensors")
    info, arrays = mean(options.models, options.weights or [1.0] * len(options.models))
    arrays["generator/embed.weight"] = arrays["generator/embed.weight"] * strength(options.strength, info.domains)
    safetensors_file.write(options.out, replace(info, card=None, quality={}), arrays, {})
    print(f"{options.out}: the mean of {len(options.models)} models" if options.models[1:] else options.out)


if __name__ == "__main__":
    sys.exit(command(main))
