"""Model cards: from a report into a file and out of it again; warnings; weights in float16; models by name."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import stargan as command
from PIL import Image

import stargan
from stargan import cli
from stargan.errors import ModelError
from stargan.interop.export import export
from stargan.model import locations, safetensors_file
from stargan.model.card import Card, Score

DOCS = Path(__file__).parent.parent / "docs"
CARD = Card(
    {"data": "faces", "split": "test", "pictures": 8, "protocol": "single", "seed": 0},
    {
        "all": {"error": Score(0.4, 0.3, 0.5, 20), "kept": Score(0.9, 0.8, 1.0, 20)},
        "red": {"error": Score(0.75, 0.6, 0.9, 12)},
        "green": {"error": Score(0.1, 0.0, 0.3, 8)},
    },
    {"Old=0": {"error": Score(0.2, 0.1, 0.3, 9)}},
    "not for portraits",
)


def test_round_trip() -> None:
    assert Card.from_json(json.loads(json.dumps(CARD.to_json()))) == CARD


def changed(**parts: Any) -> dict[str, Any]:
    return {**CARD.to_json(), **parts}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "does not have exactly measured"),
        ({"limits": ""}, "does not have exactly measured"),
        (changed(more=1), "does not have exactly measured"),
        (changed(limits=1), "plain words"),
        (changed(measured={"data": []}), "plain words"),
        (changed(tasks=[]), "no figures by name"),
        (changed(groups={"Male": 3}), "no figures by name"),
        (changed(tasks={"red": {"error": 0.5}}), "about error; must be [value, low, high, count]"),
        (changed(tasks={"red": {"error": [1, 2, 3]}}), "about error"),
        (changed(tasks={"red": {"error": [1, 2, 3, "4"]}}), "about error"),
        (changed(tasks={"red": {"error": [1, 2, 3, True]}}), "about error"),
        (changed(tasks={"red": {"error": [1, 2, 3, 10**400]}}), "about error"),
        (changed(tasks={"red": {"error": [1, 2, 3, float("nan")]}}), "about error"),
    ],
)
def test_other_things_are_no_card(data: Any, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        Card.from_json(data)
    assert said in str(caught.value)


def test_warnings_are_about_what_mostly_fails() -> None:
    assert CARD.warnings(["red", "green", "blue"]) == ["red: this model fails at it in 75% of 12 test pictures"]
    assert CARD.warnings([]) == []
    assert CARD.warnings() == CARD.warnings(["red"])


@pytest.fixture(scope="module")
def carded(run: Path, colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run's model with a card, by the commands that a user has."""
    folder = tmp_path_factory.mktemp("card")
    told: list[str | Path] = ["--data", colours, "--out", folder / "report", "--limit", "6", "--groups", "red"]
    done = command("evaluate", run, *told, timeout=300)
    assert done.returncode == 0, done.stderr
    words = ["--licence", "ours", "--limits", "for tests"]
    done = command("export", run, folder / "m.onnx", "--half", "--report", folder / "report/report.json", *words)
    assert done.returncode == 0, done.stderr
    return folder / "m.onnx"


def test_a_card_from_a_report(carded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = stargan.load(carded).info
    assert info.card is not None
    report = json.loads((carded.parent / "report/report.json").read_text())
    (model,) = report["models"].values()
    assert info.licence == "ours"
    assert info.card.limits == "for tests"
    assert set(info.card.tasks) == {"all", "blue", "green", "red"}
    for task, scores in info.card.tasks.items():
        assert vars(scores["error"]) == model["figures"][task]["error"]
    assert vars(info.card.groups["red=0"]["error"]) == model["groups"]["red=0"]["error"]
    assert cli.main(["card", str(carded)]) == 0
    shown = capsys.readouterr().out
    for text in ("# Model card: m", "16x16 pixels", "ours", "for tests", "| red |", "| red=0 |", "pictures of colours"):
        assert text in shown


def test_translate_warns(carded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Path) -> None:
    info = stargan.load(carded).info
    model = stargan.load(carded)
    bad = Card({}, {"red": {"error": Score(1.0, 1.0, 1.0, 6)}, "blue": {"error": Score(0.0, 0.0, 0.0, 6)}}, {}, "")
    model.info = replace(info, card=bad)
    assert model.warnings(["red"]) == ["red: this model fails at it in 100% of 6 test pictures"]
    assert model.warnings() == model.warnings(["red"])
    assert model.warnings({"blue": 1}) == []
    assert stargan.load(run).warnings(["red"]) == []  # it has no card
    _, arrays, extra = safetensors_file.read(run / "model.safetensors")
    safetensors_file.write(tmp_path / "bad.safetensors", replace(stargan.load(run).info, card=bad), arrays, extra)
    Image.new("RGB", (20, 20), "blue").save(tmp_path / "picture.png")
    asked = ["translate", str(tmp_path / "bad.safetensors"), str(tmp_path / "picture.png"), "--out", str(tmp_path)]
    assert cli.main([*asked, "--to", "red", "--to", "blue"]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert line.startswith("stargan: warning: red: this model fails at it in 100% of 6 test pictures; `stargan card ")
    assert cli.main([*asked, "--all", "--overwrite"]) == 0
    assert line in capsys.readouterr().err


def test_weights_in_float16(carded: Path, run: Path) -> None:
    whole, half = stargan.load(run / "model.onnx"), stargan.load(carded)
    assert carded.stat().st_size < 0.75 * (run / "model.onnx").stat().st_size  # the graph itself stays as large
    rng = np.random.default_rng(0)
    pictures = rng.uniform(-1, 1, (3, 3, 16, 16)).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)
    found = half.generate(pictures, labels)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - whole.generate(pictures, labels)).max() < 0.02
    assert np.array_equal(half.values(pictures), whole.values(pictures))


def test_an_onnx_file_gets_another_description(carded: Path, tmp_path: Path) -> None:
    told = export(carded, tmp_path / "m.onnx", licence="another")
    before, after = stargan.load(carded), stargan.load(tmp_path / "m.onnx")
    assert after.info == told == replace(before.info, licence="another")
    pictures, labels = np.zeros((1, 3, 16, 16), np.float32), np.eye(3, dtype=np.float32)[:1]
    assert np.array_equal(after.generate(pictures, labels), before.generate(pictures, labels))
    assert np.array_equal(after.values(pictures), before.values(pictures))
    with pytest.raises(ModelError, match="end product"):  # its weights are not to be had
        export(carded, tmp_path / "n.onnx", half=True)
    (tmp_path / "bad.onnx").write_bytes(carded.read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"bad.onnx: damaged or not"):
        export(tmp_path / "bad.onnx", tmp_path / "n.onnx", licence="another")
    assert not (tmp_path / "n.onnx").exists()


def test_the_report_of_another_model_is_refused(carded: Path, run: Path, tmp_path: Path) -> None:
    said = json.loads((carded.parent / "report/report.json").read_text())
    (model,) = said["models"].values()
    model["about"]["What the model says"]["domains"][0]["name"] = "others"
    (tmp_path / "report.json").write_text(json.dumps(said))
    with pytest.raises(ModelError, match=r"report.json: the report of a model with other domains$"):
        export(run, tmp_path / "m.onnx", report=tmp_path / "report.json")
    assert not (tmp_path / "m.onnx").exists()


def test_wrong_input_gets_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.json").write_text("{}")
    (tmp_path / "t.json").write_text("text")
    out = str(tmp_path / "m.onnx")
    for arguments, said in (
        (["card", str(run)], "has no card; `stargan export --report` gives it one"),
        (["card", "/no/model"], "/no/model: no such model file"),
        (["export", str(run), out, "--report", "/no/report"], "/no/report: no such file"),
        (["export", str(run), out, "--report", str(tmp_path / "t.json")], "t.json: cannot be read as JSON"),
        (["export", str(run), out, "--report", str(tmp_path / "r.json")], "r.json: not the report.json of one model"),
        (["export", str(run), out, "--limits", "none"], "--limits: limits are part of the model card, which needs"),
        (["export", str(run), str(tmp_path / "m.safetensors"), "--half"], "only an .onnx file"),
    ):
        assert cli.main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
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
def test_models_that_come_along(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has the card of the docs, serves by its name from anywhere, and holds no path of where it was made."""
    path = locations.SHIPPED / f"{name}.onnx"
    assert path.stat().st_size < 10e6
    assert not any(place in path.read_bytes() for place in (b"/home/", b"/root/", b"/tmp/", b".py"))
    model = stargan.load(name)
    assert model.info.licence
    assert model.info.card is not None
    assert model.info.card.limits
    assert cli.main(["card", name]) == 0
    assert capsys.readouterr().out == (DOCS / "models" / f"{name}.md").read_text(encoding="utf-8")
    word = model.domains.names[1]
    translated = model.translate(Image.new("RGB", (90, 60), "grey"), {word: 1})
    assert translated.size == model.image_size
    assert {"all", word} <= model.info.card.tasks.keys()


def test_all_models_that_come_along_are_known() -> None:
    assert locations.shipped() == ["cartoons", "celeba"]
