"""pix2pix from files to images: paired data of every form, training, exact resume, one direction, import."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import in_process
from PIL import Image

import stargan
from stargan import images, training
from stargan.config import recipes
from stargan.data import pairs
from stargan.data.batches import TrainingSet
from stargan.data.two_domains import Pairs
from stargan.domains import Domains, Group, LabelSet, requests
from stargan.engine.pytorch.two_domains.unet import Unet
from stargan.errors import ConfigError, DataError, DomainError, ModelError
from stargan.evaluation import classifier
from stargan.interop.foreign import import_model
from stargan.model import run_folder, safetensors_file
from stargan.model.safetensors_file import under
from stargan.training.forecast import forecast

FIXTURE = Path(__file__).parent / "fixtures" / "pix2pix.npz"
ONE_WAY = Domains((LabelSet("shoes", (Group(("photo",), one_way=True),)),))
OPTIONS = ["--image-size", "32", "--width", "4", "--blocks", "5", "--d-layers", "2", "--device", "cpu", "--steps", "4",
    "--checkpoint-every", "2", "--sample-every", "4", "--log-every", "2"]  # fmt: skip
COUNT = 6


def halves(index: int) -> tuple[Image.Image, Image.Image]:
    """An image and its negative, both of one colour that tells the number."""
    colour = np.array([index * 12, 90, 200 - index * 10], np.uint8)
    first = np.broadcast_to(colour, (20, 24, 3))
    return Image.fromarray(np.ascontiguousarray(first)), Image.fromarray(255 - first)


def write_folders(root: Path, form: str = "{domain}/{index}.png", count: int = COUNT) -> Path:
    for index in range(count):
        for domain, image in zip("ab", halves(index), strict=True):
            split = "train" if index < count - 2 else "test"
            path = root / form.format(domain=domain, index=index, split=split, letter=domain.upper())
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    return root


def write_side_by_side(root: Path, form: str = "{index}.png") -> Path:
    for index in range(COUNT):
        split = "train" if index < COUNT - 2 else "test"
        path = root / form.format(index=index, split=split)
        path.parent.mkdir(parents=True, exist_ok=True)
        both = np.concatenate([np.asarray(image) for image in halves(index)], axis=1)
        Image.fromarray(both).save(path)
    return root


def write_table(root: Path) -> Path:
    write_folders(root)
    lines = ["edges,photo,split", *(f"a/{i}.png,b/{i}.png,{'train' if i < 4 else 'test'}" for i in range(COUNT))]
    (root / "pairs.csv").write_text("\n".join(lines) + "\n")
    return root / "pairs.csv"


FORMS: dict[str, tuple[Callable[[Path], Path], tuple[str, str]]] = {
    "folders": (write_folders, ("a", "b")),
    "splits above": (lambda root: write_folders(root, "{split}/{domain}/{index}.png"), ("a", "b")),
    "splits below": (lambda root: write_folders(root, "{domain}/{split}/{index}.png"), ("a", "b")),
    "CycleGAN's": (lambda root: write_folders(root, "{split}{letter}/{index}.png"), ("A", "B")),
    "side by side": (write_side_by_side, ("A", "B")),
    "side by side, splits": (lambda root: write_side_by_side(root, "{split}/{index}.png"), ("A", "B")),
    "table": (write_table, ("edges", "photo")),
}


# ---------------------------------------------------------------- data


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_paired_data(form: str, direction: pairs.Direction, tmp_path: Path) -> None:
    write, names = FORMS[form]
    source, domains = pairs.find([str(write(tmp_path / "data"))], direction)
    target = names[direction == "AtoB"]
    assert domains.names == (target,)
    assert source.labels[:, 0].tolist() == [0] * COUNT + [1] * COUNT
    colours = [np.asarray(Image.open(source.path(row)).convert("RGB"))[0, 0].astype(int) for row in range(2 * COUNT)]
    for first, second in zip(colours[:COUNT], colours[COUNT:], strict=True):
        assert (first + second).tolist() == [255] * 3
    assert (colours[0][1] == 90) == (direction == "AtoB")
    assert np.array_equal(source.split[:COUNT], source.split[COUNT:])
    if "split" in form or form in ("table", "CycleGAN's"):
        assert sorted(source.split[:COUNT].tolist()) == [0, 0, 0, 0, 2, 2]
    assert source.partners(np.array([0, COUNT])).tolist() == [COUNT, 0]


def _lone(root: Path) -> Path:
    (write_folders(root) / "b" / "3.png").unlink()
    return root


def _three(root: Path) -> Path:
    write_folders(root)
    shutil.copytree(root / "a", root / "c")
    return root


def _table(text: str) -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        root.mkdir()
        (root / "x.csv").write_text(text)
        return root / "x.csv"

    return write


def _narrow(root: Path) -> Path:
    root.mkdir()
    Image.new("RGB", (20, 40)).save(root / "1.png")
    return root


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_lone, r"a/3.png: has no partner in b; both must have the same name"),
        (_three, r"found the folders a, b, c; must be a folder with two folders"),
        (_narrow, r"1.png: is 20x40; must have two images side by side"),
        (_table("a\n1.png\n"), r"x.csv: must have two columns with files, and optionally a third one, split"),
        (_table("a,b\n1.png\n"), r"x.csv: line 2 must have 2 cells, none of them empty"),
        (_table("a,b,split\n1.png,2.png,later\n"), r"x.csv: line 2: the split 'later' must be train, val or test"),
        (_table("a,b\n"), r"x.csv: no pairs of images"),
        (lambda root: root, r"no such file or folder; must be a folder with two folders"),
    ],
)
def test_what_is_not_paired_is_refused(write: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        pairs.find([str(write(tmp_path / "data"))], "AtoB")


def test_batches_keep_pairs_together() -> None:
    pixels = np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    pixels[:, 0, 0] = 100  # a corner, to see flips
    values = np.repeat(np.array([[0], [1]], np.float32), 6, axis=0)
    batches = Pairs(TrainingSet(pixels, values, np.array([0, 1, 2, 6, 7, 8])), ONE_WAY, batch_size=2, seed=0)
    for step in range(20):
        images = batches.batch(step).images
        rows = images[:, 1, 0, 0]
        assert rows[2:].tolist() == (rows[:2] + 6).tolist()
        flipped = images[:, 0, 1, 0] == 100
        assert flipped[:2].tolist() == flipped[2:].tolist()


# ---------------------------------------------------------------- settings and requests


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": (256, 200)}, "--image-size 256x200: must be a multiple of 256 (the U-Net halves it 8 times;"),
        ({"attributes": ("x",)}, "--attributes x: must be left out with --method pix2pix"),
        ({"buffer": 50}, "--buffer 50: must be 0 with --method pix2pix"),
        ({"generator": "edit"}, "--generator edit: must be stargan or resnet with --method pix2pix"),
        ({"blocks": 1}, "--blocks 1: must be from 2 to"),
        ({"direction": "AtoC"}, "--direction AtoC: must be one of AtoB, BtoA"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        replace(recipes.recipe("pix2pix"), **settings)


def test_direction_is_for_pix2pix() -> None:
    with pytest.raises(ConfigError, match=r"--direction BtoA: must be AtoB with --method stargan"):
        replace(recipes.recipe("paper"), direction="BtoA")


def test_requests_have_one_direction() -> None:
    off, on = np.zeros(1, np.float32), np.ones(1, np.float32)
    assert requests.every_word(ONE_WAY) == ("photo",)
    assert [word for word, _ in requests.every_target(ONE_WAY, on)] == ["photo"]
    assert [word for word, _, _ in requests.single_changes(ONE_WAY, off)] == ["photo"]
    assert requests.single_changes(ONE_WAY, on) == []
    with pytest.raises(DomainError, match=r"photo=0: the model translates in one direction, to photo"):
        requests.target(ONE_WAY, on, ["photo=0"])
    assert Domains.from_json(json.loads(json.dumps(ONE_WAY.to_json()))) == ONE_WAY
    with pytest.raises(DomainError, match=r"only a single attribute can have one direction"):
        Group(("a", "b"), one_way=True)


# ---------------------------------------------------------------- training and translation


@pytest.fixture(scope="module")
def pair_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pix2pix")
    data = write_folders(folder / "data", "{domain}/x-167-{index}.png", 20)
    done = in_process("train", "--data", data, "--run", folder / "run", "--method", "pix2pix", *OPTIONS)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_a_run_is_complete(pair_run: Path) -> None:
    lines = [json.loads(line) for line in (pair_run / "stats.jsonl").read_text().splitlines()]
    assert {"d_real", "d_fake", "d_total", "g_fake", "g_rec", "g_total", "classifier"} <= lines[-2].keys()
    assert {"val/hit", "val/rec"} <= lines[-1].keys()
    with Image.open(pair_run / "samples" / "step-00000004.png") as grid:
        rows, top = images.titled_rows(grid.size, 3, (32, 32)) or (0, 0)
        pixels = np.asarray(grid.convert("RGB"))[top : top + 32]
    source, _, truth = (pixels[:, images.GAP + (32 + images.GAP) * column :][:, :32] for column in range(3))
    assert rows
    assert np.abs(255 - source.astype(int) - truth).max() <= 1  # as `halves` makes them
    info = stargan.load(pair_run).info
    assert (info.architecture.method, info.domains.names, info.recipe) == ("pix2pix", ("b",), "pix2pix")


@pytest.mark.parametrize("has_truth", [True, False])
def test_the_page_finds_the_images_of_a_sample_grid(pair_run: Path, tmp_path: Path, has_truth: bool) -> None:
    """Also in runs of earlier versions, whose grids had no true translations."""
    pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
    from stargan.web.watching import Watched

    run = shutil.copytree(pair_run, tmp_path / "run")
    if not has_truth:
        images.grid(np.zeros((4, 32, 32, 3), np.uint8), 2, titles=["source", "b"]).save(run_folder.sample_path(run, 4))
    sheet = Watched(run, "run").look().sheet
    assert sheet
    assert sheet.titles == ["source", "b", *(["truth"] if has_truth else [])]


def test_a_forecast_of_larger_batches() -> None:
    """Which measures D with a batch of another size before G, for which D's translations are then of no use."""
    sizes: dict[str, Any] = {"image_size": (32, 32), "width": 4, "blocks": 5, "d_layers": 2, "batch_size": 4}
    found = forecast(replace(recipes.recipe("pix2pix"), **sizes, device="cpu"), ONE_WAY)
    assert min(found.d_seconds, found.g_seconds) > 0


def test_cyclegans_generator_learns_pairs_too(pair_run: Path, tmp_path: Path) -> None:
    config = replace(run_folder.saved_config(pair_run), generator="resnet", blocks=1, image_size=(20, 20), steps=2)
    training.train(config, tmp_path / "run", say=lambda line: None)
    model = stargan.load(tmp_path / "run")
    assert model.generate(np.zeros((1, 3, 20, 24), np.float32), np.ones((1, 1), np.float32)).shape == (1, 3, 20, 24)


def test_resume_is_exact(pair_run: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(pair_run, cut)
    run_folder.checkpoints(cut)[-1].unlink()
    assert run_folder.checkpoints(cut)[-1].stem == "step-00000002"
    training.train(run_folder.saved_config(cut), cut, resume=True, say=lambda line: None)
    first, second = (
        safetensors_file.read(run_folder.checkpoints(run)[-1], training=True)[1] for run in (pair_run, cut)
    )
    assert first.keys() == second.keys()
    assert not [name for name in first if not np.array_equal(first[name], second[name])]


@pytest.mark.parametrize("size", [(32, 32), (64, 32), (50, 37)])
def test_images_of_any_size(pair_run: Path, size: tuple[int, int]) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8))
    results = [
        np.asarray(stargan.load(pair_run / name).translate(photo, "b"), int)
        for name in ("model.onnx", "model.safetensors")
    ]
    assert results[0].shape == (*size[::-1], 3)
    assert np.abs(results[0] - results[1]).max() <= 1
    assert np.abs(results[0] - np.asarray(photo)).max() > 5


def test_translations_do_not_depend_on_each_other(pair_run: Path) -> None:
    model = stargan.load(pair_run)
    images = np.random.default_rng(0).uniform(-1, 1, (3, 3, 32, 32)).astype(np.float32)
    labels = np.array([[1], [1], [0]], np.float32)
    together, alone = model.generate(images, labels), model.generate(images[:1], labels[:1])
    assert np.abs(together[0] - alone[0]).max() < 1e-5
    assert np.array_equal(together[2], images[2])


def test_the_other_direction_is_refused(pair_run: Path, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "photo.png")
    done = in_process("translate", pair_run, tmp_path / "photo.png", "--to", "b=0", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.strip() == "stargan: b=0: the model translates in one direction, to b"


def test_the_page_offers_one_direction(pair_run: Path) -> None:
    """It shows both labels as what the model sees, and requests only one."""
    pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
    from stargan.web.describe import groups

    (group,) = groups(stargan.load(pair_run))
    assert [value.word for value in group.values] == ["b"]
    assert group.none
    assert group.none.word == "b=0"


def test_evaluation(pair_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Translations start from images of the first domain only, and are compared with their partners."""
    monkeypatch.setattr(classifier, "STEPS", 20)
    data = write_side_by_side(tmp_path / "data", "{split}/{index}.png")
    done = in_process("evaluate", pair_run, "--data", data, "--out", tmp_path / "out", "--classifiers", "1")
    assert done.returncode == 0, done.stderr
    (model,) = json.loads((tmp_path / "out" / "report.json").read_text())["models"].values()
    assert set(model["figures"]) == {"all", "b"}
    assert model["figures"]["all"]["truth_psnr"]["count"] == 2


def test_evaluation_of_other_pairs(pair_run: Path, tmp_path: Path) -> None:
    write_folders(tmp_path / "data").joinpath("b").rename(tmp_path / "data" / "c")
    done = in_process("evaluate", pair_run, "--data", tmp_path / "data", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "data: has pairs of a and c; must be of b, to which the model translates" in done.stderr


@pytest.mark.parametrize("form", [write_side_by_side, write_table])
def test_a_summary_of_pairs(form: Callable[[Path], Path], tmp_path: Path) -> None:
    data = form(tmp_path / "data")
    done = in_process("data", data, "--method", "pix2pix", "--direction", "BtoA", "--sheet", tmp_path / "sheet.png")
    assert done.returncode == 0, done.stderr
    assert f"(pairs): {2 * COUNT} images, 1 label" in done.stdout
    assert f"{COUNT} pairs, " in done.stdout
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    first, second = halves(0)
    for y, image in ((12, second), (12 + (len(pixels) - images.GAP) // 2, first)):  # B is translated to A
        assert np.abs(pixels[y, 12] - np.asarray(image)[0, 0]).max() < 8


def test_options_that_pairs_do_not_have(tmp_path: Path) -> None:
    data = write_side_by_side(tmp_path / "data")
    done = in_process("data", data, "--method", "pix2pix", "--shards", tmp_path / "shards")
    assert "--shards: cannot be used with --method pix2pix, which keeps pairs" in done.stderr
    done = in_process("data", data, "--direction", "BtoA")
    assert "--direction BtoA: is for --method pix2pix" in done.stderr


def test_dropout_is_where_the_paper_has_it() -> None:
    levels = Unet(1, 8).get_submodule("up").children()
    found = [any(isinstance(layer, torch.nn.Dropout) for layer in level.children()) for level in levels]
    assert found == [False, False, False, False, True, True, True, False]


# ---------------------------------------------------------------- checkpoints of its authors' code


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    with np.load(FIXTURE) as file:
        fixture = {name: file[name] for name in file.files}
    for network in "GD":
        state = {name: torch.from_numpy(array) for name, array in under(fixture, f"before/{network}").items()}
        torch.save(state, tmp_path / f"latest_net_{network}.pth")
    return tmp_path / "latest_net_G.pth"


def test_an_imported_checkpoint_gives_its_own_images(checkpoint: Path, tmp_path: Path) -> None:
    done = in_process("import", checkpoint, tmp_path / "m.safetensors", "--attributes", "photo", "--image-size", "32")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("m.safetensors: pix2pix, 32x32, photo")
    model = stargan.load(tmp_path / "m.safetensors")
    with np.load(FIXTURE) as fixture:
        images, theirs = (fixture[f"wide/{name}"] for name in ("in", "out"))
    assert np.abs(model.generate(images, np.ones((1, 1), np.float32)) - theirs).max() < 1e-5
    _, arrays, _ = safetensors_file.read(tmp_path / "m.safetensors")
    assert any(name.startswith("discriminator/") for name in arrays)


def test_import_refuses(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has one direction, to one domain; name that with --attributes NAME"):
        import_model(checkpoint, tmp_path / "m.onnx", one_of_n=("a", "b"))
    state = torch.load(checkpoint, weights_only=True)
    del state["model.model.3.bias"]
    torch.save(state, checkpoint)
    with pytest.raises(ModelError, match=r"G/model.model.3.bias is missing"):
        import_model(checkpoint, tmp_path / "m.onnx")
