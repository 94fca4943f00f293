"""`stargan card`."""

import dataclasses

from stargan.cli.options import Command, Model, Shared
from stargan.errors import ModelError
from stargan.inference.load import describe
from stargan.model.card_markdown import markdown


@dataclasses.dataclass(frozen=True)
class Options(Shared):
    """Print a model's card: its domains, its performance on each of them, and its limits.

    Attributes:
        model: Name of a shipped model, an .onnx or .safetensors file, or a run folder.
    """

    model: Model


def run(options: Options) -> int:
    """Runs the command and returns its exit code."""
    info = describe(options.model)
    if info.card is None:
        raise ModelError(
            f"{options.model}: has no card; measure the model with `stargan evaluate MODEL --data PATH --out REPORT`, "
            "and write it with `stargan export MODEL OUT.onnx --report REPORT`"
        )
    print(markdown(options.model.stem, info, info.card), end="")
    return 0


COMMAND = Command(Options, run)
