"""The edit generator: what it computes, and models that have it, from training to photos."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import in_process
from PIL import Image

import stargan
from stargan import demo, images
from stargan.config import Architecture
from stargan.data import cartoons
from stargan.domains import Domains, Group, LabelSet
from stargan.engine.pytorch import networks
from stargan.engine.pytorch.edit.generator import EditGenerator
from stargan.engine.pytorch.predictor import PytorchPredictor
from stargan.errors import ConfigError, DomainError, ModelError
from stargan.inference.steps import steps
from stargan.interop.export import export
from stargan.model import onnx_file, safetensors_file
from stargan.model.info import ModelInfo

SMALL = Architecture((64, 64), width=16, blocks=1, d_layers=3, generator="edit", details=8, palette=True)
EDIT = ["--generator", "edit", "--details", "8", "--palette"]
TINY = [
    *("--image-size", "64", "--width", "16", "--blocks", "1", "--d-layers", "3", "--recipe", "paper"),
    *("--batch-size", "2", "--device", "cpu", "--objective", "hinge", "--n-critic", "1", "--precision", "fp32"),
]


def generator(architecture: Architecture = SMALL, labels: int = 3) -> EditGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return EditGenerator(architecture, labels)


def random_images(count: int = 2, side: int = 64) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture(scope="module")
def run(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps with the usual losses."""
    folder = tmp_path_factory.mktemp("edit") / "run"
    schedule = ["--steps", "4", "--checkpoint-every", "2", "--sample-every", "4", "--log-every", "2"]
    done = in_process("train", "--data", colours, "--run", folder, *EDIT, *TINY, *schedule)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def model(run: Path) -> stargan.Translator:
    return stargan.load(run / "model.onnx")


def some(model: stargan.Translator, count: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, target labels and source values."""
    rng = np.random.default_rng(0)
    photos = rng.uniform(-1, 1, (count, 3, 64, 64)).astype(np.float32)
    targets, values = (model.domains.random_values(rng, count) for _ in range(2))
    return photos, model.domains.labels(targets, 0), values


# ---------------------------------------------------------------- the network


def test_parameters_at_128_pixels() -> None:
    """As many as in the model of faces, so that its file in float16 has about 11 MB."""
    with torch.device("meta"):
        made = EditGenerator(Architecture((128, 128), blocks=3, generator="edit"), 8)
    assert sum(p.numel() for p in made.parameters()) == 5_288_092


@pytest.mark.parametrize("side", [64, 128, 256])
def test_the_size_is_kept(side: int) -> None:
    made = generator(Architecture((side, side), width=16, blocks=0, generator="edit", details=8))
    out = made(random_images(1, side), torch.tensor([[1.0, -1.0, 0.0]]))
    assert out.shape == (1, 3, side, side)
    assert out.abs().max() <= 1


def test_details_begin_with_nothing_and_reach_single_pixels() -> None:
    architecture = replace(SMALL, image_size=(128, 128))
    plain, detailed = generator(replace(architecture, details=0)), generator(architecture)
    assert detailed.refine is not None
    detailed.load_state_dict(plain.state_dict(), strict=False)
    photos, change = random_images(1, 128), torch.tensor([[1.0, 0.0, 0.0]])
    with torch.no_grad():
        assert torch.equal(detailed(photos, change), plain(photos, change))
    detailed(photos, change).sum().backward()
    assert detailed.refine.last.weight.grad is not None
    assert detailed.refine.last.weight.grad.abs().max() > 0
    with torch.no_grad():
        assert detailed.refine.last.bias is not None
        detailed.refine.last.bias[:4] = torch.tensor([9.0, -9.0, 9.0, -9.0])  # of the mask, columns of single pixels
        mask = detailed.edit(photos, change)[1][0, 0, :, 2:-2]
    assert (mask[:, 1:-1] - 0.5 * (mask[:, 2:] + mask[:, :-2])).abs().max() < 0.1  # smoothed, against grids


def test_the_palette_begins_with_nothing() -> None:
    plain, painting = generator(replace(SMALL, palette=False)), generator()
    painting.load_state_dict(plain.state_dict(), strict=False)
    photos, change = random_images(), torch.tensor([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    with torch.no_grad():
        assert torch.equal(painting(photos, change), plain(photos, change))
    painting(photos, change).sum().backward()
    for layer in (painting.paint, painting.gray):
        assert layer.weight.grad is not None
        assert layer.weight.grad.abs().max() > 0


def test_the_palette_can_take_all_colour_away() -> None:
    """With no gain and the image's own gray, each pixel keeps its brightness, as gray hair needs it."""
    made, photos = generator(replace(SMALL, details=0)), random_images()
    with torch.no_grad():
        made.last.weight.zero_()
        for layer, values in ((made.last, (9.0, -1.0, -1.0, -1.0, 0.0, 0.0, 0.0)), (made.gray, (1.0,))):
            assert layer.bias is not None
            layer.bias.copy_(torch.tensor(values).repeat_interleave(made.shuffle**2))
        drawn = made.edit(photos, torch.zeros(2, 3))[2]
    expected = (photos * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    torch.testing.assert_close(drawn, expected.expand_as(drawn))


def test_the_palette_finds_colours_anywhere_in_the_image() -> None:
    """Where queries and keys agree on the right half of the image, every cell is offered the colours there."""
    made = generator()
    assert made.palette is not None
    features = torch.zeros(1, 32, 16, 16)
    features[:, 0, :, 8:] = 40
    photos = torch.full((1, 3, 64, 64), -0.5)
    photos[..., 32:] = torch.tensor([0.2, 0.4, 0.6])[:, None, None]
    with torch.no_grad():
        for layer, value in ((made.palette.query, 0.0), (made.palette.key, 1.0)):
            layer.weight.zero_()
            layer.weight[0, 0] = value
            assert layer.bias is not None
            layer.bias[0] = 1.0
        offered = made.palette(photos, features)
    torch.testing.assert_close(offered[0, :, 3, 2], torch.tensor([0.2, 0.4, 0.6]), atol=1e-2, rtol=0)


def test_without_a_change_only_the_mask_decides() -> None:
    """The embedding of no change is zero, so that nothing depends on the weights of the labels."""
    made, other, photos = generator(), generator(), random_images()
    nothing = torch.zeros(2, 3)
    with torch.no_grad():
        for name, weight in other.named_parameters():
            if name.endswith(("embed.weight", "affine.weight", "label.weight")):
                weight.add_(1)
        assert torch.equal(made(photos, nothing), other(photos, nothing))
        edited, mask, drawn = made.edit(photos, nothing)
        torch.testing.assert_close(edited, photos + mask * (drawn.tanh() - photos))
        made.last.weight.zero_()
        assert made.last.bias is not None
        made.last.bias[: made.shuffle**2] = -1e4  # the mask is zero
        assert torch.equal(made(photos, nothing), photos)


def test_each_label_changes_the_result() -> None:
    made, photos = generator(), random_images(1)
    with torch.no_grad():
        base = made(photos, torch.zeros(1, 3))
        for change in torch.cat([torch.eye(3), -torch.eye(3)]):
            assert (made(photos, change[None]) - base).abs().max() > 1e-3


def test_nothing_draws_a_grid_at_first() -> None:
    """The pixels of each cell have the same initial weights."""
    made = generator()
    cells = made.last.weight.view(7, made.shuffle**2, -1)
    assert torch.equal(cells, cells[:, :1].expand_as(cells))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": (96, 96)}, "--image-size 96x96: must be square, of 64, 128, 256, 512 pixels"),
        ({"image_size": (128, 64)}, "--image-size 128x64: must be square"),
        ({"image_size": (32, 32)}, "--image-size 32x32: must be square"),
        ({"width": 24}, "--width 24: must be a multiple of 16 for --generator edit"),
        ({"attention_mask": True}, "--attention-mask True: must be left out with --generator edit"),
        ({"resize_conv": True}, "--resize-conv True: must be left out with --generator edit"),
        ({"details": 12}, "--details 12: must be 0 or a multiple of 8 up to 1024"),
        ({"details": 8, "generator": "stargan"}, "--details 8: must be left out without --generator edit"),
        ({"palette": True, "generator": "stargan"}, "--palette True: must be left out without --generator edit"),
        ({"generator": "unet"}, "--generator unet: must be one of stargan, edit"),
    ],
)
def test_other_sizes_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Architecture(**({"generator": "edit"} | settings))


def test_the_paper_s_generator_is_given_target_labels() -> None:
    domains = Domains((LabelSet("a", (Group(("x",)), Group(("y",)))), LabelSet("b", (Group(("z",)),))))
    values, targets = np.array([[0, 1, 0], [0, 0, 1]], "f4"), np.array([[1, 1, 0], [0, 0, 0]], "f4")
    labels = domains.labels(targets, np.array([0, 1]))
    assert Architecture().condition(domains, labels, values) is labels
    change = SMALL.condition(domains, labels, values)
    assert change.tolist() == [[1, 0, 0, 0, 0], [0, 0, -1, 0, 0]]  # none in the domain mask
    other_set = np.array([[0, 1, 1]], "f4")  # values of the data set that the target is not about do not count
    assert SMALL.condition(domains, labels[:1], other_set).tolist() == [[1, 0, 0, 0, 0]]


# ---------------------------------------------------------------- model files


def test_training_is_resumed_exactly(run: Path, colours: Path, tmp_path: Path) -> None:
    short = ["--checkpoint-every", "2", "--sample-every", "4", "--log-every", "2"]
    part = tmp_path / "part"
    assert in_process("train", "--data", colours, "--run", part, *EDIT, *TINY, *short, "--steps", "2").returncode == 0
    assert in_process("train", "--resume", part, "--steps", "4").returncode == 0
    name = "checkpoints/step-00000004.safetensors"
    whole, resumed = (safetensors_file.read(folder / name, training=True)[1] for folder in (run, part))
    assert whole.keys() == resumed.keys()
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)


def test_the_onnx_file_computes_what_pytorch_does(run: Path, model: stargan.Translator) -> None:
    other = stargan.load(run / "model.safetensors")
    photos, labels, values = some(model)
    assert model.info == other.info
    assert model.info.architecture == SMALL
    expected = other.generate(photos, labels, values)
    assert np.abs(model.generate(photos, labels, values) - expected).max() < 1e-4
    graph = onnx.load(run / "model.onnx").graph
    assert [node.name for node in graph.input] == ["images", "change"]
    change = labels - values
    arrays = safetensors_file.read(run / "model.safetensors")[1]
    network = networks.restore("generator", SMALL, model.domains, arrays)
    torch.testing.assert_close(network(torch.from_numpy(photos), torch.from_numpy(change)), torch.from_numpy(expected))


def test_half_the_size(run: Path, model: stargan.Translator, tmp_path: Path) -> None:
    export(run, tmp_path / "half.onnx", half=True)
    half = stargan.load(tmp_path / "half.onnx")
    photos, labels, values = some(model)
    assert np.abs(half.generate(photos, labels, values) - model.generate(photos, labels, values)).max() < 0.02
    assert (tmp_path / "half.onnx").stat().st_size < 0.62 * (run / "model.onnx").stat().st_size


def test_openvino(run: Path, model: stargan.Translator) -> None:
    pytest.importorskip("openvino")
    photos, labels, values = some(model)
    made = stargan.load(run, runtime="openvino").generate(photos, labels, values)
    assert np.abs(made - model.generate(photos, labels, values)).max() < 1e-4


def test_start_from(run: Path, colours: Path, tmp_path: Path) -> None:
    arguments = ["train", "--data", str(colours), "--steps", "1", "--start-from", str(run)]
    assert in_process(*arguments, "--run", tmp_path / "next", *EDIT, *TINY).returncode == 0
    refused = in_process(*arguments, "--run", tmp_path / "other", *TINY)
    assert refused.returncode == 2
    assert "its generator is edit, not stargan" in refused.stderr


# ---------------------------------------------------------------- use


def test_labels_of_the_images(model: stargan.Translator) -> None:
    """Without them, the attribute classifier estimates them; wrong shapes are refused."""
    photos, labels, values = some(model)
    estimated = model.values(photos)
    assert np.array_equal(model.generate(photos, labels), model.generate(photos, labels, estimated))
    assert not np.array_equal(model.generate(photos, labels), model.generate(photos, labels, 1 - estimated))
    with pytest.raises(DomainError, match=r"source values have shape \(3, 3\); must be \(4, 3\)"):
        model.generate(photos, labels, values[:3])


def test_each_step_starts_from_the_labels_before_it() -> None:
    domains = Domains((LabelSet("a", (Group(("x",)), Group(("y",)), Group(("z",)))),))
    found = steps(domains, np.array([0, 1, 0], "f4"), {"x": 1.0, "y": -0.5})
    assert [step.strength for step in found] == [1.0, 0.5]
    changes = [SMALL.condition(domains, step.labels[None], step.source_values[None])[0].tolist() for step in found]
    assert changes == [[1, 0, 0], [0, -1, 0]]


def test_photos(model: stargan.Translator, run: Path, tmp_path: Path) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    as_red, as_green = (model.translate_aligned(photo, ["blue"], known=[known]) for known in ("red", "green"))
    assert as_red != as_green  # what the photo shows matters
    labels = [model.domains.labels(np.eye(3, dtype=np.float32)[[index]], 0) for index in range(3)]
    prepared = model.prepare([photo])
    by_hand = model.generate(
        prepared, labels[model.domains.names.index("blue")], labels[model.domains.names.index("red")]
    )
    assert as_red == images.to_images(by_hand)[0]
    photo.save(tmp_path / "photo.png")
    done = in_process("translate", run, tmp_path / "photo.png", "--out", tmp_path / "out", "--from", "red", "--all")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 4  # a grid and three colours


def test_evaluation(run: Path, colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stargan.evaluation import classifier

    monkeypatch.setattr(classifier, "STEPS", 20)
    monkeypatch.setattr(classifier, "VALIDATE_EVERY", 10)
    done = in_process(
        "evaluate",
        run,
        "--data",
        colours,
        "--split",
        "all",
        "--limit",
        "6",
        "--classifiers",
        "1",
        "--out",
        tmp_path / "report",
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "report" / "report.json").read_text())["models"]
    (found,) = figures.values()
    assert found["figures"]["all"]["rec_psnr"]["value"] > 5


def test_drawn_faces() -> None:
    """`demo.measure` passes the labels of the faces: what the model would guess does not matter."""
    groups = (Group(cartoons.EXCLUSIVE), *(Group((n,)) for n in cartoons.ATTRIBUTES if n not in cartoons.EXCLUSIVE))
    domains = Domains((LabelSet("faces", groups),))
    made = {"generator": networks.to_arrays(generator(labels=domains.num_labels))}
    arrays = {f"{network}/{name}": array for network, found in made.items() for name, array in found.items()}
    pairs = list(cartoons.pairs(4, 0, 64))
    info = ModelInfo(domains, SMALL)
    measured = [
        demo.measure(stargan.Translator(replaced, PytorchPredictor(SMALL, domains, arrays)), pairs)
        for replaced in (info, ModelInfo(domains, SMALL, label_frequencies=(1.0,) * domains.num_classes))
    ]
    assert measured[0]["psnr"] == measured[1]["psnr"]
    assert measured[0]["psnr"] != measured[0]["baseline_psnr"]


def test_a_description_that_does_not_fit_the_graph_is_refused(run: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.onnx"
    onnx_file.describe(
        run / "model.onnx",
        wrong,
        lambda info: replace(
            info, architecture=replace(info.architecture, generator="stargan", details=0, palette=False)
        ),
    )
    with pytest.raises(ModelError, match=r"wrong.onnx: its description does not fit its graph, whose inputs are"):
        stargan.load(wrong)
    official = in_process("export", run, "--official", tmp_path / "official")
    assert official.returncode == 2
    assert "its generator has the form of an edit generator, which the official code does not" in official.stderr
