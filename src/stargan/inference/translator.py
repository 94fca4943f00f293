"""A model in use: images and requests in, translated images out."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from PIL import Image

from stargan.domains import Domains, requests
from stargan.domains.estimates import with_known
from stargan.domains.requests import Request
from stargan.errors import DomainError, ImageError
from stargan.images import ImageSource, read, to_array, to_images
from stargan.model.info import ModelInfo

BATCH_PIXELS = 4 * 128 * 128
"""Pixels in a batch, at most: larger ones need more memory and take longer for each image, since caches are small."""


def max_batch(image_size: tuple[int, int]) -> int:
    """How many images of (width, height) go through the generator in one batch, at most."""
    return max(1, BATCH_PIXELS // (image_size[0] * image_size[1]))


class Backend(Protocol):
    """Runs the networks: ONNX Runtime, OpenVINO or a training framework."""

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(N, 3, H, W) images and (N, L) labels to (N, 3, H, W) images; all float32."""
        ...

    def classify(self, images: np.ndarray) -> np.ndarray:
        """(N, 3, H, W) images to (N, C) logits, float32; only for a model with an attribute classifier."""
        ...


class Translator:
    """A model, ready to translate images.

    Args:
        info: The model's description.
        backend: Runs its networks.
    """

    def __init__(self, info: ModelInfo, backend: Backend) -> None:
        self.info = info
        self._backend = backend

    @property
    def domains(self) -> Domains:
        """The domains that the model translates between."""
        return self.info.domains

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) of the images that the model makes."""
        return self.info.image_size

    def translate(self, image: ImageSource, request: Request, *, known: Request = ()) -> Image.Image:
        """Translates one image.

        Args:
            image: An image of any size and kind. It is turned upright, cropped to the model's shape around its centre
                and scaled to the model's size.
            request: What to change, for example `{"Blond_Hair": 1, "Male": 0}` or `["Blond_Hair", "-Male"]`.
            known: The image's labels, as far as you know them; the others are estimated, see `values`.

        Returns:
            An RGB image of the model's size.

        Raises:
            DomainError: `request` or `known` names something that the model does not know.
            ImageError: The image cannot be read.
            ModelError: The model's attribute classifier is needed and damaged.
        """
        requests.parse(self.domains, request)  # before any work
        prepared = self.prepare([image])
        labels = requests.target(self.domains, self.values(prepared, known)[0], request)
        return to_images(self.generate(prepared, labels[None]))[0]

    def translate_all(self, image: ImageSource, *, known: Request = ()) -> list[tuple[str, Image.Image]]:
        """Translates one image to every domain: each attribute flipped, each value of each group set.

        Returns:
            Pairs of the target in words, for example `Male=0`, and the RGB image.

        Raises:
            DomainError, ImageError, ModelError: As `translate`.
        """
        prepared = self.prepare([image])
        targets = requests.every_target(self.domains, self.values(prepared, known)[0])
        labels = np.stack([labels for _, labels in targets])
        translated = to_images(self.generate(np.repeat(prepared, len(labels), axis=0), labels))
        return [(word, result) for (word, _), result in zip(targets, translated, strict=True)]

    def warnings(self, request: Request | None = None) -> list[str]:
        """What the model's card warns of: one line for each requested change that mostly fails.

        Args:
            request: What to change; by default, any change.

        Raises:
            DomainError: `request` names something that the model does not know.
        """
        if self.info.card is None:
            return []
        if request is None:
            return self.info.card.warnings()
        changes = requests.parse(self.domains, request).items()
        return self.info.card.warnings([self.domains.word(*change) for change in changes])

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Translates arrays.

        Args:
            images: (N, 3, H, W) float32 in [-1, 1], RGB, as `prepare` makes them.
            labels: (N, L) float32 target labels, as `domains.labels` makes them.

        Returns:
            (N, 3, H, W) float32 in [-1, 1].

        Raises:
            ImageError: `images` has the wrong shape.
            DomainError: `labels` has the wrong shape.
        """
        images, labels = np.asarray(images, np.float32), np.asarray(labels, np.float32)
        self._check_images(images)
        if labels.shape != (len(images), self.domains.num_labels):
            raise DomainError(f"labels have shape {labels.shape}; must be ({len(images)}, {self.domains.num_labels})")
        if not len(images):
            return images
        batches = -(-len(images) // max_batch(self.image_size))  # as few as possible, of nearly the same size
        pairs = zip(np.array_split(images, batches), np.array_split(labels, batches), strict=True)
        return np.concatenate([self._backend.generate(*pair) for pair in pairs])

    def values(self, images: np.ndarray, known: Request = ()) -> np.ndarray:
        """Estimates the labels of images, by the attribute classifier or else from how frequent each label is.

        Args:
            images: (N, 3, H, W) float32 in [-1, 1].
            known: Labels of all these images; they replace the estimate.

        Returns:
            (N, C) float32 of 0 and 1.

        Raises:
            DomainError, ImageError, ModelError: As `probabilities`.
        """
        return self.domains.decide(self.probabilities(images, known))

    def probabilities(self, images: np.ndarray, known: Request = ()) -> np.ndarray:
        """How probable it is that each class is on, see `values`; `domains.estimates` puts it in words.

        Returns:
            (N, C) float32 in [0, 1]; 0 or 1 where `known` decides.

        Raises:
            DomainError: `known` names something that the model does not know, or has strengths.
            ImageError: `images` has the wrong shape.
            ModelError: The attribute classifier is needed and damaged.
        """
        self._check_images(np.asarray(images))
        if self.info.classifier and len(images) and not (known and requests.fully_specified(self.domains, known)):
            probabilities = self.info.probabilities(self._backend.classify(np.asarray(images, np.float32)))
        else:
            frequencies = self.info.label_frequencies or (0.0,) * self.domains.num_classes
            probabilities = np.tile(np.array(frequencies, np.float32), (len(images), 1))
        return with_known(self.domains, probabilities, known) if known else probabilities

    def prepare(self, images: Sequence[ImageSource]) -> np.ndarray:
        """Reads images, turns them upright, crops and scales them: (N, 3, H, W) float32 in [-1, 1].

        Raises:
            ImageError: One of them cannot be read.
        """
        return to_array([read(image, self.info.image_size, self.info.crop) for image in images])

    def _check_images(self, images: np.ndarray) -> None:
        width, height = self.info.image_size
        if images.ndim != 4 or images.shape[1:] != (3, height, width):
            raise ImageError(f"images have shape {images.shape}; must be (N, 3, {height}, {width})")
