"""Training frameworks behind one interface, so that the rest of the package does not depend on any of them."""

from stargan.engine.interface import Engine, Framework, OnnxGraphs, Predictor, Processes
from stargan.engine.registry import create, framework, names, register, together

__all__ = [
    "Engine",
    "Framework",
    "OnnxGraphs",
    "Predictor",
    "Processes",
    "create",
    "framework",
    "names",
    "register",
    "together",
]
