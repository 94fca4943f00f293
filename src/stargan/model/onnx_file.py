"""`.onnx` model files, which run without PyTorch."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stargan.errors import ModelError, require
from stargan.model.info import ModelInfo
from stargan.old_names import NETWORKS
from stargan.storage import write_bytes

DESCRIPTION = "stargan"  # metadata key of the model's description
CLASSIFIER = "classifier"  # metadata key of the attribute classifier's graph, in base64


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
    write_bytes(path, model.SerializeToString())


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
    try:
        model = library.load(source)
        entry = _entry(model, DESCRIPTION)
        info = ModelInfo.loads(entry.value)
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error
    except Exception as error:  # protobuf raises its own unrelated classes for damaged files
        raise ModelError(f"{source}: damaged or not an .onnx file of stargan ({error})") from error
    info = change(info)
    entry.value = info.dumps()
    for other in model.metadata_props:
        other.key = NETWORKS.get(other.key, other.key)
    write_bytes(path, model.SerializeToString())
    return info


def _entry(model: Any, key: str) -> Any:
    (match,) = (entry for entry in model.metadata_props if entry.key == key)
    return match
