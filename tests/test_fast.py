"""Every fast path against the plain one: outputs, gradients, the penalty's second gradients, weights after updates."""

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
import torch
from torch import nn

from stargan.config import Config, Device, Objective
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.pytorch import losses, networks
from stargan.engine.pytorch import step as step_module
from stargan.engine.pytorch.convolution import StridedConv, norm_relu_conv
from stargan.engine.pytorch.step import PytorchEngine

DOMAINS = Domains((LabelSet("faces", (Group(("Black", "Blond")), Group(("Male",)))),))
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(autouse=True)
def all_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "LARGE", 0)
    monkeypatch.setattr(step_module, "PART_PIXELS", 16 * 16)  # G's update takes its batch in parts of one picture


DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, GPU])]


def apart(first: torch.Tensor, second: torch.Tensor) -> float:
    """The difference relative to the first one's size."""
    return float((first - second).norm() / first.norm())


def squared(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: layer(x).square()


@pytest.mark.parametrize("size", [4, 8])
def test_strided_convolution(size: int) -> None:
    """As a product: the output, its gradients, and those of a penalty on its gradient."""
    torch.manual_seed(0)
    plain, fast = StridedConv(64, 12, plain=True), StridedConv(64, 12)
    fast.load_state_dict(plain.state_dict())
    pictures = torch.randn(2, 64, size, size)
    results = []
    for layer in (plain, fast):
        points = pictures.clone().requires_grad_(True)
        out = layer(points)
        penalty = losses.gradient_penalty(squared(layer), pictures)
        (out.square().sum() + 10 * penalty).backward()
        gradients = [x.grad for x in (points, *layer.parameters()) if x.grad is not None]
        assert len(gradients) == 3
        results.append((out.detach(), penalty.detach(), *gradients))
    for first, second in zip(*results, strict=True):
        assert apart(first, second) < 1e-5


@pytest.mark.parametrize("conv", [nn.Conv2d(6, 5, 4, 2, 1, bias=False), nn.ConvTranspose2d(6, 5, 4, 2, 1, bias=False)])
def test_norm_relu_conv(conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
    torch.manual_seed(0)
    norm = networks.norm(6)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    pictures, results = torch.randn(3, 6, 8, 12), []
    for function in (lambda x: conv(norm(x).relu()), lambda x: norm_relu_conv(x, norm, conv)):
        points = pictures.clone().requires_grad_(True)
        out = function(points)
        out.square().sum().backward()
        results.append((out.detach(), points.grad, norm.weight.grad, norm.bias.grad, conv.weight.grad))
        norm.weight.grad = norm.bias.grad = conv.weight.grad = None
    for first, second in zip(*results, strict=True):
        assert apart(first, second) < 1e-5


def check_gradients(plain: nn.Module, fast: nn.Module) -> None:
    gradients = [[p.grad for p in network.parameters() if p.grad is not None] for network in (plain, fast)]
    assert len(gradients[0]) == len(list(plain.parameters()))
    floor = 1e-6 * max(float(gradient.norm()) for gradient in gradients[0])
    for first, second in zip(*gradients, strict=True):
        assert float((first - second).norm()) < 1e-4 * float(first.norm()) + floor


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("objective", ["wgan-gp", "dragan", "hinge"])
def test_an_update(objective: Objective, mask: bool, device: Device) -> None:
    """Gradients and weights after ten updates of both networks."""
    config = Config(
        image_size=(16, 16), width=16, blocks=2, d_layers=3, batch_size=2, objective=objective, mask=mask,
        device=device, precision="fp32", lr=1e-4,
    )  # fmt: skip
    engines = [PytorchEngine(replace(config, plain=plain), DOMAINS) for plain in (True, False)]
    rng = np.random.default_rng(0)
    for step in range(10):
        pictures = rng.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
        labels, targets = (DOMAINS.labels(DOMAINS.random_values(rng, 2), 0) for _ in range(2))
        for update in ("d_step", "g_step"):
            for engine in engines:
                getattr(engine, update)(pictures, labels, targets, 0, step=step, lr=config.lr)
            if step == 0:
                check_gradients(*(e.networks["discriminator" if update == "d_step" else "generator"] for e in engines))
    plain, fast = (engine.losses() for engine in engines)
    assert plain.keys() == fast.keys()
    for name, value in plain.items():
        assert fast[name] == pytest.approx(value, rel=1e-3, abs=1e-4), name
    for network in ("generator", "discriminator"):
        for first, second in zip(*(engine.networks[network].parameters() for engine in engines), strict=True):
            # Adam's step is the gradient's sign where the gradient is noise, so a few weights may drift by 2 lr a step.
            assert float((first - second).detach().abs().mean()) < 0.1 * config.lr


def test_the_fast_paths_are_taken() -> None:
    """Else the comparisons above would compare the plain path with itself."""
    engine = PytorchEngine(Config(image_size=(16, 16), width=16, blocks=1, d_layers=3, device="cpu"), DOMAINS)
    pictures = torch.randn(2, 3, 16, 16)

    def nodes(out: torch.Tensor) -> set[str]:
        seen, ahead = set(), [out.grad_fn]
        while ahead:
            node = ahead.pop()
            if node is not None and node not in seen:
                seen.add(node)
                ahead += [following for following, _ in node.next_functions]
        return {type(node).__name__ for node in seen}

    assert "_ProductBackward" in nodes(engine.discriminator(pictures)[0])
    assert "_NormReluConvBackward" in nodes(engine.generator(pictures, torch.zeros(2, 3)))


def test_an_update_of_d_is_faster() -> None:
    """With the paper's width at 32 px. A ratio of two sides that take turns, so that a busy machine slows both."""
    config = Config(image_size=(32, 32), d_layers=5, blocks=0, batch_size=2, device="cpu", precision="fp32")
    engines = {plain: PytorchEngine(replace(config, plain=plain), DOMAINS) for plain in (True, False)}
    pictures = np.zeros((2, 32, 32, 3), np.uint8)
    labels = DOMAINS.labels(np.zeros((2, 3), np.float32), 0)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(8):
        for plain, engine in engines.items():
            began = time.perf_counter()
            engine.d_step(pictures, labels, labels, 0, step=turn, lr=1e-4)
            seconds[plain].append(time.perf_counter() - began)
    assert median(seconds[True]) > 1.3 * median(seconds[False])
