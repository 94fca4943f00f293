"""The engine and the importers against numbers from the official code and from taki0112's; see parity.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import parity
import pytest
import torch
from torch import Tensor, nn

from stargan.config import Architecture
from stargan.engine.pytorch import losses
from stargan.engine.pytorch.engine import PytorchEngine
from stargan.engine.pytorch.updates import Updates
from stargan.errors import ModelError
from stargan.interop.official import Sizes, from_official, to_official
from stargan.interop.tensorflow1 import from_tensorflow1
from stargan.model.safetensors_file import Arrays, under

FOLDER = Path(__file__).parent / "fixtures"
OFFICIAL = ("celeba_binary", "rafd_categorical", "joint_first", "joint_second")


def failures(name: str, spoil: parity.Spoil | None = None, **settings: Any) -> list[str]:
    """Returns the names of the quantities that differ."""
    quantities = parity.compare(FOLDER / f"{name}.npz", spoil, **settings)
    return [quantity.name for quantity in quantities if not quantity.passes]


def arrays_of(name: str, prefix: str) -> Arrays:
    with np.load(FOLDER / f"{name}.npz") as file:
        return under({key: file[key] for key in file.files}, prefix)


# ---------------------------------------------------------------- the engine


@pytest.mark.parametrize("name", [*OFFICIAL, "taki0112"])
def test_all_quantities_agree(name: str) -> None:
    quantities = parity.compare(FOLDER / f"{name}.npz")
    assert len(quantities) == (24 if name == "taki0112" else 89)
    assert [str(quantity) for quantity in quantities if not quantity.passes] == []


def test_cyclegan_agrees() -> None:
    quantities = parity.compare(FOLDER / "cyclegan.npz")
    assert len(quantities) == 139
    assert [str(quantity) for quantity in quantities if not quantity.passes] == []


def test_pix2pix_agrees() -> None:
    quantities = parity.compare(FOLDER / "pix2pix.npz")
    assert len(quantities) == 78
    assert [str(quantity) for quantity in quantities if not quantity.passes] == []


def test_wrong_settings_of_pix2pix_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "KINKS", 0)
    assert "loss G" in failures("pix2pix", lambda_rec=101.0)
    assert "loss D_real" in failures("pix2pix", objective="lsgan")


@pytest.mark.parametrize(
    ("settings", "loss"),
    [
        ({"lambda_rec": 10.1}, "loss 1 G"),
        ({"lambda_identity": 0.51}, "loss 1 G"),
        ({"objective": "gan"}, "loss 1 G_A"),
        ({"buffer": 0}, "loss 2 D_A"),
    ],
)
def test_wrong_settings_of_cyclegan_are_detected(settings: dict[str, Any], loss: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(parity, "KINKS", 0)
    assert loss in failures("cyclegan", **settings)


@pytest.mark.parametrize(
    ("settings", "loss", "network"),
    [
        ({"lambda_cls": 1.01}, "loss D_total", "gradient D cls.weight"),
        ({"lambda_gp": 9.9}, "loss D_total", "gradient D src.weight"),
        ({"lambda_rec": 10.1}, "loss G_total", "gradient G layers.17.weight"),
        ({"objective": "wgan-lp"}, "loss D_gp", "gradient D src.weight"),
        ({"objective": "hinge"}, "loss D_real", "gradient D src.weight"),
    ],
)
def test_wrong_settings_are_detected(settings: dict[str, Any], loss: str, network: str) -> None:
    failed = failures("celeba_binary", **settings)
    assert loss in failed
    assert network in failed


def test_one_wrong_weight_is_detected() -> None:
    def spoil(engine: PytorchEngine) -> None:
        with torch.no_grad():
            next(engine.updates.discriminator.parameters())[0, 0, 0, 0] += 0.05

    failed = failures("rafd_categorical", spoil)
    assert {"D src", "gradient D layers.0.weight", "updated D layers.0.weight"} <= set(failed)
    assert "G fake" not in failed
    assert "loss wgan-gp D" in failures("taki0112", spoil)


def test_nan_is_detected() -> None:
    def spoil(engine: PytorchEngine) -> None:
        with torch.no_grad():
            next(engine.updates.generator.parameters()).fill_(torch.nan)

    assert "G fake" in failures("celeba_binary", spoil)


def test_the_wrong_half_of_joint_labels_is_detected() -> None:
    def spoil(engine: PytorchEngine) -> None:
        engine.updates.heads.reverse()

    assert {"loss D_cls", "loss G_cls", "gradient D cls.weight"} <= set(failures("joint_first", spoil))


def test_a_wrong_penalty_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "between", lambda real, fake, alpha: alpha * fake + (1 - alpha) * real)
    assert "loss D_gp" in failures("celeba_binary")
    assert failures("taki0112") == ["penalty wgan-gp", "penalty wgan-lp"]


def test_a_wrong_learning_rate_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    update = Updates.update_g

    def double_rate(updates: Updates, real: Tensor, labels: Tensor, targets: Tensor, dataset: int, lr: float) -> None:
        update(updates, real, labels, targets, dataset, 2 * lr)

    monkeypatch.setattr(Updates, "update_g", double_rate)
    failed = failures("celeba_binary")
    assert failed
    assert all(name.startswith("updated G") for name in failed)


def beyond_zero(shape: tuple[int, ...], below: float, above: float = 0.0) -> parity.Spoil:
    """Moves inputs of G's ReLUs to the other side of zero, as rounding may; the range is relative to their size."""

    def move(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor] | None:
        (x,) = inputs
        if tuple(x.shape) != shape:
            return None
        size = x.detach().abs() / x.detach().square().mean().sqrt()
        return (torch.where((size >= above) & (size < below), x - 2 * x.detach(), x),)

    def spoil(engine: PytorchEngine) -> None:
        for module in engine.updates.generator.modules():
            if isinstance(module, nn.ReLU):
                module.register_forward_pre_hook(move)

    return spoil


KINK = (4, 8, 8, 8)
"""The ReLUs of the fixture `celeba_binary` with an input that is almost zero: 1.6e-5 of their usual size."""


def test_an_input_at_a_kink_may_lie_on_either_side(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = beyond_zero(KINK, 2e-5)
    assert failures("celeba_binary", moved) == []
    monkeypatch.setattr(parity, "KINKS", 0)
    failed = failures("celeba_binary", moved)
    assert failed
    assert all(name.startswith(("gradient G", "updated G")) for name in failed)


def test_an_input_beside_a_kink_may_not() -> None:
    assert failures("celeba_binary", beyond_zero(KINK, 1e-2, 2e-4))


def test_a_kink_hides_nothing_else() -> None:
    assert "loss G_total" in failures("celeba_binary", beyond_zero(KINK, 2e-5), lambda_rec=10.1)


def test_command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(FOLDER / "taki0112.npz")
    assert parity.main([path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == path
    assert lines[-1] == "24 of 24 pass"
    assert all(line.endswith("pass") for line in lines[1:])

    monkeypatch.setattr(losses, "reconstruction", lambda images, back: (images - back).square().mean())
    assert parity.main([path]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines if line.endswith("FAIL")] == ["loss reconstruction"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", [*OFFICIAL, "taki0112"])
def test_agrees_on_a_gpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    assert failures(name, device="cuda") == []


# ---------------------------------------------------------------- the importers


@pytest.mark.parametrize(("name", "labels", "classes"), [("celeba_binary", 5, 5), ("joint_first", 15, 13)])
def test_official_sizes_and_names(name: str, labels: int, classes: int) -> None:
    generator, discriminator = arrays_of(name, "before/G"), arrays_of(name, "before/D")
    arrays, sizes = from_official(generator, discriminator)
    assert sizes == Sizes(Architecture((16, 16), 4, 2, 3), labels, classes)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    back = to_official(arrays)
    plain = {f"G/{key}": value for key, value in generator.items()}
    plain |= {f"D/{key}": value for key, value in discriminator.items()}
    plain = {key: value for key, value in plain.items() if "running" not in key and "batches" not in key}
    assert back.keys() == plain.keys()
    assert all(np.array_equal(back[key], plain[key]) for key in plain)


def test_generator_alone() -> None:
    arrays, sizes = from_official(arrays_of("celeba_binary", "before/G"))
    assert sizes == Sizes(Architecture(width=4, blocks=2), 5)
    assert len(arrays) == 28
    assert all(name.startswith("generator/") for name in arrays)
    variables = arrays_of("taki0112", "var")
    alone = {name: array for name, array in variables.items() if name.startswith("generator/")}
    assert from_tensorflow1(alone)[1] == Sizes(Architecture(width=4, blocks=2), 5)


def without(name: str) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.pop(name)


def changed(name: str, array: np.ndarray) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.update({name: array})


@pytest.mark.parametrize(
    ("network", "change", "message"),
    [
        ("G", without("main.9.main.1.bias"), "G/main.9.main.1.bias is missing"),
        ("G", without("main.0.weight"), "G/main.0.weight is missing"),
        ("G", changed("main.30.weight", np.zeros(3)), "unexpected tensor G/main.30.weight"),
        ("G", changed("main.0.bias", np.zeros(4)), "unexpected tensor G/main.0.bias"),
        ("G", changed("layers.0.weight", np.zeros(3)), "unexpected tensor G/layers.0.weight"),
        ("G", changed("main.3.weight", np.zeros((8, 4, 3, 3))), r"G/main.3.weight has shape \(8, 4, 3, 3\), not"),
        ("G", changed("main.0.weight", np.zeros(3)), "G/main.0.weight has shape"),
        ("G", changed("main.0.weight", np.zeros((4, 3, 7, 7))), "none for labels"),
        ("G", changed("main.0.weight", np.zeros((4, 9, 7, 7))), "takes 6 labels, but the discriminator predicts 5"),
        ("D", changed("main.2.bias", np.zeros(8, complex)), "D/main.2.bias contains complex128"),
        ("D", without("main.2.bias"), "D/main.2.bias is missing"),
        ("D", without("conv1.weight"), "D/conv1.weight is missing"),
        ("D", without("conv2.weight"), "D/conv2.weight is missing"),
        ("D", changed("conv3.weight", np.zeros(1)), "unexpected tensor D/conv3.weight"),
        ("D", changed("main.0.weight", np.zeros((8, 3, 4, 4))), r"D/main.0.weight has shape"),
        ("D", changed("conv2.weight", np.zeros((5, 16, 2000, 2))), "more than 8192 pixels"),
        ("D", lambda arrays: [arrays.pop(f"main.{i}.weight") for i in (0, 2, 4)], "but no layers before it"),
    ],
)
def test_official_refuses(network: str, change: Callable[[Arrays], object], message: str) -> None:
    states = {symbol: arrays_of("celeba_binary", f"before/{symbol}") for symbol in ("G", "D")}
    change(states[network])
    with pytest.raises(ModelError, match=message):
        from_official(states["G"], states["D"])


def test_too_many_layers_are_refused_before_networks_are_built() -> None:
    states = {symbol: arrays_of("celeba_binary", f"before/{symbol}") for symbol in ("G", "D")}
    states["D"] |= {f"main.{index}.weight": np.zeros(1) for index in range(1000)}
    with pytest.raises(ModelError, match="more than 8192 pixels"):
        from_official(states["G"], states["D"])


def test_tensorflow1_sizes_and_ignored_variables() -> None:
    variables = arrays_of("taki0112", "var")
    arrays, sizes = from_tensorflow1(variables)
    assert sizes == Sizes(Architecture((16, 16), 4, 2, 3), 5, 5)
    assert arrays["generator/layers.11.weight"].shape == (16, 8, 4, 4)  # transposed convolution: in, out
    adam = {f"{name}/Adam": array for name, array in variables.items()}
    adam |= {f"{name}/Adam_1": array for name, array in variables.items()}
    adam |= {name: np.zeros(()) for name in ("beta1_power", "beta2_power", "beta1_power_1", "beta2_power_1")}
    again, _ = from_tensorflow1({**variables, **adam})
    assert again.keys() == arrays.keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("generator/up_ins_norm1/gamma"), "generator/up_ins_norm1/gamma is missing"),
        (without("discriminator/conv_1/conv2d/bias"), "discriminator/conv_1/conv2d/bias is missing"),
        (changed("generator/conv/conv2d/bias", np.zeros(4)), "unexpected tensor generator/conv/conv2d/bias"),
        (changed("other/kernel", np.zeros(4)), "unexpected tensor other/kernel"),
        (changed("generator/G_logit/conv2d/kernel", np.zeros((3, 3, 4, 3))), "generator/G_logit/conv2d/kernel has"),
    ],
)
def test_tensorflow1_refuses(change: Callable[[Arrays], object], message: str) -> None:
    variables = arrays_of("taki0112", "var")
    change(variables)
    with pytest.raises(ModelError, match=message):
        from_tensorflow1(variables)
