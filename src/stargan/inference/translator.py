"""A model in use: photos and requests in, changed photos out."""

import logging
from collections.abc import Sequence
from typing import Any, Protocol, overload

import numpy as np
from PIL import Image

from stargan.config.checks import check_range
from stargan.data import ranges
from stargan.domains import Domains, requests
from stargan.domains.estimates import with_known
from stargan.domains.requests import Request
from stargan.errors import DomainError, ImageError
from stargan.images import ImageSource, Photo, Range, name_of, read, read_photo, to_array, to_images
from stargan.inference import notebook, views
from stargan.inference.steps import Step, Steps, check_strength, steps
from stargan.inference.views import Choice, FoundFace, Region, View
from stargan.model.info import ModelInfo
from stargan.photos import tone

_log = logging.getLogger(__name__)

BATCH_PIXELS = 4 * 128 * 128
"""Pixels in a batch, at most: larger ones need more memory and take longer for each image, since caches are small."""


def max_batch(image_size: tuple[int, int]) -> int:
    """How many images of (width, height) go through the generator in one batch, at most."""
    return max(1, BATCH_PIXELS // (image_size[0] * image_size[1]))


class Backend(Protocol):
    """Runs the networks: ONNX Runtime, OpenVINO or a training framework."""

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(N, 3, H, W) images and (N, L), see `Architecture.condition`, to (N, 3, H, W) images; all float32."""
        ...

    def classify(self, images: np.ndarray) -> np.ndarray:
        """(N, 3, H, W) images to (N, C) logits, float32; only for a model with an attribute classifier."""
        ...


class Translator:
    """A model, ready to translate photos.

    Args:
        info: The model's description.
        backend: Runs its networks.
    """

    def __init__(self, info: ModelInfo, backend: Backend) -> None:
        self.info = info
        self._backend = backend

    @property
    def backend(self) -> Backend:
        """What runs the networks."""
        return self._backend

    @property
    def domains(self) -> Domains:
        """The domains that the model translates between."""
        return self.info.domains

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) of the images that the model itself makes."""
        return self.info.image_size

    # ---------------------------------------------------------------- photos

    @overload
    def translate(
        self,
        photo: ImageSource,
        request: Request,
        *,
        known: Request = (),
        strength: float = 1.0,
        faces: Choice = "all",
        align: bool = True,
        range: Range | None = None,
    ) -> Image.Image: ...

    @overload
    def translate(
        self,
        photo: list[ImageSource] | tuple[ImageSource, ...],
        request: Request,
        *,
        known: Request = (),
        strength: float = 1.0,
        faces: Choice = "all",
        align: bool = True,
        range: Range | None = None,
    ) -> list[Image.Image]: ...

    def translate(
        self,
        photo: ImageSource | list[ImageSource] | tuple[ImageSource, ...],
        request: Request,
        *,
        known: Request = (),
        strength: float = 1.0,
        faces: Choice = "all",
        align: bool = True,
        range: Range | None = None,
    ) -> Image.Image | list[Image.Image]:
        """Translates a photo: the faces in it if the model is about faces, otherwise all of it.

        The model's change is put into the photo at the photo's own resolution. What it does not touch stays as it is,
        bit for bit.

        Args:
            photo: A photo of any size and kind; or several, in a list or an array (N, H, W, 3) uint8.
            request: What to change, for example `{"Blond_Hair": 1, "Male": 0}` or `["Blond_Hair", "-Male"]`. A number
                between 0 and 1.5 is a strength: `{"Blond_Hair": 0.6}`.
            known: The labels of the photo, as far as you know them; the others are estimated.
            strength: A factor for the whole change, 0 to 1.5; 0 gives the photo itself.
            faces: Which faces to change.
            align: False if the photo shows one face that is cut and aligned as the training images were.
            range: Which values of a photo with more than 8 bits or floats become black and white; by default those of
                the model, if it has some, or else those that the photos have together.

        Returns:
            RGB, upright, of the photo's size; a list for several photos.

        Raises:
            DomainError: `request` or `known` names something that the model does not know.
            ImageError: The photo cannot be read, or there is no (such) face in it.
            ConfigError: `strength`, `faces` or `range` is out of bounds.
            DataError: Of several photos, some have integers of more than 8 bits and some floats.
            ModelError: The model's attribute classifier is needed and damaged.
        """
        if isinstance(photo, list | tuple) or (isinstance(photo, np.ndarray) and photo.ndim == 4):
            samples = ranges.of_files(list(photo), range or self.info.range, _log.info)
            shared = None if samples == "own" else samples
            options: dict[str, Any] = {"known": known, "strength": strength, "faces": faces, "align": align}
            return [self.translate(one, request, **options, range=shared) for one in photo]
        check_strength(strength)
        requests.parse(self.domains, request)  # before any work
        view = self.look(photo, known=known, faces=faces, align=align, range=range)
        return view.paint(self.edit(view.images, [steps(self.domains, v, request, strength) for v in view.values]))

    def translate_all(
        self, photo: ImageSource, *, known: Request = (), faces: Choice = "all", align: bool = True
    ) -> notebook.Translations:
        """Translates a photo to every domain: each attribute flipped, each value of each group set.

        Args:
            photo: As in `translate`.
            known: As in `translate`.
            faces: As in `translate`.
            align: As in `translate`.

        Returns:
            A list of pairs: the target in words, for example `Male=0`, and the whole photo, RGB, upright. Of several
            faces, those that an attribute's target describes already stay as they are. A notebook shows it as a sheet.

        Raises:
            DomainError, ImageError, ConfigError, ModelError: As `translate`.
        """
        view = self.look(photo, known=known, faces=faces, align=align)
        targets = [
            {word: [Step(1.0, labels, values)] for word, labels in requests.every_target(self.domains, values)}
            for values in view.values
        ]
        words = [word for word in requests.every_word(self.domains) if any(word in own for own in targets)]
        return notebook.Translations(
            (word, view.paint(self.edit(view.images, [own.get(word, ()) for own in targets]))) for word in words
        )

    def translate_aligned(
        self, image: ImageSource, request: Request, *, known: Request = (), strength: float = 1.0
    ) -> Image.Image:
        """Translates an image that is cut as the training images were; the result has the model's size.

        Args:
            image: An image of any size and kind. It is turned upright, cropped to the model's shape around its centre
                and scaled to the model's size.
            request: As in `translate`.
            known: As in `translate`.
            strength: As in `translate`.

        Returns:
            RGB image of the model's size.

        Raises:
            DomainError, ImageError, ConfigError, ModelError: As `translate`.
        """
        check_strength(strength)
        requests.parse(self.domains, request)
        prepared = self.prepare([image])
        translation = steps(self.domains, self.values(prepared, known)[0], request, strength)
        return to_images(self.edit(prepared, [translation]))[0]

    def faces(self, photo: ImageSource, *, known: Request = ()) -> list[FoundFace]:
        """Finds the faces of a photo and estimates their labels.

        Args:
            photo: As in `translate`.
            known: As in `translate`.

        Returns:
            Faces from left to right; none if the model is not about faces.

        Raises:
            DomainError, ImageError, ModelError: As `translate`.
        """
        opened = read_photo(photo, self.info.range or "own")
        found = views.regions(opened.image, self.info) if self.info.face_crop else []
        if not found or found[0].face is None:
            return []
        view = self.view(opened, found, known=known)
        return [FoundFace.of(part, told, opened.image.size) for part, told in zip(found, view.estimates, strict=True)]

    def look(
        self,
        photo: ImageSource,
        *,
        known: Request = (),
        faces: Choice = "all",
        align: bool = True,
        range: Range | None = None,
    ) -> View:
        """Finds what the model changes in a photo, and its labels.

        Args:
            photo: As in `translate`.
            known: As in `translate`.
            faces: As in `translate`.
            align: As in `translate`.
            range: As in `translate`.

        Raises:
            DomainError, ImageError, ConfigError, ModelError: As `translate`.
        """
        views.check(faces)
        check_range(range)
        opened = read_photo(photo, range or self.info.range or "own")
        found = views.regions(opened.image, self.info, align=align)
        return self.view(opened, views.chosen(found, faces, name_of(photo)), known=known)

    def view(self, photo: Photo, found: Sequence[Region], *, known: Request = ()) -> View:
        """Estimates the labels of regions of a photo, from `views.regions`."""
        return self.views([(photo, found)], known=known)[0]

    def views(self, photos: Sequence[tuple[Photo, Sequence[Region]]], *, known: Request = ()) -> list[View]:
        """Estimates the labels of regions of photos as `view` does; of few regions, all at once, which is faster."""
        prepared = [to_array([region.part.image for region in found]) for _, found in photos]
        ends = np.cumsum([len(found) for _, found in photos])
        shapes = {regions.shape[1:] for regions in prepared}
        if len(shapes) == 1 and ends[-1] <= max_batch(next(iter(shapes))[1:]):
            estimated = np.split(self.probabilities(np.concatenate(prepared), known), ends[:-1])
        else:
            estimated = [self.probabilities(regions, known) for regions in prepared]
        for (_, found), own in zip(photos, estimated, strict=True):
            if len(found) > 1 and found[0].face is None:  # parts of one photo have one set of labels
                own[:] = own.mean(0)
        values = np.split(self.domains.decide(np.concatenate(estimated)), ends[:-1]) if photos else []
        return [
            View(photo, tuple(found), regions, decided, own, self.domains)
            for (photo, found), regions, decided, own in zip(photos, prepared, values, estimated, strict=True)
        ]

    # ---------------------------------------------------------------- arrays

    def edit(self, images: np.ndarray, translations: Sequence[Steps]) -> np.ndarray:
        """Translates arrays by changes of any strength, one after the other; black-and-white and sepia faces stay so.

        Args:
            images: (N, 3, H, W) float32 in [-1, 1].
            translations: One for each image; an empty one leaves it as it is.

        Returns:
            (N, 3, H, W) float32 in [-1, 1].
        """
        results = np.array(images, np.float32)
        for index in range(max(map(len, translations), default=0)):
            rows = [row for row, steps in enumerate(translations) if index < len(steps)]
            strengths, labels, values = zip(*(translations[row][index] for row in rows), strict=True)
            factor = np.array(strengths, np.float32)[:, None, None, None]
            made = self.generate(results[rows], np.stack(labels), np.stack(values))
            results[rows] = np.clip(factor * made + (1 - factor) * results[rows], -1, 1)
        if self.info.face_crop:  # a model for whole images may be meant to add colours
            tone.keep(np.asarray(images, np.float32), results)
        return results

    def generate(self, images: np.ndarray, labels: np.ndarray, source_values: np.ndarray | None = None) -> np.ndarray:
        """Translates arrays.

        Args:
            images: (N, 3, H, W) float32 in [-1, 1], RGB, as `prepare` makes them; larger ones for a model whose G
                takes images of any size.
            labels: (N, L) float32 target labels, as `domains.labels` makes them.
            source_values: (N, C) float32 of 0 and 1, the values of the images, which an edit generator needs; by
                default those that `values` estimates.

        Returns:
            (N, 3, H, W) float32 in [-1, 1].

        Raises:
            ImageError: `images` has the wrong shape.
            DomainError: `labels` or `source_values` has the wrong shape.
            ModelError: The model's attribute classifier is needed and damaged.
        """
        images, labels = np.asarray(images, np.float32), np.asarray(labels, np.float32)
        self._check_images(images)
        if labels.shape != (len(images), self.domains.num_labels):
            raise DomainError(f"labels have shape {labels.shape}; must be ({len(images)}, {self.domains.num_labels})")
        if not len(images):
            return images
        if self.info.architecture.generator == "edit":
            labels = self._change(images, labels, source_values)
        batches = -(-len(images) // max_batch(images.shape[2:]))  # as few as possible, of nearly the same size
        pairs = zip(np.array_split(images, batches), np.array_split(labels, batches), strict=True)
        return np.concatenate([self._backend.generate(*pair) for pair in pairs])

    def _change(self, images: np.ndarray, labels: np.ndarray, source_values: np.ndarray | None) -> np.ndarray:
        values = self.values(images) if source_values is None else np.asarray(source_values, np.float32)
        if values.shape != (len(images), self.domains.num_classes):
            shape = (len(images), self.domains.num_classes)
            raise DomainError(f"source values have shape {values.shape}; must be {shape}")
        return self.info.architecture.condition(self.domains, labels, values)

    def probabilities(self, images: np.ndarray, known: Request = ()) -> np.ndarray:
        """Estimates the labels of images, by the attribute classifier or else from how frequent each label is.

        Args:
            images: (N, 3, H, W) float32 in [-1, 1].
            known: Labels of all these images; for them, the result is 0 or 1.

        Returns:
            (N, C) float32 in [0, 1].

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

    def values(self, images: np.ndarray, known: Request = ()) -> np.ndarray:
        """The most probable labels of images, (N, C) float32 of 0 and 1; arguments and errors as `probabilities`."""
        return self.domains.decide(self.probabilities(images, known))

    def prepare(self, images: Sequence[ImageSource]) -> np.ndarray:
        """Reads images, turns them upright, crops and scales them: (N, 3, H, W) float32 in [-1, 1].

        Raises:
            ImageError: One of them cannot be read.
        """
        return to_array(
            [read(image, self.info.image_size, self.info.crop, self.info.range or "own") for image in images]
        )

    def _check_images(self, images: np.ndarray) -> None:
        width, height = self.info.image_size
        multiple = self.info.architecture.side_multiple
        if images.ndim == 4 and multiple and min(images.shape[2:]) >= min(width, height):
            height, width = (-(-side // multiple) * multiple for side in images.shape[2:])
        if images.ndim != 4 or images.shape[1:] != (3, height, width):
            raise ImageError(f"images have shape {images.shape}; must be (N, 3, {height}, {width})")

    # ---------------------------------------------------------------- about the model

    def __repr__(self) -> str:
        width, height = self.image_size
        what = "faces in photos" if self.info.face_crop else "images"
        return f"<stargan model for {what}, {width}x{height} pixels: {'; '.join(self.domains.group_names)}>"

    def _repr_html_(self) -> str:
        """The model as a table, for notebooks."""
        return notebook.html(self.info)

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
