"""The networks: sizes, shapes, the effect of labels, and weights by name."""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from stargan.config import Architecture, Config
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.pytorch import networks
from stargan.errors import ModelError
from stargan.model.info import ModelInfo
from stargan.model.safetensors_file import Arrays

DOMAINS = Domains(
    (
        LabelSet("faces", (Group(("smile",)), Group(("hat",)))),
        LabelSet("seasons", (Group(("summer", "winter", "spring"), True, "season"),)),
    )
)
INFO = ModelInfo(DOMAINS, Architecture((24, 16), width=4, blocks=2, d_layers=3))


def fresh(name: str, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return networks.build(name, INFO.architecture, DOMAINS)


def random_images(count: int, height: int, width: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.uniform(-1, 1, (count, 3, height, width)).astype(np.float32))


# ---------------------------------------------------------------- sizes


def test_parameters_at_128_pixels() -> None:
    with torch.device("meta"):
        generator = networks.Generator(Architecture(), 5)
        discriminator = networks.Discriminator(Architecture(), 5)
    convolutions = 8 * 64 * 49 + 64 * 128 * 16 + 128 * 256 * 16 + 12 * 256 * 256 * 9
    convolutions += 256 * 128 * 16 + 128 * 64 * 16 + 64 * 3 * 49
    norms = 2 * (64 + 128 + 256 + 12 * 256 + 128 + 64)
    assert sum(p.numel() for p in generator.parameters()) == convolutions + norms == 8_430_528
    widths = [3, 64, 128, 256, 512, 1024, 2048]
    strided = sum(16 * a * b + b for a, b in itertools.pairwise(widths))
    assert sum(p.numel() for p in discriminator.parameters()) == strided + 2048 * 9 + 2048 * 5 * 4 == 44_762_048


@pytest.mark.parametrize("size", [(16, 16), (20, 12), (4, 44), (28, 8)])
def test_generator_keeps_the_size(size: tuple[int, int]) -> None:
    generator = networks.Generator(Architecture(width=2, blocks=1), 3)
    out = generator(random_images(2, *size), torch.zeros(2, 3))
    assert out.shape == (2, 3, *size)
    assert out.abs().max() <= 1


@pytest.mark.parametrize(
    ("size", "layers", "left"),
    [
        ((16, 16), 3, (2, 2)),
        ((24, 16), 3, (2, 3)),
        ((12, 32), 2, (8, 3)),
        ((32, 32), 5, (1, 1)),
        ((100, 44), 4, (2, 6)),
    ],
)
def test_discriminator_shapes(size: tuple[int, int], layers: int, left: tuple[int, int]) -> None:
    discriminator = networks.Discriminator(Architecture(size, width=2, d_layers=layers), 7)
    src, cls = discriminator(random_images(2, size[1], size[0]))
    assert src.shape == (2, 1, *left)
    assert cls.shape == (2, 7)
    assert discriminator.cls.kernel_size == left


def test_classifier_takes_any_size() -> None:
    classifier = networks.AttributeClassifier(4, layers=3)
    assert classifier(random_images(2, 16, 16)).shape == (2, 4)
    assert classifier(random_images(1, 40, 24)).shape == (1, 4)


def test_build_follows_the_label_layout() -> None:
    shapes = {name: {k: tuple(v.shape) for k, v in fresh(name).state_dict().items()} for name in networks.NAMES}
    assert shapes["generator"]["layers.0.weight"] == (4, 3 + 7, 7, 7)  # two data sets: a domain mask of two columns
    assert shapes["discriminator"]["cls.weight"] == (5, 16, 2, 3)
    assert shapes["classifier"]["cls.weight"] == (5, 128)
    config = Config(image_size=(24, 16), width=4, blocks=2, d_layers=3)
    for name in networks.NAMES:
        network = networks.build(name, config.architecture, DOMAINS)
        assert {k: tuple(v.shape) for k, v in network.state_dict().items()} == shapes[name]


# ---------------------------------------------------------------- layers


def test_convolutions_of_the_generator_have_no_bias_and_pad_with_zeros() -> None:
    kernels = [
        m
        for m in networks.Generator(Architecture(width=4, blocks=2), 3).modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert len(kernels) == 10
    assert all(kernel.bias is None for kernel in kernels)
    assert all(kernel.padding_mode == "zeros" for kernel in kernels)


def test_biases_of_the_discriminator() -> None:
    names = {
        name
        for name, _ in networks.Discriminator(Architecture((16, 16), 4, d_layers=2), 3).named_parameters()
        if "bias" in name
    }
    assert names == {"layers.0.bias", "layers.2.bias"}


def test_resize_convolutions_replace_transposed_ones() -> None:
    """Away from the border, a constant image stays constant, because all output pixels are computed alike."""
    images, labels, spread = torch.full((1, 3, 64, 64), 0.4), torch.ones(1, 2), {}
    for resize in (False, True):
        generator = networks.Generator(Architecture(width=4, blocks=1, resize_conv=resize), 2)
        transposed = any(isinstance(layer, nn.ConvTranspose2d) for layer in generator.modules())
        assert transposed != resize
        out = generator(images, labels)
        assert out.shape == images.shape
        spread[resize] = out[:, :, 30:34, 30:34].std((2, 3)).max().item()
    assert spread[True] < 0.5 * spread[False]


def test_an_images_result_does_not_depend_on_the_batch() -> None:
    generator = networks.Generator(Architecture(width=4, blocks=1), 2)
    assert list(generator.buffers()) == []
    images, labels = random_images(3, 16, 16), torch.eye(3, 2)
    together = generator(images, labels)
    alone = torch.cat([generator(images[i : i + 1], labels[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.equal(generator.eval()(images, labels), together)


def test_labels_change_the_output() -> None:
    generator = fresh("generator")
    images = random_images(1, 16, 24).expand(8, -1, -1, -1)
    labels = torch.cat([torch.zeros(1, 7), torch.eye(7)])
    out = generator(images, labels)
    differences = [(out[i] - out[j]).abs().max().item() for i in range(8) for j in range(i)]
    assert min(differences) > 1e-3


def test_reflection_padding_would_erase_the_labels() -> None:
    generator = networks.Generator(Architecture(width=4, blocks=1), 2)
    generator.layers[0] = nn.Conv2d(5, 4, 7, 1, 3, bias=False, padding_mode="reflect")
    images = random_images(1, 16, 16).expand(2, -1, -1, -1)
    out = generator(images, torch.eye(2))
    assert torch.allclose(out[0], out[1], atol=1e-4)


# ---------------------------------------------------------------- weights by name


def arrays_of(name: str) -> Arrays:
    return {f"{name}/{key}": array for key, array in networks.to_arrays(fresh(name, seed=5)).items()}


@pytest.mark.parametrize("name", networks.NAMES)
def test_restore(name: str) -> None:
    arrays = arrays_of(name)
    restored = networks.restore(name, INFO.architecture, DOMAINS, {**arrays, "elsewhere/x": np.zeros(1)})
    assert not restored.training
    assert not any(parameter.requires_grad for parameter in restored.parameters())
    inputs = (random_images(2, 16, 24), torch.ones(2, 7)) if name == "generator" else (random_images(2, 16, 24),)
    with torch.no_grad():
        ours, theirs = restored(*inputs), fresh(name, seed=5)(*inputs)
    if name != "discriminator":
        ours, theirs = (ours,), (theirs,)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert not torch.equal(next(fresh(name).parameters()), next(restored.parameters()))


def test_arrays_are_copies() -> None:
    network = fresh("classifier")
    arrays = networks.to_arrays(network)
    networks.from_arrays(network, arrays, "classifier")
    before = {name: array.copy() for name, array in arrays.items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert all(np.array_equal(arrays[name], before[name]) for name in arrays)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("generator/layers.9.layers.1.bias"), "generator/layers.9.layers.1.bias is missing"),
        (
            lambda arrays: arrays.update({"generator/layers.0.bias": np.zeros(4, np.float32)}),
            "unexpected array generator/layers.0.bias",
        ),
        (
            lambda arrays: arrays.update({"generator/layers.1.bias": np.zeros(5, np.float32)}),
            r"generator/layers.1.bias has shape \(5,\), not \(4,\)",
        ),
        (lambda arrays: arrays.clear(), "generator/layers.0.weight is missing"),
    ],
)
def test_restore_names_the_bad_array(change: Callable[[Arrays], object], message: str) -> None:
    arrays = arrays_of("generator")
    change(arrays)
    with pytest.raises(ModelError, match=message):
        networks.restore("generator", INFO.architecture, DOMAINS, arrays)


def test_restore_for_another_image_size() -> None:
    arrays = arrays_of("discriminator")
    with pytest.raises(ModelError, match=r"discriminator/cls.weight has shape \(5, 16, 2, 3\), not \(5, 16, 2, 2\)"):
        networks.restore("discriminator", dataclasses.replace(INFO.architecture, image_size=(16, 16)), DOMAINS, arrays)
