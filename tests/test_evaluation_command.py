"""`stargan evaluate`: the command and the function, the data they take, and pairs with known translations."""

import inspect
import json
import shutil
from dataclasses import MISSING, fields, replace
from pathlib import Path

import numpy as np
import pytest
from conftest import PLACE, draw_folders, in_process, write_folders
from PIL import Image

from stargan import cli
from stargan.cli.evaluate import Options
from stargan.cli.options import Shared
from stargan.config import Architecture, Config
from stargan.data import cartoons
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.pytorch.engine import PytorchEngine
from stargan.errors import DataError, DomainError
from stargan.evaluation import classifier, distances, evaluation_set, features, pairs
from stargan.evaluation.evaluate import evaluate
from stargan.evaluation.tasks import ALL
from stargan.faces import CELEBA
from stargan.inference.translator import Translator
from stargan.model import run_folder, safetensors_file
from stargan.model.info import ModelInfo

COLOURS = Domains((LabelSet("colours", (Group(("blue", "green", "red"), categorical=True),)),))
SMALL = ModelInfo(domains=COLOURS, architecture=Architecture((16, 16)))


@pytest.fixture(autouse=True)
def _quick_classifiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "STEPS", 20)


# ---------------------------------------------------------------- the command


@pytest.mark.skipif(not features.installed(), reason="stargan[evaluate] is not installed")
def test_models_of_one_data_set_with_other_groups_of_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same images, they are asked for other translations, and compared with other real images."""
    monkeypatch.setattr(distances, "REFERENCE_IMAGES", 100)
    monkeypatch.setattr(evaluation_set, "CARTOON_TRAIN_FACES", 300)
    groups = (Group(cartoons.EXCLUSIVE),), tuple(Group((name,)) for name in cartoons.EXCLUSIVE)
    paths = [tmp_path / "one.safetensors", tmp_path / "each.safetensors"]
    for path, own in zip(paths, groups, strict=True):
        domains = Domains((LabelSet("faces", own),))
        config = Config(image_size=(16, 16), width=4, blocks=1, d_layers=2, device="cpu")
        arrays = PytorchEngine(config, domains).state()
        generator = {name: array for name, array in arrays.items() if name.startswith("generator/")}
        safetensors_file.write(path, ModelInfo(domains, config.architecture), generator, {})
    for order in (paths, paths[::-1]):
        report = evaluate(order, "cartoons", limit=24, classifiers=1)
        counts = [len(result.measurements.tasks) for result in report.models]
        assert len(set(counts)) == 2
        has = {result.name: "matched_kid" in result.measurements.figures[ALL] for result in report.models}
        assert has == {"one.safetensors": True, "each.safetensors": False}  # no face has two colours of hair


def test_the_command(run: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report"
    arguments: list[str | Path] = ["--data", colours, "--limit", "6", "--classifiers", "1", "--out", out]
    arguments += ["--pairs", write_pairs(tmp_path / "pairs"), "--groups", "Red"]
    assert cli.main(["evaluate", str(run), str(run / "model.onnx"), *map(str, arguments)]) == 0
    assert f"report: {out / 'report.html'}" in capsys.readouterr().out
    content = json.loads((out / "report.json").read_text())
    assert content["images"] <= 6
    assert (content["split"], content["protocol"], content["seed"]) == ("test", "single", 0)
    assert set(content["models"]) == {"tiny", "model.onnx"}
    first, second = content["models"].values()
    for metric in ("rec_l1", "hit", "kid"):  # one is the other as another file
        if metric in first["figures"][ALL]:
            values = [model["figures"][ALL][metric]["value"] for model in (first, second)]
            assert values[0] == pytest.approx(values[1], rel=0.02, abs=1e-3)
    assert set(first["pairs"]) == {ALL, "red", "green"}
    assert first["pairs"][ALL]["truth_psnr"]["count"] == 3
    assert list(first["groups"]) == ["red", "red=0"]
    both = [first["groups"][name]["hit"] for name in ("red", "red=0")]
    whole = first["figures"][ALL]["hit"]
    assert sum(side["count"] for side in both) == whole["count"]
    assert sum(side["count"] * side["value"] for side in both) == pytest.approx(whole["count"] * whole["value"])
    assert set(first["about"]) == {"model", "training_configuration"}
    html = (out / "report.html").read_text()
    assert "<polyline" in html
    assert "data:image/png;base64," in html
    assert not any(word in html for word in ("http://", "https://", "<script", "<link"))
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "report.json"]
    again = in_process("evaluate", run, "--data", colours, "--out", out)
    assert again.returncode == 2
    assert "exists; use --overwrite" in again.stderr


def test_wrong_input_gets_one_line(
    run: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = draw_folders(tmp_path / "other", names=("red", "green"))
    for arguments, message in (
        (["/no/model.onnx", "--data", colours], "/no/model.onnx: no such model"),
        ([run, "--data", "/no/data"], "/no/data: no such file or folder"),
        ([run, "--data", "cartoons"], "--data cartoons: has no labels for blue, green, red, which the model"),
        ([run, "--data", other], "has no labels for blue, which the model was trained with"),
        ([run, "--data", colours, "--protocol", "singel"], "--protocol singel: unknown; did you mean single?"),
        ([run, "--data", colours, "--protocol", "celeba"], "does not know Blond_Hair"),
        ([run, "--data", colours, "--split", "tset"], "--split tset: must be train, val, test or all"),
        ([run, "--data", colours, "--groups", "gren"], "has no such label; did you mean green?"),
        ([run, "--data", colours, "--limit", "1"], "--limit 1: must be at least 2"),
        ([run, "--data", colours, "--skip", "-1"], "--skip -1: must be at least 0"),
        ([run, "--data", colours, "--classifiers", "0"], "--classifiers 0: must be 1 to 100"),
        ([run, "--data", colours, "--judges", "101"], "--classifiers 101: must be 1 to 100"),
        ([run, "--data", colours, "--split", "all", "--skip", "60"], "--skip 60: "),
        ([run, "--data", colours, "--pairs", tmp_path], "pairs.csv: cannot be read"),
        ([run, "--data", colours, "--inception", run / "config.json"], "does not take (N, 3, 299, 299)"),
        ([run, run, "--data", colours], "the same model is named twice"),
        ([run], "--data"),
    ):
        assert cli.main(["evaluate", *map(str, arguments), "--out", str(tmp_path / "x")]) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith("stargan: ")
        assert message in line
    assert not (tmp_path / "x").exists()
    assert cli.main(["evaluate", str(run), "--data", str(colours), "--out", str(run / "config.json")]) == 2
    assert "is a file; must be a folder" in capsys.readouterr().err


def test_a_damaged_run_is_found_before_anything_is_measured(
    run: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    (copied / "stats.jsonl").write_bytes(b'{"step": 1, "g_rec": "x"}\n[1]\n\xff\n{"step": 2, "g_rec": 1.5}\n{"step"')
    assert run_folder.stats(copied) == {"g_rec": ([2.0], [1.5])}
    (copied / "config.json").write_text('{"steps": 12')
    assert cli.main(["evaluate", str(copied), "--data", str(colours), "--out", str(tmp_path / "x")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"stargan: {copied}/config.json: damaged")


def test_the_function(colours: Path, run: Path) -> None:
    report = evaluate([run], str(colours), limit=6, classifiers=1)
    (result,) = report.models
    assert result.measurements.figures[ALL]["error"].count == len(result.measurements.rows)
    assert report.settings["classifiers"] == 1
    assert 2 <= report.settings["images"] <= 6
    assert "error" in report.summary()


def test_the_command_has_the_defaults_of_the_function() -> None:
    defaults = {
        name: p.default for name, p in inspect.signature(evaluate).parameters.items() if p.kind == p.KEYWORD_ONLY
    }
    options = {field.name: field.default for field in fields(Options)}
    assert options.pop("out") is MISSING
    assert defaults.pop("out") is None
    for name in ("say", "progress"):  # what the command does is to print
        del defaults[name]
    for field in fields(Shared):
        del options[field.name]
    assert options == {"models": MISSING, "data": MISSING, **defaults}


# ---------------------------------------------------------------- the data


def test_parts(colours: Path, cache_folder: Path) -> None:
    def load(split: str | None, limit: int = 100, seed: int = 0) -> evaluation_set.EvaluationSet:
        return evaluation_set.load(str(colours), SMALL, split=split, limit=limit, seed=seed)

    parts = {name: load(name) for name in ("train", "val", "test", "all")}
    assert len(parts["all"].test_rows) == 60 == sum(len(parts[name].test_rows) for name in ("train", "val", "test"))
    assert load(None).split == "test"
    assert not set(load(None).test_rows) & set(load(None).train_rows)
    assert np.array_equal(parts["train"].test_rows, parts["train"].train_rows)
    chosen, other = load("all", 10), load("all", 10, seed=1)
    assert len(chosen.test_rows) == 10
    assert not np.array_equal(chosen.test_rows, other.test_rows)
    assert chosen.key == other.key == parts["test"].key  # the same classifiers for all
    after = evaluation_set.load(str(colours), SMALL, split="all", limit=40, seed=0, skip=10)
    assert len(after.test_rows) == 40
    assert not set(after.test_rows) & set(chosen.test_rows)


def test_a_changed_split_needs_other_classifiers(tmp_path: Path, cache_folder: Path) -> None:
    """Otherwise they would have been trained on test images."""
    data = tmp_path / "faces"
    cartoons.write(data, 12, size=16)
    glasses = Domains((LabelSet("faces", (Group(("Eyeglasses",)),)),))
    keys = set()
    for last in (0, 2):
        parts = [number % 3 for number in range(11)] + [last]
        lines = [f"{number:06}.png {part}" for number, part in enumerate(parts, 1)]
        (data / "list_eval_partition.txt").write_text("\n".join(lines))
        keys.add(evaluation_set.load(str(data), replace(SMALL, domains=glasses), split="test", limit=100, seed=0).key)
    assert len(keys) == 2


def test_images_of_unknown_domains_are_left_out(tmp_path: Path, cache_folder: Path) -> None:
    """An image with none of the known values of a one-of-n group has no source label."""
    data = draw_folders(tmp_path / "more", names=("red", "green", "blue"))
    two = Domains((LabelSet("colours", (Group(("green", "red"), categorical=True),)),))
    found = evaluation_set.load(
        str(data), ModelInfo(domains=two, architecture=Architecture((16, 16))), split="all", limit=100, seed=0
    )
    assert len(found.test_rows) == 40
    assert (found.source_values.sum(1) == 1).all()


def test_faces_are_aligned_as_in_training(
    tmp_path: Path, photos_of_faces: list[Image.Image], aligned_faces: list[Image.Image]
) -> None:
    lines: list[str] = []

    def load(photos: list[Image.Image], name: str, align: bool) -> evaluation_set.EvaluationSet:
        data = write_folders(tmp_path / name, photos)
        return evaluation_set.load(str(data), info, split="all", limit=100, seed=0, align=align, say=lines.append)

    domains = Domains((LabelSet("photos", (Group(("a", "b"), categorical=True),)),))
    info = ModelInfo(domains, Architecture((64, 64)), face_crop=PLACE.within(120 / 128))
    plain = load([*photos_of_faces, Image.new("RGB", (64, 64))], "photos", False)
    assert lines == ["the faces lie elsewhere than in the model's training images; --align faces would move them there"]
    lines.clear()
    aligned = load([*photos_of_faces, Image.new("RGB", (64, 64))], "photos", True)
    assert lines == ["left out: no face in 1 of 21 images: a/020.png"]
    assert len(plain.test_rows) == 21
    assert len(aligned.test_rows) == 20
    assert aligned.key != plain.key
    lines.clear()
    already = load(aligned_faces, "aligned", False)
    assert lines == []
    assert np.abs(aligned.source_images.mean(0) - already.source_images.mean(0)).mean() < 25


def test_nothing_to_align(colours: Path) -> None:
    face = replace(SMALL, face_crop=CELEBA)
    for data, info, why in (
        (str(colours), SMALL, "the model's training images were no aligned faces"),
        ("cartoons", face, "the cartoons need no alignment"),
        (str(colours), face, "none of its 60 images shows a face"),
    ):
        with pytest.raises(DataError, match=why):
            evaluation_set.load(data, info, split=None, limit=10, seed=0, align=True)


def test_true_translations_of_cartoons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_set, "CARTOON_TRAIN_FACES", 12)
    domains = Domains((LabelSet("cartoons", (Group(("Blond_Hair",)), Group(("Smiling",)))),))
    found = evaluation_set.load(
        "cartoons", ModelInfo(domains=domains, architecture=Architecture((24, 24))), split=None, limit=20, seed=3
    )
    assert len(found.test_rows) == 20
    assert found.truth is not None
    for row, (pixels, labels) in enumerate(zip(found.source_images, found.source_values, strict=True)):
        same = found.truth(row, labels)
        assert np.array_equal(same if same is not None else [], pixels)
        smiling = found.truth(row, labels * (1, 0) + (0, 1 - labels[1]))
        assert smiling is not None
        assert not np.array_equal(smiling, pixels)
        assert found.truth(row, 1 - labels) is None  # no hair colour, or two of them: no such face


# ---------------------------------------------------------------- pairs


class Untouched:
    """Returns the images unchanged."""

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return images

    def classify(self, images: np.ndarray) -> np.ndarray:
        raise AssertionError("the model has no attribute classifier")


def write_pairs(folder: Path) -> Path:
    """Three pairs; the last requests no change."""
    folder.mkdir()
    for name, colour in (("green", (40, 180, 60)), ("red", (200, 40, 40))):
        Image.new("RGB", (20, 20), colour).save(folder / f"{name}.png")
    lines = [
        "source,truth,target,shows",
        "green.png,red.png,red,green",
        "red.png,green.png,green,",
        "red.png,red.png,red,",
    ]
    (folder / pairs.TABLE).write_text("\n".join(lines) + "\n")
    return folder


def test_pairs(tmp_path: Path) -> None:
    model, known = Translator(SMALL, Untouched()), pairs.read(write_pairs(tmp_path / "pairs"))
    assert [pair.target for pair in known] == [("red",), ("green",), ("red",)]
    assert [pair.known for pair in known] == [("green",), (), ()]
    pairs.check(known, model)
    found = pairs.measure(model, known, 0)
    assert found.figures[ALL]["truth_psnr"] == found.figures[ALL]["baseline_psnr"]
    assert found.values["truth_psnr"][2] == pytest.approx(20 * np.log10(255))
    assert found.figures["green"]["truth_psnr"].value < 15
    assert [image[0, 0].tolist() for image in found.images(0)] == [[40, 180, 60], [40, 180, 60], [200, 40, 40]]


def test_cartoon_pairs(tmp_path: Path) -> None:
    """As docs/evaluation.md writes them."""
    domains = Domains(
        (LabelSet("cartoons", (Group(cartoons.EXCLUSIVE), *(Group((n,)) for n in cartoons.ATTRIBUTES[4:]))),)
    )
    model = Translator(ModelInfo(domains=domains, architecture=Architecture((24, 24))), Untouched())
    lines = ["source,truth,target,shows"]
    for index, pair in enumerate(cartoons.pairs(9, seed=5, size=24)):
        changed = np.flatnonzero((pair.source != pair.target) & ((pair.target == 1) | (np.arange(9) >= 4)))
        words = [f"{cartoons.ATTRIBUTES[i]}={pair.target[i]}" for i in changed]
        shows = [f"{name}={value}" for name, value in zip(cartoons.ATTRIBUTES, pair.source, strict=True)]
        pair.image.save(tmp_path / f"{index}.png")
        pair.truth.save(tmp_path / f"{index}-true.png")
        lines.append(f"{index}.png,{index}-true.png,{' '.join(words)},{' '.join(shows)}")
    (tmp_path / pairs.TABLE).write_text("\n".join(lines))
    known = pairs.read(tmp_path)
    pairs.check(known, model)
    assert pairs.measure(model, known, 0).figures[ALL]["truth_psnr"].count == 9


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "must have the columns source, truth, target"),
        ("source,truth\na.png,a.png\n", "must have the columns source, truth, target"),
        ("source,truth,target\n", "one line per pair"),
        ("source,truth,target\na.png,a.png,\n", "line 2: target is empty"),
        ("source,truth,target\na.png,a.png,red\na.png,b.png,red\n", "line 3: b.png: no such file"),
        ("source,truth,target\na.png,a.png,red,green\n", "line 2: more cells than columns"),
    ],
)
def test_wrong_pairs_get_one_line(table: str, message: str, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / pairs.TABLE).write_text(table)
    with pytest.raises(DataError) as caught:
        pairs.read(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_words_of_pairs(tmp_path: Path) -> None:
    known = [pairs.Pair(tmp_path / "a.png", tmp_path / "a.png", ("gren",))]
    with pytest.raises(DomainError, match=r"a\.png: .*did you mean green"):
        pairs.check(known, Translator(SMALL, Untouched()))
