"""The PyTorch engine: what an update changes, which random numbers it draws, and that its state is complete."""

import dataclasses
import re
import timeit
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from stargan import engine as engines
from stargan.config.training import Config, Objective
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.constants import CLASSIFIER_LR, PENALISED
from stargan.engine.pytorch import engine as engine_module
from stargan.engine.pytorch import networks
from stargan.engine.pytorch.engine import PytorchEngine
from stargan.errors import CheckpointError, ConfigError
from stargan.model.safetensors_file import Arrays

FACES = LabelSet("faces", (Group(("smile",)), Group(("hat",))))
SEASONS = LabelSet("seasons", (Group(("summer", "winter", "spring"), True, "season"),))
SINGLE, JOINT = Domains((FACES,)), Domains((FACES, SEASONS))
CONFIG = Config(
    image_size=(16, 16), width=4, blocks=1, d_layers=2, batch_size=4, device="cpu", precision="fp32", lr=1e-3
)
LR = 7e-4  # of the updates in these tests; differs from the configuration's on purpose


def make(domains: Domains = SINGLE, **settings: Any) -> PytorchEngine:
    return PytorchEngine(dataclasses.replace(CONFIG, **settings), domains)


def batch(domains: Domains = SINGLE, dataset: int = 0, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns random images, labels and targets of one data set."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    values = domains.random_values(rng, 4)
    return images, domains.labels(values, dataset), domains.labels(values[[2, 3, 0, 1]], dataset)


def train(engine: PytorchEngine, steps: range, lr: float = LR) -> None:
    """Updates D once and G once per step; data sets take turns."""
    for number in steps:
        dataset = number % len(engine.updates.domains.sets)
        arrays = batch(engine.updates.domains, dataset, number)
        engine.d_step(*arrays, dataset, step=number, lr=lr)
        engine.g_step(*arrays, dataset, step=number, lr=lr)


def same(first: Arrays, second: Arrays) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def changed(before: Arrays, after: Arrays) -> set[str]:
    """Returns the names, up to `/layers`, of the arrays that changed."""
    return {name.split("/layers")[0] for name in after if not np.array_equal(before.get(name, np.nan), after[name])}


# ---------------------------------------------------------------- less memory


def doubles(**settings: Any) -> PytorchEngine:
    engine = make(**settings)
    for network in (*engine.updates.networks.values(), engine.updates.ema_generator):
        network.double()
    return engine


def trained(steps: int, **settings: Any) -> Arrays:
    """The state of an engine after some updates of D and of G, in float64."""
    engine = make(**settings)
    for network in (*engine.updates.networks.values(), engine.updates.ema_generator):
        network.double()
    for number in range(steps):
        images, labels, targets = map(torch.from_numpy, batch(seed=number))
        images = images.permute(0, 3, 1, 2).double() / 127.5 - 1
        engine.updates.random.manual_seed(number)
        engine.updates.update_d(images, labels, targets, 0, LR)
        engine.updates.update_g(images, labels, targets, 0, LR)
    return engine.state()


def check_same(first: Arrays, second: Arrays) -> None:
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(("objective", "parts"), list(zip(get_args(Objective), (2, 4) * 3, strict=True)))
def test_parts_of_a_batch_train_as_the_whole(objective: Objective, parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 20 updates: weights, Adam's state, losses. With `--augment`, DRAGAN's deviation is of augmented images."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # what is float32 in training
    settings: dict[str, Any] = {"objective": objective, "lambda_cls_gp": 2.0, "augment": True}
    check_same(trained(10, **settings, accumulate=parts), trained(10, **settings))


@pytest.mark.parametrize(("plain", "resize"), [(False, True), (True, False)])
def test_gradient_checkpointing_trains_as_without(plain: bool, resize: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "LARGE", 0)  # so that layers are fused for these small images, too
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    settings: dict[str, Any] = {"attention_mask": resize, "resize_conv": resize, "blocks": 2, "plain": plain}
    without, stages = trained(2, **settings), []

    def noted(run: Callable[..., Tensor], stage: nn.Module, *rest: Any, **how: Any) -> Any:
        stages.append(stage)
        return checkpoint(run, stage, *rest, **how)

    monkeypatch.setattr(networks, "checkpoint", noted)
    check_same(trained(2, **settings, gradient_checkpointing=True), without)
    assert len(stages) == 2 * 2 * 6  # two updates, in which six stages of G run twice


# ---------------------------------------------------------------- state


@pytest.mark.parametrize("domains", [SINGLE, JOINT], ids=["one data set", "joint"])
def test_a_loaded_state_continues_bit_for_bit(domains: Domains) -> None:
    first, second = make(domains), make(domains)
    train(first, range(3))
    train(second, range(7, 12))  # a different history, which loading must overwrite
    second.load_state(first.state())
    assert same(first.state(), second.state())
    for engine in (first, second):
        train(engine, range(3, 6))
    assert same(first.state(), second.state())
    assert first.losses() == second.losses()


def test_a_fresh_state_can_be_loaded() -> None:
    first, second = make(), make()
    fresh = first.state()
    train(second, range(2))
    second.load_state(fresh)
    for engine in (first, second):
        train(engine, range(2))
    assert same(first.state(), second.state())


def test_state_is_a_copy_and_finite() -> None:
    engine = make()
    train(engine, range(1))
    before = engine.state()
    kept = {name: array.copy() for name, array in before.items()}
    train(engine, range(1, 2))
    assert same(before, kept)
    assert all(np.isfinite(array).all() for array in before.values())


def test_loading_a_model_file_resets_the_training_state() -> None:
    first, second = make(), make(seed=1)
    train(first, range(2))
    train(second, range(3))
    state = first.state()
    weights = {name: array for name, array in state.items() if not name.startswith("training/")}
    second.load_weights(weights)
    loaded = second.state()
    assert {name: loaded[name] for name in weights}.keys() == weights.keys()
    assert all(np.array_equal(loaded[name], weights[name]) for name in weights)
    assert all(  # G continues from the EMA weights, which are the ones in a file
        np.array_equal(loaded[f"training/{name}"], weights[name]) for name in weights if name.startswith("generator/")
    )
    assert not any("adam" in name for name in loaded)
    assert loaded["training/g_updates"] == 0


def test_loading_weights_without_a_classifier_keeps_the_current_one() -> None:
    first, second = make(), make(seed=1)
    weights = {name: array for name, array in first.state().items() if name.startswith(("generator", "discrim"))}
    before = second.state()
    second.load_weights(weights)
    assert changed(before, second.state()) >= {"generator", "discriminator", "training/generator"}
    assert not any(name.startswith("classifier") for name in changed(before, second.state()))


def without(name: str) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.pop(name)


def put(name: str, array: np.ndarray) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.update({name: array})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("generator/layers.1.bias"), "generator/layers.1.bias is missing"),
        (without("training/generator/layers.1.bias"), "training/generator/layers.1.bias is missing"),
        (without("discriminator/src.weight"), "discriminator/src.weight is missing"),
        (without("classifier/cls.bias"), "classifier/cls.bias is missing"),
        (without("training/g_updates"), "training/g_updates is missing"),
        (put("training/g_updates", np.zeros(3)), "training/g_updates is missing or not a single number"),
        (put("training/losses/g_rec", np.zeros(2)), "an array in training/losses is not a single number"),
        (put("classifier/other", np.zeros(3)), "unexpected array classifier/other"),
        (put("other", np.zeros(3)), "unexpected array other"),
        (put("training/other", np.zeros(3)), "unexpected array training/other"),
        (put("training/adam/other/x/step", np.zeros(())), "unexpected array training/adam/other/x/step"),
        (put("classifier/cls.bias", np.zeros(3)), "classifier/cls.bias has shape (3,), not (2,)"),
        (
            put("training/adam/classifier/cls.bias/exp_avg", np.zeros(3)),
            "training/adam/classifier/cls.bias/exp_avg has shape (3,), not (2,)",
        ),
        (
            put("training/adam/classifier/cls.bias/step", np.zeros(1)),
            "training/adam/classifier/cls.bias/step has shape",
        ),
        (
            put("training/adam/classifier/cls.bias/other", np.zeros(2)),
            "unexpected array training/adam/classifier/cls.bias/other",
        ),
        (
            without("training/adam/generator/layers.0.weight/exp_avg_sq"),
            "training/adam/generator/layers.0.weight/exp_avg_sq is missing",
        ),
    ],
)
def test_errors_name_the_bad_array_of_a_state(change: Callable[[Arrays], object], message: str) -> None:
    engine = make()
    train(engine, range(1))
    state = engine.state()
    change(state)
    with pytest.raises(CheckpointError, match="^" + re.escape(message)):
        make().load_state(state)


def test_errors_name_the_bad_array_of_weights() -> None:
    weights = {name: array for name, array in make().state().items() if not name.startswith("training/")}
    with pytest.raises(
        CheckpointError, match=r"^generator/layers.0.weight has shape \(4, 5, 7, 7\), not \(4, 10, 7, 7\)"
    ):
        make(JOINT).load_weights(weights)
    del weights["discriminator/layers.0.weight"]
    with pytest.raises(CheckpointError, match=r"^discriminator/layers.0.weight is missing"):
        make().load_weights(weights)


# ---------------------------------------------------------------- what an update changes


def test_an_update_of_d_changes_only_d() -> None:
    engine = make()
    before = engine.state()
    engine.d_step(*batch(), 0, step=0, lr=LR)
    names = changed(before, engine.state())
    parts = {name.split("/")[0] for name in names if not name.startswith(("training/adam/d", "training/losses/d"))}
    assert parts == {"discriminator"}
    assert all(parameter.grad is None for parameter in engine.updates.generator.parameters())


def test_an_update_of_g_does_not_change_d() -> None:
    engine = make()
    train(engine, range(1))
    before = engine.state()
    engine.g_step(*batch(seed=9), 0, step=1, lr=LR)
    names = changed(before, engine.state())
    assert {"generator", "training/generator", "classifier", "training/g_updates"} <= names
    assert not any("discriminator" in name for name in names)
    assert all(parameter.grad is None for parameter in engine.updates.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in engine.updates.discriminator.parameters())


def test_adam_agrees_with_a_computation_by_hand() -> None:
    engine = make(beta1=0.4, beta2=0.9)
    parameter = next(engine.updates.discriminator.parameters())
    weight = parameter.detach().numpy().astype(np.float64)
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    for number, lr in enumerate((1e-3, 3e-4, 5e-4), start=1):
        engine.d_step(*batch(seed=number), 0, step=number, lr=lr)
        assert parameter.grad is not None
        gradient = parameter.grad.numpy().astype(np.float64)
        mean, square = 0.4 * mean + 0.6 * gradient, 0.9 * square + 0.1 * gradient**2
        weight = weight - lr * (mean / (1 - 0.4**number)) / (np.sqrt(square / (1 - 0.9**number)) + 1e-8)
        assert np.abs(weight - parameter.detach().numpy()).max() < 1e-6


def test_updates_use_the_given_learning_rate() -> None:
    before = make().state()
    high, low, zero = make(), make(), make()
    for engine, lr in ((high, 1e-3), (low, 1e-4), (zero, 0.0)):
        train(engine, range(1), lr)
    for name in ("discriminator", "training/generator", "classifier"):
        name = next(key for key in before if key.startswith(name))
        moved = [np.abs(engine.state()[name] - before[name]).max() for engine in (high, low, zero)]
        assert moved[2] == 0
        assert moved[0] == pytest.approx(10 * moved[1], rel=0.02)
        expected = CLASSIFIER_LR * 1e-3 / CONFIG.lr if name.startswith("classifier") else 1e-3
        assert moved[0] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("ema", [0.999, 0.15, 0.0])
def test_ema(ema: float) -> None:
    engine = make(ema=ema)
    name = "layers.0.weight"
    mean = engine.state()[f"generator/{name}"].astype(np.float64)
    for number in range(4):
        train(engine, range(number, number + 1), lr=0.01)
        state = engine.state()
        decay = min(ema, (1 + number) / (10 + number))
        mean = decay * mean + (1 - decay) * state[f"training/generator/{name}"]
        assert np.abs(mean - state[f"generator/{name}"]).max() < 1e-6
    assert state["training/g_updates"] == 4
    assert (ema == 0) == np.array_equal(state[f"generator/{name}"], state[f"training/generator/{name}"])


def test_uint8_images_are_scaled_to_minus_one_to_one() -> None:
    first, second = make(objective="hinge"), make(objective="hinge")
    images, labels, targets = batch()
    first.d_step(images, labels, targets, 0, step=0, lr=LR)
    first.g_step(images, labels, targets, 0, step=0, lr=LR)
    real = torch.from_numpy((images / 127.5 - 1).astype(np.float32).transpose(0, 3, 1, 2).copy())
    tensors = real, torch.from_numpy(labels), torch.from_numpy(targets)
    second.updates.update_d(*tensors, 0, LR)
    second.updates.update_g(*tensors, 0, LR)
    assert first.losses() == pytest.approx(second.losses(), rel=1e-5)


def test_totals_are_weighted_sums() -> None:
    engine = make(lambda_cls=3.0, lambda_rec=7.0, lambda_gp=11.0)
    assert engine.losses() == {}
    train(engine, range(1))
    terms = engine.losses()
    names = {"d_real", "d_fake", "d_cls", "d_gp", "d_total", "g_fake", "g_cls", "g_rec", "g_total", "classifier"}
    assert terms.keys() == names
    d_total = terms["d_real"] + terms["d_fake"] + 3 * terms["d_cls"] + 11 * terms["d_gp"]
    assert terms["d_total"] == pytest.approx(d_total, rel=1e-5)
    assert terms["g_total"] == pytest.approx(terms["g_fake"] + 3 * terms["g_cls"] + 7 * terms["g_rec"], rel=1e-5)


def test_the_total_of_d_contains_the_classification_gradient_penalty() -> None:
    engine = make(objective="hinge", lambda_cls_gp=100.0)
    train(engine, range(1))
    terms = engine.losses()
    assert terms["d_cls_gp"] > 0
    d_total = terms["d_real"] + terms["d_fake"] + terms["d_cls"] + 100 * terms["d_cls_gp"]
    assert terms["d_total"] == pytest.approx(d_total, rel=1e-5)


def test_the_weight_of_the_classification_loss_follows_its_schedule() -> None:
    engine = make(lambda_cls=4.0, final_cls=0.5, steps=10)
    for number, weight in ((0, 4.0), (5, 3.0), (9, 2.2)):
        train(engine, range(number, number + 1))
        terms = engine.losses()
        d_total = terms["d_real"] + terms["d_fake"] + weight * terms["d_cls"] + 10 * terms["d_gp"]
        assert terms["d_total"] == pytest.approx(d_total, rel=1e-5)
        assert terms["g_total"] == pytest.approx(
            terms["g_fake"] + weight * terms["g_cls"] + 10 * terms["g_rec"], rel=1e-5
        )


@pytest.mark.parametrize("objective", get_args(Objective))
def test_every_objective_trains(objective: Objective) -> None:
    engine = make(JOINT, objective=objective)
    before = engine.state()
    train(engine, range(4))
    terms = engine.losses()
    assert all(np.isfinite(value) for value in terms.values())
    assert ("d_gp" in terms) == (objective in PENALISED)
    assert {"generator", "training/generator", "classifier"} <= changed(before, engine.state())
    assert all(np.isfinite(array).all() for array in engine.state().values())


def test_training_reduces_the_losses() -> None:
    engine = make(lr=1e-3)
    arrays = batch()
    terms = []
    for number in range(60):
        engine.d_step(*arrays, 0, step=number, lr=2e-3)
        engine.g_step(*arrays, 0, step=number, lr=2e-3)
        terms.append(engine.losses())
    for name in ("d_cls", "g_rec", "classifier"):
        assert terms[-1][name] < 0.8 * terms[0][name], name


# ---------------------------------------------------------------- random numbers


def test_the_seed_determines_the_weights() -> None:
    assert same(make().state(), make().state())
    assert not same(make().state(), make(seed=1).state())


def test_training_leaves_the_callers_random_state_unchanged() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    train(make(), range(1))
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("objective", ["wgan-gp", "dragan"])
def test_seed_and_step_determine_the_random_numbers(objective: Objective) -> None:
    penalties = []
    for seed, number in ((0, 5), (0, 5), (0, 6), (1, 5)):
        engine = make(seed=seed, objective=objective)
        engine.load_weights(make().state())
        engine.d_step(*batch(), 0, step=number, lr=LR)
        penalties.append(engine.losses()["d_gp"])
    assert penalties[0] == penalties[1]
    assert len(set(penalties)) == 3


# ---------------------------------------------------------------- inference


def test_generate_uses_the_ema_weights_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make()
    train(engine, range(2), lr=0.01)
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (7, 3, 16, 16)).astype(np.float32)
    labels = rng.integers(0, 2, (7, 2)).astype(np.float32)
    whole = engine.generate(images, labels)
    assert whole.shape == images.shape
    assert whole.dtype == np.float32
    assert np.abs(whole).max() <= 1
    with torch.no_grad():
        expected = engine.updates.ema_generator(torch.from_numpy(images), torch.from_numpy(labels)).numpy()
    assert np.array_equal(whole, expected)
    monkeypatch.setattr(engine_module, "GENERATE_BATCH", 3)
    assert np.abs(engine.generate(images, labels) - whole).max() < 1e-5
    assert engine.classify(images).shape == (7, 2)


# ---------------------------------------------------------------- precision and devices


@pytest.mark.parametrize("mask", [False, True])
def test_bf16_stays_close_to_fp32(mask: bool) -> None:
    fp32, bf16 = make(JOINT, attention_mask=mask), make(JOINT, attention_mask=mask, precision="bf16")
    assert same(fp32.state(), bf16.state())
    for engine in (fp32, bf16):
        train(engine, range(2))
    expected, actual = fp32.losses(), bf16.losses()
    assert actual.keys() == expected.keys()
    assert actual != expected
    for name, value in expected.items():
        assert actual[name] == pytest.approx(value, rel=0.03, abs=0.03), name
    for name, array in bf16.state().items():
        assert np.isfinite(array).all(), name
        assert array.dtype in (np.float32, np.int64), name


def test_create() -> None:
    engine = engines.create(CONFIG, SINGLE)
    assert isinstance(engine, PytorchEngine)
    assert engine.num_parameters.keys() == {"generator", "discriminator", "classifier"}
    shapes = [array.size for name, array in engine.state().items() if name.startswith("discriminator/")]
    assert engine.num_parameters["discriminator"] == sum(shapes)
    assert not engine.updates.bf16


def test_auto_means_bf16_only_where_it_is_faster() -> None:
    assert not make(precision="auto", plain=True).updates.bf16
    if torch.cuda.is_available():
        return

    def seconds(dtype: torch.dtype) -> float:  # times a different operation from the one that decides
        matrix = torch.ones(768, 768, dtype=dtype)
        return min(timeit.repeat(lambda: matrix @ matrix, number=1, repeat=7))

    gain = seconds(torch.float32) / seconds(torch.bfloat16)
    if not 0.9 < gain < 1.6:  # within this range the two operations may disagree
        assert make(precision="auto", device="cpu").updates.bf16 == (gain > 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_gpu_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"--device cuda: this PyTorch sees no GPU; use --device cpu"):
        make(device="cuda")
    assert make(device="auto").updates.device.type == "cpu"


gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


class TestOnAGpu:
    pytestmark = gpu

    def test_results_are_close_to_those_of_the_cpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
        on_cpu, on_gpu = make(JOINT), make(JOINT, device="cuda")
        on_gpu.load_state(on_cpu.state())
        for engine in (on_cpu, on_gpu):
            images, labels, targets = batch(JOINT)
            tensors = engine._images(images), engine._tensor(labels), engine._tensor(targets)
            alpha = torch.full((4, 1, 1, 1), 0.3, device=engine.updates.device)
            engine.updates.update_d(*tensors, 0, LR, {"alpha": alpha})
            engine.updates.update_g(*tensors, 0, LR)
        assert on_gpu.losses() == pytest.approx(on_cpu.losses(), rel=1e-3, abs=1e-4)

    def test_bf16_is_finite_and_resumes(self) -> None:
        first, second = make(device="cuda", precision="auto"), make(device="cuda", precision="auto")
        assert first.updates.bf16 == torch.cuda.is_bf16_supported()
        train(first, range(3))
        second.load_state(first.state())
        assert same(first.state(), second.state())
        assert all(np.isfinite(array).all() for array in first.state().values())

    def test_a_state_moves_between_devices(self) -> None:
        on_gpu, on_cpu = make(device="cuda"), make()
        train(on_gpu, range(2))
        on_cpu.load_state(on_gpu.state())
        assert same(on_gpu.state(), on_cpu.state())
        train(on_cpu, range(2, 3))
        on_gpu.load_state(on_cpu.state())
        train(on_gpu, range(3, 4))
        assert all(np.isfinite(value) for value in on_gpu.losses().values())


def test_xavier_initial_weights() -> None:
    arrays = make(init="xavier").state()
    kernel = arrays["training/generator/layers.0.weight"]
    outputs, inputs, height, width = kernel.shape
    bound = (6 / ((inputs + outputs) * height * width)) ** 0.5
    assert bound * 0.9 < np.abs(kernel).max() <= bound
    biases = [array for name, array in arrays.items() if re.fullmatch(r"discriminator/.*bias", name)]
    assert biases
    assert all((bias == 0).all() for bias in biases)
