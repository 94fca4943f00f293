"""ONNX Runtime and OpenVINO, as we configure them: from a graph to what runs it."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stargan.errors import ModelError
from stargan.model import locations

if TYPE_CHECKING:
    from concurrent.futures import Future

    import numpy as np

_ahead: "dict[tuple[Path, int], Future[Any]]" = {}  # sessions, by file and when it was written


def load_ahead(path: str | Path) -> None:
    """Begins to load an `.onnx` file in another thread; the next `opened` of it waits for the rest.

    ONNX Runtime does this outside of Python, which can load what else is needed meanwhile. What is wrong with the file,
    that `opened` raises; what is not such a file is left to others.

    Args:
        path: As `locations.locate` takes it.
    """
    with contextlib.suppress(ModelError):
        file = locations.locate(Path(path), locations.BEST_FOR_USE)
        if file.suffix == ".onnx" and file.is_file():
            from concurrent.futures import ThreadPoolExecutor

            import onnxruntime  # noqa: F401  in this thread: two that import at the same time hold up each other

            pool = ThreadPoolExecutor(1, "load")
            _ahead[_version(file)] = pool.submit(session, str(file))
            pool.shutdown(wait=False)


def opened(file: Path) -> Any:
    """G's session, perhaps one that was begun before.

    Raises:
        Exception: ONNX Runtime has many of its own for damaged files.
    """
    begun = _ahead.pop(_version(file), None)
    return session(str(file)) if begun is None else begun.result()


def _version(file: Path) -> tuple[Path, int]:
    return file, file.stat().st_mtime_ns


def session(model: bytes | str, *, run: bool = True, awake: bool = True) -> Any:
    """A model in ONNX Runtime.

    Args:
        model: Its bytes or its file.
        run: Whether it will be run; else it is only looked at, and loads in less time.
        awake: Whether its threads wait for more work at full speed, which slows down all others meanwhile.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its warnings about the machine are not for our users
    options.enable_mem_pattern = False  # the plan takes up to 1.8 times the memory, for no speed
    if not awake:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not run:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def openvino(file: Path) -> Callable[["np.ndarray", "np.ndarray"], "np.ndarray"]:
    """G in OpenVINO: from images and labels to translated ones.

    Raises:
        ModelError: OpenVINO cannot run the graph.
    """
    import openvino as library

    # On CPUs that have bf16 it would compute in that, which gives other pictures.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    try:
        compiled = library.Core().compile_model(file, "CPU", settings)
    except RuntimeError as error:
        *_, reason = ["it does not say why", *str(error).strip().splitlines()]  # before it, places in OpenVINO's source
        raise ModelError(f"{file}: OpenVINO cannot run it ({reason})") from error
    one_at_a_time = threading.Lock()  # all calls share the memory of one request

    def generate(images: "np.ndarray", labels: "np.ndarray") -> "np.ndarray":
        with one_at_a_time:
            made: np.ndarray = compiled({"images": images, "labels": labels})["translated"]
            return made

    return generate
