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
        assert demo.train(tmp_path / "demo", steps) == 0
        lines = capsys.readouterr().out.splitlines()[-4:]
        assert f"trained {steps} steps" in lines[0]
        assert "translated 18 faces that it never saw" in lines[1]
        assert "dB; doing nothing: " in lines[2]
        assert "Requested changes found" in lines[3]
        assert stargan.load(tmp_path / "demo" / "run").info.steps == steps
    with Image.open(tmp_path / "demo" / "translations.png") as picture:
        assert picture.width > 10 * demo.SIDE


def test_figures_tell_truth_from_nothing_and_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "FACES", 60)
    monkeypatch.setattr(demo, "TEST_PAIRS", 18)
    demo.train(tmp_path / "demo", 2)
    model = stargan.load(tmp_path / "demo" / "run")
    pairs = list(cartoons.pairs(18, 5, 32))
    source = model.prepare([pair.image for pair in pairs])
    truth = model.prepare([pair.truth for pair in pairs])
    noise = np.random.default_rng(0).uniform(-1, 1, source.shape).astype(np.float32)
    figures = {}
    for name, result in (("truth", truth), ("nothing", source), ("noise", noise)):
        monkeypatch.setattr(model, "generate", lambda images, labels, result=result: result)
        figures[name] = demo.measure(model, pairs)
    assert figures["truth"]["psnr"] > figures["nothing"]["psnr"] > figures["noise"]["psnr"]
    assert figures["nothing"]["psnr"] == pytest.approx(figures["nothing"]["psnr_of_doing_nothing"])
    assert figures["truth"]["nearer"] == 1
    assert figures["nothing"]["nearer"] == 0
    assert figures["truth"]["hit"] == figures["truth"]["hit_in_truth"]


def test_the_shipped_model_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "TEST_PAIRS", 60)
    assert cli.main(["demo", "--out", str(tmp_path / "demo")]) == 0
    said = capsys.readouterr().out
    psnr, idle = map(float, re.findall(r"([\d.]+) dB", said))
    assert psnr > idle + 2
    assert f"stargan demo --train --out {tmp_path / 'demo'}" in said
    assert (tmp_path / "demo" / "translations.png").is_file()
    assert cli.main(["demo", "--steps", "3"]) == 2
    assert "say --train as well" in capsys.readouterr().err
