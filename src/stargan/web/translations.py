"""The work behind the API: what `Translator` does, with photos that stay in memory and with all limits."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from stargan import images
from stargan.domains import requests
from stargan.domains.estimates import Estimate, with_known
from stargan.errors import ImageError, ImageSizeError
from stargan.images import Photo
from stargan.inference import views
from stargan.inference.steps import Steps, steps
from stargan.inference.translator import Translator
from stargan.inference.views import View
from stargan.web import messages
from stargan.web.limits import Limits
from stargan.web.memory import Kept, PhotoMemory
from stargan.web.messages import Edit, Seen, SeenFace, Sheet, SheetRequest, Source, Tile, Translation
from stargan.web.refusals import ApiError
from stargan.web.workers import Workers

AROUND = 1.1  # side of a tile of a sheet, in sides of the squares that the model gets


class Translations:
    """Answers requests; its methods run in threads.

    Args:
        models: The models by name, the default first.
        limits: See `Limits`.
        workers: Where they run.
    """

    def __init__(self, models: dict[str, Translator], limits: Limits, workers: Workers) -> None:
        self.models, self.limits, self.workers = models, limits, workers
        self.memory = PhotoMemory(limits)

    # ---------------------------------------------------------------- requests

    def see(self, source: Source, upload: bytes | None) -> Seen:
        """Finds faces and labels, and keeps the photo in memory."""
        name, model = self._model(source)
        with self.workers.computing():
            photo, kept = self._kept(source, upload)
            try:
                view: View | None = self._view(kept, name, model, align=source.align)
            except ApiError as refusal:
                if refusal.code != "no_face":
                    raise
                view = None  # the photo is kept: the user may say that it shows one face
        size = kept.photo.image.size
        pairs = list(zip(view.regions, view.estimates, strict=True)) if view else []
        return Seen(
            photo=photo,
            width=size[0],
            height=size[1],
            faces=[_face(region, told, size) for region, told in pairs if region.face is not None],
            labels=_labels(pairs[0][1]) if pairs and pairs[0][0].face is None else [],
        )

    def translate(self, asked: Translation, upload: bytes | None) -> tuple[bytes, str, tuple[int, int]]:
        """Translates a photo: the image file, Pillow's name of its format, and its (width, height)."""
        name, model = self._model(asked)
        edits = asked.edits or [Edit(**asked.model_dump(include=set(Edit.model_fields)))]
        self._check(model, asked, edits)
        with self.workers.computing():
            view = self._look(asked, upload, name, model)
            translations = self._translations(model, view, edits)
            if asked.longest:
                view = _reduced(view, asked.longest)
        results = model.edit(view.images, translations)
        with self.workers.computing():
            return self._file(asked, view, translations, results)

    def sheet(self, asked: SheetRequest, upload: bytes | None) -> Sheet:
        """Translates a photo to every domain, and cuts out the chosen faces."""
        name, model = self._model(asked)
        with self.workers.computing():
            view = self._look(asked, upload, name, model)
            chosen = set(self._rows(view, asked.faces))
            regions = [row for row in range(len(view.regions)) if row in chosen]
            self._few(len(regions))
            values = self._values(model, view, dict.fromkeys(regions, asked.known))
            close = _close_up(view, regions, asked.side)
        tiles = [("", close.photo.image)]
        for word in requests.every_word(model.domains):
            translations: list[Steps] = [
                steps(model.domains, row, [word]) if index in chosen and not _is(model, row, word) else ()
                for index, row in enumerate(values)
            ]
            if any(translations):
                results = model.edit(close.images, translations)
                with self.workers.computing():
                    tiles.append((word, close.paint(results)))
        return Sheet(tiles=[Tile(word=word, image=_base64(image)) for word, image in tiles])

    # ---------------------------------------------------------------- photos

    def _model(self, source: Source) -> tuple[str, Translator]:
        name = source.model or next(iter(self.models))
        if name not in self.models:
            raise ApiError(404, "model_name", f"no model {name!r}; must be one of {', '.join(self.models)}")
        return name, self.models[name]

    def _kept(self, source: Source, upload: bytes | None) -> tuple[str, Kept]:
        if source.photo is not None:
            return source.photo, self.memory.get(source.photo)
        return self.memory.keep(self._read(source, upload))

    def _read(self, source: Source, upload: bytes | None) -> Photo:
        content = upload if upload is not None else source.image
        if not content:
            raise ApiError(422, "no_image", "no image: send one as `image`, or the name of one sent before as `photo`")
        self._small(images.size_of(content) or (0, 0))
        try:
            photo = images.read_photo(content)
        except ImageSizeError as error:
            raise ApiError(413, "pixels", str(error)) from error
        except ImageError as error:
            raise ApiError(415, "not_an_image", str(error)) from error
        self._small(photo.image.size)
        return photo

    def _small(self, size: tuple[int, int]) -> None:
        if size[0] * size[1] > self.limits.pixels:
            most = f"at most {self.limits.megapixels:g} megapixels are accepted"
            raise ApiError(413, "pixels", f"{size[0]}x{size[1]} pixels; {most}")

    def _view(self, kept: Kept, name: str, model: Translator, *, align: bool, whole: bool = True) -> View:
        def look() -> View:
            found = views.regions(kept.photo.image, model.info, align=align, whole=whole)
            if not found:
                raise ApiError(422, "no_face", "no face found; if the photo is one aligned face, say align=false")
            return model.view(kept.photo, found)

        return kept.view((name, align, whole), look)

    def _look(self, asked: Translation | SheetRequest, upload: bytes | None, name: str, model: Translator) -> View:
        kept = self.memory.get(asked.photo) if asked.photo is not None else Kept(self._read(asked, upload))
        whole = isinstance(asked, Translation) and not asked.crop
        return self._view(kept, name, model, align=asked.align, whole=whole or model.info.face_crop is not None)

    # ---------------------------------------------------------------- changes

    def _check(self, model: Translator, asked: Translation, edits: Sequence[Edit]) -> None:
        """Refuses what makes no sense, before any work."""
        for edit in edits:
            if edit.target:
                requests.parse(model.domains, edit.target)
            if edit.known:
                requests.check_plain(model.domains, edit.known)
        if asked.edits and (asked.target or asked.known):
            raise ApiError(422, "value", "say either target or edits")
        if asked.photo is None and not asked.edits and not asked.target:
            raise ApiError(422, "label", f"no target; name one or more of {', '.join(model.domains.names)}")

    def _translations(self, model: Translator, view: View, edits: Sequence[Edit]) -> list[Steps]:
        """The translation of each region; empty for those that stay as they are."""
        changes: dict[int, Edit] = {}
        for edit in edits:
            for row in self._rows(view, edit.faces):
                if edit.target:
                    changes[row] = edit
        if view.regions[0].face is not None:
            self._few(len(changes))
        values = self._values(model, view, {row: edit.known for row, edit in changes.items()})
        return [
            steps(model.domains, values[row], changes[row].target, changes[row].strength) if row in changes else ()
            for row in range(len(view.regions))
        ]

    def _few(self, count: int) -> None:
        if count > self.limits.faces:
            raise ApiError(413, "faces", f"{count} faces; at most {self.limits.faces} are changed at a time")

    @staticmethod
    def _rows(view: View, faces: messages.Faces) -> list[int]:
        choice = faces if isinstance(faces, str) else tuple(faces)
        chosen = views.chosen(view.regions, choice, "image")
        return [row for row, region in enumerate(view.regions) if any(region is one for one in chosen)]

    @staticmethod
    def _values(model: Translator, view: View, known: dict[int, list[str]]) -> np.ndarray:
        """The labels of all regions, (R, C), with what is known of some of them."""
        values = view.values.copy()
        for row, words in known.items():
            if words:
                values[row] = model.domains.decide(with_known(model.domains, values[row : row + 1], words))[0]
        return values

    # ---------------------------------------------------------------- results

    @staticmethod
    def _file(
        asked: Translation, view: View, translations: Sequence[Steps], results: np.ndarray
    ) -> tuple[bytes, str, tuple[int, int]]:
        if asked.crop:
            rows = [row for row, translation in enumerate(translations) if translation]
            if len(rows) != 1:
                raise ApiError(422, "value", f"crop gives one face, and {len(rows)} are changed; choose one with faces")
            image, like = images.to_images(results[rows])[0], None
        else:
            image, like = view.paint(results), view.photo
        chosen = (asked.format or ("jpeg" if asked.longest else view.photo.format) or "png").upper()
        encoded = io.BytesIO()
        if chosen not in ("JPEG", "WEBP"):
            chosen = "PNG"  # the formats that every browser shows
        images.write(image, encoded, chosen, like)
        return encoded.getvalue(), chosen, image.size


def _is(model: Translator, values: np.ndarray, word: str) -> bool:
    """Whether an image with these values shows an attribute as a word says; never for values of groups."""
    changes = requests.parse(model.domains, [word])
    binary = word.endswith("=0") or f"{word}=0" in requests.every_word(model.domains)
    return binary and all(values[index] == state for index, state in changes.items())


def _labels(told: Sequence[Estimate]) -> list[messages.Estimate]:
    return [
        messages.Estimate(word=one.word, probability=round(one.probability, 4), uncertain=one.uncertain) for one in told
    ]


def _face(region: views.Region, told: Sequence[Estimate], size: tuple[int, int]) -> SeenFace:
    assert region.face is not None
    assert region.number is not None
    return SeenFace(
        number=region.number,
        box=region.face.box,
        corners=[(float(x), float(y)) for x, y in region.part.corners],
        landmarks=[(float(x), float(y)) for x, y in region.face.landmarks],
        labels=_labels(told),
        warnings=region.warnings(size),
    )


def _reduced(view: View, longest: int) -> View:
    """The whole photo with at most so many pixels on its longer side."""
    width, height = view.photo.image.size
    scale = longest / max(width, height)
    if scale >= 1:
        return view
    return view.window((0, 0, width, height), (max(1, round(width * scale)), max(1, round(height * scale))))


def _close_up(view: View, rows: Sequence[int], side: int) -> View:
    """The square of the photo around some faces; the whole photo if the model is not about faces."""
    if view.regions[0].face is None:
        return _reduced(view, side)
    corners = np.concatenate([view.regions[row].part.corners for row in rows])
    size = view.photo.image.size
    low, high = np.clip(corners.min(0), 0, size), np.clip(corners.max(0), 0, size)
    reach = max(AROUND * (high - low).max() / 2, 8)
    middle = (low + high) / 2
    low, high = np.clip(middle - reach, 0, size).astype(int), np.clip(middle + reach, 1, size).astype(int)
    scale = min(1.0, side / max(high - low))
    box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    return view.window(box, (max(1, round((box[2] - box[0]) * scale)), max(1, round((box[3] - box[1]) * scale))))


def _base64(image: Image.Image) -> str:
    encoded = io.BytesIO()
    images.write(image, encoded, "JPEG")
    return base64.b64encode(encoded.getvalue()).decode()
