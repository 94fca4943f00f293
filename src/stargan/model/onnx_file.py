"""`.onnx` model files, which run without PyTorch."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stargan.errors import ModelError, require
from stargan.model import digest, onnx_graph
from stargan.model.info import ModelInfo
from stargan.old_names import NETWORKS, renamed
from stargan.storage import open_regular, write_bytes

DESCRIPTION = "stargan"  # metadata key of the model's description
CLASSIFIER = "classifier"  # metadata key of the attribute classifier's graph, in base64


@dataclass(frozen=True)
class OnnxFile:
    """The content of a model file.

    Attributes:
        path: The file, for messages.
        info: The description.
        generator: The whole file, which is a serialised graph from `images` and `labels` to `translated`.
        classifier: The attribute classifier, a serialised graph from `images` to `logits`, in base64; empty if there is
            none.
    """

    path: Path
    info: ModelInfo
    generator: bytes
    classifier: str


def read(path: Path) -> OnnxFile:
    """Reads a model file without loading its graphs; `onnx_session.session` checks and loads them.

    Raises:
        ModelError: The file is missing, damaged (see `digest.check`) or not one of ours.
    """
    model = content(path)
    try:
        metadata = renamed(onnx_graph.metadata(model), NETWORKS)
        if DESCRIPTION not in metadata:
            raise ModelError("an .onnx file, but not one that stargan wrote")
        digest.check(model, metadata)
        return OnnxFile(path, ModelInfo.loads(metadata[DESCRIPTION]), model, metadata.get(CLASSIFIER, ""))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def content(path: Path) -> bytes:
    """Reads an `.onnx` file, not necessarily one of ours.

    Raises:
        ModelError: It cannot be read, or is too large for an `.onnx` file.
    """
    try:
        with open_regular(path) as file:
            model = file.read(onnx_graph.MAX_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    if len(model) > onnx_graph.MAX_BYTES:
        raise ModelError(f"{path}: more than {onnx_graph.MAX_BYTES} bytes, which no .onnx file can have")
    return model


def write(path: Path, info: ModelInfo, generator: bytes, classifier: bytes | None) -> None:
    """Writes a model file atomically.

    The attribute classifier is stored as metadata. Only images with unknown labels need it, and as a part of the graph
    it would run at every translation.

    Args:
        path: The file to write, ending in `.onnx`.
        info: The description of the model.
        generator: A serialised graph from `images` and `labels` to `translated`.
        classifier: A serialised graph from `images` to `logits`, or None.
    """
    model = require("onnx", "train", "write .onnx files").load_from_string(generator)
    metadata = {DESCRIPTION: info.dumps()}
    if classifier is not None:
        metadata[CLASSIFIER] = base64.b64encode(classifier).decode()
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    write_bytes(path, digest.with_digest(model.SerializeToString()))


def describe(source: Path, path: Path, change: Callable[[ModelInfo], ModelInfo]) -> ModelInfo:
    """Copies a model file and changes its description.

    Args:
        source: The file to read.
        path: The file to write; may be the same.
        change: Returns the new description for the old one.

    Returns:
        The new description.

    Raises:
        ModelError: The file is missing, damaged or not one of ours. Errors of `change` pass through.
    """
    library = require("onnx", "train", "write .onnx files")
    old = read(source)
    try:
        onnx_graph.check(old.generator)
        model = library.load_from_string(old.generator)
        entry = _entry(model, DESCRIPTION)
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error
    except Exception as error:  # protobuf raises its own unrelated classes for damaged files
        raise ModelError(f"{source}: damaged or not an .onnx file of stargan ({error})") from error
    info = change(old.info)
    entry.value = info.dumps()
    for other in list(model.metadata_props):
        other.key = NETWORKS.get(other.key, other.key)
        if other.key == digest.KEY:
            model.metadata_props.remove(other)
    write_bytes(path, digest.with_digest(model.SerializeToString()))
    return info


def _entry(model: Any, key: str) -> Any:
    (match,) = (entry for entry in model.metadata_props if entry.key == key)
    return match
