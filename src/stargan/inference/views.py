"""What a model sees of a photo: its faces, or the whole photo if the model is not about faces."""

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stargan import faces, photos
from stargan.domains import Domains
from stargan.domains.estimates import UNCERTAIN, Estimate, estimates
from stargan.errors import ConfigError, ImageError
from stargan.faces import Face
from stargan.images import Photo, central_box, fit
from stargan.inference import notebook
from stargan.model.info import ModelInfo
from stargan.photos import Part, put_back
from stargan.photos.part import SOFT, WHOLE

Choice = Literal["all", "largest"] | int | Sequence[int]
"""Which faces of a photo: all, the largest, or those of these numbers, counted from 1 and from left to right."""

CERTAIN = 1 - 1e-6  # labels that the user named; no estimate gets there
SMALL = 0.5  # pixels of the photo for each pixel of the model's input, below which a face is too small
LARGEST = 16  # times the area of a training image, up to which a photo goes through G in one piece
STRETCHED = 0.05  # share by which rounding its size may stretch such a photo
ALIGNED = 2  # times the size of the model's images, up to which an image that is no wider than high may be one face


@dataclass(frozen=True, eq=False)
class Region:
    """What a model gets of a photo.

    Attributes:
        part: The image, of the model's size, and where it lies in the photo.
        face: The face in it; None if the model is not about faces, or the image was aligned before.
        number: The number of the face in the photo, from 1, from left to right.
        assumed: Whether no face was found in an image so small that it is taken as a face, cut and aligned before.
    """

    part: Part
    face: Face | None = None
    number: int | None = None
    assumed: bool = False

    def warnings(self, size: tuple[int, int]) -> list[str]:
        """Why a translation of this face may turn out badly, in a photo of `size` (width, height)."""
        if self.assumed:
            return ["no face found; this small image is taken as one face, cut and aligned already"]
        if self.face is None:
            return []
        found = []
        if self.part.scale < SMALL:
            found.append(f"is only {self.face.size:.0f} pixels wide; the change will be coarse")
        if self.face.in_profile:
            found.append("is seen from the side; the model knows faces seen from the front")
        if self.face.cut_by_border(size):
            found.append("is cut by the border of the photo")
        return [f"face {self.number} {text}" for text in found]


@dataclass(frozen=True, eq=False)
class FoundFace:
    """A face in a photo, as a model sees it.

    Attributes:
        number: Counted from 1, from left to right.
        face: Its box, landmarks and pose, in pixels of the upright photo.
        image: The aligned face, RGB, of the model's size.
        labels: Its labels in words, with their estimated probabilities; 1 for what is known.
        warnings: Why a translation may turn out badly, one line each.
    """

    number: int
    face: Face
    image: Image.Image
    labels: dict[str, float]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, region: Region, estimates: Sequence[Estimate], size: tuple[int, int]) -> "FoundFace":
        """From a region of a photo of `size` (width, height) that shows a face."""
        assert region.face is not None
        assert region.number is not None
        return cls(region.number, region.face, region.part.image, dict(estimates), tuple(region.warnings(size)))

    def _repr_html_(self) -> str:
        """The face and its labels, for notebooks."""
        labels = {word: f"{probability:.0%}" for word, probability in self.labels.items()}
        return notebook.figures_html(f"face {self.number}", labels, notebook.png(self.image), self.warnings)


@dataclass(frozen=True, eq=False)
class View:
    """A photo as a model sees it.

    Attributes:
        photo: The decoded photo.
        regions: What the model gets of it: R faces, or parts that cover the photo together.
        images: (R, 3, H, W) float32 in [-1, 1], the regions as inputs of the model.
        values: (R, C) float32 of 0 and 1, the labels of each region.
        probabilities: (R, C) float32, those of these labels; 0 or 1 where they are known.
        domains: What the labels mean.
    """

    photo: Photo
    regions: tuple[Region, ...]
    images: np.ndarray
    values: np.ndarray
    probabilities: np.ndarray
    domains: Domains

    @functools.cached_property  # of millions of images, nobody reads them
    def estimates(self) -> tuple[list[Estimate], ...]:
        """For each region, one estimate for each group of labels; certain where the labels are known."""
        return tuple(estimates(self.domains, row) for row in self.probabilities)

    def paint(self, results: np.ndarray) -> Image.Image:
        """Puts the translations of all regions, (R, 3, H, W) in [-1, 1], into a copy of the photo."""
        return put_back(self.photo.image, self.images, results, [region.part for region in self.regions])

    def window(self, box: tuple[int, int, int, int], size: tuple[int, int]) -> "View":
        """A part of the photo at another size, to show there quickly how it changes.

        Args:
            box: (left, top, right, bottom), in pixels of the photo.
            size: (width, height) of the result, about in the shape of `box`.

        Returns:
            The same regions with the same labels, without the photo's transparency.
        """
        corner = np.array(box[:2], float)
        scale = np.array(size) / (np.array(box[2:]) - corner)
        image = self.photo.image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
        moved = []
        for region in self.regions:
            matrix = region.part.matrix * scale[:, None]
            matrix[:, 2] -= corner * scale
            moved.append(replace(region, part=replace(region.part, matrix=matrix)))
        return replace(self, photo=replace(self.photo, image=image, rgba=None), regions=tuple(moved))

    def lines(self) -> list[str]:
        """What the model saw, in a line for the photo: `2 faces; face 1: Brown_Hair, Male=0 (0.97); face 2: ...`."""
        described = []
        for region, found in zip(self.regions, self.estimates, strict=True):
            described.append(f"face {region.number}: {told(found)}" if region.face is not None else told(found))
        if all(region.face is None for region in self.regions):
            return described[:1]
        return ["; ".join([f"{len(self.regions)} face{'s' * (len(self.regions) != 1)}", *described])]

    def uncertain(self, settled: Collection[int] = ()) -> list[str]:
        """The uncertain estimates in words, but for the groups of these indices, which a request settles."""
        open_groups = [one for found in self.estimates for group, one in enumerate(found) if group not in settled]
        return list(dict.fromkeys(one.word for one in open_groups if one.uncertain))

    def warnings(self) -> list[str]:
        """Why some translations may turn out badly, one line each."""
        return [line for region in self.regions for line in region.warnings(self.photo.image.size)]


def told(estimates: Sequence[Estimate]) -> str:
    """Estimates in a line: `Brown_Hair, Male=0 (0.97), Young (0.62, uncertain)`."""
    return ", ".join(
        word if probability > CERTAIN else f"{word} ({probability:.2f}{', uncertain' * (probability < UNCERTAIN)})"
        for word, probability in estimates
    )


def regions(photo: Image.Image, info: ModelInfo, *, align: bool = True, whole: bool = True) -> list[Region]:
    """Finds what a model gets of a photo.

    Args:
        photo: RGB, upright.
        info: The description of the model.
        align: Whether to look for faces, if the model is about faces. If not, the photo's centre is one face, cut and
            aligned as the training images were.
        whole: For models that are not about faces: whether they get the whole photo, if needed as windows that cover
            it, or its centre.

    Returns:
        One region or more; none if there is no face. An image hardly larger than the model's is then taken as a face.
    """
    if info.face_crop is None and whole:
        fraction = info.crop if info.crop and info.crop <= 1 else 1.0
        size = _in_one_piece(photo.size, info, fraction)
        if size is not None:
            return [Region(photos.cut(photo, photos.Window((0, 0, *photo.size), (WHOLE,) * 4), size))]
        windows = photos.cover(photo.size, info.image_size, fraction)
        return [Region(photos.cut(photo, window, info.image_size)) for window in windows]
    if info.face_crop is None or not align:
        return [Region(_middle(photo, info))]
    found = faces.find(photo)
    if not found and photo.width <= photo.height <= ALIGNED * max(info.image_size):
        return [Region(_middle(photo, info), assumed=True)]
    numbered = enumerate(found, 1)
    return [
        Region(faces.align(photo, face, info.face_crop, info.image_size), face, number) for number, face in numbered
    ]


def _in_one_piece(photo: tuple[int, int], info: ModelInfo, fraction: float) -> tuple[int, int] | None:
    """The size at which a whole photo goes through G: its content is as large as in the training images.

    None if G does not take images of any size, if rounding would stretch the photo, or if it is much longer than wide.
    """
    multiple, (width, height) = info.architecture.side_multiple, info.image_size
    if not multiple:
        return None
    unit = fraction * min(photo[0] / width, photo[1] / height) * multiple
    size = round(photo[0] / unit) * multiple, round(photo[1] / unit) * multiple
    stretched = not all(size) or abs(size[0] * photo[1] / (size[1] * photo[0]) - 1) > STRETCHED
    return None if stretched or size[0] * size[1] > LARGEST * width * height else size


def check(choice: Choice) -> None:
    """Refuses a choice of faces that means nothing.

    Raises:
        ConfigError: As it says.
    """
    numbers = [choice] if isinstance(choice, int) else choice
    if isinstance(numbers, str):
        valid = numbers in ("all", "largest")
    else:
        valid = bool(numbers) and all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in numbers)
    if not valid:
        raise ConfigError(f"faces {choice!r}: must be 'all', 'largest' or numbers from 1")


def chosen(found: Sequence[Region], choice: Choice, name: str) -> list[Region]:
    """The regions with the chosen faces; `name` is what messages call the photo.

    Raises:
        ImageError: There is no face at all, or none of a chosen number.
    """
    if not found:
        raise ImageError(f"{name}: no face found; if it shows one face, cut and aligned already, say --no-align")
    if choice == "all" or found[0].face is None:
        return list(found)
    if choice == "largest":
        return [max(found, key=lambda region: region.part.scale)]
    numbers = {choice} if isinstance(choice, int) else {int(number) for number in choice}
    missing = sorted(numbers - set(range(1, len(found) + 1)))
    if missing:
        raise ImageError(f"{name}: no face {missing[0]}; the faces are numbered 1 to {len(found)} from left to right")
    return [region for region in found if region.number in numbers]


def boxes(view: View) -> Image.Image:
    """A copy of the photo with a numbered box around each face."""
    drawn = view.photo.image.copy()
    draw = ImageDraw.Draw(drawn)
    line = max(2, round(max(drawn.size) / 400))
    for region in view.regions:
        if region.face is None:
            continue
        left, top, right, bottom = region.face.box
        draw.rectangle((left, top, right, bottom), outline="white", width=3 * line)
        draw.rectangle((left + line, top + line, right - line, bottom - line), outline="black", width=line)
        font = ImageFont.load_default(max(12, 8 * line, round(region.face.size / 5)))
        text = str(region.number)
        width, height = font.getbbox(text)[2:]
        x, y = max(left, 0), max(top - height - 2 * line, 0)
        draw.rectangle((x, y, x + width + 4 * line, y + height + 2 * line), fill="white")
        draw.text((x + 2 * line, y), text, fill="black", font=font)
    return drawn


def _middle(photo: Image.Image, info: ModelInfo) -> Part:
    """The centre of a photo in which a face is cut and aligned already."""
    left, top, right, bottom = central_box(photo.size, info.image_size, info.crop)
    width, height = info.image_size
    matrix = np.array((((right - left) / width, 0, left), (0, (bottom - top) / height, top)))
    before, above = (SOFT if side > 0 else WHOLE for side in (left, top))
    after, below = (SOFT if rest > 0 else WHOLE for rest in (photo.width - right, photo.height - bottom))
    return Part(fit(photo, info.image_size, info.crop), matrix, (before, above, after, below))
