"""CycleGAN from files to images: batches, the buffer, training, exact resume, translation of any size, import."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import draw_folders, in_process
from PIL import Image

import stargan
from stargan import training
from stargan.config import Config, recipes
from stargan.data.batches import TrainingSet
from stargan.data.two_domains import TwoDomains
from stargan.domains import Domains, Group, LabelSet, two
from stargan.engine.pytorch.two_domains.buffer import Buffer
from stargan.engine.pytorch.two_domains.cyclegan import CycleUpdates
from stargan.errors import ConfigError, DataError, DomainError, ModelError
from stargan.evaluation import classifier
from stargan.images import read_photo, to_array, to_images
from stargan.interop.foreign import import_model
from stargan.model import run_folder, safetensors_file
from stargan.model.safetensors_file import under

FIXTURE = Path(__file__).parent / "fixtures" / "cyclegan.npz"
TWO = Domains((LabelSet("fruit", (Group(("apple", "orange"), categorical=True),)),))
MALE = Domains((LabelSet("faces", (Group(("Male",)),)),))
OPTIONS = {
    "image_size": (16, 16), "width": 4, "blocks": 1, "d_layers": 2, "steps": 8, "checkpoint_every": 4, "buffer": 3,
    "sample_every": 8, "log_every": 2, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folders(tmp_path_factory.mktemp("data") / "two", 20, ("red", "green"), infix="-167-")


@pytest.fixture(scope="module")
def cycle_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, by the command line."""
    folder = tmp_path_factory.mktemp("runs") / "cycle"
    words = [(f"--{name.replace('_', '-')}", str(value)) for name, value in OPTIONS.items() if name != "image_size"]
    options = [word for pair in [*words, ("--image-size", "16")] for word in pair]
    done = in_process("train", "--data", data, "--run", folder, "--method", "cyclegan", *options)
    assert done.returncode == 0, done.stderr
    return folder


def small(data: Path, **changes: Any) -> Config:
    return replace(recipes.base(None, "cyclegan"), data=(str(data),), **{**OPTIONS, **changes})


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_critic": 5}, "--n-critic 5: must be 1 with --method cyclegan"),
        ({"objective": "wgan-gp"}, "--objective wgan-gp: must be one of lsgan, gan, hinge with --method cyclegan"),
        ({"targets": "balanced"}, "--targets balanced: must be permuted with --method cyclegan"),
        ({"attention_mask": True}, "--attention-mask True: must be left out with --method cyclegan"),
        ({"generator": "edit"}, "--generator edit: must be left out with --method cyclegan"),
        ({"image_size": (16, 16)}, "--image-size 16x16: must be at least 24 each way, since D halves it 3 times"),
        ({"buffer": -1}, "--buffer -1: must be at least 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        replace(recipes.recipe("cyclegan"), **settings)


def test_settings_of_cyclegan_are_refused_without_it() -> None:
    with pytest.raises(ConfigError, match=r"--buffer 50: must be 0 with --method stargan"):
        replace(recipes.recipe("paper"), buffer=50)
    with pytest.raises(ConfigError, match=r"--recipe celeba: is for --method stargan; leave it out with"):
        recipes.base("celeba", "cyclegan")


def test_the_recipe_has_the_settings_of_the_paper() -> None:
    found = recipes.base(None, "cyclegan")
    assert (found.lr, found.beta1, found.batch_size, found.lambda_rec, found.lambda_identity) == (2e-4, 0.5, 1, 10, 0.5)
    assert (found.objective, found.buffer, found.blocks, found.d_layers, found.init) == ("lsgan", 50, 9, 3, "normal")
    assert recipes.base(None, None).recipe == recipes.DEFAULT


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([LabelSet("x", (Group(("a", "b", "c"), True),))], "needs two domains, and the data have the labels a, b, c"),
        ([LabelSet("x", (Group(("a",)), Group(("b",))))], "needs two domains"),
        ([LabelSet("x", (Group(("a", "b")),))], "needs two domains"),  # an image may be in neither
        ([*TWO.sets, *MALE.sets], "trains on one data set; say --data once"),
    ],
)
def test_two_domains_are_needed(sets: list[LabelSet], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        two.check(Domains(tuple(sets)), "cyclegan")


@pytest.mark.parametrize(("domains", "words"), [(TWO, ("apple", "orange")), (MALE, ("Male=0", "Male"))])
def test_names_of_the_domains(domains: Domains, words: tuple[str, str]) -> None:
    two.check(domains, "cyclegan")
    assert two.names(domains) == words
    values = np.eye(2, dtype=np.float32) if domains is TWO else np.array([[0.0], [1.0]])
    assert two.second(values).tolist() == [False, True]


# ---------------------------------------------------------------- batches and the buffer


def test_batches_have_both_domains() -> None:
    pixels = np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    values = np.eye(2, dtype=np.float32)[np.arange(12) % 2]
    values[10] = 0.5  # unknown
    batches = TwoDomains(TrainingSet(pixels, values, np.arange(1, 12)), TWO, batch_size=2, seed=3)
    seen: list[int] = []
    for step in range(50):
        batch = batches.batch(step)
        rows = batch.images[:, 0, 0, 0].astype(int)
        assert (rows % 2).tolist() == [0, 0, 1, 1]
        assert batch.labels.argmax(1).tolist() == [0, 0, 1, 1]
        assert batch.targets.argmax(1).tolist() == [1, 1, 0, 0]
        assert np.array_equal(batches.batch(step).images, batch.images)
        seen += rows.tolist()
    assert set(seen) == set(range(1, 12)) - {10}
    evens = [row for row in seen if row % 2 == 0]
    assert all(sorted(evens[start : start + 4]) == [2, 4, 6, 8] for start in range(0, 96, 4))  # whole epochs


def test_batches_of_one_domain_are_refused() -> None:
    pixels, values = np.zeros((4, 2, 2, 3), np.uint8), np.tile(np.array([1, 0], np.float32), (4, 1))
    with pytest.raises(DataError, match=r"fruit: no training images of orange; two domains are needed"):
        TwoDomains(TrainingSet(pixels, values, np.arange(4)), TWO, batch_size=2, seed=0)


def test_buffer() -> None:
    buffer = Buffer(2, (1, 1))
    images = torch.arange(5.0)[:, None, None, None].expand(5, 3, 1, 1)
    draws = torch.tensor([[0.9, 0.9], [0.9, 0.9], [0.4, 0.0], [0.9, 0.6], [0.9, 0.6]])
    result = buffer.swap(images, draws)
    assert result[:, 0, 0, 0].tolist() == [0, 1, 2, 1, 3]  # fills up; returns the new one; swaps, twice the same place
    assert buffer.images[:, 0, 0, 0].tolist() == [0, 4]
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]


# ---------------------------------------------------------------- training


def test_a_run_is_complete(cycle_run: Path) -> None:
    lines = [json.loads(line) for line in (cycle_run / "stats.jsonl").read_text().splitlines()]
    terms = {f"{kind}_{domain}" for kind in ("d", "g_fake", "g_rec", "g_identity") for domain in "ab"}
    assert terms | {"d_total", "g_total", "classifier", "lr"} <= lines[-2].keys()
    assert {"val/hit", "val/rec"} <= lines[-1].keys()
    assert (cycle_run / "samples" / "step-00000008.png").is_file()
    info = stargan.load(cycle_run).info
    assert info.architecture.method == "cyclegan"
    assert info.domains.names == ("green", "red")
    assert info.recipe == "cyclegan"


def test_resume_is_exact(cycle_run: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(cycle_run, cut)
    run_folder.checkpoints(cut)[-1].unlink()
    assert run_folder.checkpoints(cut)[-1].stem == "step-00000004"
    training.train(run_folder.saved_config(cut), cut, resume=True, say=lambda line: None)
    first, second = (
        safetensors_file.read(run_folder.checkpoints(run)[-1], training=True)[1] for run in (cycle_run, cut)
    )
    assert under(first, "training/buffer").keys() == {"a.images", "a.count", "b.images", "b.count"}
    assert first["training/buffer/a.count"] == 3
    assert first.keys() == second.keys()
    assert not [name for name in first if not np.array_equal(first[name], second[name])]


def test_diat_has_no_way_back_and_keeps_features() -> None:
    sizes: dict[str, Any] = {"image_size": (16, 16), "width": 4, "blocks": 1, "d_layers": 2}
    # In fp32, like the layers below, which run outside of the updates.
    updates = CycleUpdates(replace(recipes.recipe("diat"), **sizes, device="cpu", precision="fp32"), TWO)
    a, b, fake_a, fake_b = torch.rand(4, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    terms = updates.g_terms(a, b, fake_a, fake_b)
    assert set(terms) == {"g_fake_a", "g_fake_b", "g_features_a", "g_features_b"}
    layers, expected = updates.discriminator.a.layers, []
    for end in (2, 5, 8):  # behind each activation
        expected.append(F.mse_loss(layers[:end](b), layers[:end](fake_a)))
    assert terms["g_features_a"].item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-5)
    assert updates.g_terms(a, b, b, a)["g_features_b"] == 0


def test_more_domains_are_refused(colours: Path, tmp_path: Path) -> None:
    done = in_process(
        "train", "--data", colours, "--run", tmp_path / "run", "--method", "cyclegan", "--image-size", "32"
    )
    assert done.returncode == 2
    assert "--method cyclegan: needs two domains, and the data have the labels blue, green, red" in done.stderr


def test_a_model_of_another_method_is_no_start(cycle_run: Path, data: Path, tmp_path: Path) -> None:
    config = Config(data=(str(data),), image_size=(16, 16), width=4, blocks=1, d_layers=2, device="cpu")
    with pytest.raises(ConfigError, match=r"its method is cyclegan, not stargan"):
        training.train(config, tmp_path / "run", start_from=cycle_run, say=lambda line: None)


# ---------------------------------------------------------------- translation


@pytest.mark.parametrize("size", [(16, 16), (40, 24), (15, 61), (300, 17)])
def test_images_of_any_size(cycle_run: Path, size: tuple[int, int], tmp_path: Path) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8))
    for word in ("red", "green"):
        results = [
            np.asarray(stargan.load(cycle_run / name).translate(photo, word), int)
            for name in ("model.onnx", "model.safetensors")
        ]
        assert results[0].shape == (*size[::-1], 3)
        assert np.abs(results[0] - results[1]).max() <= 1
        assert np.abs(results[0] - np.asarray(photo)).max() > 5


def test_an_image_goes_through_g_in_one_piece(cycle_run: Path) -> None:
    """Of the model's scale, the result is exactly that of G, although the image is not square."""
    model = stargan.load(cycle_run)
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 28, 3), np.uint8))
    labels = np.array([[0, 1]], np.float32)
    (expected,) = to_images(model.generate(to_array([photo]), labels))
    assert np.array_equal(np.asarray(model.translate(photo, "red")), np.asarray(expected))


def test_the_label_chooses_the_generator(cycle_run: Path) -> None:
    models = [stargan.load(cycle_run / name) for name in ("model.onnx", "model.safetensors")]
    images = to_array([Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))] * 3)
    labels = np.array([[0, 1], [1, 0], [0, 1]], np.float32)
    first, second = (model.generate(images, labels) for model in models)
    assert np.abs(first - second).max() < 1e-4
    assert np.array_equal(first[0], first[2])
    assert np.abs(first[0] - first[1]).max() > 0.01


def test_folders_of_images_of_several_sizes(cycle_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for index, size in enumerate([(20, 20), (20, 20), (40, 24), (20, 20)]):
        Image.new("RGB", size, "olive").save(tmp_path / "in" / f"{index}.png")
    done = in_process("translate", cycle_run, tmp_path / "in", "--to", "red", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    sizes = [read_photo(path).image.size for path in (tmp_path / "out").iterdir()]
    assert sorted(sizes) == [(20, 20)] * 3 + [(40, 24)]


def test_evaluation(cycle_run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "STEPS", 20)
    done = in_process("evaluate", cycle_run, "--data", data, "--out", tmp_path, "--limit", "4", "--classifiers", "1")
    assert done.returncode == 0, done.stderr
    (model,) = json.loads((tmp_path / "report.json").read_text())["models"].values()
    assert {"red", "green"} <= model["figures"].keys()


# ---------------------------------------------------------------- checkpoints of its authors' code


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """The files that the original code saves."""
    with np.load(FIXTURE) as file:
        fixture = {name: file[name] for name in file.files}
    for network in ("G_A", "G_B", "D_A", "D_B"):
        state = {name: torch.from_numpy(array) for name, array in under(fixture, f"before/{network}").items()}
        state |= {"model.2.running_mean": torch.zeros(4)} if network == "G_A" else {}  # as in its early versions
        torch.save(state, tmp_path / f"latest_net_{network}.pth")
    return tmp_path


@pytest.mark.parametrize("kind", [".onnx", ".safetensors"])
def test_an_imported_checkpoint_gives_its_own_images(checkpoints: Path, kind: str) -> None:
    model = checkpoints / f"model{kind}"
    import_model(checkpoints / "latest_net_G_A.pth", model, one_of_n=("horse", "zebra"), image_size=(16, 16))
    translator = stargan.load(model)
    assert translator.domains.names == ("horse", "zebra")
    with np.load(FIXTURE) as fixture:
        images, theirs = (fixture[f"wide/{name}"] for name in ("in", "out"))
        to_a, real_b = fixture["out/fake_A"], fixture["in/1/B"]
    assert np.abs(translator.generate(images, np.array([[0, 1]], np.float32)) - theirs).max() < 1e-5
    assert np.abs(translator.generate(real_b, np.array([[1, 0]] * 2, np.float32)) - to_a).max() < 1e-5


def test_import_by_the_command_line(checkpoints: Path) -> None:
    done = in_process("import", checkpoints / "latest_net_G_B.pth", checkpoints / "model.safetensors")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("model.safetensors: cyclegan, 256x256, A, B")
    info, arrays, _ = safetensors_file.read(checkpoints / "model.safetensors")
    assert {name.split(".")[0] for name in arrays} == {f"{n}/{x}" for n, x in
        [("generator", "to_a"), ("generator", "to_b"), ("discriminator", "a"), ("discriminator", "b")]}  # fmt: skip
    assert (info.architecture.width, info.architecture.blocks, info.architecture.d_layers) == (4, 2, 2)


def test_discriminators_may_be_missing(checkpoints: Path) -> None:
    (checkpoints / "latest_net_D_A.pth").unlink()
    import_model(checkpoints / "latest_net_G_A.pth", checkpoints / "model.safetensors")
    _, arrays, _ = safetensors_file.read(checkpoints / "model.safetensors")
    assert all(name.startswith("generator/") for name in arrays)


def test_a_single_generator_has_one_direction(checkpoints: Path) -> None:
    single, model = checkpoints / "latest_net_G.pth", checkpoints / "zebra.onnx"
    (checkpoints / "latest_net_G_A.pth").rename(single)
    done = in_process("import", single, model, "--attributes", "zebra", "--image-size", "16")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("zebra.onnx: cyclegan, 16x16, zebra")
    translator = stargan.load(model)
    with np.load(FIXTURE) as fixture:
        images, theirs = (fixture[f"wide/{name}"] for name in ("in", "out"))
    assert np.abs(translator.generate(images, np.ones((1, 1), np.float32)) - theirs).max() < 1e-5
    with pytest.raises(DomainError, match="zebra=0"):
        translator.translate(Image.new("RGB", (20, 20)), "zebra=0")


def test_a_single_generator_with_batch_norms_is_refused(checkpoints: Path) -> None:
    single = checkpoints / "facades.pth"
    state = torch.load(checkpoints / "latest_net_G_A.pth", weights_only=True)
    torch.save({**state, "model.2.weight": torch.zeros(4)}, single)
    with pytest.raises(ModelError, match=r"facades.pth: has batch norms; only generators with instance norms"):
        import_model(single, checkpoints / "model.onnx")


def test_import_refuses(checkpoints: Path) -> None:
    g_a, out = checkpoints / "latest_net_G_A.pth", checkpoints / "model.onnx"
    with pytest.raises(ConfigError, match=r"--discriminator .*: CycleGAN's are found beside G"):
        import_model(g_a, out, discriminator=checkpoints / "latest_net_D_A.pth")
    g_a.rename(checkpoints / "horse2zebra.pth")
    with pytest.raises(ModelError, match=r"latest_net_G_A.pth: no such checkpoint"):
        import_model(checkpoints / "latest_net_G_B.pth", out)
    state = torch.load(checkpoints / "horse2zebra.pth", weights_only=True)
    torch.save({**state, "model.99.weight": torch.zeros(1)}, g_a)
    with pytest.raises(ModelError, match=r"unexpected tensor G_A/model.99.weight, which CycleGAN's networks do not"):
        import_model(g_a, out)
    assert not out.exists()


def test_only_stargan_goes_back_to_the_official_code(cycle_run: Path, tmp_path: Path) -> None:
    done = in_process("export", cycle_run, "--official", tmp_path / "official")
    assert "has the form of cyclegan's, which the official code does not support" in done.stderr
    done = in_process("export", cycle_run, tmp_path / "model.keras")
    assert "TensorFlow's engine does not have cyclegan's networks" in done.stderr
