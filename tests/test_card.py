"""Model cards: from reports, in model files and as Markdown; warnings; float16 weights; models by name."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import stargan
from stargan import cli, old_names
from stargan.domains import Domains
from stargan.errors import ModelError
from stargan.evaluation import classifier
from stargan.interop.export import export
from stargan.model import locations, safetensors_file
from stargan.model.card import CONDITIONS, Card
from stargan.model.figure import Figure

VERSION_0_1 = Path(__file__).parent / "fixtures" / "version-0.1"
DOCS = Path(__file__).parent.parent / "docs"
CARD = Card(
    {"data": "faces", "split": "test", "images": 8, "protocol": "single", "seed": 0},
    {
        "all": {"error": Figure(0.4, 0.3, 0.5, 20), "kept": Figure(0.9, 0.8, 1.0, 20)},
        "red": {"error": Figure(0.75, 0.6, 0.9, 12)},
        "green": {"error": Figure(0.1, 0.0, 0.3, 8)},
    },
    {"Old=0": {"error": Figure(0.2, 0.1, 0.3, 9)}},
    "not for portraits",
)


def test_round_trip() -> None:
    assert Card.from_json(json.loads(json.dumps(CARD.to_json()))) == CARD


def test_files_of_version_0_1(tmp_path: Path) -> None:
    """Their cards and reports use other names; what is written from them uses the current ones."""
    for name in ("model.onnx", "model.safetensors"):
        card = stargan.load(VERSION_0_1 / name).info.card
        assert card is None or "judges" not in card.measured
    report = VERSION_0_1 / "report.json"
    info = export(VERSION_0_1 / "model.safetensors", tmp_path / "m.onnx", report=report, limits="for tests")
    assert info.card is not None
    assert tuple(info.card.measured) == CONDITIONS
    assert (info.card.measured["images"], info.card.measured["classifiers"]) == (10, 2)
    old = json.loads(report.read_text())["models"]["run"]["figures"]
    assert vars(info.card.tasks["all"]["error"]) == old["all"]["error"]
    written = json.dumps(stargan.load(tmp_path / "m.onnx").info.card.to_json())  # type: ignore[union-attr]
    assert not any(f'"{name}"' in written for name in (*old_names.METRICS, *old_names.REPORT))


def test_old_names_in_cards_and_reports() -> None:
    figure = [0.5, 0.4, 0.6, 9]
    old = {"idle_kid": figure, "stranger": figure}
    card = Card.from_json({"measured": {"pictures": 9, "judges": 2}, "tasks": {"all": old}, "groups": {}, "limits": ""})
    assert card.measured == {"images": 9, "classifiers": 2}
    assert set(card.tasks["all"]) == {"baseline_kid", "other_person"}
    report = json.loads((VERSION_0_1 / "report.json").read_text())
    (model,) = report["models"].values()
    model["figures"]["all"]["idle_psnr"] = dict(zip(("value", "low", "high", "count"), figure, strict=True))
    del report["judges"]  # as in reports of a single classifier
    card = Card.from_report(report, "", Domains.from_json(model["about"]["What the model says"]["domains"]))
    assert card.tasks["all"]["baseline_psnr"] == Figure(0.5, 0.4, 0.6, 9)
    assert card.measured["classifiers"] == 1


def changed(**parts: Any) -> dict[str, Any]:
    return {**CARD.to_json(), **parts}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "does not have exactly the fields measured"),
        ({"limits": ""}, "does not have exactly the fields measured"),
        (changed(more=1), "does not have exactly the fields measured"),
        (changed(limits=1), "plain text"),
        (changed(measured={"data": []}), "plain text"),
        (changed(tasks=[]), "no figures by name"),
        (changed(groups={"Male": 3}), "no figures by name"),
        (changed(tasks={"red": {"error": 0.5}}), "figure for error; must be [value, low, high, count]"),
        (changed(tasks={"red": {"error": [1, 2, 3]}}), "figure for error"),
        (changed(tasks={"red": {"error": [1, 2, 3, "4"]}}), "figure for error"),
        (changed(tasks={"red": {"error": [1, 2, 3, True]}}), "figure for error"),
        (changed(tasks={"red": {"error": [1, 2, 3, 10**400]}}), "figure for error"),
        (changed(tasks={"red": {"error": [1, 2, 3, float("nan")]}}), "figure for error"),
    ],
)
def test_invalid_cards_are_refused(data: Any, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        Card.from_json(data)
    assert message in str(caught.value)


def test_warnings_about_tasks_that_mostly_fail() -> None:
    assert CARD.warnings(["red", "green", "blue"]) == ["red: this model fails at it in 75% of 12 test images"]
    assert CARD.warnings([]) == []
    assert CARD.warnings() == CARD.warnings(["red"])


@pytest.fixture(scope="module")
def carded(run: Path, colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run's model with a card, made by the commands that users have."""
    folder = tmp_path_factory.mktemp("card")
    options = ["--data", str(colours), "--out", str(folder), "--limit", "6", "--classifiers", "1", "--groups", "red"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "STEPS", 20)
        assert cli.main(["evaluate", str(run), *options]) == 0
    options = ["--report", str(folder / "report.json"), "--licence", "ours", "--limits", "for tests"]
    assert cli.main(["export", str(run), str(folder / "m.onnx"), "--half", *options]) == 0
    return folder / "m.onnx"


def test_a_card_from_a_report(carded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = stargan.load(carded).info
    assert info.card is not None
    report = json.loads((carded.parent / "report.json").read_text())
    (model,) = report["models"].values()
    assert info.licence == "ours"
    assert info.card.limits == "for tests"
    assert set(info.card.tasks) == {"all", "blue", "green", "red"}
    for task, scores in info.card.tasks.items():
        assert vars(scores["error"]) == model["figures"][task]["error"]
    assert vars(info.card.groups["red=0"]["error"]) == model["groups"]["red=0"]["error"]
    assert cli.main(["card", str(carded)]) == 0
    card = capsys.readouterr().out
    for text in ("# Model card: m", "16x16 pixels", "ours", "for tests", "| red |", "| red=0 |", "images of colours"):
        assert text in card


def test_translate_warns(carded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Path) -> None:
    info = stargan.load(carded).info
    model = stargan.load(carded)
    bad = Card({}, {"red": {"error": Figure(1.0, 1.0, 1.0, 6)}, "blue": {"error": Figure(0.0, 0.0, 0.0, 6)}}, {}, "")
    model.info = replace(info, card=bad)
    assert model.warnings(["red"]) == ["red: this model fails at it in 100% of 6 test images"]
    assert model.warnings() == model.warnings(["red"])
    assert model.warnings({"blue": 1}) == []
    assert stargan.load(run).warnings(["red"]) == []  # it has no card
    _, arrays, extra = safetensors_file.read(run / "model.safetensors")
    safetensors_file.write(tmp_path / "bad.safetensors", replace(stargan.load(run).info, card=bad), arrays, extra)
    Image.new("RGB", (20, 20), "blue").save(tmp_path / "image.png")
    arguments = ["translate", str(tmp_path / "bad.safetensors"), str(tmp_path / "image.png"), "--out", str(tmp_path)]
    assert cli.main([*arguments, "--to", "red", "--to", "blue"]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert line.startswith("stargan: warning: red: this model fails at it in 100% of 6 test images; `stargan card ")
    assert cli.main([*arguments, "--all", "--overwrite"]) == 0
    assert line in capsys.readouterr().err


def test_weights_in_float16(carded: Path, run: Path) -> None:
    whole, half = stargan.load(run / "model.onnx"), stargan.load(carded)
    assert carded.stat().st_size < 0.75 * (run / "model.onnx").stat().st_size  # the graph itself stays as large
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (3, 3, 16, 16)).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)
    found = half.generate(images, labels)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - whole.generate(images, labels)).max() < 0.02
    assert np.array_equal(half.values(images), whole.values(images))


def test_an_onnx_file_gets_another_description(carded: Path, tmp_path: Path) -> None:
    written = export(carded, tmp_path / "m.onnx", licence="another")
    before, after = stargan.load(carded), stargan.load(tmp_path / "m.onnx")
    assert after.info == written == replace(before.info, licence="another")
    images, labels = np.zeros((1, 3, 16, 16), np.float32), np.eye(3, dtype=np.float32)[:1]
    assert np.array_equal(after.generate(images, labels), before.generate(images, labels))
    assert np.array_equal(after.values(images), before.values(images))
    with pytest.raises(ModelError, match="end product"):  # its weights are not to be had
        export(carded, tmp_path / "n.onnx", half=True)
    (tmp_path / "bad.onnx").write_bytes(carded.read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"bad.onnx: damaged or not"):
        export(tmp_path / "bad.onnx", tmp_path / "n.onnx", licence="another")
    assert not (tmp_path / "n.onnx").exists()


def test_the_report_of_another_model_is_refused(carded: Path, run: Path, tmp_path: Path) -> None:
    report = json.loads((carded.parent / "report.json").read_text())
    (model,) = report["models"].values()
    model["about"]["model"]["domains"][0]["name"] = "others"
    (tmp_path / "report.json").write_text(json.dumps(report))
    for path in (tmp_path / "report.json", tmp_path):  # the file, or its folder
        with pytest.raises(ModelError, match=r"report.json: the report is about a model with other domains$"):
            export(run, tmp_path / "m.onnx", report=path)
    assert not (tmp_path / "m.onnx").exists()


def test_wrong_input_gets_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.json").write_text("{}")
    (tmp_path / "t.json").write_text("text")
    out = str(tmp_path / "m.onnx")
    for arguments, message in (
        (
            ["card", str(run)],
            "has no card; measure the model with `stargan evaluate MODEL --data PATH --out REPORT`, and",
        ),
        (["card", "/no/model"], "/no/model: no such model file"),
        (["export", str(run), out, "--report", "/no/report"], "/no/report: no such file"),
        (["export", str(run), out, "--report", str(tmp_path / "t.json")], "t.json: cannot be read as JSON"),
        (["export", str(run), out, "--report", str(tmp_path / "r.json")], "r.json: not a report.json about one model"),
        (["export", str(run), out, "--limits", "none"], "--limits: limits are part of the model card, which needs"),
        (["export", str(run), str(tmp_path / "m.safetensors"), "--half"], "--half is only for .onnx and .tflite files"),
    ):
        assert cli.main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert not list(tmp_path.glob("m.*"))


def test_models_by_name(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(run, tmp_path / "models" / "small.onnx")
    monkeypatch.setattr(locations, "SHIPPED", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    assert stargan.load("small").domains.names == ("blue", "green", "red")
    with pytest.raises(
        ModelError, match=r"smal: no such model file or run folder; models that come with stargan: small$"
    ):
        stargan.load("smal")
    with pytest.raises(ModelError, match=r"a/small: no such model file or run folder$"):
        stargan.load("a/small")


@pytest.mark.parametrize("name", ["cartoons", "celeba"])
def test_shipped_models(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has the card in the docs, loads by its name, and contains no path of the machine it was made on."""
    path = locations.SHIPPED / f"{name}.onnx"
    assert path.stat().st_size < 12 * 2**20
    assert not any(place in path.read_bytes() for place in (b"/home/", b"/root/", b"/tmp/", b".py"))
    model = stargan.load(name)
    assert model.info.licence
    assert model.info.card is not None
    assert model.info.card.limits
    assert cli.main(["card", name]) == 0
    assert capsys.readouterr().out == (DOCS / "models" / f"{name}.md").read_text(encoding="utf-8")
    word = model.domains.names[1]
    translated = model.translate_aligned(Image.new("RGB", (90, 60), "grey"), {word: 1})
    assert translated.size == model.image_size
    assert {"all", word} <= model.info.card.tasks.keys()


def test_names_of_shipped_models() -> None:
    assert locations.shipped() == ["cartoons", "celeba"]
