"""The fast paths against the plain one: outputs, gradients, second gradients of the penalty, weights after updates."""

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
import torch
from torch import nn

from stargan.config import Architecture, Config
from stargan.config.training import Device, Objective
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.pytorch import losses, networks
from stargan.engine.pytorch import updates as step_module
from stargan.engine.pytorch.engine import PytorchEngine
from stargan.engine.pytorch.fast import winograd
from stargan.engine.pytorch.fast.convolution import StridedConv, norm_relu_conv
from stargan.engine.pytorch.optimizer import Adam

DOMAINS = Domains((LabelSet("faces", (Group(("Black", "Blond")), Group(("Male",)))),))
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(autouse=True)
def lower_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "LARGE", 0)
    monkeypatch.setattr(step_module, "PART_SIDE", 16)  # G's update processes one image at a time
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 1)
    monkeypatch.setattr(winograd, "FEWEST_TILES", 1)


DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, GPU])]


def relative_difference(first: torch.Tensor, second: torch.Tensor) -> float:
    """Returns the norm of the difference relative to that of the first tensor."""
    return float((first - second).norm() / first.norm())


def squared(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: layer(x).square()


@pytest.mark.parametrize("size", [4, 8])
def test_strided_convolution_as_a_product(size: int) -> None:
    """Compares the output, its gradients, and the gradients of a penalty on its gradient."""
    torch.manual_seed(0)
    plain, fast = StridedConv(64, 12, plain=True), StridedConv(64, 12)
    fast.load_state_dict(plain.state_dict())
    images = torch.randn(2, 64, size, size)
    results = []
    for layer in (plain, fast):
        points = images.clone().requires_grad_(True)
        out = layer(points)
        penalty = losses.gradient_penalty(squared(layer), images)
        (out.square().sum() + 10 * penalty).backward()
        layer.fold()
        gradients = [x.grad for x in (points, *layer.parameters()) if x.grad is not None]
        assert len(gradients) == 3
        results.append((out.detach(), penalty.detach(), *gradients))
    for first, second in zip(*results, strict=True):
        assert relative_difference(first, second) < 1e-5


def test_adam_with_factors_and_a_full_gradient() -> None:
    """A large batch goes through the convolution and leaves a full gradient; a small one leaves factors."""
    torch.manual_seed(0)
    plain, fast = StridedConv(64, 40, plain=True).double(), StridedConv(64, 40).double()
    fast.load_state_dict(plain.state_dict())
    sides = [(layer, Adam(layer, Config(lr=1e-3))) for layer in (plain, fast)]
    for counts in ((2,), (2, 16), (16,), (2, 2)):  # the layer uses the product for up to 8 images
        batches = [torch.randn(count, 64, 4, 4, dtype=torch.float64) for count in counts]
        for layer, adam in sides:
            adam.zero_grad()
            torch.stack([layer(batch).square().sum() for batch in batches]).sum().backward()
            adam.step()
        assert bool(fast.factors) == (16 not in counts)
        assert relative_difference(plain.weight.detach(), fast.weight.detach()) < 1e-12


def test_the_product_keeps_full_precision_under_bf16() -> None:
    """The weights are not rounded, so the result differs from float32 only by the rounding of the images."""
    layer, images = StridedConv(64, 12), torch.randn(2, 64, 4, 4).bfloat16().float()
    expected = layer(images)
    with torch.autocast("cpu", torch.bfloat16):
        result = layer(images.bfloat16())
    assert result.dtype == torch.float32
    assert torch.equal(result, expected)
    result.square().sum().backward()
    assert layer.weight.grad is None  # until `fold` computes it
    layer.fold()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("conv", [nn.Conv2d(6, 5, 4, 2, 1, bias=False), nn.ConvTranspose2d(6, 5, 4, 2, 1, bias=False)])
def test_norm_relu_conv(conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
    torch.manual_seed(0)
    norm = networks.InstanceNorm(6)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    images, results = torch.randn(3, 6, 8, 12), []
    for function in (lambda x: conv(norm(x).relu()), lambda x: norm_relu_conv(x, norm, conv)):
        points = images.clone().requires_grad_(True)
        out = function(points)
        out.square().sum().backward()
        results.append((out.detach(), points.grad, norm.weight.grad, norm.bias.grad, conv.weight.grad))
        norm.weight.grad = norm.bias.grad = conv.weight.grad = None
    for first, second in zip(*results, strict=True):
        assert relative_difference(first, second) < 1e-5


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("extras", [False, True])
@pytest.mark.parametrize("objective", ["wgan-gp", "dragan", "hinge"])
def test_ten_updates_agree(objective: Objective, extras: bool, device: Device) -> None:
    """Compares losses, gradients and weights of both networks, in float64.

    In float32 some gradients are only rounding noise, which depends on the order of the sums, and Adam's first steps
    are the signs of the gradients.
    """
    config = Config(
        image_size=(16, 16), width=16, blocks=2, d_layers=3, batch_size=2, objective=objective, attention_mask=extras,
        lambda_cls_gp=3.0 if extras else 0.0, device=device, precision="fp32", lr=1e-4,
    )  # fmt: skip
    engines = [PytorchEngine(replace(config, plain=plain), DOMAINS) for plain in (True, False)]
    for engine in engines:
        for network in (*engine.updates.networks.values(), engine.updates.ema_generator):
            network.double()
    rng = np.random.default_rng(0)
    for _ in range(10):
        images = torch.from_numpy(rng.uniform(-1, 1, (2, 3, 16, 16))).to(engines[0].updates.device)
        labels, targets = (
            torch.from_numpy(DOMAINS.labels(DOMAINS.random_values(rng, 2), 0)).double().to(engines[0].updates.device)
            for _ in range(2)
        )
        for engine in engines:
            engine.updates.update_d(images, labels, targets, 0, config.lr)
            engine.updates.optimizers["discriminator"].fold()
        check_same(*(engine.updates.discriminator for engine in engines), recorded=recorded(engines[1]))
        for engine in engines:
            engine.updates.update_g(images, labels, targets, 0, config.lr)
        check_same(*(engine.updates.generator for engine in engines), recorded=recorded(engines[1]))
    plain, fast = (engine.losses() for engine in engines)
    assert plain.keys() == fast.keys()
    assert fast == pytest.approx(plain, rel=1e-6)


def recorded(engine: PytorchEngine) -> bool:
    """Returns whether updates are replayed graphs, which leave no gradients to compare."""
    return engine.updates.recorder is not None and bool(engine.updates.recorder.recordings)


def check_same(plain: nn.Module, fast: nn.Module, *, recorded: bool) -> None:
    """Compares weights and, unless the updates are recorded, gradients."""
    for first, second in zip(plain.parameters(), fast.parameters(), strict=True):
        assert relative_difference(first.detach(), second.detach()) < 1e-8
        if recorded:
            continue
        assert first.grad is not None
        assert second.grad is not None
        assert relative_difference(first.grad, second.grad) < 1e-8


def test_g_is_rewritten_after_its_weights_change() -> None:
    config = Config(image_size=(16, 16), width=8, blocks=1, d_layers=3, device="cpu", precision="fp32")
    engine, other = PytorchEngine(config, DOMAINS), PytorchEngine(replace(config, seed=1), DOMAINS)
    images, labels = torch.randn(2, 3, 16, 16), torch.eye(DOMAINS.num_labels)[:2]

    def difference() -> float:
        with torch.no_grad():
            return relative_difference(
                engine.updates.generator(images, labels),
                engine.updates._generator_without_gradients()(images, labels),
            )

    first = engine.updates._generator_without_gradients()
    assert isinstance(first, nn.Module)
    assert any(isinstance(layer, winograd.Trunk) for layer in first.modules())
    engine.updates.update_d(images, labels, labels, 0, 1e-2)
    assert engine.updates._generator_without_gradients() is first
    assert 0 < difference() < 1e-5
    engine.updates.update_g(images, labels, labels, 0, 1e-2)
    assert engine.updates._generator_without_gradients() is not first
    assert 0 < difference() < 1e-5
    engine.load_state(other.state())
    assert 0 < difference() < 1e-5
    for plain in (replace(config, plain=True), replace(config, precision="bf16")):
        each = PytorchEngine(plain, DOMAINS)
        assert each.updates._generator_without_gradients() is each.updates.generator


def test_the_fast_paths_are_used() -> None:
    """Otherwise the tests above would compare the plain path with itself."""
    engine = PytorchEngine(Config(image_size=(16, 16), width=16, blocks=1, d_layers=3, device="cpu"), DOMAINS)
    images = torch.randn(2, 3, 16, 16)

    def nodes(out: torch.Tensor) -> set[str]:
        seen, ahead = set(), [out.grad_fn]
        while ahead:
            node = ahead.pop()
            if node is not None and node not in seen:
                seen.add(node)
                ahead += [following for following, _ in node.next_functions]
        return {type(node).__name__ for node in seen}

    assert "_ProductBackward" in nodes(engine.updates.discriminator(images)[0])
    assert "_NormReluConvBackward" in nodes(engine.updates.generator(images, torch.zeros(2, 3)))


def test_an_update_of_d_is_faster_than_plain() -> None:
    """Times both with the paper's width at 32 px. They take turns, so that other load slows both."""
    config = Config(image_size=(32, 32), d_layers=5, blocks=0, batch_size=2, device="cpu", precision="fp32")
    engines = {plain: PytorchEngine(replace(config, plain=plain), DOMAINS) for plain in (True, False)}
    images = np.zeros((2, 32, 32, 3), np.uint8)
    labels = DOMAINS.labels(np.zeros((2, 3), np.float32), 0)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(8):
        for plain, engine in engines.items():
            began = time.perf_counter()
            engine.d_step(images, labels, labels, 0, step=turn, lr=1e-4)
            seconds[plain].append(time.perf_counter() - began)
    assert median(seconds[True]) > 1.3 * median(seconds[False])


def test_g_compiles_into_one_graph() -> None:
    """As on a GPU, there are no graph breaks, and images and gradients stay the same."""
    torch.manual_seed(0)
    plain = networks.Generator(Architecture(width=8, blocks=2, attention_mask=True, resize_conv=True), 3, plain=True)
    compiled = torch.compile(plain, backend="aot_eager", fullgraph=True)
    images, labels = torch.rand(2, 3, 16, 16) * 2 - 1, torch.eye(3)[:2]
    results = []
    for network in (plain, compiled):
        points = images.clone().requires_grad_(True)
        out = network(network(points, labels), 1 - labels)
        out.square().sum().backward()
        results.append([out.detach(), points.grad, *(parameter.grad for parameter in plain.parameters())])
        plain.zero_grad(set_to_none=True)
    for first, second in zip(*results, strict=True):
        assert relative_difference(first, second) < 1e-4
