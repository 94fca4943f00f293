"""Benchmarks and experiments run; against the official code only if STARGAN_REFERENCE names a checkout of it."""

import contextlib
import io
import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import celeba, write_image
from PIL import Image

import stargan
from stargan.data import sources
from stargan.interop.export import export
from stargan.model import onnx_file

ROOT = Path(__file__).parent.parent
TINY = ("--width", "4", "--blocks", "1", "--repeats", "1", "--threads", "1")
# Seconds, so that nothing hangs: half a minute of a core's time takes over two minutes beside four processes a core.
LIMIT = 600


def script(name: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a script of benchmarks/ or experiments/."""
    return subprocess.run([sys.executable, *_command(name, options)], capture_output=True, text=True, timeout=LIMIT)


def _command(name: str, options: tuple[str | Path, ...]) -> list[str]:
    return [str(next(ROOT.glob(f"[be]*s/{name}.py"))), *map(str, options)]


def script_here(name: str, *options: str | Path) -> tuple[object, str]:
    """Runs a script in this process, which has imported PyTorch; returns its exit code and its errors."""
    command, errors = _command(name, options), io.StringIO()
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stderr(errors):
        patched.setattr(sys, "argv", command)
        patched.syspath_prepend(Path(command[0]).parent)
        patched.setenv("CUDA_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES", ""))  # some scripts change it
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(command[0], run_name="__main__")
    return stopped.value.code, errors.getvalue()


@pytest.fixture(scope="module")
def checkout() -> Path:
    path = os.environ.get("STARGAN_REFERENCE")
    if not path:
        pytest.skip("STARGAN_REFERENCE names no checkout of the official code")
    return Path(path)


@pytest.mark.parametrize(
    ("name", "folder", "missing"),
    [("training", "", "solver.py"), ("inference", "x", "model.py"), ("tensorflow", "", "StarGAN.py")],
)
def test_a_path_without_the_official_code_is_refused_in_one_line(
    name: str, folder: str, missing: str, tmp_path: Path
) -> None:
    (tmp_path / "model.py").touch()
    path = tmp_path / folder
    done = script(name, "--reference", path)
    assert done.returncode == 2
    code = "taki0112/StarGAN-Tensorflow" if name == "tensorflow" else "yunjey/stargan"
    assert done.stderr == (
        f"{name}.py: --reference {path}: no {missing} there; must be a checkout of github.com/{code}\n"
    )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("training", ("--sizes", "30"), "--image-size 30x30: must be a multiple of 4"),
        ("inference", ("--sizes", "30"), "--sizes 30: must be multiples of 8"),
        ("contrast", ("out", "--steps", "0"), "argument --steps: 0: must be a count of at least 1"),
        ("inference", ("--repeats", "0"), "argument --repeats: 0: must be a count of at least 1"),
        ("quality", ("out", "--data", "/no/data", "--image-size", "x"), "--image-size x: must be N or WIDTHxHEIGHT"),
        ("quality", ("out", "--data", "/no/data", "--minutes", "nan"), "argument --minutes: nan: must be above 0"),
        ("quality", ("out", "--data", "/no/data"), "/no/data: no such file or folder"),
        ("trials", ("out", "--data", "/no/data", "--trials", "base"), "/no/data: no such file or folder"),
        ("data_sets", ("emoji", "/no/data", "out"), "/no/data: no img/apple/64/*.png in it"),
        ("data_sets", ("hair", "/no/data", "out"), "/no/data: no such file or folder"),
        ("objectives", ("out", "--steps", "0"), "argument --steps: 0: must be a count of at least 1"),
        ("joint", ("out", "--pairs", "x"), "argument --pairs: x: must be a count of at least 1"),
        ("faces_on_gpu", ("out", "--data", "/no/data"), "/no/data: no such file or folder"),
        ("faces_on_gpu", ("out", "--data", "x", "--spare", "-1"), "argument --spare: -1: must be 0 or more"),
        ("faces_on_gpu", ("out", "--data", "x", "--start", "/no/run"), "/no/run: no such model file or run folder"),
        ("students", ("cartoons", "/no/model"), "/no/model: no such model file or run folder"),
        ("students", ("celeba", "cartoons"), "the models take images of different sizes"),
        ("shipped", ("celeba", "/no/run", "--out", "out"), "celeba needs --data"),
        ("shipped", ("cartoons",), "needs a run and --out, or --calibrate"),
        ("shipped", ("celeba", "--calibrate", "--data", "/no/data"), "/no/data: no such file or folder"),
    ],
)
def test_bad_options_are_refused_in_one_line(name: str, options: tuple[str, ...], message: str) -> None:
    code, errors = script_here(name, *options)
    assert not Path("out").exists()
    assert code == 2
    assert errors.startswith(f"{name}.py: {message}")
    assert errors.count("\n") == 1


def test_training_without_reference_measures_ours(tmp_path: Path) -> None:
    done = script("training", *TINY, "--sizes", "16", "--batch", "2", "--json", tmp_path / "figures.json")
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    (result,) = figures["results"]
    assert (result["size"], result["batch"]) == (16, 2)
    assert all(result[f"{side}_{what}"] > 0 for side in ("ours", "plain") for what in ("s", "bytes", "flops"))
    assert "ratio" not in result
    assert figures["machine"]["threads"] == 1


def test_inference_without_reference_measures_ours(tmp_path: Path) -> None:
    sizes = ("--sizes", "16", "--batch", "1", "--images", "4")
    done = script("inference", *TINY, *sizes, "--json", tmp_path / "figures.json")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "figures.json").read_text())["results"]
    assert {"ours, PyTorch", "ours, ONNX Runtime"} <= {row["side"] for row in results["latency"]}
    sides = ["ours, 1 target, labels estimated", "ours, 1 target", "ours, 5 targets"]
    assert [row["side"] for row in results["cold start"]] == sides
    assert [row["side"] for row in results["folder"]] == ["ONNX Runtime alone", "stargan.inference.folders.translate"]


def test_models_beside_their_teacher(tmp_path: Path) -> None:
    done = script("students", "cartoons", "cartoons", "--repeats", "1", "--json", tmp_path / "figures.json")
    assert done.returncode == 0, done.stderr
    first, second = json.loads((tmp_path / "figures.json").read_text())["results"]
    assert first["model"] == second["model"] == "`cartoons`"
    assert second["fewer multiplications"] == "1.0"
    assert 0.02 < float(first["GMAC"]) < 1
    assert float(second["ms for an image"]) > 0 < float(second["images/s, 8 at a time"])


def test_scaling_gives_an_exponent_for_each_axis_and_a_plot(tmp_path: Path) -> None:
    names = tmp_path / "figures.json", tmp_path / "lines.png"
    done = script("scaling", "--quick", "--repeats", "1", "--threads", "1", "--json", names[0], "--plot", names[1])
    assert done.returncode == 0, done.stderr
    exponents = json.loads(names[0].read_text())["results"]["exponents"]
    assert [row["axis"] for row in exponents] == ["pixels", "batch", "labels", "images", "images"]
    with Image.open(names[1]) as plot:
        assert len(plot.convert("RGB").getcolors(2**16) or []) > 5


def test_training_and_the_official_code_agree(checkout: Path, tmp_path: Path) -> None:
    options = ("--sizes", "32", "--batch", "2", "--reference", checkout, "--json", tmp_path / "figures.json")
    done = script("training", *TINY, *options)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads((tmp_path / "figures.json").read_text())["results"]
    assert result["ratio"] == pytest.approx(result["reference_s"] / result["ours_s"])
    assert result["differences"]["plain"]["images differ by"] < 1e-4


def test_inference_and_the_official_code_write_the_same(checkout: Path) -> None:
    sizes = ("--sizes", "32", "--batch", "2", "--images", "4")
    done = script("inference", *TINY, *sizes, "--reference", checkout)
    assert done.returncode == 0, done.stderr
    assert "| official, 5 targets |" in done.stdout


def test_a_model_file_gets_temperatures(run: Path, colours: Path, tmp_path: Path) -> None:
    """As `shipped.py --calibrate` gives the shipped files, on a copy of a small model."""
    export(run, tmp_path / "m.onnx")
    onnx_file.describe(tmp_path / "m.onnx", tmp_path / "m.onnx", lambda info: replace(info, temperatures=()))
    code = "import pathlib, shipped, sys; shipped.calibrate(pathlib.Path(sys.argv[1]), sys.argv[2], 500)"
    command = [sys.executable, "-c", code, str(tmp_path / "m.onnx"), str(colours)]
    done = subprocess.run(command, cwd=ROOT / "benchmarks", capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    info = stargan.load(tmp_path / "m.onnx").info
    # The same images as at the end of training, and nearly the same numbers.
    assert info.temperatures == pytest.approx(stargan.load(run).info.temperatures, rel=0.05)
    assert f"temperatures {info.temperatures}" in done.stdout
    assert "blue, green, red: " in done.stdout
    assert done.stdout.count("calibration error") == 2


def test_the_contrast_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = ("--domains", "3", "--images", "6", "--faces", "8", "--steps", "2", "--width", "4", "--pairs", "1")
    assert script_here("contrast", tmp_path, *tiny) == (0, "")
    first = capsys.readouterr().out
    assert first.startswith("5 of 5 models to do: about ")
    next(tmp_path.glob("*/seed-0/unchanged-images-0/measured/*.npz")).unlink()
    trained = {path: path.read_bytes() for path in tmp_path.glob("**/trained.json")}
    assert trained
    assert script_here("contrast", tmp_path, *tiny) == (0, "")
    second = capsys.readouterr().out
    assert second.startswith("1 of 5 models to do: about ")
    assert {path: path.read_bytes() for path in trained} == trained
    rows = [line.split(" | ") for line in second.splitlines() if line.startswith("| ")]
    assert rows == [line.split(" | ") for line in first.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[1:]] == [
        "| StarGAN", "| CycleGAN, equal total", "| CycleGAN, equal each", "| unchanged images", "| real images"
    ]  # fmt: skip
    error = rows[0].index("error")
    assert rows[-2][error] == "100.0% [100.0%, 100.0%]"
    assert rows[-1][error] == "0.0% [0.0%, 0.0%]"
    code, errors = script_here("contrast", tmp_path, *tiny, "--width", "8")
    assert (code, errors.count("\n")) == (2, 1)
    assert errors.endswith("stargan-2: has other settings; choose another OUT\n")


@pytest.mark.parametrize("kind", ["emoji", "unaligned", "hair"])
def test_data_sets_are_ones_that_training_reads(kind: str, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    if kind == "emoji":
        names = [f"{number}{tone}" for number in range(40) for tone in ("", "-1f3fb")]
        for style in ("apple", "facebook", "google", "twitter"):
            folder = source / f"package-{style}" / "img" / style / "64"
            folder.mkdir(parents=True)
            for name in names:
                write_image(folder / f"{name}.png")
    else:
        signs = ("+---+-", "-+---+", "--+-++", "---+--", "++----")
        rows = {f"{number}.jpg": signs[number % 5] for number in range(40)}
        celeba(source, "Black_Hair Blond_Hair Brown_Hair Gray_Hair Male Smiling", rows)
    assert script_here("data_sets", kind, source, out) == (0, "")
    found = sources.find(out if kind == "emoji" else out / "labels.csv")
    names = {
        "emoji": ["apple", "facebook", "google", "twitter"],
        "unaligned": ["Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Smiling"],
        "hair": ["Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"],
    }[kind]
    assert sorted(found.label_set.names) == sorted(names)
    # Without skin tones, and without the images that have two colours of hair.
    assert len(found.files) == {"emoji": 160, "unaligned": 40, "hair": 32}[kind]
    if kind == "emoji":  # a translation is never evaluated on a drawing whose other style was trained on
        parts = {(Path(file).name, split) for file, split in zip(found.files, found.split, strict=True)}
        assert len(parts) == 40
    code, errors = script_here("data_sets", kind, source, out)
    assert (code, errors) == (2, f"data_sets.py: {out}: exists; name a folder that does not\n")


@pytest.mark.parametrize("recipe", ["modern", "edit"])
def test_trials_go_by_the_recipe_they_change(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "experiments")
    trials = runpy.run_path(str(ROOT / "experiments" / "trials.py"))
    shared, _ = trials["start"]("faces", Path("out"), 3)
    for name, trial in trials["TRIALS"].items():
        if trial.recipe == recipe:
            config = trials["settings"](trial, shared)
            assert (config.recipe, config.image_size, config.seed, config.generator) == (recipe, (64, 64), 3, "edit")
            assert name.startswith("edit")
