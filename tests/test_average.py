"""The mean of trained generators, `experiments/average.py`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_benchmarks import script_here
from test_edit_training import DOMAINS, TINY

import stargan
from stargan.config.recipes import recipe
from stargan.engine.pytorch.engine import PytorchEngine
from stargan.model import safetensors_file
from stargan.model.info import ModelInfo


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """Two model files of the same sizes whose weights differ, and their common labels."""
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for seed, path in enumerate(paths):
        config = replace(TINY, seed=seed)
        arrays = PytorchEngine(config, DOMAINS).state()
        kept = {name: array for name, array in arrays.items() if name.startswith(("generator/", "classifier/"))}
        safetensors_file.write(path, ModelInfo(DOMAINS, config.architecture, classifier=True, steps=seed), kept, {})
    return paths


def test_the_mean_of_two_generators(tmp_path: Path, models: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Of the generators only; a request made twice as strong is the change that a request of twice the strength was."""
    out = tmp_path / "mean.safetensors"
    assert script_here("average", out, *models, "--weights", "1", "3", "--strength", "gray=1.5") == (0, "")
    assert capsys.readouterr().out == f"{out}: the mean of 2 models\n"
    (_, first, _), (_, second, _), (info, made, _) = (safetensors_file.read(path) for path in (*models, out))
    assert (info.steps, set(made)) == (0, set(first))
    assert not np.array_equal(first["generator/stem.weight"], second["generator/stem.weight"])
    for name, array in first.items():
        expected = (array + 3 * second[name]) / 4 if name.startswith("generator/") else array
        if name == "generator/embed.weight":
            expected = expected * np.array([1, 1, 1.5, 1, 1], np.float32)
        assert np.allclose(made[name], expected, atol=1e-6), name
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 64, 64)).astype(np.float32)
    source = np.array([[0, 0, 0, 1, 0]], np.float32)
    plain = tmp_path / "plain.safetensors"
    assert script_here("average", plain, *models, "--weights", "2", "6") == (0, "")
    strong, twice = (
        stargan.load(path).generate(image, source + np.array([[0, 0, value, 0, 0]], np.float32), source)
        for path, value in ((out, 1), (plain, 1.5))
    )
    assert np.abs(strong - twice).max() < 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--strength", "grey=2"), "--strength grey=2: must be LABEL=FACTOR, with one of"),
        (("--strength", "gray=0"), "--strength gray=0: must be LABEL=FACTOR, with one of"),
        (("--strength", "gray"), "--strength gray: must be LABEL=FACTOR, with one of"),
        (("--weights", "1", "2"), "--weights: 2; must be 1, one for each model"),
        (("--weights", "0"), "argument --weights: 0: must be above 0"),
        (("celeba",), "celeba: must have the same labels and sizes as"),
        (("nothing.safetensors",), "nothing.safetensors: no such model file"),
    ],
)
def test_refusals(tmp_path: Path, models: list[Path], options: tuple[str, ...], message: str) -> None:
    out = tmp_path / "mean.safetensors"
    code, errors = script_here("average", out, models[0], *options)
    assert (code, errors.count("\n")) == (2, 1)
    assert message in errors
    assert not out.exists()


def test_other_generators_and_names_are_refused(tmp_path: Path, models: list[Path]) -> None:
    config = replace(recipe("official"), image_size=(64, 64), width=8, blocks=1, d_layers=3, device="cpu")
    other = tmp_path / "other.safetensors"
    arrays = PytorchEngine(config, DOMAINS).state()
    kept = {name: array for name, array in arrays.items() if name.startswith("generator/")}
    safetensors_file.write(other, ModelInfo(DOMAINS, config.architecture, classifier=False), kept, {})
    code, errors = script_here("average", tmp_path / "mean.safetensors", other)
    assert (code, errors) == (2, f"average.py: {other}: must be a model with the edit generator, of one data set\n")
    code, errors = script_here("average", tmp_path / "mean.onnx", models[0])
    assert (code, errors) == (2, f"average.py: {tmp_path / 'mean.onnx'}: must end in .safetensors\n")
