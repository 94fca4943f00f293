"""Metrics must rank models of known quality in the obvious order."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stargan.config import Architecture
from stargan.data import cartoons
from stargan.domains import Domains, Group, LabelSet
from stargan.domains.protocols import protocol
from stargan.errors import DataError
from stargan.evaluation import classifier, distances, evaluation_set, features, intervals, page, report, tasks
from stargan.evaluation.classifier import Classifier
from stargan.evaluation.definitions import DEFINITIONS
from stargan.evaluation.distances import FeatureSpace
from stargan.evaluation.evaluation_set import EvaluationSet
from stargan.evaluation.matched import matched_images
from stargan.evaluation.measure import Measurements, measure
from stargan.evaluation.tasks import ALL
from stargan.images import to_array
from stargan.model.info import ModelInfo

HAIR = Group(cartoons.EXCLUSIVE)
DOMAINS = Domains((LabelSet("cartoons", (HAIR, Group(("Eyeglasses",)), Group(("Wearing_Hat",)))),))
INFO = ModelInfo(domains=DOMAINS, architecture=Architecture((32, 32)))
FACES = 16
SINGLE = protocol("single", DOMAINS)


class Fake:
    """A model that does one known thing."""

    domains = DOMAINS

    def __init__(self, translate: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.translate = translate

    def generate(self, images: np.ndarray, labels: np.ndarray, source_values: np.ndarray | None = None) -> np.ndarray:
        return self.translate(images, labels)


@pytest.fixture(scope="module")
def faces(cache_folder: Path) -> EvaluationSet:
    with pytest.MonkeyPatch.context() as patch:  # enough to tell those models apart, and quick
        patch.setattr(evaluation_set, "CARTOON_TRAIN_FACES", 500)
        return evaluation_set.load("cartoons", INFO, split=None, limit=FACES, seed=0)


@pytest.fixture(scope="module")
def classifiers(faces: EvaluationSet) -> list[Classifier]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "STEPS", 150)
        patch.setattr(classifier, "VALIDATE_EVERY", 50)
        return classifier.evaluation_classifiers(DOMAINS, faces, 2, 0)


def oracle(faces: EvaluationSet) -> Fake:
    """Recognises each face, original or translated, by its pixels, and draws the true translation."""
    known = {image.tobytes(): row for row, image in enumerate(to_array(faces.source_images))}
    assert faces.truth is not None
    truth = faces.truth

    def translate(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        found = []
        for image, label in zip(images, labels, strict=True):
            row = known[image.tobytes()]
            drawn = truth(row, label)
            assert drawn is not None
            made = to_array(drawn[None])[0]
            known[made.tobytes()] = row
            found.append(made)
        return np.stack(found)

    return Fake(translate)


class FakeRecogniser:
    """Describes faces by their mean colour, and finds none in the first image."""

    def __init__(self, first: np.ndarray) -> None:
        self.first = first

    def landmarks(self, pixels: np.ndarray) -> object:
        return None if np.array_equal(pixels, self.first) else "a face"

    def descriptors(self, pixels: np.ndarray, landmarks: list[object]) -> np.ndarray:
        found = pixels.mean((1, 2)) / 255
        found[[points is None for points in landmarks]] = np.nan
        return found


@pytest.fixture(scope="module")
def measured(faces: EvaluationSet, classifiers: list[Classifier]) -> dict[str, Measurements]:
    rng = np.random.default_rng(0)
    models = {
        "oracle": oracle(faces),
        "identity": Fake(lambda images, labels: images.copy()),
        "constant": Fake(lambda images, labels: np.full_like(images, 0.3)),
        "shuffled": Fake(lambda images, labels: images[::-1].copy()),
        "noise": Fake(lambda images, labels: rng.uniform(-1, 1, images.shape).astype(np.float32)),
    }
    recogniser = FakeRecogniser(faces.source_images[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "SIDE", 48)
        patch.setattr(distances, "REFERENCE_IMAGES", 200)
        patch.setattr(evaluation_set, "CARTOON_TRAIN_FACES", 500)
        spaces = [FeatureSpace("", features.pooled)] if features.installed() else []
        requested = tasks.request_translations(faces, SINGLE, DOMAINS)
        rows = distances.reference_rows(faces, 0)
        same = matched_images(faces, DOMAINS, requested, rows, 0)
        references = [distances.reference_features(faces, space, rows, same) for space in spaces]
        return {
            name: measure(model, faces, SINGLE, classifiers, references, 0, recogniser)  # type: ignore[arg-type]
            for name, model in models.items()
        }


def values(measured: dict[str, Measurements], metric: str) -> dict[str, float]:
    return {name: found.figures[ALL][metric].value for name, found in measured.items()}


def test_the_classifiers_are_accurate(measured: dict[str, Measurements]) -> None:
    assert set(measured["oracle"].classifier_errors) == {", ".join(cartoons.EXCLUSIVE), "Eyeglasses", "Wearing_Hat"}
    assert max(figure.value for figure in measured["oracle"].classifier_errors.values()) <= 0.15
    assert measured["oracle"].figures[ALL]["real_error"].value < 0.1


def test_error_and_kept(measured: dict[str, Measurements]) -> None:
    error, hit, kept = (values(measured, name) for name in ("error", "hit", "kept"))
    assert error["oracle"] < 0.15 < 0.8 < error["identity"]
    assert all(hit[name] == pytest.approx(1 - error[name]) for name in measured)  # single changes: one label each
    assert min(error["constant"], error["noise"]) > 0.4
    assert kept["identity"] == values(measured, "real_kept")["oracle"] > 0.9
    assert kept["oracle"] > 0.85
    assert max(kept["noise"], kept["constant"], kept["shuffled"]) < min(kept["identity"], kept["oracle"])


def test_against_the_truth(measured: dict[str, Measurements]) -> None:
    for metric in ("truth_psnr", "truth_ssim"):
        found = values(measured, metric)
        assert found["oracle"] > found["identity"] > found["shuffled"]
        assert found["identity"] > max(found["constant"], found["noise"])
    assert values(measured, "baseline_psnr")["oracle"] == pytest.approx(values(measured, "truth_psnr")["identity"])


def test_reconstruction_background_and_sharpness(measured: dict[str, Measurements]) -> None:
    back, change, sharp = (values(measured, name) for name in ("rec_l1", "background", "sharpness"))
    assert max(back["identity"], back["oracle"], change["identity"]) < 1e-6
    assert change["oracle"] < min(change[name] for name in ("constant", "noise", "shuffled"))
    assert back["noise"] > back["constant"] > 0.1
    assert sharp["identity"] == pytest.approx(1)
    assert sharp["noise"] > 2 > 0.5 > sharp["constant"]


def test_identity(measured: dict[str, Measurements]) -> None:
    found = values(measured, "identity")
    assert found["identity"] < 1e-6 < found["oracle"] < min(found["constant"], found["shuffled"], found["noise"])
    assert values(measured, "other_person")["identity"] > found["oracle"]
    without = np.isnan(measured["oracle"].values["identity"])
    assert set(measured["oracle"].rows[without]) == {0}  # the image in which no face was found


@pytest.mark.skipif(not features.installed(), reason="stargan[evaluate] is not installed")
def test_distances_in_features(measured: dict[str, Measurements]) -> None:
    kid, far = values(measured, "kid"), values(measured, "truth_perceptual")
    assert kid["oracle"] < kid["identity"] < min(kid["constant"], kid["noise"])
    assert kid["identity"] == pytest.approx(values(measured, "baseline_kid")["oracle"])
    assert far["oracle"] < 1e-6 < far["identity"] < min(far["constant"], far["noise"], far["shuffled"])
    assert values(measured, "matched_kid")["oracle"] < kid["identity"]
    real = measured["oracle"].figures[ALL]["real_kid"]
    assert real.low < kid["oracle"] < kid["identity"]
    by_task = [
        figures["kid"].value for task, figures in measured["noise"].figures.items() if task != ALL and "kid" in figures
    ]
    assert kid["noise"] == pytest.approx(np.mean(by_task))
    assert "fewer than 2048" in measured["oracle"].not_measured["fid"]


def test_matched_images_have_the_labels_of_the_translations(faces: EvaluationSet) -> None:
    requested = tasks.request_translations(faces, SINGLE, DOMAINS)
    excluded = faces.train_rows[:100]
    found = matched_images(faces, DOMAINS, requested, excluded, 0)
    assert set(found) <= set(requested.task_names)
    assert len(found) >= 3
    for task, matched in found.items():
        assert set(requested.tasks[matched.numbers]) == {task}
        assert np.array_equal(faces.values[matched.rows], requested.target_values[matched.numbers])
        assert len(set(matched.rows.tolist())) == len(matched.rows) >= 0.75 * (requested.tasks == task).sum()
        assert set(matched.rows.tolist()) <= set(faces.train_rows.tolist()) - set(excluded.tolist())
    assert matched_images(faces, DOMAINS, requested, faces.train_rows, 0) == {}
    again = matched_images(faces, DOMAINS, requested, excluded, 0)
    assert all(np.array_equal(again[task].rows, matched.rows) for task, matched in found.items())


def test_matched_images_get_their_own_features(faces: EvaluationSet) -> None:
    """Each image shows the number of its row."""
    rows = np.arange(len(faces.pixels), dtype=np.float32)
    pixels = np.stack([rows % 256, rows // 256, 0 * rows], 1).astype(np.uint8)[:, None, None]
    numbered = replace(faces, pixels=pixels)
    requested = tasks.request_translations(numbered, SINGLE, DOMAINS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "REFERENCE_IMAGES", 200)
        reference_rows = distances.reference_rows(numbered, 0)
    found = matched_images(numbered, DOMAINS, requested, reference_rows, 0)
    space = FeatureSpace("", lambda images: (images[:, :, 0, 0] * 127.5 + 127.5) @ np.array([1.0, 256.0, 0.0]))
    reference = distances.reference_features(numbered, space, reference_rows, found)
    assert np.allclose(reference.features, reference_rows, atol=0.1)
    assert np.allclose(reference.test_features, numbered.test_rows, atol=0.1)
    assert len(found) >= 3
    for task, matched in found.items():
        numbers, of_images = reference.matched[task]
        assert np.array_equal(numbers, matched.numbers)
        assert np.allclose(of_images, matched.rows, atol=0.1)


@pytest.mark.skipif(not features.installed(), reason="stargan[evaluate] is not installed")
def test_what_has_no_matched_images_says_so(faces: EvaluationSet, classifiers: list[Classifier]) -> None:
    rows = distances.reference_rows(faces, 0)
    reference = distances.reference_features(faces, FeatureSpace("", features.pooled), rows, {})
    found = measure(Fake(lambda images, labels: images), faces, SINGLE, classifiers, [reference], 0)
    assert "matched_kid" not in found.figures[ALL]
    assert found.not_measured["matched_kid"].startswith("fewer than 75% of the translations, or than 8, have a")


def test_what_is_not_measured_has_a_reason(faces: EvaluationSet, classifiers: list[Classifier]) -> None:
    few = EvaluationSet("few", "test", (0,), "", faces.pixels, faces.values, faces.train_rows, faces.test_rows[:2])
    found = measure(Fake(lambda images, labels: images), few, SINGLE, classifiers, [], 0)
    assert {"identity", "truth_...", "inception_kid, inception_fid"} <= set(found.not_measured)
    assert not {"identity", "truth_psnr", "kid", "fid"} & set(found.figures[ALL])


def test_the_model_gets_the_labels_of_what_it_translates(faces: EvaluationSet, classifiers: list[Classifier]) -> None:
    """There, those of the test images; back, those that were requested."""
    calls: list[tuple[np.ndarray, np.ndarray]] = []

    class Watched(Fake):
        def generate(
            self, images: np.ndarray, labels: np.ndarray, source_values: np.ndarray | None = None
        ) -> np.ndarray:
            assert source_values is not None
            calls.append((labels, source_values))
            return images

    few = EvaluationSet("few", "test", (0,), "", faces.pixels, faces.values, faces.train_rows, faces.test_rows[:2])
    measure(Watched(lambda images, labels: images), few, SINGLE, classifiers, [], 0)
    for (targets, sources), (back, changed) in zip(calls[::2], calls[1::2], strict=True):
        assert {tuple(row) for row in sources.tolist()} <= {tuple(row) for row in few.source_values.tolist()}
        assert np.array_equal(changed, targets)  # one data set: labels and values are the same
        assert np.array_equal(back, sources)
        assert (targets != sources).any(1).all()


def test_one_table_and_a_page(measured: dict[str, Measurements]) -> None:
    curves = {"d_real": ([0.0, 50.0], [-1.0, 0.5]), "g_rec": ([0.0], [1.0])}
    models = [
        report.ModelResult(name, {"recipe": "<b>none</b>"}, found, None, curves) for name, found in measured.items()
    ]
    made = report.Report(models, {"data": "cartoons", "seed": 0})
    content = json.loads(made.dumps())
    assert (content["format"], content["seed"]) == ("stargan-report-2", 0)
    assert set(content["models"]) == set(measured)
    for model in content["models"].values():
        assert set(model["figures"]) == {ALL, *SINGLE.tasks}
        for figures in model["figures"].values():
            for name, figure in figures.items():
                assert name in content["definitions"]
                assert figure["count"] >= 0
                assert figure["low"] is None or figure["low"] <= figure["value"] <= figure["high"]
    html = page.render(made)
    for metric, definition in DEFINITIONS.items():
        ranked = definition.ranks and metric in measured["oracle"].values
        assert html.count(f"Images by {metric} ") == ranked * len(measured)
    assert html.count("<polyline") == 2 * len(measured)
    assert html.count("<details open>") == sum(html.count(f"Images by {metric} ") for metric in DEFINITIONS)
    assert 'name="viewport"' in html
    assert not any(word in html for word in ("http://", "https://", "<script", "<link", "<b>none</b>"))
    assert "oracle" in made.summary()


def test_differences_to_the_first_model(measured: dict[str, Measurements]) -> None:
    names = ("identity", "oracle", "noise")
    models = [report.ModelResult(name, {}, measured[name]) for name in names]
    made = report.Report(models, {"seed": 0})
    apart = made.differences
    assert list(apart) == ["oracle", "noise"]
    for name, sign in (("oracle", 1), ("noise", -1)):
        truth = apart[name]["truth_psnr"]
        assert min(sign * truth.low, sign * truth.high) > 0
        both = [measured[each].figures[ALL]["truth_psnr"].value for each in (name, "identity")]
        assert truth.value == pytest.approx(both[0] - both[1])
    assert "kid" not in apart["oracle"]  # of sets, not of images
    again = report.ModelResult("again", {}, measured["identity"])
    same = report.Report([models[0], again], {"seed": 0}).differences
    assert all((figure.value, figure.low, figure.high) == (0, 0, 0) for figure in same["again"].values())
    assert "oracle minus identity:" in made.summary()
    assert "difference to identity, image by image" in page.render(made)
    assert json.loads(made.dumps())["difference_to_first"]["noise"]["hit"]["count"] > 0


# ---------------------------------------------------------------- requested translations


def test_expressions_are_requested_of_neutral_faces() -> None:
    names = ("angry", "neutral", "sad")
    domains = Domains((LabelSet("faces", (Group(names, categorical=True),)),))
    plan = protocol("expressions", domains)
    pixels, labels, rows = np.zeros((3, 8, 8, 3), np.uint8), np.eye(3, dtype=np.float32), np.arange(3)
    data = EvaluationSet("faces", "test", (0,), "", pixels, labels, rows, rows)
    requested = tasks.request_translations(data, plan, domains)
    assert requested.rows.tolist() == [1, 1]
    assert requested.tasks.tolist() == ["angry", "sad"]
    assert requested.target_values.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert requested.changed.tolist() == [[True], [True]]
    assert not requested.unchanged.any()
    angry = EvaluationSet("faces", "test", (0,), "", pixels, labels, rows, rows[:1])
    with pytest.raises(DataError, match="--protocol expressions does not apply to any of these images"):
        tasks.request_translations(angry, plan, domains)


def test_scores_by_hand() -> None:
    domains = Domains((LabelSet("faces", (Group(("A",)), Group(("B",)), Group(("C",)))),))
    labels = np.array([[0, 0, 1]], np.float32)
    data = EvaluationSet(
        "faces", "test", (0,), "", np.zeros((1, 8, 8, 3), np.uint8), labels, np.arange(1), np.arange(1)
    )
    requested = tasks.request_translations(data, protocol("single", domains), domains)
    assert requested.task_names == ("A", "B", "C=0")
    found = np.array([[1, 0, 0], [0, 0, 1], [1, 1, 0]], np.float32)  # A: C lost; B: not found; C: all else lost
    of_source = np.repeat([[1, 0, 1]], 3, 0)
    predictions, source_predictions = tasks.Predictions(found, found), tasks.Predictions(of_source, of_source)
    counted = tasks.score_predictions(domains, requested, predictions, source_predictions, np.repeat(labels, 3, 0))
    assert counted["error"].tolist() == [0, 1, 0]
    assert counted["hit"].tolist() == [1, 0, 1]
    assert counted["kept"].tolist() == [0.5, 1, 0]
    assert counted["real_error"].tolist() == [1, 0, 0]  # it finds A in the source, too
    assert counted["real_kept"].tolist() == [1, 0.5, 0.5]


def test_real_images_of_the_target_domain() -> None:
    domains = Domains((LabelSet("faces", (Group(("A", "B")), Group(("Male",)))),))
    labels = np.array([[1, 0, 0], [0, 0, 1]], np.float32)
    data = EvaluationSet(
        "faces", "test", (0,), "", np.zeros((2, 8, 8, 3), np.uint8), labels, np.arange(2), np.arange(2)
    )
    requested = tasks.request_translations(data, protocol("single", domains), domains)
    numbers = dict(requested.by_task())
    real = np.array([[0, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 0]], np.float32)
    assert tasks.in_target_domain(domains, requested, numbers["B"], real).tolist() == [0, 1]
    assert tasks.in_target_domain(domains, requested, numbers["Male"], real).tolist() == [1, 2]
    assert tasks.in_target_domain(domains, requested, numbers["Male=0"], real).tolist() == [0, 3]


# ---------------------------------------------------------------- the classifier


def test_the_classifiers_are_trained_once(
    faces: EvaluationSet, classifiers: list[Classifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "STEPS", 150)
    monkeypatch.setattr(classifier, "VALIDATE_EVERY", 50)
    monkeypatch.setattr(Classifier, "_train", lambda *_: pytest.fail("trained again"))
    again = classifier.evaluation_classifiers(DOMAINS, faces, 2, 0)
    images = to_array(faces.source_images)
    for one, other in zip(again, classifiers, strict=True):
        assert np.array_equal(one.logits(images), other.logits(images))


def test_requests_are_scored_as_if_labels_were_equally_frequent() -> None:
    domains = Domains((LabelSet("faces", (Group(("Old",)), Group(("cat", "dog"), categorical=True))),))
    rare = np.zeros((100, 3), np.float32)
    rare[:, 1], rare[:10, 0], rare[:10, 1:] = 1, 1, (0, 1)
    one = Classifier(domains, (0,))
    one.log_frequencies = classifier._log_frequencies(domains, rare)
    assert one.log_frequencies == pytest.approx(np.log([0.1 / 0.9, 0.9, 0.1]))
    found = one.decide(np.array([[-1, 1, 0], [-3, 3, 0]], np.float32))
    assert found.natural.tolist() == [[0, 1, 0], [0, 1, 0]]
    assert found.balanced.tolist() == [[1, 0, 1], [0, 1, 0]]
    rare[:, 0] = 0.5  # unknown
    assert classifier._log_frequencies(domains, rare)[0] == 0


def test_classifiers_differ_and_their_spread_is_part_of_the_intervals(
    measured: dict[str, Measurements], classifiers: list[Classifier]
) -> None:
    first, second = (one.network.state_dict() for one in classifiers)
    assert not any(torch.equal(first[name], second[name]) for name in first if name.endswith("weight"))
    found = measured["noise"]
    errors = found.values["error"]
    assert errors.shape == (len(found.rows), 2)
    spreads = []  # of all translations, and of each task's, since two classifiers may agree about a mean by chance
    for task, figures in found.figures.items():
        figure, own = figures["error"], np.flatnonzero((found.tasks == task) | (task == ALL))
        first_mean, second_mean = errors[own].mean(0)
        alone = intervals.mean(errors[own].mean(1), found.rows[own], 0)
        spreads.append(12.7062047 * abs(first_mean - second_mean) / 2)  # Student's t of two numbers
        assert figure.value == pytest.approx(errors[own].mean())
        assert figure.low == pytest.approx(max(0, figure.value - np.hypot(figure.value - alone.low, spreads[-1])))
        assert figure.high == pytest.approx(min(1, figure.value + np.hypot(alone.high - figure.value, spreads[-1])))
    assert max(spreads) > 0
    assert all(
        0 <= f.low <= f.high <= 1 for figures in found.figures.values() for f in (figures["error"], figures["hit"])
    )
    assert found.classifier_errors["Eyeglasses"].count == FACES


@pytest.mark.parametrize(("errors", "best"), [((0.5, 0.3, 0.4, 0.3, 0.6), 3), ((0.5, 0.4, 0.0), 2)])
def test_the_best_weights_of_a_classifier_are_kept(
    errors: tuple[float, ...], best: int, monkeypatch: pytest.MonkeyPatch, cache_folder: Path
) -> None:
    monkeypatch.setattr(classifier, "STEPS", 5)
    monkeypatch.setattr(classifier, "VALIDATE_EVERY", 1)
    monkeypatch.setattr(classifier, "BATCH", 4)
    monkeypatch.setattr(classifier, "ENOUGH", 2)
    seen: list[dict[str, torch.Tensor]] = []

    def validate(network: Classifier, *_: object) -> tuple[float, float]:
        seen.append({name: tensor.clone() for name, tensor in network.network.state_dict().items()})
        return errors[len(seen) - 1], 1.0

    monkeypatch.setattr(Classifier, "_validate", validate)
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (20, 8, 8, 3)).astype(np.uint8), DOMAINS.random_values(rng, 20)
    trained = Classifier(DOMAINS, (0,), 0)
    trained.fit(pixels, labels, np.arange(20), f"nothing to learn, {best}", "it")
    assert len(seen) == len(errors)  # perfection ends it
    for number, weights in enumerate(seen):
        same = all(torch.equal(weights[name], tensor) for name, tensor in trained.network.state_dict().items())
        assert same == (number == best)


@pytest.mark.parametrize(
    ("figures", "checks"),
    [
        ([(0.5, 1.0), *[(0.5, 1.0)] * 9], 5),  # nothing improves after the first
        ([(0.5, 1.0), (0.5, 0.9), *[(0.5, 0.9)] * 9], 6),  # the loss does, once
        ([(0.0, 1 / n) for n in range(1, 20)], 5),  # no error is left, and the loss would fall for ever
        ([(0.9 - n / 20, 1.0) for n in range(15)], None),
    ],
)
def test_a_classifier_that_no_longer_improves_is_done(figures: list[tuple[float, float]], checks: int | None) -> None:
    stopping = classifier._Stopping(50)
    ended = None
    for number, (error, loss) in enumerate(figures, 1):
        stopping.add(error, loss)
        if stopping.done and ended is None:
            ended = number
    assert ended == checks


def test_a_training_that_stops_early_says_so(caplog: pytest.LogCaptureFixture, cache_folder: Path) -> None:
    """Coloured squares are learned in few steps; the second call loads the weights."""
    rng = np.random.default_rng(0)
    values = DOMAINS.random_values(rng, 60)
    pixels = np.repeat(np.repeat(values[:, None, None, :3] * 200, 8, 1), 8, 2).astype(np.uint8)
    caplog.set_level("INFO", "stargan")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "VALIDATE_EVERY", 2)
        patch.setattr(classifier, "BATCH", 4)
        for _ in range(2):
            Classifier(DOMAINS, (0,), 0).fit(pixels, values, np.arange(60), "squares", "it")
    first, second, third = (record.getMessage() for record in caplog.records)
    assert first == f"it: to be trained on 60 real images, once; kept in {cache_folder}"
    assert "on 6 training images held back, after " in second
    assert "when it no longer improved" in second
    assert third.startswith(f"it: trained before, {cache_folder}")
