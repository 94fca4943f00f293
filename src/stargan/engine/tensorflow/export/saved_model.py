"""A model as a SavedModel, for TensorFlow Serving."""

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from stargan.engine.tensorflow.export.keras_file import Run, description
from stargan.images import scale
from stargan.model.info import ModelInfo


def write(model: keras.Model, info: ModelInfo, folder: Path) -> None:
    """Writes a SavedModel into an empty folder, with the description in its `assets.extra`.

    Its signatures take any number of images at once:

    - `serving_default`: `images` and `labels` or `change` to `translated`
    - `encoded`: `image_bytes`, encoded images of any size, and `labels` or `change`, to `translated_bytes`, PNG
    - `classify` and `classify_encoded`: images to `probabilities`, if the model has an attribute classifier

    Args:
        model: What `keras_file.build` returns.
        info: The description of the model.
        folder: The folder.
    """
    save(model, signatures(model, info), folder)
    extra = folder / "assets.extra"
    extra.mkdir()
    for name, text in description(info).items():
        (extra / name).write_text(text, "utf-8")


def save(model: keras.Model, functions: dict[str, Any], folder: Path) -> None:
    """Saves functions of a model as the signatures of a SavedModel, with the weights once."""
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    tf.saved_model.save(module, str(folder), functions)


def signatures(model: keras.Model, info: ModelInfo) -> dict[str, Any]:
    """The functions of a SavedModel by name, see `write`."""
    width, height = info.image_size
    name = info.architecture.condition_name
    images = tf.TensorSpec((None, height, width, 3), tf.float32, "images")
    encoded = tf.TensorSpec((None,), tf.string, "image_bytes")
    condition = tf.TensorSpec((None, info.domains.num_labels), tf.float32, name)
    generator = model.get_layer("generator")

    @tf.function(input_signature=(images, condition), autograph=False)
    def translate(images: tf.Tensor, condition: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"translated": generator([images, condition])}

    @tf.function(input_signature=(encoded, condition), autograph=False)
    def translate_encoded(image_bytes: tf.Tensor, condition: tf.Tensor) -> dict[str, tf.Tensor]:
        translated = generator([_decoded(image_bytes, info), condition])
        return {"translated_bytes": tf.map_fn(_png, translated, fn_output_signature=tf.string)}

    found = {"serving_default": translate, "encoded": translate_encoded}
    if "probabilities" in model.output:
        classifier = model.get_layer("classifier")

        @tf.function(input_signature=(images,), autograph=False)
        def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"probabilities": classifier(images)}

        @tf.function(input_signature=(encoded,), autograph=False)
        def classify_encoded(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"probabilities": classifier(_decoded(image_bytes, info))}

        found |= {"classify": classify, "classify_encoded": classify_encoded}
    return found


def _decoded(image_bytes: tf.Tensor, info: ModelInfo) -> tf.Tensor:
    """Decodes images, (N,) bytes, and cuts and scales them like `images.fit`: (N, H, W, 3) in [-1, 1]."""
    width, height = info.image_size

    def decode(content: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(content, channels=3, expand_animations=False)
        image.set_shape((None, None, 3))
        left, top, across, down = _central_box(tf.shape(image), info)
        image = tf.image.crop_to_bounding_box(image, top, left, down, across)
        return tf.round(tf.image.resize(tf.cast(image, tf.float32), (height, width), "bilinear", antialias=True))

    pixels = tf.map_fn(decode, image_bytes, fn_output_signature=tf.TensorSpec((height, width, 3), tf.float32))
    return scale(pixels)


def _central_box(shape: tf.Tensor, info: ModelInfo) -> tuple[tf.Tensor, ...]:
    """See `images.central_box`: left, top, width and height, in pixels of an image of this shape."""
    size = tf.constant(info.image_size, tf.float64)
    whole = tf.cast(shape[1::-1], tf.float64)
    unit = tf.reduce_min(whole / size)
    if info.crop is not None:
        unit = unit * info.crop if info.crop <= 1 else tf.minimum(unit, info.crop / min(info.image_size))
    cut = tf.maximum(tf.round(size * unit), 1)
    corner = tf.round((whole - cut) / 2)
    left, top, across, down = tf.unstack(tf.cast(tf.concat([corner, cut], 0), tf.int32))
    return left, top, across, down


def _png(image: tf.Tensor) -> tf.Tensor:
    """Encodes an image, (H, W, 3) in [-1, 1]."""
    return tf.io.encode_png(tf.cast(tf.round(tf.clip_by_value(image * 127.5 + 127.5, 0, 255)), tf.uint8))


def opened(folder: Path, info: ModelInfo) -> Run:
    """Opens a SavedModel; returns its signature `serving_default`."""
    function = tf.saved_model.load(str(folder)).signatures["serving_default"]
    condition_name = info.architecture.condition_name
    return lambda images, condition: function(images=images, **{condition_name: condition})["translated"].numpy()
