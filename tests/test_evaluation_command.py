"""`stargan evaluate` from the outside, the data that it takes, and pairs of known translations."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_folders, stargan
from PIL import Image

from stargan import cli
from stargan.cli.evaluate import _curves
from stargan.config import Architecture
from stargan.data import cartoons
from stargan.domains import Domains, Group, LabelSet
from stargan.errors import DataError, DomainError
from stargan.evaluation import pairs, test_set
from stargan.evaluation.tasks import ALL
from stargan.inference.translator import Translator
from stargan.model.info import ModelInfo

COLOURS = Domains((LabelSet("colours", (Group(("blue", "green", "red"), categorical=True),)),))
SMALL = ModelInfo(domains=COLOURS, architecture=Architecture((16, 16)))

# ---------------------------------------------------------------- the command


def test_the_command(run: Path, colours: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    arguments: list[str | Path] = ["--data", colours, "--limit", "6", "--out", out]
    arguments += ["--pairs", write_pairs(tmp_path / "pairs"), "--groups", "Red"]
    done = stargan("evaluate", run, run / "model.onnx", *arguments, timeout=300)
    assert done.returncode == 0, done.stderr
    told = json.loads((out / "report.json").read_text())
    assert told["pictures"] <= 6
    assert (told["split"], told["protocol"], told["seed"]) == ("test", "single", 0)
    assert set(told["models"]) == {"tiny", "model.onnx"}
    first, second = told["models"].values()
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
    assert set(first["about"]) == {"What the model says", "Configuration of its run"}
    shown = (out / "report.html").read_text()
    assert "<polyline" in shown
    assert "data:image/png;base64," in shown
    assert not any(word in shown for word in ("http://", "https://", "<script", "<link"))
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "report.json"]
    again = stargan("evaluate", run, "--data", colours, "--out", out)
    assert again.returncode == 2
    assert "exists; say --overwrite" in again.stderr


def test_wrong_input_gets_one_line(
    run: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = draw_folders(tmp_path / "other", names=("red", "green"))
    for arguments, said in (
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
        ([run, "--data", colours, "--judges", "0"], "--classifiers 0: must be 1 to 10"),
        ([run, "--data", colours, "--judges", "11"], "--classifiers 11: must be 1 to 10"),
        ([run, "--data", colours, "--split", "all", "--skip", "60"], "--skip 60: "),
        ([run, "--data", colours, "--pairs", tmp_path], "pairs.csv: cannot be read"),
        ([run, "--data", colours, "--inception", run / "config.json"], "does not take (N, 3, 299, 299)"),
        ([run, run, "--data", colours], "the same model is named twice"),
        ([run], "--data"),
    ):
        assert cli.main(["evaluate", *map(str, arguments), "--out", str(tmp_path / "x")]) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith("stargan: ")
        assert said in line
    assert not (tmp_path / "x").exists()
    assert cli.main(["evaluate", str(run), "--data", str(colours), "--out", str(run / "config.json")]) == 2
    assert "is a file; must be a folder" in capsys.readouterr().err


def test_a_damaged_run_is_found_before_anything_is_measured(
    run: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    (copied / "stats.jsonl").write_bytes(b'{"step": 1, "g_rec": "x"}\n[1]\n\xff\n{"step": 2, "g_rec": 1.5}\n{"step"')
    assert _curves(copied) == {"g_rec": ([2.0], [1.5])}
    (copied / "config.json").write_text('{"steps": 12')
    assert cli.main(["evaluate", str(copied), "--data", str(colours), "--out", str(tmp_path / "x")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"stargan: {copied}/config.json: damaged")


# ---------------------------------------------------------------- the data


def test_parts(colours: Path, cache_folder: Path) -> None:
    def find(split: str | None, limit: int = 100, seed: int = 0) -> test_set.Subject:
        return test_set.find(str(colours), SMALL, split=split, limit=limit, seed=seed)

    parts = {name: find(name) for name in ("train", "val", "test", "all")}
    assert len(parts["all"].held) == 60 == sum(len(parts[name].held) for name in ("train", "val", "test"))
    assert find(None).split == "test"
    assert not set(find(None).held) & set(find(None).train)
    assert np.array_equal(parts["train"].held, parts["train"].train)
    chosen, other = find("all", 10), find("all", 10, seed=1)
    assert len(chosen.held) == 10
    assert not np.array_equal(chosen.held, other.held)
    assert chosen.key == other.key == parts["test"].key  # one classifier for all
    after = test_set.find(str(colours), SMALL, split="all", limit=40, seed=0, skip=10)
    assert len(after.held) == 40
    assert not set(after.held) & set(chosen.held)


def test_pictures_that_change_parts_need_another_judge(tmp_path: Path, cache_folder: Path) -> None:
    """Else it would have been trained on those that it judges."""
    data = tmp_path / "faces"
    cartoons.write(data, 12, size=16)
    glasses = Domains((LabelSet("faces", (Group(("Eyeglasses",)),)),))
    keys = set()
    for last in (0, 2):
        parts = [number % 3 for number in range(11)] + [last]
        lines = [f"{number:06}.png {part}" for number, part in enumerate(parts, 1)]
        (data / "list_eval_partition.txt").write_text("\n".join(lines))
        keys.add(test_set.find(str(data), replace(SMALL, domains=glasses), split="test", limit=100, seed=0).key)
    assert len(keys) == 2


def test_pictures_of_domains_that_the_model_has_not_are_left_out(tmp_path: Path, cache_folder: Path) -> None:
    """Of a one-of-n group; a picture of none of its values has no label to start from."""
    data = draw_folders(tmp_path / "more", names=("red", "green", "blue"))
    two = Domains((LabelSet("colours", (Group(("green", "red"), categorical=True),)),))
    found = test_set.find(
        str(data), ModelInfo(domains=two, architecture=Architecture((16, 16))), split="all", limit=100, seed=0
    )
    assert len(found.held) == 40
    assert (found.shown.sum(1) == 1).all()


def test_truths_of_cartoons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_set, "DRAWN", 12)
    domains = Domains((LabelSet("cartoons", (Group(("Blond_Hair",)), Group(("Smiling",)))),))
    found = test_set.find(
        "cartoons", ModelInfo(domains=domains, architecture=Architecture((24, 24))), split=None, limit=20, seed=3
    )
    assert len(found.held) == 20
    assert found.truth is not None
    for row, (pixels, shown) in enumerate(zip(found.sources, found.shown, strict=True)):
        same = found.truth(row, shown)
        assert np.array_equal(same if same is not None else [], pixels)
        smiling = found.truth(row, shown * (1, 0) + (0, 1 - shown[1]))
        assert smiling is not None
        assert not np.array_equal(smiling, pixels)
        assert found.truth(row, 1 - shown) is None  # no hair colour, or two of them: no such face


# ---------------------------------------------------------------- pairs


class Untouched:
    """Computes nothing."""

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return images

    def classify(self, images: np.ndarray) -> np.ndarray:
        raise AssertionError("the model has no attribute classifier")


def write_pairs(folder: Path) -> Path:
    """Three pairs, of which the last changes nothing."""
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
    assert [pair.shows for pair in known] == [("green",), (), ()]
    pairs.check(known, model)
    found = pairs.measure(model, known, 0)
    assert found.figures[ALL]["truth_psnr"] == found.figures[ALL]["idle_psnr"]
    assert found.each["truth_psnr"][2] == pytest.approx(20 * np.log10(255))
    assert found.figures["green"]["truth_psnr"].value < 15
    assert [picture[0, 0].tolist() for picture in found.pictures(0)] == [[40, 180, 60], [40, 180, 60], [200, 40, 40]]


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
    ("table", "said"),
    [
        ("", "must have columns source, truth, target"),
        ("source,truth\na.png,a.png\n", "must have columns source, truth, target"),
        ("source,truth,target\n", "a line for each pair"),
        ("source,truth,target\na.png,a.png,\n", "line 2: target is empty"),
        ("source,truth,target\na.png,a.png,red\na.png,b.png,red\n", "line 3: b.png: no such file"),
        ("source,truth,target\na.png,a.png,red,green\n", "line 2: more cells than columns"),
    ],
)
def test_wrong_pairs_get_one_line(table: str, said: str, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / pairs.TABLE).write_text(table)
    with pytest.raises(DataError) as caught:
        pairs.read(tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_words_that_a_model_does_not_know(tmp_path: Path) -> None:
    known = [pairs.Pair(tmp_path / "a.png", tmp_path / "a.png", ("gren",))]
    with pytest.raises(DomainError, match=r"a\.png: .*did you mean green"):
        pairs.check(known, Translator(SMALL, Untouched()))
