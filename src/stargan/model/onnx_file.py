"""`.onnx` model files: they run anywhere without PyTorch."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stargan.errors import ModelError, require
from stargan.model.info import ModelInfo
from stargan.old_names import NETWORKS
from stargan.storage import write_bytes

DESCRIPTION = "stargan"  # metadata: what the model says about itself
CLASSIFIER = "classifier"  # metadata: the attribute classifier's graph in base64


def write(path: Path, info: ModelInfo, generator: bytes, classifier: bytes | None) -> None:
    """Writes a file whole or not at all.

    The attribute classifier travels as metadata: only images with unknown labels need it, and as part of the graph it
    would be computed at every translation.

    Args:
        path: Ends in `.onnx`.
        info: What the file says about itself.
        generator: A serialised graph from `images` and `labels` to `translated`.
        classifier: One from `images` to `logits`.
    """
    model = require("onnx", "train", "write .onnx files").load_from_string(generator)
    metadata = {DESCRIPTION: info.dumps()}
    if classifier is not None:
        metadata[CLASSIFIER] = base64.b64encode(classifier).decode()
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    write_bytes(path, model.SerializeToString())


def describe(source: Path, path: Path, change: Callable[[ModelInfo], ModelInfo]) -> ModelInfo:
    """Writes a file again, with the same graphs and another description.

    Args:
        source: The file.
        path: The file to write, which may be the same.
        change: Makes the new description from the old one.

    Returns:
        The new description.

    Raises:
        ModelError: The file is missing, damaged or not ours; or what `change` raises.
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
    (found,) = (entry for entry in model.metadata_props if entry.key == key)
    return found
