"""Metrics that can fail: models whose quality is known must come out in the obvious order."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import stargan

from stargan.config import ModelInfo
from stargan.data import cartoons
from stargan.domains import Domains, Group, LabelSet
from stargan.errors import DataError
from stargan.evaluation import classifier, features, metrics, report, subjects
from stargan.evaluation import measure as measuring
from stargan.evaluation.classifier import Classifier
from stargan.evaluation.measure import ALL, Measured
from stargan.evaluation.subjects import Subject
from stargan.protocols import protocol

HAIR = Group(cartoons.EXCLUSIVE)
DOMAINS = Domains((LabelSet("cartoons", (HAIR, Group(("Eyeglasses",)), Group(("Wearing_Hat",)))),))
INFO = ModelInfo(domains=DOMAINS, image_size=(32, 32))
FACES = 10


class Fake:
    """A model that does one known thing."""

    info, domains = INFO, DOMAINS

    def __init__(self, does: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.does = does

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return self.does(images, labels)


@pytest.fixture(scope="module")
def subject(cache_folder: Path) -> Subject:
    return subjects.find("cartoons", INFO, split=None, limit=FACES, seed=0)


@pytest.fixture(scope="module")
def judge(subject: Subject) -> Classifier:
    trained = Classifier(DOMAINS, (0,), 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "STEPS", 250)
        trained.fit(*subject.train, key=subject.key)
    return trained


def oracle(subject: Subject) -> Fake:
    """Knows each face by its pixels, in every look of it that it has drawn, and draws the true translation."""
    sources = subjects.prepared(subject.held[0])
    known = {picture.tobytes(): row for row, picture in enumerate(sources)}
    assert subject.truth is not None
    truth = subject.truth

    def does(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        found = []
        for image, label in zip(images, labels, strict=True):
            row = known[image.tobytes()]
            drawn = truth(row, label[: DOMAINS.num_classes])
            assert drawn is not None
            made = subjects.prepared(drawn[None])[0]
            known[made.tobytes()] = row
            found.append(made)
        return np.stack(found)

    return Fake(does)


@pytest.fixture(scope="module")
def measured(subject: Subject, judge: Classifier) -> dict[str, Measured]:
    rng = np.random.default_rng(0)
    models = {
        "oracle": oracle(subject),
        "identity": Fake(lambda images, labels: images.copy()),
        "constant": Fake(lambda images, labels: np.full_like(images, 0.3)),
        "shuffled": Fake(lambda images, labels: images[::-1].copy()),
        "noise": Fake(lambda images, labels: rng.uniform(-1, 1, images.shape).astype(np.float32)),
    }
    plan = protocol("single", DOMAINS)
    with pytest.MonkeyPatch.context() as patch:  # enough to tell these apart, and quick
        patch.setattr(features, "SIDE", 64)
        patch.setattr(measuring, "REFERENCES", 200)
        reference = measuring.refer(subject, 0)
        return {name: measuring.measure(model, subject, plan, judge, reference, 0) for name, model in models.items()}


def values(measured: dict[str, Measured], metric: str) -> dict[str, float]:
    return {name: found.figures[ALL][metric].value for name, found in measured.items()}


def test_the_classifier_is_worth_asking(measured: dict[str, Measured]) -> None:
    assert measured["oracle"].real_error.value < 0.1


def test_error_and_kept(measured: dict[str, Measured]) -> None:
    error, kept = values(measured, "error"), values(measured, "kept")
    assert error["oracle"] < 0.15 < 0.75 < error["identity"]
    assert min(error["constant"], error["noise"]) > 0.4
    assert kept["identity"] > 0.9
    assert kept["oracle"] > 0.85
    assert max(kept["noise"], kept["constant"]) < min(kept["identity"], kept["oracle"])


def test_against_the_truth(measured: dict[str, Measured]) -> None:
    for metric, better in (("truth_psnr", 1), ("truth_ssim", 1)):
        found = {name: better * value for name, value in values(measured, metric).items()}
        assert found["oracle"] > found["identity"] > found["shuffled"]
        assert found["identity"] > max(found["constant"], found["noise"])
    idle = values(measured, "idle_psnr")
    assert idle["oracle"] == pytest.approx(values(measured, "truth_psnr")["identity"])


def test_reconstruction_and_background(measured: dict[str, Measured]) -> None:
    back, change = values(measured, "rec_l1"), values(measured, "background")
    assert back["identity"] < 1e-6
    assert back["oracle"] < 1e-6
    assert change["identity"] < 1e-6
    assert change["oracle"] < min(change[name] for name in ("constant", "noise", "shuffled"))
    assert back["noise"] > back["constant"] > 0.1
    assert values(measured, "sharpness")["noise"] > 2 > 0.5 > values(measured, "sharpness")["constant"]


@pytest.mark.skipif(not features.installed(), reason="stargan[evaluate] is not installed")
def test_distances_in_features(measured: dict[str, Measured]) -> None:
    kid = values(measured, "kid")
    assert kid["oracle"] < 0.2 * min(kid["constant"], kid["noise"])
    far = values(measured, "truth_perceptual")
    assert far["oracle"] < 1e-6 < far["identity"] < min(far["constant"], far["noise"], far["shuffled"])
    real = measured["oracle"].real_kid
    assert real is not None
    assert real.low < 5 < kid["noise"]


def test_one_table_and_a_page(measured: dict[str, Measured], subject: Subject, tmp_path: Path) -> None:
    entries = [
        report.Entry(name, {"recipe": "<b>none</b>"}, subject, found, {"g_rec": ([0, 50], [1.0, 0.5])})
        for name, found in measured.items()
    ]
    report.write(tmp_path, entries, {"data": "cartoons", "seed": 0})
    told = json.loads((tmp_path / "report.json").read_text())
    assert set(told["models"]) == set(measured)
    for model in told["models"].values():
        assert set(model["figures"]) == {ALL, *protocol("single", DOMAINS).tasks}
        for figures in model["figures"].values():
            for name, figure in figures.items():
                assert name in told["definitions"]
                assert figure["low"] is None or figure["low"] <= figure["value"] <= figure["high"]
    page = (tmp_path / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert not any(word in page for word in ("http://", "https://", "<script", "<b>none</b>"))
    assert "oracle" in report.overall(entries)


def test_expressions_are_asked_of_neutral_faces() -> None:
    names = ("angry", "neutral", "sad")
    domains = Domains((LabelSet("faces", (Group(names, categorical=True),)),))
    pixels, values = np.zeros((3, 8, 8, 3), np.uint8), np.eye(3, dtype=np.float32)
    faces = Subject("faces", "test", (0,), "", (pixels, values), (pixels, values))
    asked = measuring.ask(faces, protocol("expressions", domains))
    assert asked.rows.tolist() == [1, 1]
    assert asked.tasks.tolist() == ["angry", "sad"]
    assert asked.wanted.tolist() == [[1, 0, 0], [0, 0, 1]]
    angry = Subject("faces", "test", (0,), "", (pixels, values), (pixels[:1], values[:1]))
    with pytest.raises(DataError, match="--protocol expressions asks nothing of any of these pictures"):
        measuring.ask(angry, protocol("expressions", domains))


# ---------------------------------------------------------------- metrics by hand


def test_two_pictures_by_hand() -> None:
    first, second = np.zeros((1, 3, 16, 16), np.float32), np.full((1, 3, 16, 16), 0.2, np.float32)
    assert metrics.l1(first, second) == pytest.approx(0.2)
    assert metrics.psnr(first, second) == pytest.approx(20.0)  # 10 log10(4 / 0.04)
    assert metrics.psnr(first, first) == pytest.approx(20 * np.log10(255))
    assert metrics.ssim(first, first) == pytest.approx(1.0)
    c1 = 0.02**2
    assert metrics.ssim(first, second) == pytest.approx(c1 / (0.04 + c1))  # flat pictures: only the means differ
    checks = (np.indices((16, 16)).sum(0)[None] % 2 * 2 - 1) * np.ones((1, 3, 16, 16), np.float32)
    assert metrics.ssim(checks, -checks) < 0
    assert metrics.sharpness(checks) == pytest.approx(np.array([64.0]), rel=1e-3)  # +-8 everywhere
    assert metrics.sharpness(second) == pytest.approx(0.0, abs=1e-9)


def test_background_looks_only_there() -> None:
    first = np.zeros((1, 3, 20, 20), np.float32)
    inner, outer = first.copy(), first.copy()
    inner[:, :, 5:15, 5:15] = 1
    outer[:, :, :, 0] = 1
    assert metrics.background(first, inner) == 0
    assert metrics.background(first, outer) > 0.2


def test_sets_by_hand() -> None:
    rng = np.random.default_rng(0)
    same = [rng.normal(size=(300, 8)) for _ in range(2)]
    apart = same[1] + 1
    near, far = metrics.kid(same[0], same[1], 0), metrics.kid(same[0], apart, 0)
    assert near.low < 0 < near.high  # unbiased: nothing is found where nothing is
    assert far.low > near.high
    assert metrics.fid(same[0], same[0]) == pytest.approx(0, abs=1e-6)
    assert metrics.fid(same[0], same[0] + 2) == pytest.approx(32)  # 8 dimensions, means 2 apart
    assert np.isnan(metrics.kid(same[0][:3], apart, 0).value)


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        figure = metrics.mean(rng.normal(size=60), np.arange(60), seed)
        held += figure.low <= 0 <= figure.high
    assert 180 <= held <= 198
    alone = metrics.mean(np.arange(20.0), np.arange(20), 0)
    together = metrics.mean(np.repeat(np.arange(20.0), 3), np.repeat(np.arange(20), 3), 0)
    assert together.high - together.low == pytest.approx(alone.high - alone.low)  # copies add no certainty
    assert np.isnan(metrics.mean(np.array([np.nan]), np.zeros(1, int), 0).value)


# ---------------------------------------------------------------- the command


def test_the_command(run: Path, colours: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    done = stargan("evaluate", run, run / "model.onnx", "--data", colours, "--limit", "6", "--out", out, timeout=300)
    assert done.returncode == 0, done.stderr
    told = json.loads((out / "report.json").read_text())
    assert set(told["models"]) == {"tiny", "model.onnx"}
    figures = [model["figures"]["all"]["rec_l1"]["value"] for model in told["models"].values()]
    assert figures[0] == pytest.approx(figures[1], abs=1e-3)  # one is the other as another file
    assert "polyline" in (out / "report.html").read_text()
    again = stargan("evaluate", run, "--data", colours, "--out", out)
    assert again.returncode == 2
    assert "exists; say --overwrite" in again.stderr


def test_wrong_input_gets_one_line(run: Path, colours: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (["/no/model.onnx", "--data", colours], "/no/model.onnx: no such model"),
        ([run, "--data", "/no/data"], "/no/data: no such file or folder"),
        ([run, "--data", "cartoons"], "--data cartoons: the model is for 16x16 pictures with"),
        ([run, "--data", colours, "--protocol", "singel"], "--protocol singel: unknown; did you mean single?"),
        ([run, "--data", colours, "--protocol", "celeba"], "does not know Blond_Hair"),
        ([run, "--data", colours, "--split", "tset"], "--split tset: must be train, val or test"),
        ([run, "--data", colours, "--limit", "1"], "--limit 1: must be at least 2"),
    ):
        done = stargan("evaluate", *arguments, "--out", tmp_path / "x")  # type: ignore[arg-type]
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()
