"""The TensorFlow engine: it agrees with PyTorch's, with the official code's numbers, and either continues the other."""

import itertools
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest
from conftest import draw_folders, in_process
from parity_engines import Side, difference, differences, draws, random_batch, side
from shard_files import samples, write_shard

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install '.[tensorflow]'")

import tensorflow

import stargan
from stargan.config import Architecture, Config, recipes
from stargan.domains import Domains, Group, LabelSet
from stargan.engine import registry
from stargan.errors import CheckpointError, ConfigError
from stargan.model import run_folder, safetensors_file
from stargan.model.safetensors_file import under

DOMAINS = Domains((LabelSet("a", (Group(("x", "y", "z")), Group(("u",)))),))
JOINT = Domains((*DOMAINS.sets, LabelSet("b", (Group(("v",)), Group(("w",))))))
SMALL = Config(
    image_size=(32, 32), width=8, blocks=1, d_layers=3, batch_size=4, device="cpu", precision="fp32", recipe="paper"
)
OPTIONS: dict[str, dict[str, Any]] = {
    "wgan-gp": {},
    "wgan-lp": {"objective": "wgan-lp"},
    "gan": {"objective": "gan"},
    "dragan": {"objective": "dragan"},
    "lsgan": {"objective": "lsgan"},
    "hinge": {"objective": "hinge"},
    "attention mask, resize convolutions": {"attention_mask": True, "resize_conv": True, "cls_pooling": True},
    "augmentation": {"augment": True, "objective": "hinge"},
    "penalty on the classification": {"lambda_cls_gp": 20.0},
    "odd sizes": {"image_size": (20, 36), "d_layers": 4},
    "no EMA": {"ema": 0.0},
    "edit generator": {"generator": "edit", "image_size": (64, 64), "width": 16, "palette": True, "objective": "hinge"},
}


def test_other_methods_are_refused() -> None:
    config = replace(recipes.recipe("cyclegan"), engine="tensorflow", device="cpu")
    with pytest.raises(ConfigError, match=r"--method cyclegan: is for --engine pytorch; this engine trains StarGAN"):
        registry.create(config, Domains((LabelSet("a", (Group(("x", "y"), True),)),)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"accumulate": 2}, "--accumulate 2: is for"),
        ({"gradient_checkpointing": True}, "--gradient-checkpointing: is for"),
    ],
)
def test_ways_to_save_memory_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=f"{said} --engine pytorch"):
        registry.create(replace(SMALL, engine="tensorflow", **settings), DOMAINS)


CLOSE = 1e-4  # relative to the largest value
BATCHES = 8  # of which one must agree: where a ReLU's input is at rounding distance of zero, the engines may differ


def sides(config: Config, domains: Domains) -> tuple[Side, Side]:
    """Both engines with the same state, in a second update, so that Adam's moments are not zero."""
    ours, theirs = side(replace(config, engine="tensorflow"), domains), side(config, domains)
    for network in ("discriminator", "generator"):
        theirs.update(network, random_batch(config, domains), 0, 1e-3, draws(ours, config, network))
    return ours, theirs


@pytest.fixture
def tracing(name: str) -> Iterator[None]:
    """Updates are graphs for one of the objectives; to make them takes longer than the few updates here."""
    tensorflow.config.run_functions_eagerly(name != "wgan-gp")
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.mark.parametrize(("name", "dataset"), [("wgan-gp", 1), *((name, at % 2) for at, name in enumerate(OPTIONS))])
def test_outputs_losses_gradients_and_moments_agree(name: str, dataset: int, tracing: None) -> None:
    config, domains = replace(SMALL, **OPTIONS[name]), JOINT if dataset else DOMAINS
    ours, theirs = sides(config, domains)
    some, state = random_batch(config, domains, dataset), theirs.engine.state()
    ours.engine.load_state(state)
    assert difference(*(each.translate(some["images"], some["targets"]) for each in (ours, theirs))) < CLOSE
    assert difference(*(each.engine.generate(some["images"], some["targets"]) for each in (ours, theirs))) < CLOSE
    assert difference(*(each.engine.classify(some["images"]) for each in (ours, theirs))) < CLOSE
    for network in ("discriminator", "generator"):
        found = []
        for seed in range(BATCHES):
            for each in (ours, theirs):
                each.engine.load_state(state)
                each.update(
                    network, random_batch(config, domains, dataset, seed), dataset, 1e-3, draws(ours, config, network)
                )
            found.append(max(differences(ours.engine.state(), theirs.engine.state()).values()))
            if found[-1] < CLOSE:
                break
        assert found[-1] < CLOSE, found
    assert ours.engine.macs() == theirs.engine.macs()
    assert ours.engine.num_parameters == theirs.engine.num_parameters


def test_weights_after_an_update_agree() -> None:
    """Where the gradient is above rounding noise, which alone decides the sign of Adam's first step elsewhere."""
    ours, theirs = side(replace(SMALL, engine="tensorflow"), DOMAINS), side(SMALL, DOMAINS)
    ours.engine.load_state(theirs.engine.state())
    for network, stored in (("discriminator", "discriminator"), ("generator", "training/generator")):
        for each in (ours, theirs):
            each.update(network, random_batch(SMALL, DOMAINS), 0, 1e-3, draws(ours, SMALL, network))
        mine, other = ours.engine.state(), theirs.engine.state()
        for key, weight in under(other, stored).items():
            moment = np.abs(other[f"training/adam/{network}/{key}/exp_avg"])
            certain = moment > 1e-3 * moment.max()
            assert np.abs(mine[f"{stored}/{key}"] - weight)[certain].max() < 1e-3 * 0.05, key
        ours.engine.load_state(other)


@pytest.mark.parametrize("name", ["celeba_binary", "rafd_categorical", "joint_first", "joint_second", "taki0112"])
def test_the_numbers_of_the_original_codes(name: str) -> None:
    quantities = parity.compare(Path(__file__).parent / "fixtures" / f"{name}.npz", engine="tensorflow")
    assert len(quantities) == (24 if name == "taki0112" else 89)
    assert [str(quantity) for quantity in quantities if not quantity.passes] == []


def test_a_spoiled_engine_is_detected() -> None:
    def spoil(engine: Any) -> None:
        weight = engine.updates.discriminator.parameters()["layers.0.weight"]
        weight.assign_add(np.full(weight.shape, 1e-3))

    quantities = parity.compare(
        Path(__file__).parent / "fixtures" / "celeba_binary.npz", lambda engine: spoil(engine), engine="tensorflow"
    )
    assert {"D src", "loss D_cls"} <= {quantity.name for quantity in quantities if not quantity.passes}


# ---------------------------------------------------------------- runs

TINY = [
    *("--image-size", "16", "--width", "4", "--blocks", "1", "--d-layers", "2", "--batch-size", "4", "--device", "cpu"),
    *("--recipe", "paper", "--n-critic", "2", "--steps", "12", "--checkpoint-every", "4", "--log-every", "2"),
    *("--sample-every", "12", "--precision", "fp32"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "colours"
    draw_folders(folder, 24)
    return folder


def train(*arguments: str | Path) -> str:
    done = in_process("train", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def final(run: Path) -> dict[str, np.ndarray]:
    return dict(safetensors_file.read(run_folder.checkpoints(run)[-1], training=True)[1])


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train("--data", data, "--run", folder, "--engine", "tensorflow", *TINY)
    return folder


@pytest.fixture
def eager() -> Iterator[None]:
    """Without graphs, which take longer to make than a few updates take."""
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


def test_resume_is_exact(eager: None, data: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    train("--data", data, "--run", cut, "--engine", "tensorflow", *TINY, "--steps", "12", "--decay-from", "1")
    whole = tmp_path / "whole"
    train("--data", data, "--run", whole, "--engine", "tensorflow", *TINY, "--steps", "20", "--decay-from", "1")
    train("--resume", cut, "--steps", "20")
    assert {key for key, array in final(whole).items() if not np.array_equal(array, final(cut)[key])} == set()


def test_windows_resume_exactly(eager: None, tmp_path: Path) -> None:
    """Both runs read some windows; the first is cut off within one."""
    for index in range(4):
        write_shard(tmp_path / "data" / f"{index}.tar", samples(80 + 12 * index, 12))
    options = ("--engine", "tensorflow", *TINY, "--window", "2", "--decay-from", "1")
    for run, steps in ((tmp_path / "cut", "8"), (tmp_path / "whole", "14")):
        train("--data", tmp_path / "data", "--run", run, *options, "--steps", steps)
    train("--resume", tmp_path / "cut", "--steps", "14")
    windows = [json.loads((tmp_path / run / run_folder.WINDOWS).read_text())["batches"] for run in ("cut", "whole")]
    assert windows[0] == windows[1]
    assert len(windows[0]) >= 3
    assert 8 not in itertools.accumulate(windows[0])
    whole, cut = (final(tmp_path / run) for run in ("whole", "cut"))
    assert {key for key, array in whole.items() if not np.array_equal(array, cut[key])} == set()


def test_an_engine_continues_the_run_of_the_other(run: Path, eager: None, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    arrays = [final(tmp_path / "run")]
    for engine, steps in (("pytorch", 16), ("tensorflow", 20)):
        train("--resume", tmp_path / "run", "--engine", engine, "--steps", str(steps))
        arrays.append(final(tmp_path / "run"))
        assert arrays[-1].keys() == arrays[-2].keys()
        assert arrays[-1]["training/adam/generator/layers.0.weight/step"] == steps // 2


def test_its_model_file_computes_what_it_does(run: Path) -> None:
    info, arrays, _ = safetensors_file.read(run_folder.checkpoints(run)[-1])
    model, random = stargan.load(run / "model.onnx"), np.random.default_rng(0)
    images = random.uniform(-1, 1, (3, 3, 16, 16)).astype(np.float32)
    labels = info.domains.labels(info.domains.random_values(random, 3), 0)
    for engine in ("tensorflow", "pytorch"):
        predictor = registry.framework(engine).predictor(info.architecture, info.domains, arrays)
        assert difference(model.generate(images, labels), predictor.generate(images, labels)) < CLOSE
        assert difference(model.backend.classify(images), predictor.classify(images)) < CLOSE


@pytest.mark.parametrize("settings", [{}, {"attention_mask": True, "resize_conv": True}])
@pytest.mark.parametrize("half", [False, True])
def test_both_export_the_same_graph(settings: dict[str, Any], half: bool) -> None:
    config = replace(SMALL, **settings)
    arrays = side(config, DOMAINS).engine.state()
    arrays = {key: array for key, array in arrays.items() if key.startswith(("generator/", "classifier/"))}
    for engine in ("tensorflow", "pytorch"):
        graphs = registry.framework(engine).export_onnx(config.architecture, DOMAINS, arrays, half=half, plain=True)
        assert graphs.difference < CLOSE


def test_shapes_of_parameters() -> None:
    ours, theirs = (
        registry.framework(engine).parameter_shapes(Architecture((32, 24), 8, 1, 3), 4, 3)
        for engine in ("tensorflow", "pytorch")
    )
    assert ours == theirs


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cuda"}, "--device cuda: this TensorFlow sees no GPU"),
    ],
)
def test_what_it_lacks_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.create(replace(SMALL, engine="tensorflow", **settings), DOMAINS)


def test_damaged_states_are_refused() -> None:
    own = side(replace(SMALL, engine="tensorflow"), DOMAINS)
    state = own.engine.state()
    key = "training/generator/layers.0.weight"
    for changed, message in (
        ({k: v for k, v in state.items() if k != key}, f"{key} is missing"),
        (state | {key: state[key][:1]}, f"{key} has shape"),
        (state | {"extra": state[key]}, "unexpected array extra"),
        (state | {"training/losses/g_rec": np.zeros(2)}, "an array in training/losses is not a single number"),
    ):
        with pytest.raises(CheckpointError, match=message):
            own.engine.load_state(changed)
