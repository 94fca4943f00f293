"""A model of Keras' own layers and operations, and its `.keras` file, which Keras loads without this package."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from stargan.domains import Domains
from stargan.engine.tensorflow import networks
from stargan.model.info import ModelInfo

DESCRIPTION, LABELS = "stargan.json", "labels.txt"
"""Files beside the networks: the model's description, and the names of its labels, one a line."""

Run = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps images, (N, H, W, 3), and labels or a change, (N, L), to images."""


def build(info: ModelInfo, arrays: Mapping[str, np.ndarray]) -> keras.Model:
    """Builds a functional model of the layers that train.

    It maps `images`, (N, H, W, 3) in [-1, 1], and `labels` or `change`, (N, L), to `translated`, (N, H, W, 3), and
    `probabilities`, (N, C), of the labels that the images have. Its layers `generator` and `classifier` are models.

    Args:
        info: The description of the model.
        arrays: Its arrays by name.

    Raises:
        ModelError: An array is missing, unexpected or of the wrong shape.
    """
    width, height = info.image_size
    images = keras.Input((height, width, 3), name="images")
    condition = keras.Input((info.domains.num_labels,), name=info.architecture.condition_name)
    network = networks.restore("generator", info.architecture, info.domains, arrays)
    generator = keras.Model([images, condition], network.call(images, condition), name="generator")
    outputs = {"translated": generator([images, condition])}
    if any(name.startswith("classifier/") for name in arrays):
        classifier = networks.restore("classifier", info.architecture, info.domains, _tempered(info, arrays))
        probabilities = _probabilities(info.domains, classifier.call(images))
        outputs["probabilities"] = keras.Model(images, probabilities, name="classifier")(images)
    return keras.Model({"images": images, condition.name: condition}, outputs, name="stargan")


def _tempered(info: ModelInfo, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays with the temperatures in the classifier's last layer, so that its logits are calibrated."""
    tempered = dict(arrays)
    if info.temperatures:
        factors = 1 / np.array(info.temperatures, np.float32)
        tempered["classifier/cls.weight"] = arrays["classifier/cls.weight"] * factors[:, None]
        tempered["classifier/cls.bias"] = arrays["classifier/cls.bias"] * factors
    return tempered


def _probabilities(domains: Domains, logits: keras.KerasTensor) -> keras.KerasTensor:
    """See `Domains.probabilities`."""
    parts = [(logits[:, head.columns], head.categorical) for head in domains.all_heads()]
    parts = [ops.softmax(part) if categorical else ops.sigmoid(part) for part, categorical in parts]
    return ops.concatenate(parts, -1) if len(parts) > 1 else parts[0]


def write(model: keras.Model, info: ModelInfo, path: Path) -> None:
    """Writes a `.keras` file, with the description in it."""
    model.save(path)
    describe(path, info)


def describe(path: Path, info: ModelInfo) -> None:
    """Adds the description and the names of the labels to a file: as files in its zip archive, or in one behind it."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in description(info).items():
            archive.writestr(zipfile.ZipInfo(name), text)


def description(info: ModelInfo) -> dict[str, str]:
    """The content of each file that describes a model."""
    domains = info.domains
    masks = [f"data set {each.name}" for each in domains.sets] if domains.num_labels > domains.num_classes else []
    names = [*domains.names, *masks]
    return {DESCRIPTION: info.dumps(), LABELS: "".join(f"{name}\n" for name in names)}


def opened(path: Path, info: ModelInfo) -> Run:
    """Opens a `.keras` file; returns its generator."""
    model = keras.models.load_model(path)
    generator = tf.function(model.get_layer("generator"))
    return lambda images, condition: generator([images, condition]).numpy()
