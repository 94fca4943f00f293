"""ONNX Runtime sessions, with our settings and bounds. The one place that makes them, of graphs from files."""

import functools
from typing import Any

from stargan import machine
from stargan.model import onnx_graph

FOLD_BYTES = 2**27
"""Size of the largest constant that ONNX Runtime computes when it loads a graph; larger ones wait until it runs."""


def session(model: bytes, *, optimize: bool = True, spin: bool = True, threads: int = 0) -> Any:
    """Checks a graph and loads it into ONNX Runtime, to run on the CPU.

    Args:
        model: The serialised graph.
        optimize: Whether to optimize the graph; without, it loads faster, which is enough to look at it.
        spin: Whether idle threads wait actively for work. That is fastest for a graph that runs without pause, and
            slows down everything else.
        threads: The number of threads that compute; by default, one for each processor.

    Raises:
        ModelError: The graph is not safe to load, see `onnx_graph.check`.
        Exception: ONNX Runtime raises its own unrelated classes for files that it cannot read.
    """
    import onnxruntime

    onnx_graph.check(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # none but fatal errors: what fails also raises
    options.enable_mem_pattern = False  # planning the memory takes up to 1.8 times as much of it and saves no time
    options.add_session_config_entry("optimization.constant_folding_max_output_size_in_bytes", str(FOLD_BYTES))
    if _bounded_memory():
        options.add_session_config_entry("session.use_env_allocators", "1")
    options.intra_op_num_threads = threads
    if not spin:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # The last two: after an error do not print it and try again; take no settings from the file.
    return onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"], enable_fallback=0, read_config_from_model=0
    )


@functools.cache
def _bounded_memory() -> bool:
    """Bounds what all graphs together may take to half of the memory that we may use; a run that needs more raises."""
    import onnxruntime

    size = machine.memory()
    if size is None:
        return False
    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    place = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    try:
        onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg({"max_mem": size // 2}))
    except RuntimeError:  # the program around us has registered its own
        return False
    return True
