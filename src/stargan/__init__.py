"""StarGAN: one generator that translates an image between many domains.

    import stargan
    model = stargan.load("faces.onnx")
    model.translate("photo.jpg", {"Blond_Hair": 1, "Male": 0}).save("blond.png")

    run = stargan.train("seasons", "runs/seasons", minutes=60)
    print(stargan.evaluate(run.folder, "seasons").summary())

Importing the package loads no library. NumPy, Pillow, ONNX Runtime and PyTorch are loaded when something needs them.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stargan.domains import Domains, Group, LabelSet
    from stargan.errors import StarganError
    from stargan.evaluation.evaluate import evaluate
    from stargan.inference.load import load
    from stargan.inference.translator import Translator
    from stargan.progress import Progress
    from stargan.runs import Run, distill, train

__version__ = "0.1.0"

__all__ = [
    "Domains",
    "Group",
    "LabelSet",
    "Progress",
    "Run",
    "StarganError",
    "Translator",
    "__version__",
    "distill",
    "evaluate",
    "load",
    "train",
]

_HOMES = {
    "Domains": "domains",
    "Group": "domains",
    "LabelSet": "domains",
    "Progress": "progress",
    "Run": "runs",
    "StarganError": "errors",
    "Translator": "inference.translator",
    "distill": "runs",
    "evaluate": "evaluation.evaluate",
    "load": "inference.load",
    "train": "runs",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `stargan --help` starts without NumPy and Pillow."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = f"stargan.{_HOMES[name]}"
    if name == "evaluate":  # it needs libraries that may not be installed
        from stargan.errors import require

        require(home, "evaluate", "evaluate models")
    found = globals()[name] = getattr(importlib.import_module(home), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
