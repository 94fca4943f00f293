"""Translations averaged with those of the mirror image, `experiments/mirror.py`."""

from pathlib import Path

import numpy as np
import pytest
from test_benchmarks import script_here

import stargan


def test_the_mean_with_the_mirror_image(tmp_path: Path) -> None:
    out = tmp_path / "mirrored.onnx"
    assert script_here("mirror", "cartoons", out) == (0, "")
    plain, mirrored = stargan.load("cartoons"), stargan.load(out)
    assert mirrored.info == plain.info
    images = np.random.default_rng(0).uniform(-1, 1, (2, 3, 64, 64)).astype(np.float32)
    source = np.eye(2, plain.domains.num_labels, dtype=np.float32)
    turned = np.ascontiguousarray(images[..., ::-1])
    expected = plain.generate(images, source[::-1], source), plain.generate(turned, source[::-1], source)[..., ::-1]
    assert np.abs(expected[0] - expected[1]).max() > 0.1
    assert np.abs(mirrored.generate(images, source[::-1], source) - sum(expected) / 2).max() < 1e-5


@pytest.mark.parametrize("names", [("run.safetensors", "out.onnx"), ("cartoons", "out.safetensors")])
def test_other_kinds_of_files(tmp_path: Path, names: tuple[str, str]) -> None:
    (tmp_path / "run.safetensors").touch()
    model = names[0] if names[0] == "cartoons" else tmp_path / names[0]
    code, said = script_here("mirror", model, tmp_path / names[1])
    assert (code, "both files must end in .onnx" in said) == (2, True)
    assert not (tmp_path / names[1]).exists()
