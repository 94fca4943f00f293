"""One changed byte: a reader refuses the file, or its content is what it was. Files without digests are still read."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import in_process

import stargan
from stargan.domains import Domains, Group, LabelSet
from stargan.errors import CheckpointError, ModelError
from stargan.evaluation.classifier import Classifier
from stargan.model import digest, locations, onnx_file, run_folder, safetensors_file
from stargan.training import checkpoint

FLIPS = 200


def results(path: Path) -> list[np.ndarray]:
    """What a model makes of some images."""
    model = stargan.load(path)
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (2, 3, 16, 16)).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)[:2]
    return [model.generate(images, labels), model.probabilities(images)]


def state(path: Path) -> list[np.ndarray]:
    """What a run continues from."""
    info, arrays, metadata = safetensors_file.read(path, training=True)
    return [np.array(info.dumps()), np.array(metadata["data_key"]), *(arrays[name] for name in sorted(arrays))]


@pytest.fixture
def files(run: Path) -> dict[str, tuple[Path, Callable[[Path], list[np.ndarray]]]]:
    return {
        "model.onnx": (run / "model.onnx", results),
        "model.safetensors": (run / "model.safetensors", results),
        "checkpoint": (run_folder.checkpoints(run)[-1], state),
    }


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors", "checkpoint"])
def test_one_changed_byte_is_noticed(name: str, files: Any, tmp_path: Path) -> None:
    source, look = files[name]
    content, expected = source.read_bytes(), look(source)
    rng, refused = random.Random(0), 0
    # Half of the bytes from the first part, which has the description, the names and the graph.
    places = [rng.randrange(4000 if turn % 2 else len(content)) for turn in range(FLIPS)]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= rng.randrange(1, 256)
        path = tmp_path / f"damaged{source.suffix}"
        path.write_bytes(damaged)
        found, line = looked(look, path)
        if line:
            assert str(path) in line
            assert len(line) < 500
            refused += 1
        for before, after in zip(expected, found or expected, strict=True):
            np.testing.assert_array_equal(before, after)
    assert refused > 0.4 * FLIPS  # half of the bytes of model.safetensors are D's, which translates nothing


def looked(look: Callable[[Path], list[np.ndarray]], path: Path) -> tuple[list[np.ndarray], str]:
    try:
        return look(path), ""
    except ModelError as error:
        return [], str(error)


def test_weights_as_a_whole(run: Path, tmp_path: Path) -> None:
    """Every network is checked, and only those that are read."""
    path = tmp_path / "m.safetensors"
    content = bytearray((run / "model.safetensors").read_bytes())
    content[-100] ^= 1  # in the last array by name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged: its array generator/.* does not have the digest"):
        safetensors_file.read(path)
    safetensors_file.read(path, networks=("discriminator",))
    safetensors_file.read(path, networks=())


def test_files_without_digests_are_read(run: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.onnx"
    content = (run / "model.onnx").read_bytes()
    old.write_bytes(content[:-20])
    assert digest.KEY.encode() not in old.read_bytes()
    assert digest.with_digest(old.read_bytes()) == content
    for before, after in zip(results(run / "model.onnx"), results(old), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_changed_description_gets_a_new_digest(run: Path, tmp_path: Path) -> None:
    done = in_process("export", run / "model.onnx", tmp_path / "m.onnx", "--licence", "none")
    assert done.returncode == 0, done.stderr
    assert onnx_file.read(tmp_path / "m.onnx").info.licence == "none"
    assert (tmp_path / "m.onnx").read_bytes().count(b"\x06digest") == 1


def test_a_damaged_checkpoint_is_named_with_the_one_before(run: Path, tmp_path: Path) -> None:
    for path in run_folder.checkpoints(run):
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        (tmp_path / "checkpoints" / path.name).write_bytes(path.read_bytes())
    newest = run_folder.checkpoints(tmp_path)[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged: .*; delete it to continue from step-00000010.safetensors"):
        checkpoint.load(tmp_path, data_key=json.dumps(None))


@pytest.mark.parametrize("name", ["celeba", "cartoons"])
def test_shipped_models_have_digests(name: str, tmp_path: Path) -> None:
    content = bytearray((locations.SHIPPED / f"{name}.onnx").read_bytes())
    content[len(content) // 2] ^= 16
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        onnx_file.read(tmp_path / "m.onnx")


@pytest.mark.parametrize("damage", [b"", b"\x00" * 100, None])
def test_a_damaged_evaluation_classifier_is_trained_again(
    damage: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARGAN_CACHE", str(tmp_path))
    trained: list[str] = []
    monkeypatch.setattr(Classifier, "_train", lambda self, pixels, values, rows, name: trained.append(name))
    domains = Domains((LabelSet("data", (Group(("a",)),)),))
    nothing = np.zeros((0, 8, 8, 3), np.uint8), np.zeros((0, 1)), np.zeros(0, int)
    for name in ("first", "second"):
        Classifier(domains, (0,)).fit(*nothing, key="key", name=name)
    assert trained == ["first"]
    (path,) = tmp_path.glob("classifier-*")
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content if damage is None else damage)
    Classifier(domains, (0,)).fit(*nothing, key="key", name="third")
    assert trained == ["first", "third"]
