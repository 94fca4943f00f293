"""StarGAN: one generator that moves a picture between many labelled domains.

    import stargan
    model = stargan.load("faces.onnx")
    model.translate("photo.jpg", {"Blond_Hair": 1, "Male": 0}).save("blond.png")

Importing this loads neither PyTorch nor ONNX Runtime.
"""

from stargan.domains import Domains, Group, LabelSet
from stargan.errors import StarganError
from stargan.translate import Translator, load

__version__ = "0.1.0"

__all__ = ["Domains", "Group", "LabelSet", "StarganError", "Translator", "__version__", "load"]
