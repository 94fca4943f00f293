"""A model for LiteRT (TensorFlow Lite), which runs on phones."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from stargan.engine.tensorflow.export.keras_file import Run, describe
from stargan.engine.tensorflow.export.saved_model import save
from stargan.errors import require
from stargan.model.info import ModelInfo

Inputs = Sequence[tuple[np.ndarray, np.ndarray]]
"""Inputs of the generator: images, (1, H, W, 3) in [-1, 1], and labels, (1, L)."""


def convert(
    model: keras.Model, info: ModelInfo, path: Path, quantization: str | None = None, calibration: Inputs = ()
) -> None:
    """Writes a `.tflite` file, with the description in a zip archive behind it.

    Its signatures take one image: `translate` maps `images` and `labels` or `change` to `translated`, and `classify`
    maps `images` to `probabilities`. Inputs and outputs are float32 whatever the quantization.

    Args:
        model: What `keras_file.build` returns.
        info: The description of the model.
        path: The file to write.
        quantization: `float16`: weights in that format; `dynamic`: weights as int8; `int8`: weights and everything in
            between; None for float32.
        calibration: What int8 takes the ranges of numbers from.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = _signatures(model, info)
        save(model, found, Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(found))
        if quantization:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantization == "int8":
            converter.representative_dataset = lambda: _representative(info, calibration, list(found))
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        path.write_bytes(converter.convert())
    describe(path, info)


def _signatures(model: keras.Model, info: ModelInfo) -> dict[str, Any]:
    width, height = info.image_size
    images = tf.TensorSpec((1, height, width, 3), tf.float32, "images")
    condition = tf.TensorSpec((1, info.domains.num_labels), tf.float32, info.architecture.condition_name)
    generator = model.get_layer("generator")

    @tf.function(input_signature=(images, condition), autograph=False)
    def translate(images: tf.Tensor, condition: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"translated": generator([images, condition])}

    found = {"translate": translate}
    if "probabilities" in model.output:
        classifier = model.get_layer("classifier")

        @tf.function(input_signature=(images,), autograph=False)
        def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"probabilities": classifier(images)}

        found["classify"] = classify
    return found


def _representative(
    info: ModelInfo, calibration: Inputs, names: Sequence[str]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    for images, condition in calibration:
        yield "translate", {"images": images, info.architecture.condition_name: condition}
        if "classify" in names:
            yield "classify", {"images": images}


def opened(path: Path, info: ModelInfo) -> Run:
    """Opens a `.tflite` file with LiteRT, on one thread; returns its signature `translate`."""
    litert = require("ai_edge_litert.interpreter", "tensorflow", "write .tflite files")
    run = litert.Interpreter(str(path), num_threads=1).get_signature_runner("translate")
    condition_name = info.architecture.condition_name
    return lambda images, condition: np.array(run(images=images, **{condition_name: condition})["translated"])
