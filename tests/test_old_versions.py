"""Files, run folders and command lines of version 0.1 still work; `fixtures/version-0.1` is what it wrote."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, draw_folders
from PIL import Image

import stargan
from stargan import cli
from stargan.cli import commands
from stargan.model import run_folder, safetensors_file

OLD = Path(__file__).parent / "fixtures" / "version-0.1"


def pixels(image: Path | Image.Image) -> np.ndarray:
    if isinstance(image, Image.Image):
        return np.asarray(image, int)
    with Image.open(image) as opened:
        return np.asarray(opened, int)


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors"])
def test_model_files(name: str) -> None:
    model = stargan.load(OLD / name)
    assert model.info.architecture.attention_mask
    assert model.info.architecture.resize_conv
    assert model.info.classifier
    assert len(model.info.label_frequencies) == 3
    assert [entry["training_images"] for entry in model.info.data] == [50]
    difference = np.abs(
        pixels(model.translate_aligned(OLD / "source.png", ["green"], known=["red"])) - pixels(OLD / "green.png")
    )
    assert difference.max() <= 1
    if name == "model.onnx":
        assert (difference > 0).mean() < 0.01  # 0 on the CPU that wrote it


def test_attribute_classifiers() -> None:
    """They were called labellers, in the metadata of `.onnx` files and in the names of arrays."""
    onnx, safetensors = (stargan.load(OLD / name) for name in ("model.onnx", "model.safetensors"))
    image = onnx.prepare([OLD / "source.png"])
    assert np.abs(onnx._backend.classify(image) - safetensors._backend.classify(image)).max() < 1e-4
    assert np.array_equal(onnx.values(image), safetensors.values(image))


@pytest.mark.parametrize("model", ["model.onnx", "run"])
def test_translate(model: str, tmp_path: Path) -> None:
    command = [
        "translate",
        str(OLD / model),
        str(OLD / "source.png"),
        "--crop",
        "--to",
        "green",
        "--from",
        "red",
        "--out",
    ]
    assert cli.main([*command, str(tmp_path)]) == 0
    written = pixels(tmp_path / "source.green.png")
    assert written.shape == (16, 16, 3)
    if model == "model.onnx":
        assert np.abs(written - pixels(OLD / "green.png")).max() <= 1


def test_cards(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("model.onnx", "model.safetensors"):
        assert cli.main(["card", str(OLD / name)]) == 0
        assert "green" in capsys.readouterr().out
    assert cli.main(["card", str(OLD / "run")]) == 2
    assert "has no card" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["model.onnx", "run"])
def test_export(model: str, tmp_path: Path) -> None:
    out = tmp_path / "new.onnx"
    command = ["export", str(OLD / model), str(out), "--licence", "none"]
    if model != "run":  # the report is about the finished model
        command += ["--report", str(OLD / "report.json"), "--limits", "anything"]
    assert cli.main(command) == 0
    old, new = stargan.load(OLD / model), stargan.load(out)
    assert new.info.licence == "none"
    assert (new.info.card is None) == (model == "run")
    image = new.prepare([OLD / "source.png"])
    labels = new.domains.labels(np.eye(3, dtype=np.float32)[:1], 0)
    assert np.abs(new.generate(image, labels) - old.generate(image, labels)).max() < 1e-4
    assert np.array_equal(new.values(image), old.values(image))


def test_a_run_is_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(OLD / "run", tmp_path / "run")
    data = draw_folders(tmp_path / "colours")
    assert cli.main(["train", "--resume", str(tmp_path / "run"), "--data", str(data), "--steps", "10"]) == 0
    info, arrays, _ = safetensors_file.read(run_folder.checkpoints(tmp_path / "run")[-1], training=True)
    assert info.steps == 10
    assert not [name for name in arrays if "labeller" in name]
    assert stargan.load(tmp_path / "run" / "model.onnx").info.classifier


OPTIONS = {
    "--mask": ("attention_mask", True),
    "--no-mask": ("attention_mask", False),
    "--resize": ("resize_conv", True),
    "--no-resize": ("resize_conv", False),
    "--critic-updates 3": ("n_critic", 3),
    "--critic-updates=3": ("n_critic", 3),
    "--critic_updates 3": ("n_critic", 3),
    "--lambda-slope 2.5": ("lambda_cls_gp", 2.5),
    "--lambda_slope=2.5": ("lambda_cls_gp", 2.5),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_options_of_training(option: str) -> None:
    name, value = OPTIONS[option]
    _, options = commands.parse(["train", "--recipe", "modern", *option.split()])
    (found,) = [vars(group)[name] for group in vars(options).values() if name in getattr(group, "__dict__", {})]
    assert found == value


def test_options_of_evaluation() -> None:
    for words in (["--judges", "5"], ["--judges=5"]):
        _, options = commands.parse(["evaluate", "cartoons", "--data", "cartoons", "--out", "o", *words])
        assert options.classifiers == 5


def test_a_command_line_of_old_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = draw_folders(tmp_path / "colours")
    old = ["--mask", "--no-resize", "--critic-updates", "2", "--lambda-slope=1.5"]
    assert cli.main(["train", "--data", str(data), *TINY, *old, "--dry-run"]) == 0
    text = capsys.readouterr().out
    for line in ('"attention_mask": true', '"resize_conv": false', '"n_critic": 2', '"lambda_cls_gp": 1.5'):
        assert line in text
