"""examples/stargan_keras.py computes the losses of the official code, and trains."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from stargan.data import cartoons

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed: pip install 'stargan[tensorflow]'")
ROOT = Path(__file__).parents[1]
FIXTURE = ROOT / "tests/fixtures/celeba_binary.npz"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stargan_keras", ROOT / "examples/stargan_keras.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load(network: Any, arrays: dict[str, np.ndarray], last: tuple[str, ...] = ()) -> None:
    """Sets the weights of the layers in order, from arrays of PyTorch's layout; those named in `last` come last."""
    names = [name.removesuffix(".weight") for name in arrays if name.endswith(".weight")]
    names = [name for name in names if name not in last] + list(last)
    layers = [layer for layer in network.layers if layer.weights]
    for layer, name in zip(layers, names, strict=True):
        weight = arrays[f"{name}.weight"]
        weights = [weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight]
        layer.set_weights(weights + ([arrays[f"{name}.bias"]] if f"{name}.bias" in arrays else []))


def test_its_losses_are_those_of_the_official_code(example: ModuleType) -> None:
    with np.load(FIXTURE) as file:
        fixture = {name: file[name] for name in file.files}
    meta = json.loads(str(fixture["meta"]))
    sizes = meta["image_size"], 5, meta["conv_dim"]
    generator = example.build_generator(*sizes, meta["g_repeat"])
    discriminator = example.build_discriminator(*sizes, meta["d_layers"])

    def under(prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): array for name, array in fixture.items() if name.startswith(prefix)}

    last = tuple(sorted(("conv1", "conv2"), key=lambda name: _order(discriminator, fixture, name)))
    _load(generator, under("before/G/"))
    _load(discriminator, under("before/D/"), last)
    model = example.StarGAN(generator, discriminator)
    images = tf.constant(fixture["in/images"].transpose(0, 2, 3, 1))
    labels, targets = (tf.constant(fixture[f"in/{name}"].astype(np.float32)) for name in ("c_org", "c_trg"))
    fake = generator([images, targets]).numpy().transpose(0, 3, 1, 2)
    np.testing.assert_allclose(fake, fixture["G/fake"], atol=1e-4)

    found = model.d_losses(images, labels, targets, tf.constant(fixture["in/alpha"]))
    weights = {"D_real": 1, "D_fake": 1, "D_cls": meta["lambda_cls"], "D_gp": meta["lambda_gp"]}
    for value, (name, weight) in zip(found.values(), weights.items(), strict=True):
        assert float(value) == pytest.approx(weight * fixture[f"loss/{name}"], rel=1e-4)

    _load(discriminator, under("after_D/D/"), last)
    found = model.g_losses(images, labels, targets)
    weights = {"G_adv": 1, "G_cls": meta["lambda_cls"], "G_rec": meta["lambda_rec"]}
    for value, (name, weight) in zip(found.values(), weights.items(), strict=True):
        assert float(value) == pytest.approx(weight * fixture[f"loss/{name}"], rel=1e-4)


def _order(discriminator: Any, fixture: dict[str, np.ndarray], name: str) -> int:
    """The place of one of D's two last layers, which Keras may list in either order."""
    channels = len(fixture[f"before/D/{name}.weight"])
    layers = [layer for layer in discriminator.layers if layer.weights]
    return next(index for index, layer in enumerate(layers) if index >= len(layers) - 2 and layer.filters == channels)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in Keras 3.15 itself
def test_it_trains(example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cartoons.write(tmp_path / "faces", 24, size=32)
    words = [str(tmp_path / "faces"), "--attributes", "Black_Hair", "Beard", "--out", str(tmp_path / "out")]
    sizes = ["--size", "16", "--width", "4", "--blocks", "1", "--batch", "4", "--epochs", "2", "--lr", "1e-3"]
    monkeypatch.setattr(sys, "argv", ["stargan_keras.py", *words, *sizes])
    example.main()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["001.png", "002.png", "generator.keras"]
    saved = example.keras.saving.load_model(tmp_path / "out/generator.keras", {"Paint": example.Paint})
    images = saved([tf.zeros((2, 16, 16, 3)), tf.constant([[1.0, 0.0], [0.0, 1.0]])]).numpy()
    assert images.shape == (2, 16, 16, 3)
    assert np.abs(images[0] - images[1]).max() > 0  # the labels matter
