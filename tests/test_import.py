"""Checkpoints of other codes: imported models must give the same results in every kind of model file."""

import dataclasses
import os
import pickle
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY, in_process, stargan
from PIL import Image

from stargan import load
from stargan.config import Architecture, Config
from stargan.config.recipes import recipe
from stargan.errors import ModelError
from stargan.interop import foreign
from stargan.model import face_crop, safetensors_file
from stargan.model.face_crop import FaceCrop

FIXTURES = Path(__file__).parent / "fixtures"
CHECKPOINT = FIXTURES / "200000-G.ckpt"
CELEBA = ["Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young"]
EXPRESSIONS = ["angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised"]


def official(name: str, folder: Path, *, buffers: bool = True) -> Path:
    """Writes the pair of checkpoints that the official code would write for a fixture's networks."""
    with np.load(FIXTURES / f"{name}.npz") as file:
        for letter in "GD":
            state = safetensors_file.under({key: file[key] for key in file.files}, f"before/{letter}")
            tensors = {key: torch.from_numpy(array) for key, array in state.items() if buffers or "running" not in key}
            torch.save(tensors, folder / f"10-{letter}.ckpt")
    return folder / "10-G.ckpt"


def differences(model: Path, name: str) -> float:
    """Returns the largest difference between a model's result and a fixture's, relative to its largest value."""
    with np.load(FIXTURES / f"{name}.npz") as file:
        if name == "taki0112":
            images, expected = (file[key].transpose(0, 3, 1, 2) for key in ("in/images_nhwc", "G/fake_nhwc"))
            labels = file["in/label_trg"]
        else:
            images, labels, expected = file["in/images"], file["in/c_trg"], file["G/fake"]
    actual = load(model).generate(images, labels)
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


# ---------------------------------------------------------------- results of imported models


@pytest.mark.parametrize("kind", ["safetensors", "onnx"])
@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("celeba_binary", []),
        ("rafd_categorical", ["--one-of-n", *EXPRESSIONS]),
        ("joint_first", ["--attributes", *CELEBA, "--one-of-n", *EXPRESSIONS]),
    ],
)
def test_an_official_checkpoint_gives_the_same_images(name: str, labels: list[str], kind: str, tmp_path: Path) -> None:
    out = tmp_path / f"model.{kind}"
    done = in_process("import", official(name, tmp_path), out, *labels)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out}: official, 16x16, ")
    assert differences(out, name) < 1e-4


def test_a_file_written_by_the_official_code(tmp_path: Path) -> None:
    info = foreign.import_model(CHECKPOINT, tmp_path / "m.safetensors")
    assert info.domains.names == tuple(CELEBA)
    assert info.architecture == Architecture((16, 16), 4, 2, 3)
    _, arrays, _ = safetensors_file.read(tmp_path / "m.safetensors")
    with np.load(FIXTURES / "celeba_binary.npz") as file:  # the checkpoint was written after the fixture's update
        np.testing.assert_array_equal(arrays["generator/layers.0.weight"], file["after_G/G/main.0.weight"])
        np.testing.assert_array_equal(arrays["discriminator/src.weight"], file["after_D/D/conv1.weight"])


CROPS: dict[str, tuple[list[str], float | None, FaceCrop | None]] = {
    "CelebA's attributes": ([], None, face_crop.CELEBA),
    "CelebA's crop": (["--crop", "178"], None, face_crop.CELEBA),
    "another crop of CelebA": (["--crop", "89"], 0.5, face_crop.CELEBA.within(0.5)),
    "a fraction of CelebA": (["--crop", "0.5"], 0.5, face_crop.CELEBA.within(0.5)),
    "more than fits": (["--crop", "200"], None, face_crop.CELEBA),
    "no faces": (["--face-crop", "none", "--crop", "178"], None, None),
    "other attributes": (["--attributes", *"ABCDE"], None, None),
    "other attributes, in pixels": (["--attributes", *"ABCDE", "--crop", "200"], 200, None),
    "other attributes, CelebA's crop": (["--attributes", *"ABCDE", "--crop", "178"], None, face_crop.CELEBA),
    "other attributes of CelebA": (["--attributes", *"ABCDE", "--face-crop", "celeba"], None, face_crop.CELEBA),
}


@pytest.mark.parametrize("case", CROPS)
def test_how_the_training_images_were_cut(case: str, tmp_path: Path) -> None:
    options, crop, place = CROPS[case]
    done = in_process("import", CHECKPOINT, tmp_path / "m.safetensors", *options)
    assert done.returncode == 0, done.stderr
    info = safetensors_file.read(tmp_path / "m.safetensors")[0]
    assert (info.crop, info.face_crop) == (crop, place)


@pytest.mark.parametrize("buffers", [True, False])
def test_old_and_new_files_with_and_without_the_discriminator(buffers: bool, tmp_path: Path) -> None:
    source = official("celeba_binary", tmp_path, buffers=buffers)
    (tmp_path / "10-D.ckpt").rename(tmp_path / "elsewhere.ckpt")
    alone = foreign.import_model(source, tmp_path / "alone.safetensors")
    assert alone.image_size == (128, 128)  # unknown without D, hence the official code's default
    both = foreign.import_model(source, tmp_path / "both.safetensors", discriminator=tmp_path / "elsewhere.ckpt")
    assert both.image_size == (16, 16)
    assert differences(tmp_path / "both.safetensors", "celeba_binary") < 1e-4
    _, arrays, _ = safetensors_file.read(tmp_path / "both.safetensors")
    assert "discriminator/src.weight" in arrays


def test_tensorflow(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="stargan[tensorflow] is not installed")
    for source in (FIXTURES / "tf1" / "StarGAN.model-200000", FIXTURES / "tf1"):
        out = tmp_path / f"{source.name}.onnx"
        done = in_process("import", source, out)
        assert done.returncode == 0, done.stderr
        assert differences(out, "taki0112") < 1e-4


def test_training_goes_on_from_a_tensorflow_checkpoint(tmp_path: Path) -> None:
    """As docs/from-taki0112.md says, in the folders that their code reads."""
    pytest.importorskip("tensorflow", reason="stargan[tensorflow] is not installed")
    start, data, run = tmp_path / "start.safetensors", tmp_path / "celebA", tmp_path / "run"
    done = in_process("import", FIXTURES / "tf1", start)
    assert done.returncode == 0, done.stderr
    info, before, _ = safetensors_file.read(start)
    (data / "train").mkdir(parents=True)
    rows = ["12", " ".join(info.domains.names)]
    for number in range(1, 13):
        Image.new("RGB", (24, 20), (20 * number, 100, 100)).save(data / "train" / f"{number:06}.jpg")
        on = [number % 3 == 0, number % 3 == 1, number % 3 == 2, number % 2 == 0, number > 5]
        rows.append(f"{number:06}.jpg {' '.join('1' if each else '-1' for each in on)}")
    (data / "list_attr_celeba.txt").write_text("\n".join(rows) + "\n")
    sizes = ["--image-size", "16", "--width", "4", "--blocks", "2", "--d-layers", "3", "--batch-size", "2"]
    command: list[str | Path] = ["train", "--engine", "tensorflow", "--recipe", "taki0112", "--data", data]
    done = in_process(*command, "--run", run, *sizes, "--start-from", start, "--steps", "2", "--lr", "1e-9")
    assert done.returncode == 0, done.stderr
    info, after, _ = safetensors_file.read(run / "model.safetensors")
    assert (info.engine, info.steps) == ("tensorflow", 2)
    for name, array in before.items():
        np.testing.assert_allclose(after[name], array, atol=1e-6, err_msg=name)
    assert after.keys() - before.keys() == {name for name in after if name.startswith("classifier/")} != set()


def test_the_options_of_taki0112s_code() -> None:
    """Each option that docs/from-taki0112.md names exists, and the defaults that it states are those of the recipe."""
    rows = re.findall(
        r"^\| `--.*$", (FIXTURES.parents[1] / "docs" / "from-taki0112.md").read_text("utf-8"), re.MULTILINE
    )
    assert len({name for row in rows for name in re.findall(r"`(--\w+)", row.split("|")[1])}) == 28  # as in main.py
    known = {f"--{field.name.replace('_', '-')}": field.name for field in dataclasses.fields(Config)}
    known |= {f"--{name}": "" for name in ("data", "run", "from", "out", "no-flip")}
    named = {name for row in rows for name in re.findall(r"`(--[\w-]+)", row.split("|")[3])}
    assert named <= known.keys()
    taki0112 = recipe("taki0112")
    assert (taki0112.steps, taki0112.lambda_cls, taki0112.decay_from, taki0112.decay_every) == (200_000, 2, 0.5, 10_000)


def test_the_error_without_tensorflow_names_the_extra(tmp_path: Path) -> None:
    """TensorFlow checkpoints are recognised by their names, so the message can say what to install."""
    try:
        import tensorflow  # noqa: F401
    except ModuleNotFoundError:
        done = stargan("import", FIXTURES / "tf1" / "StarGAN.model-200000.index", tmp_path / "m.onnx")
        assert done.returncode == 2
        assert "pip install 'stargan[tensorflow]'" in done.stderr


# ---------------------------------------------------------------- use of imported models


def test_training_can_start_from_an_imported_model(colours: Path, tmp_path: Path) -> None:
    names = ["blue", "green", "red"]
    generator, discriminator = (torch.load(FIXTURES / f"200000-{letter}.ckpt", weights_only=True) for letter in "GD")
    generator["main.0.weight"] = generator["main.0.weight"][:, :6].clone()
    discriminator["conv2.weight"] = discriminator["conv2.weight"][:3].clone()
    torch.save(generator, tmp_path / "7-G.ckpt")
    torch.save(discriminator, tmp_path / "7-D.ckpt")
    start = tmp_path / "start.safetensors"
    assert in_process("import", tmp_path / "7-G.ckpt", start, "--one-of-n", *names).returncode == 0
    sizes = ["--image-size", "16", "--width", "4", "--blocks", "2", "--d-layers", "3", *TINY[8:]]
    done = in_process(
        "train",
        "--recipe",
        "paper",
        "--data",
        colours,
        "--run",
        tmp_path / "run",
        "--start-from",
        start,
        "--steps",
        "2",
        "--lr",
        "1e-9",
        *sizes,
    )
    assert done.returncode == 0, done.stderr
    _, before, _ = safetensors_file.read(start)
    _, after, _ = safetensors_file.read(tmp_path / "run" / "model.safetensors")
    for name, array in before.items():
        np.testing.assert_allclose(after[name], array, atol=1e-6, err_msg=name)


def test_the_protocols_of_the_paper(tmp_path: Path) -> None:
    Image.new("RGB", (20, 24), "red").save(tmp_path / "a.png")
    assert in_process("import", CHECKPOINT, tmp_path / "celeba.onnx").returncode == 0
    command: list[str | Path] = ["translate", tmp_path / "celeba.onnx", tmp_path / "a.png", "--protocol", "celeba"]
    done = in_process(*command, "--no-align", "--out", tmp_path / "seven")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "seven").iterdir()}
    assert names == {f"a.{task}.png" for task in ("H", "G", "A", "H+G", "H+A", "G+A", "H+G+A", "all")}
    with Image.open(tmp_path / "seven" / "a.all.png") as sheet:
        assert sheet.width > 8 * 16

    source = official("rafd_categorical", tmp_path)
    assert in_process("import", source, tmp_path / "rafd.onnx", "--one-of-n", *EXPRESSIONS).returncode == 0
    command = ["translate", tmp_path / "rafd.onnx", tmp_path / "a.png", "--protocol", "expressions"]
    command += ["--out", tmp_path / "e"]
    unknown = in_process(*command)  # without an attribute classifier, the image's expression is unknown
    assert unknown.returncode == 2
    assert "a.png: no translation starts from its labels; if they are wrong, name them with --from" in unknown.stderr
    assert in_process(*command, "--from", "neutral").returncode == 0
    names = {path.name for path in (tmp_path / "e").iterdir()}
    assert names == {f"a.{name}.png" for name in {*EXPRESSIONS, "all"} - {"neutral"}}


def test_import_and_export_give_the_same_tensors(tmp_path: Path) -> None:
    """Importing and exporting restores all tensors that the official code wrote."""
    foreign.import_model(CHECKPOINT, tmp_path / "m.safetensors")
    done = in_process("export", tmp_path / "m.safetensors", "--official", tmp_path / "back")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == ["0-D.ckpt", "0-G.ckpt"]
    for letter in "GD":
        theirs = torch.load(FIXTURES / f"200000-{letter}.ckpt", weights_only=True)
        ours = torch.load(tmp_path / "back" / f"0-{letter}.ckpt", weights_only=True)
        assert ours.keys() == theirs.keys()
        for name, tensor in theirs.items():
            assert ours[name].shape == tensor.shape
            assert ours[name].dtype == tensor.dtype
            if "running" not in name and "num_batches" not in name:  # unused statistics
                assert torch.equal(ours[name], tensor), name
    again = in_process("export", tmp_path / "m.safetensors", "--official", tmp_path / "back")
    assert again.returncode == 2
    assert "exists; say --overwrite" in again.stderr


# ---------------------------------------------------------------- errors


class Hostile:
    """An object that creates a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def test_a_malicious_pickle_is_refused(tmp_path: Path) -> None:
    trap, victim = tmp_path / "1-G.ckpt", tmp_path / "victim"
    for write in (torch.save, lambda state, path: path.write_bytes(pickle.dumps(state))):
        state = dict(torch.load(CHECKPOINT, weights_only=True))
        state["main.0.weight"] = Hostile(victim)
        write(state, trap)
        done = in_process("import", trap, tmp_path / "m.safetensors")
        assert done.returncode == 2
        assert done.stderr == f"stargan: {trap}: refused: contains more than tensors, or is not a PyTorch checkpoint\n"
        assert not victim.exists()
    with trap.open("rb") as file:  # unpickling it without protection does create the folder
        pickle.load(file)
    assert victim.exists()
    assert not (tmp_path / "m.safetensors").exists()


def damaged_checkpoint(tmp_path: Path, change: str) -> Path:
    """Writes the official G with one change that makes it invalid."""
    state = torch.load(CHECKPOINT, weights_only=True)
    if change == "unexpected":
        state["main.99.weight"] = torch.zeros(1)
    elif change == "missing":
        del state["main.4.bias"]
    elif change == "shape":
        state["main.3.weight"] = torch.zeros(8, 4, 3, 3)
    elif change == "not real":
        state["main.3.weight"] = state["main.3.weight"].to(torch.complex64)
    path = tmp_path / "5-G.ckpt"
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("unexpected", "unexpected tensor G/main.99.weight"),
        ("missing", "G/main.4.bias is missing"),
        ("shape", "G/main.3.weight has shape (8, 4, 3, 3), not (8, 4, 4, 4)"),
        ("not real", "G/main.3.weight contains complex64"),
    ],
)
def test_errors_name_the_wrong_tensor(change: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        foreign.import_model(damaged_checkpoint(tmp_path, change), tmp_path / "m.safetensors")
    assert str(caught.value).startswith(f"{tmp_path / '5-G.ckpt'}: {message}")


ODD = {
    "sparse": lambda tensor: tensor.to_sparse(),
    "meta": lambda tensor: tensor.to("meta"),
    "quantised": lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8),
    "conjugated": lambda tensor: torch.complex(tensor, tensor).conj(),
    "negated": lambda tensor: torch._neg_view(tensor),
    "float8": lambda tensor: tensor.to(torch.float8_e4m3fn),
    "not finite": lambda tensor: tensor * float("nan"),
    "too large": lambda tensor: tensor.double() * 1e300,
    "boolean": lambda tensor: tensor.bool(),
}


@pytest.mark.filterwarnings("ignore")  # PyTorch warns about quantised tensors
@pytest.mark.parametrize("kind", ODD)
def test_odd_tensors_get_one_line(kind: str, tmp_path: Path) -> None:
    state = torch.load(CHECKPOINT, weights_only=True)
    state["main.0.weight"] = ODD[kind](state["main.0.weight"])
    torch.save(state, tmp_path / "a.ckpt")
    with pytest.raises(ModelError) as caught:
        foreign.import_model(tmp_path / "a.ckpt", tmp_path / "m.safetensors")
    assert str(caught.value).startswith(f"{tmp_path / 'a.ckpt'}: ")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_other_floats_are_converted(kind: torch.dtype, tmp_path: Path) -> None:
    state = {
        name: tensor.to(kind) if tensor.is_floating_point() else tensor
        for name, tensor in torch.load(CHECKPOINT, weights_only=True).items()
    }
    torch.save(state, tmp_path / "a.ckpt")
    foreign.import_model(tmp_path / "a.ckpt", tmp_path / "m.safetensors")
    _, arrays, _ = safetensors_file.read(tmp_path / "m.safetensors")
    assert arrays["generator/layers.0.weight"].dtype == np.float32
    assert (arrays["generator/layers.0.weight"] == state["main.0.weight"].float().numpy()).all()


def test_views_cannot_make_gigabytes_of_a_few_numbers(tmp_path: Path) -> None:
    state = torch.load(CHECKPOINT, weights_only=True)
    wide = torch.zeros(1).expand(1024, 8, 7, 7)
    shared = torch.zeros(2**16)
    for name, more in {
        "stride 0": {"main.0.weight": wide, "main.3.weight": torch.zeros(1).expand(2048, 1024, 4, 4)},
        "one storage for all": {f"main.{i}.weight": shared[i:] for i in range(100)},
    }.items():
        torch.save({**state, **more}, tmp_path / "a.ckpt")
        assert (tmp_path / "a.ckpt").stat().st_size < 500_000, name
        with pytest.raises(ModelError, match=r"a\.ckpt: its tensors take \d+ bytes, but the file has only \d+"):
            foreign.import_model(tmp_path / "a.ckpt", tmp_path / "m.safetensors")


def test_compressed_checkpoints_are_not_unpacked(tmp_path: Path) -> None:
    torch.save({"main.0.weight": torch.zeros(2**20)}, tmp_path / "plain.ckpt")
    with (
        zipfile.ZipFile(tmp_path / "plain.ckpt") as plain,
        zipfile.ZipFile(tmp_path / "a.ckpt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert (tmp_path / "a.ckpt").stat().st_size < 10_000
    with pytest.raises(ModelError, match="its parts are compressed"):
        foreign.import_model(tmp_path / "a.ckpt", tmp_path / "m.safetensors")


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "empty.ckpt").write_bytes(b"")
    with pytest.raises(ModelError, match=r"empty\.ckpt: damaged or not a PyTorch checkpoint \("):
        foreign.import_model(tmp_path / "empty.ckpt", tmp_path / "m.safetensors")
    os.mkfifo(tmp_path / "pipe.ckpt")
    with pytest.raises(ModelError, match=r"pipe\.ckpt: cannot be read \(a pipe, socket or device"):
        foreign.import_model(tmp_path / "pipe.ckpt", tmp_path / "m.safetensors")


def test_names_of_tensors_are_shown_in_one_line(tmp_path: Path) -> None:
    state = torch.load(CHECKPOINT, weights_only=True)
    torch.save({**state, "a\nb\x1b[31m": torch.zeros(1)}, tmp_path / "a.ckpt")
    with pytest.raises(ModelError) as caught:
        foreign.import_model(tmp_path / "a.ckpt", tmp_path / "m.safetensors")
    assert "unexpected tensor G/a\\nb\\x1b[31m, which" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--image-size", "0"], "--image-size 0x0: must be a multiple of 4"),
        (["--image-size", "99996"], "--image-size 99996x99996: must be at most 8192"),
        (["--image-size", "18"], "--image-size 18x18: must be a multiple of 4"),
        (["--crop", "0"], ": must be a fraction up to 1"),
        (["--crop", "99999999999"], ": must be a fraction up to 1"),
        (["--attributes", "a=b"], "'a=b' cannot name a domain"),
        (["--attributes", "A", "a"], "a is named twice"),
    ],
)
def test_options_are_checked_before_the_work(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the checkpoint was read")

    monkeypatch.setattr(foreign, "_read", refuse)
    done = in_process("import", CHECKPOINT, tmp_path / "m.safetensors", *options)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr


def test_errors_for_bad_input_are_one_line(tmp_path: Path) -> None:
    text = tmp_path / "text.ckpt"
    text.write_text("not a checkpoint")
    short = tmp_path / "short.ckpt"
    short.write_bytes(CHECKPOINT.read_bytes()[:5000])
    listed = tmp_path / "list.ckpt"
    torch.save([torch.zeros(3)], listed)
    out = tmp_path / "m.safetensors"
    cases: dict[str, list[str | Path]] = {
        "no such checkpoint": ["/no/where.ckpt", out],
        "more than tensors, or is not a PyTorch": [text, out],
        "damaged or not a PyTorch": [short, out],
        "not a state dict": [listed, out],
        "takes 5 labels, not 2; name": [CHECKPOINT, out, "--attributes", *"AB"],
        "takes 5 labels, not 8 (with the domain mask)": [CHECKPOINT, out, "--attributes", *"AB", "--one-of-n", *"cdef"],
        "its discriminator is for 16x16 images": [CHECKPOINT, out, "--image-size", "64"],
        "cannot write this kind": [CHECKPOINT, tmp_path / "m.pt"],
        "0 TensorFlow checkpoints in this folder": [tmp_path, out],
    }  # fmt: skip
    for message, arguments in cases.items():
        done = in_process("import", *arguments)
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert message in done.stderr
    assert not out.exists()
    assert "say either which file to write or --official" in in_process("export", tmp_path).stderr


@pytest.mark.parametrize(
    ("setting", "message"), [("attention_mask", "an attention mask"), ("resize_conv", "resize convolutions")]
)
def test_models_that_the_official_code_does_not_support_are_refused(setting: str, message: str, tmp_path: Path) -> None:
    foreign.import_model(CHECKPOINT, tmp_path / "m.safetensors")
    info, arrays, _ = safetensors_file.read(tmp_path / "m.safetensors")
    changes: dict[str, Any] = {setting: True}
    info = replace(info, architecture=replace(info.architecture, **changes))
    safetensors_file.write(tmp_path / "other.safetensors", info, arrays, {})
    with pytest.raises(ModelError, match=f"its generator has {message}, which the official code does not support"):
        foreign.export_official(tmp_path / "other.safetensors", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_official_code_gets_a_d_that_pools_its_classification(tmp_path: Path) -> None:
    """As a kernel that covers the image, with the same logits."""
    foreign.import_model(CHECKPOINT, tmp_path / "m.safetensors")
    info, arrays, _ = safetensors_file.read(tmp_path / "m.safetensors")
    name = "discriminator/cls.weight"
    kernel = arrays[name][:, :, :1, :1]
    info = replace(info, architecture=replace(info.architecture, image_size=(32, 16), cls_pooling=True))
    safetensors_file.write(tmp_path / "pooled.safetensors", info, {**arrays, name: kernel}, {})
    foreign.export_official(tmp_path / "pooled.safetensors", tmp_path / "out")
    (found,) = (tmp_path / "out").glob("*-D.ckpt")
    covering = torch.load(found, weights_only=True)["conv2.weight"].numpy()
    layers = info.architecture.d_layers
    assert covering.shape[2:] == (16 >> layers, 32 >> layers)
    np.testing.assert_allclose(covering.sum((2, 3)), kernel[:, :, 0, 0], rtol=1e-5)
    assert (covering == covering[:, :, :1, :1]).all()
