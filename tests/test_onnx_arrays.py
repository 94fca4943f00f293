"""The weights of `.onnx` files come back as the arrays that they were made of."""

from pathlib import Path

import numpy as np
import pytest
import torch

from stargan.config import Architecture
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.pytorch import networks
from stargan.engine.pytorch.fast import winograd
from stargan.errors import ModelError
from stargan.interop import onnx_arrays
from stargan.interop.export import export
from stargan.model import onnx_file, safetensors_file
from stargan.model.info import ModelInfo

onnx = pytest.importorskip("onnx")

FIXTURE = Path(__file__).parent / "fixtures" / "version-0.1"
DOMAINS = Domains((LabelSet("a", (Group(("x", "y", "z")), Group(("u", "v"), categorical=True))),))
ARCHITECTURES = {
    "rewritten for CPUs": Architecture((32, 32), 8, 2, 2, attention_mask=True),
    "edit": Architecture((64, 64), 16, 1, 3, generator="edit", details=8, palette=True),
    "edit, as before the palette": Architecture((128, 128), 16, 1, 3, generator="edit", details=8),
}


def model_file(path: Path, architecture: Architecture) -> dict[str, np.ndarray]:
    """A model of an untrained network: many of its arrays are equal, and the exporter merges equal ones."""
    torch.manual_seed(0)
    made = {name: networks.build(name, architecture, DOMAINS, plain=True) for name in ("generator", "classifier")}
    arrays = {
        f"{name}/{key}": array.astype(np.float16).astype(np.float32)  # so that --half changes nothing
        for name, network in made.items()
        for key, array in networks.to_arrays(network).items()
    }
    safetensors_file.write(path, ModelInfo(DOMAINS, architecture, classifier=True), arrays, {})
    return arrays


@pytest.mark.parametrize(
    ("name", "half"), [("rewritten for CPUs", True), ("edit", False), ("edit, as before the palette", False)]
)
def test_the_arrays_come_back(name: str, half: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 1)
    monkeypatch.setattr(winograd, "FEWEST_TILES", 1)
    arrays = model_file(tmp_path / "m.safetensors", ARCHITECTURES[name])
    export(tmp_path / "m.safetensors", tmp_path / "m.onnx", half=half)
    info, found = onnx_arrays.read(tmp_path / "m.onnx", "pytorch")
    assert info.architecture == ARCHITECTURES[name]
    assert found.keys() == arrays.keys()
    for key, array in arrays.items():
        assert np.array_equal(found[key], array), key


def test_files_of_the_first_version() -> None:
    _, found = onnx_arrays.read(FIXTURE / "model.onnx", "pytorch")
    _, arrays, _ = safetensors_file.read(FIXTURE / "model.safetensors", networks=("generator", "classifier"))
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[key], array) for key, array in arrays.items())


# ---------------------------------------------------------------- graphs of others


def changed(tmp_path: Path, change: str) -> Path:
    """A model file with another graph or description."""
    file = onnx_file.read(FIXTURE / "model.onnx")
    model, description = onnx.load_from_string(file.generator), file.info.dumps()
    if change == "an operation":
        next(node for node in model.graph.node if node.op_type == "Tanh").op_type = "Sigmoid"
    elif change == "a name":
        weight = next(array for array in model.graph.initializer if array.name == "layers.0.weight")
        weight.name = "kernel"
        next(node for node in model.graph.node if node.input[1:2] == ["layers.0.weight"]).input[1] = "kernel"
    else:
        description = description.replace('"width": 4', '"width": 1024')
    for entry in list(model.metadata_props):
        if entry.key == "stargan":
            entry.value = description
        elif entry.key == "digest":
            model.metadata_props.remove(entry)
    (tmp_path / "changed.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "changed.onnx"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("an operation", "give other images than its graph"),
        ("a name", "generator/layers.0.weight is missing"),
        ("sizes", "its description needs 301989888 at least"),
    ],
)
def test_other_graphs_get_one_line(change: str, message: str, tmp_path: Path) -> None:
    path = changed(tmp_path, change)
    with pytest.raises(ModelError) as caught:
        onnx_arrays.read(path, "pytorch")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
