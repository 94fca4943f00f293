"""StarGAN: one generator that translates an image between many domains.

    import stargan
    model = stargan.load("faces.onnx")
    model.translate("photo.jpg", {"Blond_Hair": 1, "Male": 0}).save("blond.png")

Importing the package loads no library. NumPy, Pillow, ONNX Runtime and PyTorch are loaded when something needs them.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stargan.domains import Domains, Group, LabelSet
    from stargan.errors import StarganError
    from stargan.inference.load import load
    from stargan.inference.translator import Translator

__version__ = "0.1.0"

__all__ = ["Domains", "Group", "LabelSet", "StarganError", "Translator", "__version__", "load"]

_HOMES = {
    "Domains": "domains",
    "Group": "domains",
    "LabelSet": "domains",
    "StarganError": "errors",
    "Translator": "inference.translator",
    "load": "inference.load",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `stargan --help` starts without NumPy and Pillow."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"stargan.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
