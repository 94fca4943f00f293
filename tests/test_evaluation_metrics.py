"""Metrics against numbers worked out by hand, and intervals against what they promise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stargan import faces
from stargan.domains import Domains, Group, LabelSet
from stargan.errors import ModelError
from stargan.evaluation import distances, face_parts, features, intervals, metrics, odd_colours
from stargan.evaluation.tasks import RequestedTranslations
from stargan.faces import CELEBA
from stargan.images import to_array
from stargan.model.figure import Figure

# ---------------------------------------------------------------- two images


def test_two_images_by_hand() -> None:
    first, second = np.zeros((1, 3, 16, 16), np.float32), np.full((1, 3, 16, 16), 0.2, np.float32)
    assert metrics.l1(first, second) == pytest.approx(0.2)
    assert metrics.psnr(first, second) == pytest.approx(20.0)  # 10 log10(4 / 0.04)
    assert metrics.psnr(first, first) == pytest.approx(20 * np.log10(255))
    assert metrics.ssim(first, first) == pytest.approx(1.0)
    c1 = 0.02**2
    assert metrics.ssim(first, second) == pytest.approx(c1 / (0.04 + c1))  # flat images: only the means differ
    checks = (np.indices((16, 16)).sum(0)[None] % 2 * 2 - 1) * np.ones((1, 3, 16, 16), np.float32)
    assert metrics.ssim(checks, -checks) < 0
    assert metrics.sharpness(checks) == pytest.approx(np.array([64.0]), rel=1e-3)  # +-8 everywhere
    assert metrics.sharpness(second) == pytest.approx(0.0, abs=1e-9)


def test_ssim_against_its_definition() -> None:
    """One position of two noisy images, as large as the window: sums with weights, as in the paper."""
    rng = np.random.default_rng(0)
    first, second = rng.uniform(-1, 1, (2, 1, 1, 11, 11))
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weights = np.outer(line, line) / line.sum() ** 2
    x, y = first[0, 0], second[0, 0]
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    var_x, var_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
    both = (weights * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = 0.02**2, 0.06**2
    expected = (2 * mean_x * mean_y + c1) * (2 * both + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    assert metrics.ssim(first, second) == pytest.approx(expected)


def test_background_ignores_the_face() -> None:
    first = np.zeros((1, 3, 20, 20), np.float32)
    inner, outer = first.copy(), first.copy()
    inner[:, :, 5:15, 5:15] = 1
    outer[:, :, :, 0] = 1
    assert metrics.background(first, inner) == 0
    assert metrics.background(first, outer) > 0.2


def test_intervals_cover_the_mean_as_often_as_stated() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        figure = intervals.mean(rng.normal(size=60), np.arange(60), seed)
        covered += figure.low <= 0 <= figure.high
    assert 180 <= covered <= 198
    alone = intervals.mean(np.arange(20.0), np.arange(20), 0)
    together = intervals.mean(np.repeat(np.arange(20.0), 3), np.repeat(np.arange(20), 3), 0)
    assert together.high - together.low == pytest.approx(alone.high - alone.low)  # copies add no certainty
    assert np.isnan(intervals.mean(np.array([np.nan]), np.zeros(1, int), 0).value)


def test_intervals_cover_the_mean_over_all_possible_classifiers() -> None:
    rng = np.random.default_rng(0)
    alone = covered = 0
    for seed in range(200):
        predictions = rng.normal(size=(60, 1)) + rng.normal(size=3) / 2 + rng.normal(size=(60, 3))
        figure, over_images = (
            intervals.mean(values, np.arange(60), seed) for values in (predictions, predictions.mean(1))
        )
        assert figure.value == pytest.approx(over_images.value)
        covered += figure.low <= 0 <= figure.high
        alone += over_images.low <= 0 <= over_images.high
    assert alone < 170 < 188 <= covered <= 198


def test_the_spread_of_classifiers_by_hand() -> None:
    predictions = np.tile(
        [0.3, 0.4, 0.5], (5, 1)
    )  # equal for all images: the interval comes from the classifiers alone
    figure = intervals.mean(predictions, np.arange(5), 0)
    assert (figure.value, figure.count) == (pytest.approx(0.4), 5)
    assert figure.high - 0.4 == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)
    assert 0.4 - figure.low == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)
    bounded = intervals.mean(predictions, np.arange(5), 0, (0.35, 0.6))
    assert (bounded.low, bounded.high) == (0.35, 0.6)
    assert intervals.mean(np.ones((3, 2)), np.arange(3), 0) == Figure(1, 1, 1, 3)
    gaps = np.array([[np.nan, np.nan], [0, 1], [1, 1]])
    assert intervals.mean(gaps, np.arange(3), 0).count == 2
    assert intervals.mean(np.empty((0, 2)), np.arange(0), 0).count == 0


# ---------------------------------------------------------------- two sets


def test_kid_by_hand() -> None:
    first, second = np.array([[0.0, 0], [2, 0], [0, 2]]), np.array([[1.0, 1], [3, 1]])

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (x @ y / 2 + 1) ** 3

    pairs = [kernel(first[i], first[j]) for i in range(3) for j in range(3) if i != j]
    expected = np.mean(pairs) + kernel(*second) - 2 * np.mean([kernel(x, y) for x in first for y in second])
    assert distances.kid(first, second) == pytest.approx(expected)


def test_kid_is_unbiased_and_fid_is_not() -> None:
    rng = np.random.default_rng(0)
    few = [[rng.normal(size=(20, 8)) for _ in range(2)] for _ in range(100)]
    found = [distances.kid(*pair) for pair in few]
    assert abs(np.mean(found)) < 3 * np.std(found) / 10
    assert np.mean([distances.fid(*pair) for pair in few]) > 1
    one, other = rng.normal(size=(2, 300, 8))
    assert distances.kid(one, other + 1) > 10 * abs(distances.kid(one, other))


def test_fid_by_hand() -> None:
    rng = np.random.default_rng(0)
    same = rng.normal(size=(300, 8))
    assert distances.fid(same, same) == pytest.approx(0, abs=1e-6)
    assert distances.fid(same, same + 2) == pytest.approx(32)  # 8 dimensions, means 2 apart
    flat = same - same.mean(0)
    traces = np.trace(np.cov(flat, rowvar=False))
    assert distances.fid(flat, 3 * flat) == pytest.approx(traces * (1 + 9 - 2 * 3))


def test_half_samples_vary_as_much_as_samples() -> None:
    """The interval of one sample is as wide as the figure's spread over many samples."""
    rng = np.random.default_rng(0)
    found, spreads = [], []
    for _ in range(40):
        first, second = rng.normal(size=(80, 6)) + 0.5, rng.normal(size=(100, 6))
        halves = (distances.half_samples(len(side), distances.HALF_SAMPLES, rng) for side in (first, second))
        value, drawn = distances._kid(distances.TwoSamples(first, second, *halves))
        found.append(value)
        spreads.append(np.std(drawn))
    assert np.mean(spreads) == pytest.approx(np.std(found), rel=0.35)


def test_half_samples_are_halves() -> None:
    drawn = distances.half_samples(9, 5, np.random.default_rng(0))
    assert drawn.sum(1).tolist() == [4] * 5
    assert len({row.tobytes() for row in drawn}) > 1


# ---------------------------------------------------------------- feature networks


@pytest.mark.skipif(not features.installed(), reason="stargan[evaluate] is not installed")
def test_features_distinguish_images() -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (3, 3, 16, 16)).astype(np.float32)
    images[1] = images[0] * 0.9
    assert features.pooled(images).shape == (3, 1280)
    assert features.pooled(images, size=2).shape == (3, 1280)
    assert not np.allclose(features.pooled(images, size=2), features.pooled(images))
    same, near, far = features.perceptual(images[[0, 0, 0]], images)
    assert same == pytest.approx(0, abs=1e-6)
    assert same < near < far


def means(path: Path, side: int = 299, dimensions: int = 2) -> Path:
    """An .onnx file that gives the mean of each channel."""
    from onnx import TensorProto, helper, save

    names = ("images", "pooled", "features")
    nodes = [helper.make_node("GlobalAveragePool", names[:1], names[1:2])]
    nodes += [helper.make_node("Flatten" if dimensions == 2 else "Identity", names[1:2], names[2:])]
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, ("n", 3, side, side))
    graph = helper.make_graph(
        nodes, "means", [given], [helper.make_tensor_value_info("features", TensorProto.FLOAT, None)]
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def test_a_feature_network_of_the_user(tmp_path: Path) -> None:
    network = features.Inception(means(tmp_path / "means.onnx"))
    images = np.zeros((40, 3, 16, 16), np.float32)
    images[7, 1] = 0.5
    found = network.pooled(images)
    assert found.shape == (40, 3)
    assert found[7] == pytest.approx([0, 0.5, 0], abs=1e-6)


def test_a_wrong_network_gets_one_line(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no network")
    for path in (damaged, tmp_path / "missing.onnx", means(tmp_path / "small.onnx", side=64)):
        with pytest.raises(ModelError, match=r"--inception .*\.onnx: does not take \(N, 3, 299, 299\)") as caught:
            features.Inception(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match=r"returns \(2, 3, 1, 1\) for two images; must be \(2, D\)"):
        features.Inception(means(tmp_path / "flat.onnx", dimensions=4))


@pytest.mark.skipif(not features.installed(), reason="stargan[evaluate] is not installed")
@pytest.mark.parametrize("size", [0, 2])
def test_the_networks_get_images_in_the_range_they_were_trained_with(size: int) -> None:
    """The first batch norm remembers the variance that its inputs had; of a photograph's, it is about the same."""
    data = pytest.importorskip("skimage.data", reason="scikit-image's portrait is not installed")
    photo = to_array(data.astronaut()[None])
    network = features._network(size)
    with torch.inference_mode():
        stem = network._conv_stem(next(features._batches(photo)))
    ratio = float((stem.var((0, 2, 3)).mean() / network._bn0.running_var.mean()).item())
    assert 0.5 < ratio < 2


def test_eyes_and_mouth_lie_where_the_faces_have_them() -> None:
    spots = face_parts.places(CELEBA, (64, 64))
    assert all(0.02 < spot.mean() < 0.05 for spot in spots.values())
    for (x, y), name in zip(CELEBA.points((64, 64)), ["eyes_changed"] * 2 + ["mouth_changed"] * 2, strict=True):
        assert spots[name][int(y), int(x)]
    assert not (spots["eyes_changed"] & spots["mouth_changed"]).any()


def test_lost_faces_and_changed_eyes_are_counted() -> None:
    data = pytest.importorskip("skimage.data", reason="scikit-image's portrait is not installed")
    portrait = Image.fromarray(data.astronaut())
    (face,) = faces.find(portrait)
    source = np.asarray(faces.align(portrait, face, CELEBA, (128, 128)).image)
    domains = Domains((LabelSet("faces", (Group(("Black_Hair", "Blond_Hair")), Group(("Male",)))),))
    hair, gender = [True, False], [False, True]
    changed = np.array([hair, hair, hair, gender])
    requested = RequestedTranslations(
        np.array(["x"] * 4), np.zeros(4, int), np.zeros((4, 3)), np.zeros(4, int), changed, ~changed, ("x",)
    )
    smeared = source.copy()
    smeared[50:105, 30:100] = source[50:105, 30:100].mean((0, 1))
    eyes = source.copy()
    eyes[face_parts.places(CELEBA, (128, 128))["eyes_changed"]] = 255
    translated = np.stack([source, smeared, eyes, source])
    found = face_parts.figures(CELEBA, domains, requested, source[None], translated, 0)
    assert found["face_lost"].tolist()[:2] == [0, 1]
    assert found["face_lost"][3] == 0
    assert found["eyes_changed"][0] == 0 < found["eyes_changed"][1] < found["eyes_changed"][2]
    assert found["mouth_changed"][[0, 2]].tolist() == [0, 0]
    assert found["mouth_changed"][1] > 0.05
    assert np.isnan(found["eyes_changed"][3])  # gender may change the eyes


def test_golden_eyes_are_odd_colours() -> None:
    rng = np.random.default_rng(0)
    skin = np.array([200, 150, 130])

    def faces_of(count: int) -> np.ndarray:
        return (skin + rng.normal(0, 12, (count, 64, 64, 3))).clip(0, 255).astype(np.uint8)

    domains = Domains((LabelSet("faces", (Group(("Male",)),)),))
    real, source, changed = faces_of(300), faces_of(2), np.ones((2, 1), bool)
    requested = RequestedTranslations(
        np.array(["Male"] * 2), np.arange(2), np.ones((2, 1)), np.zeros(2, int), changed, ~changed, ("Male",)
    )
    golden = source.copy()
    golden[1, face_parts.places(CELEBA, (64, 64))["eyes_changed"]] = (250, 200, 20)
    values = np.repeat([[1.0], [0.0]], [200, 100], 0)
    found = odd_colours.figures(CELEBA, domains, requested, source, golden, (real, values, np.arange(300)), 0)
    assert (found["baseline_odd_colours"] < 0.06).all()
    assert found["odd_colours"][0] == found["baseline_odd_colours"][0]
    assert found["odd_colours"][1] > found["baseline_odd_colours"][1] + 0.05
    few = odd_colours.figures(CELEBA, domains, requested, source, golden, (real, values, np.arange(50)), 0)
    assert np.isnan(few["odd_colours"]).all()
