"""The description in a model file; the same JSON in `.onnx` and `.safetensors`."""

import dataclasses
import json
import math
import reprlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stargan.config.architecture import Architecture
from stargan.config.checks import CELEBA_CROP, MAX_CROP, check_range, is_integer, is_number, typed
from stargan.domains import Domains
from stargan.errors import ConfigError, DomainError, ModelError
from stargan.model.card import Card
from stargan.model.face_crop import CELEBA, FaceCrop
from stargan.old_names import DATA, DESCRIPTION, SETTINGS, renamed

FORMAT = "stargan-model-2"
MAX_TEXT = 2**24
FIRST_FORMAT = "stargan-model-1"  # had the sizes of the networks at the top level, and other names: see `old_names`


@dataclass(frozen=True)
class ModelInfo:
    """The description of a model.

    Attributes:
        domains: The label layout: which domains the model can translate to.
        architecture: The sizes of its networks.
        crop: How much of an image was used in training, around its centre: a fraction, up to 1, of the largest part of
            the shape of `image_size`, or a number of pixels, above 1. None: all of that part.
        face_crop: Where the face lies in the training images, for a model that was trained on aligned faces.
        range: Which values of samples became black and white in training images with more than 8 bits or floats; None
            for images with 8 bits.
        label_frequencies: How often each class is on in the training data, (C,), in [0, 1].
        classifier: Whether the file contains an attribute classifier, which estimates the labels of an image.
        temperatures: (C,) by which the classifier's logits are divided so that its probabilities can be trusted, from
            held-out images; empty if not measured.
        engine: The framework it was trained with.
        recipe: The recipe it was trained with.
        steps: The number of updates of D.
        data: One object per data set: its name, kind and number of training images.
        quality: Metrics by name, measured on images that were not used for training.
        licence: Licence of the training data as text; empty if unknown.
        card: The measured quality of the model; None if it was not measured.
    """

    domains: Domains
    architecture: Architecture
    crop: float | None = None
    face_crop: FaceCrop | None = None
    range: tuple[float, float] | None = None
    label_frequencies: tuple[float, ...] = ()
    classifier: bool = False
    temperatures: tuple[float, ...] = ()
    engine: str = "pytorch"
    recipe: str = ""
    steps: int = 0
    data: tuple[dict[str, Any], ...] = ()
    quality: dict[str, float] = field(default_factory=dict)
    licence: str = ""
    card: Card | None = None

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) of its images, in pixels."""
        return self.architecture.image_size

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Turns the attribute classifier's logits, (N, C), into probabilities, (N, C) float32 in [0, 1]."""
        return self.domains.probabilities(logits / np.array(self.temperatures) if self.temperatures else logits)

    def dumps(self) -> str:
        """Returns the description as JSON text."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain |= {
            "domains": self.domains.to_json(),
            "architecture": dataclasses.asdict(self.architecture),
            "face_crop": self.face_crop and self.face_crop.to_json(),
            "card": self.card and self.card.to_json(),
            "quality": {name: value for name, value in self.quality.items() if math.isfinite(value)},
        }
        return json.dumps({"format": FORMAT, **plain}, ensure_ascii=False, allow_nan=False)  # NaN is not JSON

    @classmethod
    def loads(cls, text: str) -> "ModelInfo":
        """Restores and checks what `dumps` returned; also reads the format of earlier versions.

        Raises:
            ModelError: The text is not a valid description.
        """
        if len(text) > MAX_TEXT:
            raise ModelError(f"its description has {len(text)} characters; at most {MAX_TEXT} are read")
        try:
            plain = json.loads(text)
            version = plain.pop("format")
            if version == FIRST_FORMAT:
                plain = _from_first_format(plain)
            elif version != FORMAT:
                raise ModelError(f"not of the format {FORMAT}; written by a newer version of stargan?")
            plain["domains"] = Domains.from_json(plain["domains"])
            plain["architecture"] = _architecture(plain["architecture"])
            plain["face_crop"] = None if plain.get("face_crop") is None else FaceCrop.from_json(plain["face_crop"])
            if plain.get("crop") == CELEBA_CROP:  # of a file from before crops were places
                plain |= {"crop": None, "face_crop": plain["face_crop"] or CELEBA}
            plain["card"] = None if plain.get("card") is None else Card.from_json(plain["card"])
            unknown = sorted(plain.keys() - {f.name for f in dataclasses.fields(cls)})
            if unknown:
                raise ModelError(f"unknown field {unknown[0]!r}; written by a newer version of stargan?")
            plain["range"] = typed("range", plain.get("range"), None)
            for name in {"label_frequencies", "data", "temperatures"} & plain.keys():
                plain[name] = tuple(plain[name])
            info = cls(**plain)
            info._check()
            info.dumps().encode()  # fails on text that could not be written again, such as half a surrogate pair
        except (DomainError, ConfigError) as error:
            raise ModelError(f"its description cannot be read: {str(error).removeprefix('--')}") from error
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ModelError(f"its description cannot be read ({type(error).__name__}: {error})") from error
        return info

    def _check(self) -> None:
        self._require("steps", is_integer(self.steps) and 0 <= self.steps < 2**31, f"a count from 0 to {2**31 - 1}")
        crop_valid = self.crop is None or (is_number(self.crop) and 0 < self.crop <= MAX_CROP)
        self._require("crop", crop_valid, "a fraction up to 1 or a number of pixels")
        check_range(self.range)
        for name, kind, expected in (
            ("classifier", bool, "true or false"),
            ("engine", str, "text"),
            ("recipe", str, "text"),
            ("licence", str, "text"),
            ("quality", dict, "figures by name"),
        ):
            self._require(name, isinstance(getattr(self, name), kind), expected)
        finite = all(is_number(value) and math.isfinite(value) for value in self.quality.values())
        self._require("quality", finite, "finite figures by name")
        self._require("data", all(isinstance(item, dict) for item in self.data), "one object per data set")
        frequencies_valid = all(is_number(value) and 0 <= value <= 1 for value in self.label_frequencies)
        self._require("label_frequencies", frequencies_valid, "numbers in [0, 1]")
        temperatures_valid = all(is_number(value) and 0.01 <= value <= 100 for value in self.temperatures)
        self._require("temperatures", temperatures_valid, "numbers from 0.01 to 100")
        for name in ("label_frequencies", "temperatures"):
            count = len(getattr(self, name))
            if count not in (0, self.domains.num_classes):
                words = name.replace("_", " ")
                raise ModelError(f"its description has {count} {words} for {self.domains.num_classes} classes")

    def _require(self, name: str, valid: bool, expected: str) -> None:
        if not valid:
            raise ModelError(f"its description has {name} {reprlib.repr(getattr(self, name))}, not {expected}")


def _from_first_format(plain: dict[str, Any]) -> dict[str, Any]:
    """Converts a description of the first format to the current one."""
    plain = renamed(renamed(plain, SETTINGS), DESCRIPTION)
    sizes = [f.name for f in dataclasses.fields(Architecture)]
    plain["architecture"] = {n: plain.pop(n) for n in sizes if n == "image_size" or n in plain}
    plain["data"] = [renamed(entry, DATA) for entry in plain["data"]]
    return plain


def _architecture(plain: Any) -> Architecture:
    defaults = {f.name: f.default for f in dataclasses.fields(Architecture)}
    plain = {"image_size": plain["image_size"], **plain}  # required, although `Architecture` has a default for it
    return Architecture(**{name: typed(name, value, defaults[name]) for name, value in plain.items()})
