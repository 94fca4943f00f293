"""StarGAN: one generator that moves a picture between many labelled domains.

    import stargan
    model = stargan.load("faces.onnx")
    model.translate("photo.jpg", {"Blond_Hair": 1, "Male": 0}).save("blond.png")

Importing this loads nothing: what is used first is loaded then, PyTorch and ONNX Runtime by what needs them.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stargan.domains import Domains, Group, LabelSet
    from stargan.errors import StarganError
    from stargan.inference.translator import Translator, load

__version__ = "0.1.0"

__all__ = ["Domains", "Group", "LabelSet", "StarganError", "Translator", "__version__", "load"]

_HOMES = {
    "Domains": "domains",
    "Group": "domains",
    "LabelSet": "domains",
    "StarganError": "errors",
    "Translator": "inference.translator",
    "load": "inference.translator",
}


def __getattr__(name: str) -> Any:
    """Loads what is asked for: the command line has other things to begin with than NumPy and Pillow."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"stargan.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
