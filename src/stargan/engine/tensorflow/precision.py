"""Choice of the number format, and passes through networks in bf16."""

import contextlib
import functools
import time
from collections.abc import Iterator

import keras
import tensorflow as tf

from stargan.config import Config
from stargan.engine.tensorflow.network import Network

TURNS = 4
CAPABLE = (8, 0)  # compute capability of GPUs that have bf16


def bf16(config: Config) -> bool:
    """Returns whether forward passes are in bf16; `auto` means bf16 where it is faster."""
    if config.discriminator == "projected":
        return False
    if config.precision != "auto":
        return config.precision == "bf16"
    if config.plain:
        return False
    gpus = tf.config.list_physical_devices("GPU")
    if gpus and config.device != "cpu":
        return bool(tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0)) >= CAPABLE)
    return cpu_is_faster_in_bf16()


@functools.cache
def cpu_is_faster_in_bf16() -> bool:
    """Returns whether this CPU computes one of G's convolutions, on one image, faster in bf16 than in float32.

    Without instructions for bf16 it takes many times as long; then one measurement is enough.
    """
    best: dict[tf.DType, float] = {}
    with tf.device("CPU"):
        for _ in range(TURNS):  # alternating, so that other load on the machine slows down both formats
            for dtype in (tf.float32, tf.bfloat16):
                took = _seconds(dtype)
                best[dtype] = min(took, best.get(dtype, took))
            if best[tf.bfloat16] > 2 * best[tf.float32]:
                break
    return best[tf.bfloat16] < 0.8 * best[tf.float32]


def _seconds(dtype: tf.DType) -> float:
    images, kernel = tf.ones((1, 32, 32, 256), dtype), tf.ones((3, 3, 256, 256), dtype)
    began = time.perf_counter()
    tf.nn.conv2d(images, kernel, 1, "SAME").numpy()
    return time.perf_counter() - began


@contextlib.contextmanager
def autocast(enabled: bool, *networks: Network) -> Iterator[None]:
    """Lets the layers of networks compute in bf16 while an update is traced; their weights stay in float32."""
    layers = [layer for network in networks for layer in network.named.values()] if enabled else []
    for layer in layers:
        layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
    try:
        yield
    finally:
        for layer in layers:
            layer.dtype_policy = keras.DTypePolicy("float32")
