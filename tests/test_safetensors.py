"""Writing `.safetensors` files, whose format the library that reads them has defined."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from stargan.config import Architecture
from stargan.domains import Domains, Group, LabelSet
from stargan.model import safetensors_file
from stargan.model.info import ModelInfo

INFO = ModelInfo(domains=Domains((LabelSet("data", (Group(("a",)),)),)), architecture=Architecture((16, 16)))
KINDS = ("f4", "f2", "f8", "i8", "i4", "u1", "bool", ">f4")


@pytest.mark.parametrize("first", [0, 3, 5])
def test_the_library_reads_every_type_and_shape(tmp_path: Path, first: int) -> None:
    rng = np.random.default_rng(0)
    shapes = [(3, 5), (), (0, 2), (7,)]
    arrays = {
        f"training/{kind}{shape}": (rng.random(shape) * 9).astype(kind)
        for kind in np.roll(KINDS, first)
        for shape in shapes
    }
    arrays["training/turned"] = rng.random((4, 6), np.float32).T
    safetensors_file.write(tmp_path / "m.safetensors", INFO, arrays, {"note": "äöü"})
    found = load_file(tmp_path / "m.safetensors")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].shape == array.shape
        assert found[name].dtype == array.dtype.newbyteorder("=")
        assert np.array_equal(found[name], array)
    with safe_open(tmp_path / "m.safetensors", framework="numpy") as file:
        assert file.metadata()["note"] == "äöü"
    assert safetensors_file.read(tmp_path / "m.safetensors", training=True)[1].keys() == arrays.keys()


def test_writing_needs_no_second_copy_in_memory(tmp_path: Path) -> None:
    arrays = {f"training/{n}": np.full(1_000_000, n, np.float32) for n in range(5)}
    tracemalloc.start()
    try:
        safetensors_file.write(tmp_path / "m.safetensors", INFO, arrays, {})
        assert tracemalloc.get_traced_memory()[1] < 1_000_000  # of 20 MB
    finally:
        tracemalloc.stop()
