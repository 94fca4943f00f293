"""Reads the tensors of a PyTorch file of the form before version 1.6, without PyTorch.

Such a file is a sequence of pickles (a magic number, the version, the sizes of types, the tensors' descriptions, the
names of their storages), followed by the numbers of each storage. Nothing in it is run: only tensors are understood.
"""

import math
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stargan.errors import ModelError

MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass(frozen=True)
class _Tensor:
    """A tensor whose numbers are not read yet.

    Attributes:
        storage: The name of the storage with its numbers.
        dtype: Their type.
        start: The index of its first number in the storage.
        shape: Its shape.
        strides: The distance, in numbers, between two neighbours along each axis.
    """

    storage: str
    dtype: np.dtype[Any]
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def among(self, numbers: np.ndarray) -> np.ndarray:
        """Returns it as an array, given its storage."""
        if any(size < 0 or stride < 0 for size, stride in zip(self.shape, self.strides, strict=True)):
            raise ValueError("negative sizes")
        last = self.start + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        larger = math.prod(self.shape) > len(numbers)  # with strides of zero, a few numbers could become gigabytes
        if self.start < 0 or larger or (0 not in self.shape and last >= len(numbers)):
            raise ValueError("a tensor exceeds its storage")
        strides = tuple(stride * numbers.itemsize for stride in self.strides)
        return np.lib.stride_tricks.as_strided(numbers[self.start :], self.shape, strides).copy()


class _Unpickler(pickle.Unpickler):
    """Understands descriptions of tensors by name, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, *place: _Tensor(storage[0], storage[1], *place[:3])
        if module == "torch" and name in TYPES:
            return TYPES[name]
        raise pickle.UnpicklingError(f"it contains {module}.{name}")

    def persistent_load(self, pid: Any) -> tuple[str, np.dtype[Any]]:
        _, dtype, name, *_ = pid
        return name, dtype


def read(path: Path) -> dict[str, np.ndarray]:
    """Returns the tensors by name.

    Raises:
        ModelError: The file cannot be read, or is not of this form.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # pickle raises nearly anything on damaged files
        raise ModelError(f"{path}: damaged, or not a PyTorch file of this form ({error})") from error


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    magic, _, _, tensors, names = (_Unpickler(file).load() for _ in range(5))
    if magic != MAGIC:
        raise ValueError("its beginning is another")
    dtypes = {tensor.storage: tensor.dtype for tensor in tensors.values()}
    storages = {}
    for name in names:
        (count,) = np.frombuffer(file.read(8), "<i8")
        storages[name] = np.frombuffer(file.read(int(count) * dtypes[name].itemsize), dtypes[name], int(count))
    return {name: tensor.among(storages[tensor.storage]) for name, tensor in tensors.items()}
