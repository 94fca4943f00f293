"""A framework that only this file knows trains, saves, resumes, translates and exports through the interface."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import stargan
from stargan import cli, engine
from stargan.config import Architecture, Config
from stargan.config.training import Precision
from stargan.domains import Domains
from stargan.engine import OnnxGraphs
from stargan.errors import CheckpointError, ConfigError, ModelError
from stargan.images import scale
from stargan.model import run_folder, safetensors_file

Arrays = Mapping[str, np.ndarray]


class Tints:
    """A model in numpy: G adds one colour for each label; the attribute classifier looks at the mean colour."""

    def __init__(self, tints: np.ndarray, weights: np.ndarray) -> None:
        self.tints, self.weights = tints, weights  # (L, 3) and (3, C)

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return np.clip(images + (labels @ self.tints)[:, :, None, None], -1, 1).astype(np.float32)

    def classify(self, images: np.ndarray) -> np.ndarray:
        return (images.mean((2, 3)) @ self.weights).astype(np.float32)


class ToyEngine(Tints):
    """Moves G's tints towards the mean colour of the images with each label, and counts its updates of D."""

    num_parameters: dict[str, int]
    precision: Precision = "fp32"
    rank = 0
    world_size = 1

    def __init__(self, config: Config, domains: Domains) -> None:
        rng = np.random.default_rng(config.seed)
        super().__init__(
            rng.normal(0, 0.1, (domains.num_labels, 3)).astype(np.float32),
            rng.normal(0, 1, (3, domains.num_classes)).astype(np.float32),
        )
        self.num_parameters = {"generator": self.tints.size}
        self.updates = np.zeros((), np.float32)
        self.error = 0.0

    def upload(self, pixels: np.ndarray) -> None:
        return None

    def d_step(
        self, images: Any, labels: np.ndarray, targets: np.ndarray, dataset: int, *, step: int, lr: float, **how: Any
    ) -> None:
        self.updates += 1

    def g_step(
        self, images: Any, labels: np.ndarray, targets: np.ndarray, dataset: int, *, step: int, lr: float, **how: Any
    ) -> None:
        colours = scale(images.astype(np.float32)).mean((1, 2))
        missed = colours - labels @ self.tints
        self.error = float(np.abs(missed).mean())
        self.tints = self.tints + np.float32(0.1) * labels.T @ missed / len(labels)

    def losses(self) -> dict[str, float]:
        return {"g_rec": self.error}

    def macs(self) -> dict[str, int]:
        return {"generator": self.tints.size}

    def peak_memory(self) -> int:
        return 0

    def state(self) -> dict[str, np.ndarray]:
        return {
            "generator/tints": self.tints.copy(),
            "classifier/weights": self.weights.copy(),
            "training/updates": self.updates.copy(),
        }

    def load_state(self, arrays: Arrays) -> None:
        if arrays.keys() != self.state().keys():
            raise CheckpointError("not a state of the toy engine")
        self.load_weights(arrays)
        self.updates = arrays["training/updates"].copy()

    def load_weights(self, arrays: Arrays) -> None:
        self.tints, self.weights = arrays["generator/tints"].copy(), arrays["classifier/weights"].copy()


class Toy:
    """The framework."""

    def create(self, config: Config, domains: Domains) -> ToyEngine:
        return ToyEngine(config, domains)

    def predictor(self, architecture: Architecture, domains: Domains, arrays: Arrays) -> Tints:
        if "generator/tints" not in arrays:
            raise ModelError("generator/tints is missing")
        return Tints(arrays["generator/tints"], arrays["classifier/weights"])

    def parameter_shapes(
        self, architecture: Architecture, num_labels: int, num_classes: int | None
    ) -> dict[str, tuple[int, ...]]:
        return {"generator/tints": (num_labels, 3)}

    def export_onnx(
        self, architecture: Architecture, domains: Domains, arrays: Arrays, *, half: bool, plain: bool
    ) -> OnnxGraphs:
        width, height = architecture.image_size
        images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, height, width])
        labels = helper.make_tensor_value_info("labels", TensorProto.FLOAT, ["batch", domains.num_labels])
        out = helper.make_tensor_value_info("translated", TensorProto.FLOAT, ["batch", 3, height, width])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", domains.num_classes])
        one, minus = np.float32(1), np.float32(-1)
        generator = _graph(
            [
                helper.make_node("MatMul", ["labels", "tints"], ["colour"]),
                helper.make_node("Unsqueeze", ["colour", "axes"], ["planes"]),
                helper.make_node("Add", ["images", "planes"], ["sum"]),
                helper.make_node("Clip", ["sum", "low", "high"], ["translated"]),
            ],
            [images, labels],
            out,
            {"tints": arrays["generator/tints"], "axes": np.array([2, 3]), "low": minus, "high": one},
        )
        classifier = _graph(
            [
                helper.make_node("ReduceMean", ["images", "axes"], ["mean"], keepdims=0),
                helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
            ],
            [images],
            logits,
            {"weights": arrays["classifier/weights"], "axes": np.array([2, 3])},
        )
        return OnnxGraphs(generator, classifier, 0.0)


def _graph(nodes: list[Any], inputs: list[Any], output: Any, constants: dict[str, Any]) -> bytes:
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "toy", inputs, [output], weights), opset_imports=[helper.make_opsetid("", 18)]
    )
    model.ir_version = 10
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    from stargan.engine import registry

    monkeypatch.setattr(registry, "_KNOWN", dict(registry._KNOWN))
    engine.register("toy", Toy())


def options(data: Path, folder: Path, steps: int) -> list[str]:
    sizes = ["--image-size", "16", "--d-layers", "2", "--batch-size", "4", "--n-critic", "1"]
    every = ["--log-every", "5", "--sample-every", "10", "--checkpoint-every", "10"]
    return [
        "train",
        "--engine",
        "toy",
        "--data",
        str(data),
        "--run",
        str(folder),
        "--steps",
        str(steps),
        *sizes,
        *every,
    ]


@pytest.mark.usefixtures("toy")
def test_a_toy_engine_trains_resumes_translates_and_exports(colours: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert cli.main(options(colours, whole, 40)) == 0
    assert run_folder.saved_config(whole).engine == "toy"

    # Training does something, and stopping in between changes nothing.
    assert run_folder.stats(whole)["g_rec"][1][-1] < 0.7 * run_folder.stats(whole)["g_rec"][1][0]
    assert cli.main(options(colours, parts, 20)) == 0
    assert cli.main(["train", "--resume", str(parts), "--steps", "40"]) == 0
    first, second = (safetensors_file.read(run_folder.checkpoints(run)[-1], training=True)[1] for run in (whole, parts))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert first["training/updates"] == 40

    # Both kinds of model file translate alike.
    models = [stargan.load(whole / name) for name in ("model.onnx", "model.safetensors")]
    assert {model.info.engine for model in models} == {"toy"}
    images = np.random.default_rng(0).uniform(-1, 1, (3, 3, 16, 16)).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)
    results = [model.generate(images, labels) for model in models]
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)
    red, blue = (models[0].translate(Image.new("RGB", (20, 20), "gray"), [word]) for word in ("red", "blue"))
    assert red.getpixel((8, 8))[0] > blue.getpixel((8, 8))[0]  # type: ignore[index]

    # And so it goes on from the shell.
    assert cli.main(["export", str(whole), str(tmp_path / "again.onnx")]) == 0
    assert cli.main(["train", "--start-from", str(whole), *options(colours, tmp_path / "next", 10)[1:]]) == 0


def test_an_unknown_engine_is_refused_in_one_line(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = options(colours, tmp_path / "run", 10)
    arguments[2] = "pytorhc"
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err == "stargan: --engine pytorhc: unknown; did you mean pytorch?\n"
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="unknown"):
        engine.framework("keras")
