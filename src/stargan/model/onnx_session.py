"""ONNX Runtime sessions, with our settings. The one place that makes them."""

from pathlib import Path
from typing import Any


def session(model: bytes | str, *, optimize: bool = True, spin: bool = True) -> Any:
    """Loads a graph into ONNX Runtime, to run on the CPU.

    Args:
        model: The serialised graph, or the name of its file.
        optimize: Whether to optimize the graph; without, it loads faster, which is enough to look at it.
        spin: Whether idle threads wait actively for work. That is fastest for a graph that runs without pause, and
            slows down everything else.

    Raises:
        Exception: ONNX Runtime raises its own unrelated classes for files that it cannot read.
    """
    import onnxruntime

    if isinstance(model, str) and any("\ud800" <= letter <= "\udfff" for letter in model):
        model = Path(model).read_bytes()  # ONNX Runtime opens only names in UTF-8
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only; its warnings are about the machine
    options.enable_mem_pattern = False  # planning the memory takes up to 1.8 times as much of it and saves no time
    if not spin:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
