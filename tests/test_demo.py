"""The demo, cut short: it draws, trains, translates, measures, and goes on where it was stopped."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stargan
from stargan import cli, demo
from stargan.data import cartoons


def test_demo_runs_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "FACES", 60)
    monkeypatch.setattr(demo, "TEST_PAIRS", 18)
    for steps in (4, 6):  # the second one goes on from the first
        assert cli.main(["demo", "--train", "--out", str(tmp_path / "demo"), "--steps", str(steps)]) == 0
        lines = capsys.readouterr().out.splitlines()[-4:]
        assert f"trained {steps} steps" in lines[0]
        assert "translated 18 faces that it was not trained on" in lines[1]
        assert "dB; of the untouched faces: " in lines[2]
        assert "A classifier finds" in lines[3]
        assert stargan.load(tmp_path / "demo" / "run").info.steps == steps
    with Image.open(tmp_path / "demo" / "translations.png") as grid:
        assert grid.width > 10 * demo.SIDE


def test_figures_tell_true_translations_from_untouched_images_and_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "FACES", 60)
    monkeypatch.setattr(demo, "TEST_PAIRS", 18)
    demo.train(tmp_path / "demo", 2)
    model = stargan.load(tmp_path / "demo" / "run")
    pairs = list(cartoons.pairs(18, 5, 32))
    source = model.prepare([pair.image for pair in pairs])
    truth = model.prepare([pair.truth for pair in pairs])
    noise = np.random.default_rng(0).uniform(-1, 1, source.shape).astype(np.float32)
    figures = {}
    for name, result in (("truth", truth), ("untouched", source), ("noise", noise)):
        monkeypatch.setattr(model, "generate", lambda *_, result=result: result)
        figures[name] = demo.measure(model, pairs)
    assert figures["truth"]["psnr"] > figures["untouched"]["psnr"] > figures["noise"]["psnr"]
    assert figures["untouched"]["psnr"] == pytest.approx(figures["untouched"]["baseline_psnr"])
    assert figures["truth"]["nearer"] == 1
    assert figures["untouched"]["nearer"] == 0
    assert figures["truth"]["hit"] == figures["truth"]["hit_in_truth"]


def test_the_shipped_model_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "TEST_PAIRS", 60)
    assert cli.main(["demo", "--out", str(tmp_path / "demo")]) == 0
    printed = capsys.readouterr().out
    psnr, baseline = map(float, re.findall(r"([\d.]+) dB", printed))
    assert psnr > baseline + 2
    assert f"stargan demo --train --out {tmp_path / 'demo'}" in printed
    assert (tmp_path / "demo" / "translations.png").is_file()
    assert cli.main(["demo", "--out", str(tmp_path / "demo")]) == 0  # it may replace its own
    capsys.readouterr()
    assert cli.main(["demo", "--steps", "3"]) == 2
    assert "say --train as well" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--train"]])
def test_files_of_the_user_stay(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "translations.png"
    Image.new("RGB", (8, 8)).save(own)
    before = own.read_bytes()
    assert cli.main(["demo", "--out", str(tmp_path), *options]) == 2
    assert f"{own}: exists, and stargan demo has not made it" in capsys.readouterr().err
    assert own.read_bytes() == before
    own.rename(tmp_path / "mine.png")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes").touch()
    if options:
        assert cli.main(["demo", "--out", str(tmp_path), *options]) == 2
        assert "exists and is not an empty folder" in capsys.readouterr().err
