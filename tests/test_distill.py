"""`stargan distill`: a small model that learns the translations of a larger one."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stargan
from stargan import engine as engines
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.data import cartoons
from stargan.errors import ConfigError, ModelError
from stargan.evaluation import metrics
from stargan.model import run_folder, safetensors_file

SMALL: dict[str, Any] = {
    "steps": 150,
    "batch_size": 4,
    "log_every": 20,
    "sample_every": 150,
    "checkpoint_every": 20,
    "precision": "fp32",
}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces") / "faces"
    cartoons.write(folder, 120, seed=3, size=64)
    return folder


@pytest.fixture(scope="module")
def student(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> stargan.Run:
    return stargan.distill("cartoons", faces, tmp_path_factory.mktemp("run") / "run", **SMALL)


def test_the_student_is_small_and_comes_near(student: stargan.Run, faces: Path) -> None:
    teacher, made = stargan.load("cartoons"), student.load()
    assert made.domains.same_layout(teacher.domains)
    assert made.image_size == teacher.image_size
    images = teacher.prepare(sorted((faces / "images").iterdir())[:12])
    labels = teacher.domains.labels(np.tile(np.eye(9, dtype=np.float32)[3], (12, 1)), 0)
    own = teacher.values(images)
    right = teacher.generate(images, labels, own)
    assert metrics.psnr(made.generate(images, labels, own), right).mean() > metrics.psnr(images, right).mean() + 0.5


def test_the_student_has_a_tenth_of_the_multiplications() -> None:
    teacher = stargan.load("celeba").info
    both = ({"image_size": [128, 128], "d_layers": 6}, dataclasses.asdict(teacher.architecture))
    small, large = (engines.create(_config("", **each), teacher.domains).macs()["generator"] for each in both)
    assert small < large / 10


def test_the_teacher_decides_what_is_learned(tmp_path: Path) -> None:
    engine = engines.create(_config("cartoons"), stargan.load("cartoons").domains)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 64, 64, 3), np.uint8)
    labels = np.tile(np.eye(9, dtype=np.float32)[0], (4, 1))
    engine.d_step(pixels, labels, labels[:, ::-1].copy(), 0, step=0, lr=1e-3)
    engine.g_step(pixels, labels, labels[:, ::-1].copy(), 0, step=0, lr=0.0)
    teacher = stargan.load("cartoons")
    images = (pixels.transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)
    right = teacher.generate(images, labels[:, ::-1].copy(), labels)
    made = engine.generate(images, labels[:, ::-1] - labels)
    assert engine.losses()["g_rec"] == pytest.approx(np.abs(made - right).mean(), rel=1e-4)


def _config(teacher: str = "cartoons", **changes: object) -> Config:
    settings = {**recipe("student").to_json(), "precision": "fp32", "image_size": [64, 64], "d_layers": 5}
    return Config.from_json({**settings, "teacher": teacher, **changes})


def test_a_resumed_run_has_the_same_weights(faces: Path, tmp_path: Path) -> None:
    settings = {**SMALL, "steps": 4, "checkpoint_every": 2}
    whole = stargan.distill("cartoons", faces, tmp_path / "whole", **settings)
    checkpoint = run_folder.checkpoints(whole.folder)[-1]
    expected = safetensors_file.read(checkpoint)[1]
    shutil.copytree(whole.folder, tmp_path / "cut")
    (tmp_path / "cut" / checkpoint.relative_to(whole.folder)).unlink()
    resumed = stargan.train(resume=tmp_path / "cut")
    found = safetensors_file.read(run_folder.checkpoints(resumed.folder)[-1])[1]
    assert all(np.array_equal(found[name], array) for name, array in expected.items())


@pytest.mark.parametrize(
    ("teacher", "changes", "expected"),
    [
        ("cartoons", {"image_size": [128, 128], "d_layers": 6}, "takes images of 64x64"),
        ("celeba", {"image_size": [128, 128], "d_layers": 6}, "has the labels Black_Hair"),
        ("cartoons", {"n_critic": 2}, "--n-critic 2: must be 1 with --teacher"),
        ("cartoons", {"engine": "tensorflow"}, "--engine tensorflow: must be pytorch with --teacher"),
    ],
)
def test_what_a_teacher_cannot_do(teacher: str, changes: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        engines.create(_config(teacher, **changes), stargan.load("cartoons").domains)


def test_a_missing_teacher(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nobody"):
        stargan.distill(tmp_path / "nobody.onnx", faces, tmp_path / "run")
    assert not (tmp_path / "run").exists()
