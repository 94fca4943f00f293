"""Using a model: `load` and the `Translator` it gives. Needs no PyTorch for `.onnx` files."""

import base64
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from PIL import Image

from stargan import engine, images
from stargan.domains import Domains, requests
from stargan.domains.requests import Request
from stargan.errors import ConfigError, DomainError, ImageError, ModelError, require
from stargan.inference import onnx
from stargan.model import locations, safetensors_file
from stargan.model.info import ModelInfo

Picture = str | Path | bytes | Image.Image

PART_PIXELS = 4 * 128 * 128
"""Of the pictures that go through G together: more take more memory, and longer each, since caches hold no more."""


def max_batch(image_size: tuple[int, int]) -> int:
    """At most how many pictures of (width, height) go through G together."""
    return max(1, PART_PIXELS // (image_size[0] * image_size[1]))


Runtime = Literal["onnxruntime", "openvino"]
"""What can run an `.onnx` file."""


class Backend(Protocol):
    """What computes: ONNX Runtime, OpenVINO or PyTorch."""

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(N, 3, H, W) and (N, L) to (N, 3, H, W); all float32."""
        ...

    def classify(self, images: np.ndarray) -> np.ndarray:
        """(N, 3, H, W) to logits (N, C), float32; only where the model has a attribute classifier."""
        ...


class Translator:
    """A model ready for use.

    Args:
        info: What the model says about itself.
        backend: What computes.
    """

    def __init__(self, info: ModelInfo, backend: Backend) -> None:
        self.info = info
        self._backend = backend

    @property
    def domains(self) -> Domains:
        """What the model can be asked for."""
        return self.info.domains

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) of the pictures it gives."""
        return self.info.image_size

    def translate(self, image: Picture, words: Request, *, known: Request = ()) -> Image.Image:
        """Translates one picture.

        Args:
            image: A picture of any size and kind, or its file. It is turned upright, cut to the model's shape around
                its centre and scaled to the model's size.
            words: What is asked for, for example `{"Blond_Hair": 1, "Male": 0}` or `["Blond_Hair", "-Male"]`.
            known: What the picture shows, where you know it; the rest is estimated, see `values`.

        Returns:
            RGB picture of the model's size.

        Raises:
            DomainError: `words` or `known` are not understood.
            ImageError: The picture cannot be read.
            ModelError: The model's attribute classifier is needed and damaged.
        """
        requests.parse(self.domains, words)  # before any work
        prepared = self.prepare([image])
        labels = requests.target(self.domains, self.values(prepared, known)[0], words)
        return images.to_images(self.generate(prepared, labels[None]))[0]

    def every(self, image: Picture, *, known: Request = ()) -> list[tuple[str, Image.Image]]:
        """All domains of one picture: (word, picture) for each attribute flipped and each group value set.

        Raises:
            DomainError, ImageError, ModelError: As `translate`.
        """
        prepared = self.prepare([image])
        wanted = requests.every_target(self.domains, self.values(prepared, known)[0])
        labels = np.stack([labels for _, labels in wanted])
        pictures = images.to_images(self.generate(np.repeat(prepared, len(labels), axis=0), labels))
        return [(word, picture) for (word, _), picture in zip(wanted, pictures, strict=True)]

    def warnings(self, words: Request | None = None) -> list[str]:
        """What the model's card says against asking for `words`, default anything: a line for each that mostly fails.

        Raises:
            DomainError: `words` are not understood.
        """
        if self.info.card is None:
            return []
        if words is None:
            return self.info.card.warnings()
        asked = requests.parse(self.domains, words).items()
        return self.info.card.warnings([self.domains.names[i] + ("" if state else "=0") for i, state in asked])

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Translates arrays.

        Args:
            images: (N, 3, H, W) float32 in [-1, 1], RGB; `prepare` makes such.
            labels: (N, L) float32 target labels; `domains.labels` and `domains.target` make such.

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
        parts = -(-len(images) // max_batch(self.image_size))  # as few as allowed, of much the same size
        pairs = zip(np.array_split(images, parts), np.array_split(labels, parts), strict=True)
        return np.concatenate([self._backend.generate(*pair) for pair in pairs])

    def values(self, images: np.ndarray, known: Request = ()) -> np.ndarray:
        """What pictures show: estimated by the model's attribute classifier, else what is typical of its training data.

        Args:
            images: (N, 3, H, W) float32 in [-1, 1].
            known: Request that hold for all of them and override the estimate.

        Returns:
            (N, C) float32 of 0 and 1.

        Raises:
            DomainError: `known` is not understood.
            ImageError: `images` has the wrong shape.
            ModelError: The attribute classifier is needed and damaged.
        """
        self._check_images(np.asarray(images))
        if self.info.classifier and len(images) and not (known and requests.fully_specified(self.domains, known)):
            probabilities = self.domains.probabilities(self._backend.classify(np.asarray(images, np.float32)))
        else:
            label_frequencies = self.info.label_frequencies or (0.0,) * self.domains.num_classes
            probabilities = np.tile(np.array(label_frequencies, np.float32), (len(images), 1))
        values = self.domains.decide(probabilities)
        for row in values if known else ():
            row[:] = requests.apply(self.domains, row, known)[0]
        return values

    def prepare(self, pictures: Sequence[Picture]) -> np.ndarray:
        """Reads, turns upright, cuts and scales pictures: (N, 3, H, W) float32 in [-1, 1].

        Raises:
            ImageError: One of them cannot be read.
        """
        return images.to_array([images.read(p, self.info.image_size, self.info.crop) for p in pictures])

    def _check_images(self, array: np.ndarray) -> None:
        width, height = self.info.image_size
        if array.ndim != 4 or array.shape[1:] != (3, height, width):
            raise ImageError(f"images have shape {array.shape}; must be (N, 3, {height}, {width})")


def load(path: str | Path, *, runtime: Runtime = "onnxruntime") -> Translator:
    """Loads a model.

    Args:
        path: An `.onnx` file, a `.safetensors` file, a run folder (its finished model, else its newest checkpoint), or
            the name of a model that comes with the package: `celeba`, `cartoons`.
        runtime: What runs G of an `.onnx` file. OpenVINO, for which `stargan[openvino]` must be installed, takes longer
            to load it and less for each picture (docs/performance.md); calls from several threads wait for each other.

    Raises:
        ModelError: It is missing, damaged or not a model of ours; or `runtime` cannot run it.
        MissingExtraError: A `.safetensors` file without PyTorch, or a runtime that is not installed.
        ConfigError: There is no such runtime.
    """
    if runtime not in get_args(Runtime):
        raise ConfigError(f"runtime {runtime}: must be {' or '.join(get_args(Runtime))}")
    file = locations.locate(Path(path), locations.BEST_FOR_USE)
    if file.suffix == ".onnx":
        return _load_onnx(file, runtime)
    if file.suffix == ".safetensors" and runtime != "onnxruntime":
        raise ModelError(f"{file}: {runtime} runs .onnx files; `stargan export` makes one of it")
    if file.suffix == ".safetensors":
        return _load_safetensors(file)
    raise ModelError(f"{file}: not a model file; must be .onnx, .safetensors or a run folder")


# ---------------------------------------------------------------- .onnx files


class _OnnxBackend:
    """G, ready to run, and a attribute classifier, which is base64 text in the file until it is first asked for.

    Args:
        path: The file.
        generate: (N, 3, H, W) and (N, L) to (N, 3, H, W).
        classifier: Makes a session of the attribute classifier.
    """

    def __init__(
        self, path: Path, generate: Callable[[np.ndarray, np.ndarray], np.ndarray], classifier: Callable[[], Any]
    ) -> None:
        self._path = path
        self.generate = generate
        self._classifier = cache(classifier)

    def classify(self, images: np.ndarray) -> np.ndarray:
        try:
            session = self._classifier()
        except Exception as error:  # as below
            raise ModelError(f"{self._path}: its attribute classifier is damaged ({_said(error)})") from error
        return session.run(["logits"], {"images": images})[0]


def _load_onnx(path: Path, runtime: Runtime) -> Translator:
    """ONNX Runtime looks at the file in any case: damage and strange graphs get the same lines for either runtime."""
    if runtime == "openvino":
        require("openvino", "openvino", "run models with OpenVINO")
    try:
        session = onnx.opened(path) if runtime == "onnxruntime" else onnx.session(str(path), run=False)
        metadata = session.get_modelmeta().custom_metadata_map
    except Exception as error:  # ONNX Runtime raises its own unrelated classes for damaged files
        raise ModelError(f"{path}: damaged or not an .onnx file ({_said(error)})") from error
    if "stargan" not in metadata:
        raise ModelError(f"{path}: an .onnx file, but not one that stargan wrote")
    try:
        info = ModelInfo.loads(metadata["stargan"])
        width, height = info.image_size
        pictures = {"images": [3, height, width]}
        _check_graph(session, {**pictures, "labels": [info.domains.num_labels]}, "translated")
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error

    def classifier() -> Any:
        found = onnx.session(base64.b64decode(metadata.get("classifier", ""), validate=True), awake=False)
        _check_graph(found, pictures, "logits")
        return found

    if runtime == "openvino":
        del session  # its memory is not to be held beside OpenVINO's
        return Translator(info, _OnnxBackend(path, onnx.openvino(path), classifier))

    def generate(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        made: np.ndarray = session.run(["translated"], {"images": images, "labels": labels})[0]
        return made

    return Translator(info, _OnnxBackend(path, generate, classifier))


def _check_graph(session: Any, inputs: dict[str, list[int]], output: str) -> None:
    """The graph must have what the description says: inputs by name, with shapes but for the batch, and an output."""
    shapes = {node.name: node.shape[1:] for node in session.get_inputs()}
    if shapes != inputs or output not in [node.name for node in session.get_outputs()]:
        raise ModelError(f"its description does not fit its graph, whose inputs are {shapes}")


def _said(error: Exception) -> str:
    """The first line of what an error says."""
    return next(iter(str(error).splitlines()), type(error).__name__)


# ---------------------------------------------------------------- PyTorch


def _load_safetensors(path: Path) -> Translator:
    info, arrays, _ = safetensors_file.read(
        path, networks=("generator", "classifier")
    )  # D is the largest, and of no use here
    try:
        framework = engine.framework(info.engine, "use .safetensors files (an .onnx file needs nothing more)")
        return Translator(info, framework.predictor(info.architecture, info.domains, arrays))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
