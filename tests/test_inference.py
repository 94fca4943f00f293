"""G rewritten for inference on CPUs, compared with the original."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import stargan
from stargan import cli
from stargan.config import Architecture
from stargan.engine.pytorch import onnx_export
from stargan.engine.pytorch.fast import rewrite, winograd
from stargan.engine.pytorch.networks import Generator, ResidualBlock


@pytest.mark.parametrize("size", [(8, 8), (4, 12), (5, 7), (1, 2)])
def test_rewritten_blocks(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    blocks = [ResidualBlock(16) for _ in range(3)]
    for block in blocks:
        for layer in block.layers:
            if isinstance(layer, nn.InstanceNorm2d):
                nn.init.normal_(layer.weight)
                nn.init.normal_(layer.bias)
    images = torch.randn(3, 16, *size)
    with torch.no_grad():
        expected = nn.Sequential(*blocks)(images)
        actual = winograd.Trunk(list(blocks))(images)
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() < 3e-5 * expected.abs().max()


def test_a_winograd_convolution_is_exact_except_for_rounding() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(5).double()
    images = torch.randn(2, 5, 9, 6, dtype=torch.float64)
    with torch.no_grad():
        expected = block.layers[0](images)
        trunk = winograd.Trunk([block]).double()
        actual = trunk._convolution(images.permute(0, 2, 3, 1), block.layers[0]).permute(0, 3, 1, 2)
    assert (actual - expected).abs().max() < 1e-12


@pytest.mark.parametrize(("mask", "resize", "channels"), [(False, False, 3), (True, True, 4)])
@pytest.mark.parametrize("side", [32, 128])
def test_the_rewritten_generator_gives_the_same_images(
    mask: bool, resize: bool, channels: int, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 1)
    torch.manual_seed(0)
    generator = Generator(Architecture(width=4, blocks=2, attention_mask=mask, resize_conv=resize), 5).double().eval()
    images, labels = torch.rand(2, 3, side, side // 2).double() * 2 - 1, torch.rand(2, 5).double()
    with torch.no_grad():
        expected = generator(images, labels)
        rewrite.rewrite(generator, Architecture((side, side), width=4))
        actual = generator.double()(images, labels)
    assert (actual - expected).abs().max() < 1e-5
    trunks = [isinstance(layer, winograd.Trunk) for layer in generator.layers]
    assert sum(trunks) == (side == 128)
    last = generator.layers[-1]
    assert isinstance(last, rewrite.ColumnConv)
    assert last.weight.shape == (7 * channels, 4, 7, 1)


def test_a_generator_without_blocks_can_be_rewritten() -> None:
    generator = Generator(Architecture(blocks=0), 3)
    rewrite.rewrite(generator, Architecture())
    assert not any(isinstance(layer, winograd.Trunk) for layer in generator.layers)


@pytest.mark.parametrize(
    ("side", "width", "expected"), [(128, 64, True), (256, 64, True), (64, 64, False), (128, 32, False)]
)
def test_winograd_pays_from_the_papers_size(side: int, width: int, expected: bool) -> None:
    assert winograd.pays(Architecture((side, side), width)) == expected


def test_fast_and_plain_files_agree(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files exported with and without rewriting give the same images for any batch size."""
    monkeypatch.setattr(winograd, "FEWEST_TILES", 1)
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 1)
    assert cli.main(["export", str(run), str(tmp_path / "fast.onnx")]) == 0
    assert cli.main(["export", str(run), str(tmp_path / "plain.onnx"), "--plain"]) == 0
    fast, plain = (stargan.load(tmp_path / f"{name}.onnx") for name in ("fast", "plain"))
    rng = np.random.default_rng(0)
    for count in (1, 5):
        images = rng.uniform(-1, 1, (count, 3, 16, 16)).astype(np.float32)
        labels = np.eye(fast.domains.num_labels, dtype=np.float32)[[0] * count]
        results = [model.generate(images, labels) for model in (fast, plain)]
        assert 0 < np.abs(results[0] - results[1]).max() < 1e-4  # 0 would mean the same graph


def test_exported_kernels_are_transformed_by_one_operation() -> None:
    """With two operations, runtimes would keep an intermediate copy."""
    trunk = winograd.Trunk([ResidualBlock(256)]).requires_grad_(False)  # the exporter folds smaller kernels itself
    features = torch.randn(2, 256, 8, 8)
    model, difference = onnx_export._graph(trunk, {"images": features}, "out", trunk(features), half=False)
    assert difference < 1e-4
    counts = Counter(node.op_type for node in onnx.load_from_string(model).graph.node)
    assert counts["Einsum"] == 2


@pytest.mark.parametrize("plain", [["--plain"], []])
def test_exported_norms_are_one_operation(plain: list[str], run: Path, tmp_path: Path) -> None:
    """Runtimes have a fast one; written out, as for a compiler, it would be a dozen slower ones."""
    assert cli.main(["export", str(run), str(tmp_path / "a.onnx"), *plain]) == 0
    graph = onnx.load(tmp_path / "a.onnx").graph
    counts = Counter(node.op_type for node in graph.node)
    blocks = stargan.load(tmp_path / "a.onnx").info.architecture.blocks
    assert counts["InstanceNormalization"] == 5 + 2 * blocks
    assert not counts["ReduceMean"]


def test_a_model_whose_results_would_change_is_exported_plain(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "FEWEST_TILES", 1)
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 1)
    monkeypatch.setattr(winograd, "KERNEL", ((0.3, 0, 0), *winograd.KERNEL[1:]))
    assert cli.main(["export", str(run), str(tmp_path / "fast.onnx")]) == 0
    assert cli.main(["export", str(run), str(tmp_path / "plain.onnx"), "--plain"]) == 0
    assert (tmp_path / "plain.onnx").read_bytes() == (tmp_path / "fast.onnx").read_bytes()


def test_plain_is_for_onnx_files(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", str(run), str(tmp_path / "a.safetensors"), "--plain"]) == 2
    assert "--plain is only for .onnx files" in capsys.readouterr().err
