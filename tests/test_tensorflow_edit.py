"""The edit generator in TensorFlow: it agrees with PyTorch's and with the shipped model, and Keras alone can run it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install '.[tensorflow]'")

import keras

import stargan
from stargan.config import Architecture
from stargan.domains import Domains, Group, LabelSet
from stargan.engine import registry
from stargan.engine.tensorflow import networks
from stargan.engine.tensorflow.network import to_arrays
from stargan.model import locations, onnx_file

DOMAINS = Domains((LabelSet("a", (Group(("x", "y", "z")), Group(("u",)))),))
CLOSE = 1e-4  # relative to the largest value


def edit(side: int = 64, details: int = 8) -> Architecture:
    return Architecture((side, side), width=16, blocks=1, d_layers=3, generator="edit", details=details)


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-6))


def some(side: int, count: int = 3, labels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Images, (N, 3, H, W), and changes."""
    random = np.random.default_rng(1)
    images = random.uniform(-1, 1, (count, 3, side, side)).astype(np.float32)
    return images, random.integers(-1, 2, (count, labels)).astype(np.float32)


def random_arrays(architecture: Architecture) -> dict[str, np.ndarray]:
    """Weights none of which is zero or one."""
    random = np.random.default_rng(0)
    shapes = registry.framework("pytorch").parameter_shapes(architecture, 4, None)
    return {
        name: (random.normal(0, shape[-1] ** -0.5 / 2, shape) + 1.0 * ("norm" in name and len(shape) == 1)).astype("f4")
        for name, shape in shapes.items()
    }


# ---------------------------------------------------------------- the network


@pytest.mark.parametrize(("side", "details"), [(64, 0), (64, 8), (256, 16)])
def test_it_computes_what_pytorch_does(side: int, details: int) -> None:
    architecture = edit(side, details)
    arrays, (images, change) = random_arrays(architecture), some(side, 1 if side > 64 else 3)
    theirs, ours = (
        registry.framework(engine).predictor(architecture, DOMAINS, arrays).generate(images, change)
        for engine in ("pytorch", "tensorflow")
    )
    assert np.abs(theirs - images).max() > 0.1
    assert difference(ours, theirs) < CLOSE


def shipped_arrays(path: Path) -> dict[str, np.ndarray]:
    """The weights in the shipped file, whose graph names all but those of the norms."""
    norms = ["norm1", *(f"blocks.{block}.norm{norm}.norm" for block in range(3) for norm in (1, 2)), "norm2.norm"]
    norms += ["up1.norm.norm", "middle.norm1.norm", "middle.norm2.norm", "up2.norm.norm"]
    constants, arrays = [], {}
    for entry in onnx.load(path).graph.initializer:
        name, array = entry.name.removesuffix(".half"), numpy_helper.to_array(entry)
        if name.endswith((".weight", ".bias")):
            arrays[f"generator/{name}"] = array.astype(np.float32)
        elif array.ndim == 3:
            constants.append((int(name.removeprefix("val_")), array.ravel().astype(np.float32)))
    found = [array for _, array in sorted(constants, key=lambda each: each[0])]
    names = [f"generator/{norm}.{kind}" for norm in norms for kind in ("weight", "bias")]
    return arrays | dict(zip(names, found, strict=True))


def test_the_shipped_model() -> None:
    path = locations.locate(Path("celeba"))
    info = onnx_file.read(path).info
    images, change = some(128, 2, info.domains.num_labels)
    predictor = registry.framework("tensorflow").predictor(info.architecture, info.domains, shipped_arrays(path))
    expected = stargan.load(path).backend.generate(images, change)
    assert difference(predictor.generate(images, change), expected) < CLOSE


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras, when it saves
def test_plain_keras_loads_it(tmp_path: Path) -> None:
    """As a functional model, in a process that cannot import this package."""
    architecture, (images, change) = edit(128), some(128, 2)
    network = networks.generator(architecture, 4)
    network.initialise(np.random.default_rng(0), xavier=False)
    images = images.transpose(0, 2, 3, 1)
    inputs = keras.Input((128, 128, 3), name="images"), keras.Input((4,), name="change")
    keras.Model(list(inputs), network.call(*inputs)).save(tmp_path / "model.keras")
    np.savez(tmp_path / "inputs.npz", images=images, change=change)
    code = (
        "import sys; sys.path = sys.argv[1].split('|'); sys.modules['stargan'] = None; import keras, numpy;"
        "inputs = numpy.load('inputs.npz'); model = keras.saving.load_model('model.keras');"
        "numpy.save('output.npy', model([inputs['images'], inputs['change']]).numpy())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "|".join(sys.path)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert difference(np.load(tmp_path / "output.npy"), network(images, change).numpy()) < 1e-6


def test_a_new_run_starts_as_with_pytorch() -> None:
    """Each array has the same distribution."""
    architecture = Architecture((64, 64), width=64, blocks=1, generator="edit", details=32)
    network = networks.generator(architecture, 4)
    network.initialise(np.random.default_rng(0), xavier=False)
    from stargan.engine.pytorch import networks as others

    theirs = others.to_arrays(others.generator(architecture, 4))
    for name, array in to_arrays(network).items():
        mean, std, most = (
            float(each) for each in (theirs[name].mean(), theirs[name].std(), np.abs(theirs[name]).max())
        )
        assert float(array.mean()) == pytest.approx(mean, abs=0.3 * std + 1e-6), name
        assert float(array.std()) == pytest.approx(std, rel=0.2), name
        assert float(np.abs(array).max()) == pytest.approx(most, rel=0.5), name
