"""Digests in model files, by which a reader notices damage.

They are CRC-32 numbers, which change with every single byte. They protect from damage, not from forgery. Files of
earlier versions have none and are read without this check.
"""

import json
import zlib
from collections.abc import Mapping

import numpy as np

from stargan.errors import ModelError

KEY = "digest"  # of an `.onnx` file's metadata
ARRAYS_KEY = "digests"  # of a `.safetensors` file's metadata

_ENTRY = b"\x72\x12\x0a\x06" + KEY.encode() + b"\x12\x08"
"""A digest in an `.onnx` file, up to its eight hexadecimal digits: the last entry of the metadata."""
_SIZE = len(_ENTRY) + 8


def with_digest(model: bytes) -> bytes:
    """Appends the digest of an `.onnx` file, which has none yet."""
    return model + _entry(model)


def check(model: bytes, metadata: Mapping[str, str]) -> None:
    """Checks the digest of an `.onnx` file.

    Args:
        model: The whole file.
        metadata: Its metadata; without a digest in it, any content is accepted.

    Raises:
        ModelError: The content has another digest.
    """
    if KEY in metadata and model[-_SIZE:] != _entry(memoryview(model)[:-_SIZE]):
        raise ModelError("damaged: its content does not have the digest that it was written with")


def _entry(model: bytes | memoryview) -> bytes:
    return _ENTRY + b"%08x" % zlib.crc32(model)


def of_arrays(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """Returns the digests for a `.safetensors` file: one for each array, and one for the metadata."""
    return json.dumps({"": _of_metadata(metadata), **{name: _of_array(array) for name, array in arrays.items()}})


def parse(metadata: dict[str, str]) -> dict[str, int] | None:
    """Takes the digests out of the metadata of a `.safetensors` file and checks that of the metadata.

    Returns:
        What `check_array` needs; None if the file has no digests.

    Raises:
        ModelError: The metadata have another digest, or the digests are damaged.
    """
    text = metadata.pop(ARRAYS_KEY, None)
    if text is None:
        return None
    try:
        digests: dict[str, int] = dict(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError("damaged: its digests cannot be read") from error
    if digests.get("") != _of_metadata(metadata):
        raise ModelError("damaged: its description does not have the digest that it was written with")
    return digests


def check_array(name: str, array: np.ndarray, digests: dict[str, int] | None) -> None:
    """Checks one array of a `.safetensors` file.

    Raises:
        ModelError: It has another digest.
    """
    if digests is not None and digests.get(name) != _of_array(array):
        raise ModelError(f"damaged: its array {name[:60]} does not have the digest that it was written with")


def _of_metadata(metadata: Mapping[str, str]) -> int:
    return zlib.crc32(json.dumps(sorted(metadata.items())).encode())


def _of_array(array: np.ndarray) -> int:
    kind = zlib.crc32(f"{array.dtype.str}{array.shape}".encode())
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, kind)
