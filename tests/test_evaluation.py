"""Metrics that can fail: models whose quality is known must come out in the obvious order."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from stargan.config import Architecture
from stargan.data import cartoons
from stargan.domains import Domains, Group, LabelSet
from stargan.domains.protocols import protocol
from stargan.errors import DataError
from stargan.evaluation import classifier, distances, features, metrics, page, report, tasks, test_set
from stargan.evaluation.classifier import Classifier
from stargan.evaluation.definitions import DEFINITIONS
from stargan.evaluation.distances import Space
from stargan.evaluation.measure import Measured, measure
from stargan.evaluation.tasks import ALL
from stargan.evaluation.test_set import Subject
from stargan.model.info import ModelInfo

HAIR = Group(cartoons.EXCLUSIVE)
DOMAINS = Domains((LabelSet("cartoons", (HAIR, Group(("Eyeglasses",)), Group(("Wearing_Hat",)))),))
INFO = ModelInfo(domains=DOMAINS, architecture=Architecture((32, 32)))
FACES = 16
SINGLE = protocol("single", DOMAINS)


class Fake:
    """A model that does one known thing."""

    domains = DOMAINS

    def __init__(self, does: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.does = does

    def generate(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return self.does(images, labels)


@pytest.fixture(scope="module")
def subject(cache_folder: Path) -> Subject:
    with pytest.MonkeyPatch.context() as patch:  # enough to tell those models apart, and quick
        patch.setattr(test_set, "DRAWN", 500)
        return test_set.find("cartoons", INFO, split=None, limit=FACES, seed=0)


@pytest.fixture(scope="module")
def jury(subject: Subject) -> list[Classifier]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "STEPS", 150)
        patch.setattr(classifier, "LOOK", 50)
        return classifier.judges(DOMAINS, subject, 2, 0)


def oracle(subject: Subject) -> Fake:
    """Knows each face by its pixels, in every look of it that it has drawn, and draws the true translation."""
    known = {picture.tobytes(): row for row, picture in enumerate(test_set.prepared(subject.sources))}
    assert subject.truth is not None
    truth = subject.truth

    def does(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        found = []
        for image, label in zip(images, labels, strict=True):
            row = known[image.tobytes()]
            drawn = truth(row, label)
            assert drawn is not None
            made = test_set.prepared(drawn[None])[0]
            known[made.tobytes()] = row
            found.append(made)
        return np.stack(found)

    return Fake(does)


class Blind:
    """A recogniser that knows faces by their mean colour, and finds none in the first picture."""

    def __init__(self, first: np.ndarray) -> None:
        self.first = first

    def find(self, pixels: np.ndarray) -> object:
        return None if np.array_equal(pixels, self.first) else "a face"

    def describe(self, pixels: np.ndarray, faces: list[object]) -> np.ndarray:
        found = pixels.mean((1, 2)) / 255
        found[[face is None for face in faces]] = np.nan
        return found


@pytest.fixture(scope="module")
def measured(subject: Subject, jury: list[Classifier]) -> dict[str, Measured]:
    rng = np.random.default_rng(0)
    models = {
        "oracle": oracle(subject),
        "identity": Fake(lambda images, labels: images.copy()),
        "constant": Fake(lambda images, labels: np.full_like(images, 0.3)),
        "shuffled": Fake(lambda images, labels: images[::-1].copy()),
        "noise": Fake(lambda images, labels: rng.uniform(-1, 1, images.shape).astype(np.float32)),
    }
    recogniser = Blind(subject.sources[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "SIDE", 48)
        patch.setattr(distances, "REFERENCES", 200)
        patch.setattr(test_set, "DRAWN", 500)
        spaces = [Space("", features.pooled)] if features.installed() else []
        references = [distances.refer(subject, space, 0) for space in spaces]
        return {
            name: measure(model, subject, SINGLE, jury, references, 0, recogniser)  # type: ignore[arg-type]
            for name, model in models.items()
        }


def values(measured: dict[str, Measured], metric: str) -> dict[str, float]:
    return {name: found.figures[ALL][metric].value for name, found in measured.items()}


def test_the_classifier_is_worth_asking(measured: dict[str, Measured]) -> None:
    assert set(measured["oracle"].judge) == {", ".join(cartoons.EXCLUSIVE), "Eyeglasses", "Wearing_Hat"}
    assert max(figure.value for figure in measured["oracle"].judge.values()) <= 0.15
    assert measured["oracle"].figures[ALL]["real_error"].value < 0.1


def test_error_and_kept(measured: dict[str, Measured]) -> None:
    error, hit, kept = (values(measured, name) for name in ("error", "hit", "kept"))
    assert error["oracle"] < 0.15 < 0.8 < error["identity"]
    assert all(hit[name] == pytest.approx(1 - error[name]) for name in measured)  # single changes: one label each
    assert min(error["constant"], error["noise"]) > 0.4
    assert kept["identity"] == values(measured, "real_kept")["oracle"] > 0.9
    assert kept["oracle"] > 0.85
    assert max(kept["noise"], kept["constant"], kept["shuffled"]) < min(kept["identity"], kept["oracle"])


def test_against_the_truth(measured: dict[str, Measured]) -> None:
    for metric in ("truth_psnr", "truth_ssim"):
        found = values(measured, metric)
        assert found["oracle"] > found["identity"] > found["shuffled"]
        assert found["identity"] > max(found["constant"], found["noise"])
    assert values(measured, "idle_psnr")["oracle"] == pytest.approx(values(measured, "truth_psnr")["identity"])


def test_reconstruction_background_and_sharpness(measured: dict[str, Measured]) -> None:
    back, change, sharp = (values(measured, name) for name in ("rec_l1", "background", "sharpness"))
    assert max(back["identity"], back["oracle"], change["identity"]) < 1e-6
    assert change["oracle"] < min(change[name] for name in ("constant", "noise", "shuffled"))
    assert back["noise"] > back["constant"] > 0.1
    assert sharp["identity"] == pytest.approx(1)
    assert sharp["noise"] > 2 > 0.5 > sharp["constant"]


def test_identity(measured: dict[str, Measured]) -> None:
    found = values(measured, "identity")
    assert found["identity"] < 1e-6 < found["oracle"] < min(found["constant"], found["shuffled"], found["noise"])
    assert values(measured, "stranger")["identity"] > found["oracle"]
    without = np.isnan(measured["oracle"].each["identity"])
    assert set(measured["oracle"].rows[without]) == {0}  # the picture in which no face was found


@pytest.mark.skipif(not features.installed(), reason="stargan[evaluate] is not installed")
def test_distances_in_features(measured: dict[str, Measured]) -> None:
    kid, far = values(measured, "kid"), values(measured, "truth_perceptual")
    assert kid["oracle"] < kid["identity"] < min(kid["constant"], kid["noise"])
    assert kid["identity"] == pytest.approx(values(measured, "idle_kid")["oracle"])
    assert far["oracle"] < 1e-6 < far["identity"] < min(far["constant"], far["noise"], far["shuffled"])
    real = measured["oracle"].figures[ALL]["real_kid"]
    assert real.low < kid["oracle"] < kid["identity"]
    by_task = [
        figures["kid"].value for task, figures in measured["noise"].figures.items() if task != ALL and "kid" in figures
    ]
    assert kid["noise"] == pytest.approx(np.mean(by_task))
    assert "fewer than 2048" in measured["oracle"].skipped["fid"]


def test_what_is_not_measured_has_a_reason(subject: Subject, jury: list[Classifier]) -> None:
    few = Subject("few", "test", (0,), "", subject.pixels, subject.values, subject.train, subject.held[:2])
    found = measure(Fake(lambda images, labels: images), few, SINGLE, jury, [], 0)
    assert {"identity", "truth_...", "inception_kid, inception_fid"} <= set(found.skipped)
    assert not {"identity", "truth_psnr", "kid", "fid"} & set(found.figures[ALL])


def test_one_table_and_a_page(measured: dict[str, Measured]) -> None:
    curves = {"d_real": ([0.0, 50.0], [-1.0, 0.5]), "g_rec": ([0.0], [1.0])}
    entries = [report.Entry(name, {"recipe": "<b>none</b>"}, found, None, curves) for name, found in measured.items()]
    told = json.loads(report.dumps(entries, {"data": "cartoons", "seed": 0}))
    assert (told["format"], told["seed"]) == ("stargan-report-1", 0)
    assert set(told["models"]) == set(measured)
    for model in told["models"].values():
        assert set(model["figures"]) == {ALL, *SINGLE.tasks}
        for figures in model["figures"].values():
            for name, figure in figures.items():
                assert name in told["definitions"]
                assert figure["count"] >= 0
                assert figure["low"] is None or figure["low"] <= figure["value"] <= figure["high"]
    shown = page.render(entries, {"data": "cartoons", "seed": 0})
    for metric, meant in DEFINITIONS.items():
        ranked = meant.ranks and metric in measured["oracle"].each
        assert shown.count(f"Pictures by {metric} ") == ranked * len(measured)
    assert shown.count("<polyline") == 2 * len(measured)
    assert not any(word in shown for word in ("http://", "https://", "<script", "<link", "<b>none</b>"))
    assert "oracle" in report.overall(entries, 0)


def test_differences_to_the_first_model(measured: dict[str, Measured]) -> None:
    names = ("identity", "oracle", "noise")
    entries = [report.Entry(name, {}, measured[name]) for name in names]
    apart = report.differences(entries, 0)
    assert list(apart) == ["oracle", "noise"]
    for name, sign in (("oracle", 1), ("noise", -1)):
        truth = apart[name]["truth_psnr"]
        assert min(sign * truth.low, sign * truth.high) > 0
        both = [measured[each].figures[ALL]["truth_psnr"].value for each in (name, "identity")]
        assert truth.value == pytest.approx(both[0] - both[1])
    assert "kid" not in apart["oracle"]  # of sets, not of pictures
    same = report.differences([entries[0], report.Entry("again", {}, measured["identity"])], 0)
    assert all((figure.value, figure.low, figure.high) == (0, 0, 0) for figure in same["again"].values())
    assert "oracle less identity:" in report.overall(entries, 0)
    assert "less those of identity, picture by picture" in page.render(entries, {"seed": 0})
    assert json.loads(report.dumps(entries, {"seed": 0}))["less_the_first"]["noise"]["hit"]["count"] > 0


# ---------------------------------------------------------------- what is asked


def test_expressions_are_asked_of_neutral_faces() -> None:
    names = ("angry", "neutral", "sad")
    domains = Domains((LabelSet("faces", (Group(names, categorical=True),)),))
    plan = protocol("expressions", domains)
    pixels, shown, rows = np.zeros((3, 8, 8, 3), np.uint8), np.eye(3, dtype=np.float32), np.arange(3)
    faces = Subject("faces", "test", (0,), "", pixels, shown, rows, rows)
    asked = tasks.ask(faces, plan, domains)
    assert asked.rows.tolist() == [1, 1]
    assert asked.tasks.tolist() == ["angry", "sad"]
    assert asked.wanted.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert asked.changed.tolist() == [[True], [True]]
    assert not asked.others.any()
    angry = Subject("faces", "test", (0,), "", pixels, shown, rows, rows[:1])
    with pytest.raises(DataError, match="--protocol expressions asks nothing of any of these pictures"):
        tasks.ask(angry, plan, domains)


def test_judgement_by_hand() -> None:
    domains = Domains((LabelSet("faces", (Group(("A",)), Group(("B",)), Group(("C",)))),))
    shown = np.array([[0, 0, 1]], np.float32)
    subject = Subject("faces", "test", (0,), "", np.zeros((1, 8, 8, 3), np.uint8), shown, np.arange(1), np.arange(1))
    asked = tasks.ask(subject, protocol("single", domains), domains)
    assert asked.order == ("A", "B", "C=0")
    found = np.array([[1, 0, 0], [0, 0, 1], [1, 1, 0]], np.float32)  # A: C lost; B: not found; C: all else lost
    counted = tasks.judged(domains, asked, found, np.repeat([[1, 0, 1]], 3, 0), np.repeat(shown, 3, 0))
    assert counted["error"].tolist() == [0, 1, 0]
    assert counted["hit"].tolist() == [1, 0, 1]
    assert counted["kept"].tolist() == [0.5, 1, 0]
    assert counted["real_error"].tolist() == [1, 0, 0]  # it sees A in the source, too
    assert counted["real_kept"].tolist() == [1, 0.5, 0.5]


def test_real_pictures_of_the_target_domain() -> None:
    domains = Domains((LabelSet("faces", (Group(("A", "B")), Group(("Male",)))),))
    shown = np.array([[1, 0, 0], [0, 0, 1]], np.float32)
    subject = Subject("faces", "test", (0,), "", np.zeros((2, 8, 8, 3), np.uint8), shown, np.arange(2), np.arange(2))
    asked = tasks.ask(subject, protocol("single", domains), domains)
    numbers = dict(asked.each())
    real = np.array([[0, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 0]], np.float32)
    assert tasks.alike(domains, asked, numbers["B"], real).tolist() == [0, 1]
    assert tasks.alike(domains, asked, numbers["Male"], real).tolist() == [1, 2]
    assert tasks.alike(domains, asked, numbers["Male=0"], real).tolist() == [0, 3]


# ---------------------------------------------------------------- the classifier


def test_the_classifiers_are_trained_once(
    subject: Subject, jury: list[Classifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "STEPS", 150)
    monkeypatch.setattr(classifier, "LOOK", 50)
    monkeypatch.setattr(Classifier, "_train", lambda *_: pytest.fail("trained again"))
    again = classifier.judges(DOMAINS, subject, 2, 0)
    pictures = test_set.prepared(subject.sources)
    for judge, other in zip(again, jury, strict=True):
        assert np.array_equal(judge.decide(pictures), other.decide(pictures))


def test_judges_differ_and_their_spread_is_in_the_intervals(
    measured: dict[str, Measured], jury: list[Classifier]
) -> None:
    first, second = (judge.network.state_dict() for judge in jury)
    assert not any(torch.equal(first[name], second[name]) for name in first if name.endswith("weight"))
    found = measured["noise"]
    verdicts = found.each["error"]
    assert verdicts.shape == (len(found.rows), 2)
    figure = found.figures[ALL]["error"]
    assert figure.value == pytest.approx(verdicts.mean())
    alone = metrics.mean(verdicts.mean(1), found.rows, 0)
    assert (figure.low < alone.low) == (alone.low > 0)
    assert (figure.high > alone.high) == (alone.high < 1)
    assert all(
        0 <= f.low <= f.high <= 1 for figures in found.figures.values() for f in (figures["error"], figures["hit"])
    )
    assert found.judge["Eyeglasses"].count == FACES


@pytest.mark.parametrize(("errors", "best"), [((0.5, 0.3, 0.4, 0.3, 0.6), 3), ((0.5, 0.4, 0.0), 2)])
def test_the_best_of_a_classifier_is_kept(
    errors: tuple[float, ...], best: int, monkeypatch: pytest.MonkeyPatch, cache_folder: Path
) -> None:
    monkeypatch.setattr(classifier, "STEPS", 5)
    monkeypatch.setattr(classifier, "LOOK", 1)
    monkeypatch.setattr(classifier, "BATCH", 4)
    monkeypatch.setattr(classifier, "ENOUGH", 2)
    seen: list[dict[str, torch.Tensor]] = []

    def look(judge: Classifier, *_: object) -> float:
        seen.append({name: tensor.clone() for name, tensor in judge.network.state_dict().items()})
        return errors[len(seen) - 1]

    monkeypatch.setattr(Classifier, "_error", look)
    rng = np.random.default_rng(0)
    pixels, shown = rng.integers(0, 256, (20, 8, 8, 3)).astype(np.uint8), DOMAINS.random_values(rng, 20)
    judge = Classifier(DOMAINS, (0,), 0)
    judge.fit(pixels, shown, np.arange(20), f"nothing to learn, {best}", "it")
    assert len(seen) == len(errors)  # perfection ends it
    for number, weights in enumerate(seen):
        same = all(torch.equal(weights[name], tensor) for name, tensor in judge.network.state_dict().items())
        assert same == (number == best)
