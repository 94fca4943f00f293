"""Choice of the device and the number format of an engine."""

import functools
import importlib.util
import math
import os
import shutil
import sysconfig
import time
from pathlib import Path

import torch

from stargan.config import Config
from stargan.errors import ConfigError


def choose(config: Config) -> torch.device:
    """Returns the device for a configuration; `auto` means a GPU if there is one.

    Raises:
        ConfigError: The configuration requires a GPU and PyTorch finds none.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: this PyTorch sees no GPU; use --device cpu")
    use_gpu = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if use_gpu else "cpu")


def bf16(config: Config, device: torch.device) -> bool:
    """Returns whether forward passes are in bf16; `auto` means bf16 where it is faster."""
    if config.precision != "auto":
        return config.precision == "bf16"
    if config.plain:
        return False
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return cpu_is_faster_in_bf16()


@functools.cache
def cpu_is_faster_in_bf16() -> bool:
    """Returns whether this CPU computes one of G's convolutions, on two images, faster in bf16 than in float32.

    The measurement takes a tenth of a second and is done once per process. Checking for the instructions is not
    enough: with the same ones (AVX-512), an AMD EPYC takes half the time of float32, an Intel Xeon without AMX 1.7
    times as long. No measured CPU came near the threshold. Shorter convolutions (1 ms instead of 10 ms) sometimes give
    the wrong answer.
    """
    # Without oneDNN's bf16 kernels a convolution takes seventy times as long, and so would the measurement.
    if not torch.backends.mkldnn.is_available() or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    best = {torch.float32: math.inf, torch.bfloat16: math.inf}
    for _ in range(4):  # alternating, so that other load on the machine slows down both formats
        for dtype in best:
            images, kernel = torch.ones(2, 256, 32, 32, dtype=dtype), torch.ones(256, 256, 3, 3, dtype=dtype)
            began = time.perf_counter()
            torch.nn.functional.conv2d(images, kernel, padding=1)
            best[dtype] = min(best[dtype], time.perf_counter() - began)
    return best[torch.bfloat16] < 0.8 * best[torch.float32]


def can_compile() -> bool:
    """Returns whether `torch.compile` can work for a GPU: it needs Triton, a C compiler and Python's headers."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    headers = Path(sysconfig.get_paths()["include"], "Python.h").is_file()
    triton = importlib.util.find_spec("triton") is not None
    return compiler is not None and headers and triton and torch.cuda.get_device_capability() >= (7, 0)
