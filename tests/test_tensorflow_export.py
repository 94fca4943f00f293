"""Files for Keras, TensorFlow Serving and LiteRT: programs without this package open them and get the same images."""

import base64
import io
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import in_process
from PIL import Image
from web_browser import chromium, served, until

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install '.[tensorflow]'")
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install '.[tensorflow]'")

from stargan import engine, images
from stargan.config import Architecture
from stargan.data import cartoons
from stargan.domains import Domains, Group, LabelSet
from stargan.engine import Predictor
from stargan.engine.tensorflow import networks
from stargan.engine.tensorflow.network import to_arrays
from stargan.errors import ModelError
from stargan.interop import onnx_arrays
from stargan.interop.export import export
from stargan.model import locations, safetensors_file
from stargan.model.info import ModelInfo

HOME = Path(__file__).parents[1]
DOCS = HOME / "docs" / "tensorflow.md"
LITERT_JS = HOME / "node_modules" / "@litertjs"
HAIR = Group(("Black_Hair", "Blond_Hair", "Brown_Hair"))
FACES = Domains((LabelSet("faces", (HAIR, Group(("Male",)), Group(("Young",)))),))
JOINT = Domains(
    (LabelSet("a", (Group(("x", "y")), Group(("u", "v", "w"), categorical=True))), LabelSet("b", (Group(("z",)),)))
)
MODELS = {
    "faces": ModelInfo(
        FACES, Architecture((64, 64), 16, 1, 4, generator="edit", palette=True), classifier=True, crop=0.8
    ),
    "joint": ModelInfo(
        JOINT,
        Architecture((24, 32), 8, 1, 3, attention_mask=True),
        classifier=True,
        temperatures=(0.5, 1.0, 1.5, 2.0, 2.5, 3.0),
    ),
}
PHOTO = (200, 150)
CLOSE = 1e-4


@dataclass
class Exported:
    """A folder with a model, its files, and the results that they should give."""

    folder: Path
    info: ModelInfo
    output: str
    images: np.ndarray
    condition: np.ndarray
    translated: np.ndarray
    probabilities: np.ndarray


def model_file(path: Path, info: ModelInfo) -> Path:
    """A model whose weights are not those of a new one."""
    random, arrays = np.random.default_rng(0), {}
    for name in ("generator", "classifier"):
        network = networks.build(name, info.architecture, info.domains)
        network.initialise(random, xavier=False)
        for key, array in to_arrays(network).items():
            arrays[f"{name}/{key}"] = array + random.normal(0, 0.05, array.shape).astype(np.float32)
    safetensors_file.write(path, info, arrays, {})
    return path


def predictor(path: Path) -> Predictor:
    info, arrays, _ = safetensors_file.read(path)
    return engine.framework("pytorch").predictor(info.architecture, info.domains, arrays)


def exported(folder: Path, name: str, *commands: str) -> Exported:
    """Writes files by commands whose `OUT` and options are given."""
    info, output = MODELS[name], ""
    source = model_file(folder / "m.safetensors", info)
    for command in commands:
        words = [str(folder / word) if word.startswith(f"{name}.") or "_" in word else word for word in command.split()]
        done = in_process("export", source, *words)
        assert done.returncode == 0, done.stderr
        output += done.stdout + done.stderr
    (width, height), random = info.image_size, np.random.default_rng(1)
    pixels = [images.fit(cartoons.draw(*cartoons.sample(0, index), 64), (width, height)) for index in range(3)]
    batch = images.to_array(pixels)
    values, targets = (info.domains.random_values(random, 3) for _ in range(2))
    condition = info.architecture.condition(info.domains, info.domains.labels(targets, 0), values)
    expected = predictor(source)
    return Exported(
        folder, info, output, batch, condition,
        expected.generate(batch, condition), info.probabilities(expected.classify(batch)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("models") / "faces"
    (folder / "some_photos").mkdir(parents=True)
    for index in range(6):
        cartoons.draw(*cartoons.sample(1, index), 96).save(folder / "some_photos" / f"{index}.png")
    return exported(
        folder, "faces", "faces.keras", "faces_savedmodel/", "faces.tflite",
        "faces.int8.tflite --quantize int8 --calibrate some_photos",
    )  # fmt: skip


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("models") / "joint"
    folder.mkdir()
    return exported(
        folder, "joint", "joint.keras", "joint.half.tflite --half",
        "joint.dynamic.tflite --quantize dynamic",
    )  # fmt: skip


OPEN = """
import base64, json, os, sys
sys.path[:] = json.loads(sys.argv[1])
sys.modules["stargan"] = None  # cannot be imported
import keras, numpy as np, tensorflow as tf
from pathlib import Path
from ai_edge_litert.interpreter import Interpreter

def serve(signatures, request):  # TensorFlow Serving's REST API, row format
    function = signatures[request["signature_name"]]
    specs = function.structured_input_signature[1]
    def decoded(value):
        return base64.b64decode(value["b64"]) if isinstance(value, dict) else value
    columns = {key: [decoded(row[key]) for row in request["instances"]] for key in specs}
    return function(**{key: tf.constant(column, specs[key].dtype) for key, column in columns.items()})

def results(name):
    given, found = dict(np.load("given.npz")), {}
    condition, images, labels = str(given["condition_name"]), given["images"], given["condition"]
    model = keras.models.load_model(f"{name}.keras")
    found |= {f"keras {key}": value.numpy() for key, value in model({"images": images, condition: labels}).items()}
    found["keras classifier"] = model.get_layer("classifier")(images).numpy()
    if Path(f"{name}_savedmodel").exists():
        signatures = tf.saved_model.load(f"{name}_savedmodel").signatures
        for request in json.loads(Path("requests.json").read_text()):
            (value,) = serve(signatures, request).values()
            value = value.numpy()
            value = value.astype(bytes) if value.dtype == object else value  # PNG does not end in zeros
            found[f"{request['signature_name']} {len(request['instances'])}"] = value
    for path in sorted(Path().glob("*.tflite")):
        model = Interpreter(str(path))
        translate, classify = (model.get_signature_runner(key) for key in ("translate", "classify"))
        rows = [(images[i : i + 1], {condition: labels[i : i + 1]}) for i in range(len(images))]
        found[path.name] = np.concatenate([translate(images=a, **b)["translated"].copy() for a, b in rows])
        found[f"{path.name} classifier"] = np.concatenate([classify(images=a)["probabilities"].copy() for a, _ in rows])
    np.savez("results.npz", **found)

for folder in sys.argv[3:]:
    os.chdir(folder)
    results(Path(folder).name)
os.chdir(sys.argv[3])
exec(sys.argv[2])
"""


@pytest.fixture(scope="module")
def results(faces: Exported, joint: Exported) -> dict[str, dict[str, np.ndarray]]:
    """What a program without this package gets from the files of each model; it also runs the code in the docs."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)).replace("128", "64")
    photo().save(faces.folder / "face.png")
    for made in (faces, joint):
        _write_requests(made)
    folders = [str(faces.folder), str(joint.folder)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OPEN, json.dumps(sys.path), code, *folders],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {made.folder.name: dict(np.load(made.folder / "results.npz")) for made in (faces, joint)}


def photo() -> Image.Image:
    return cartoons.draw(*cartoons.sample(0, 9), 256).resize(PHOTO)


def _write_requests(made: Exported) -> None:
    name, batch = made.info.architecture.condition_name, made.images.transpose(0, 2, 3, 1)
    np.savez(made.folder / "given.npz", condition_name=name, images=batch, condition=made.condition)
    content = io.BytesIO()
    photo().save(content, "PNG")
    encoded = {"b64": base64.b64encode(content.getvalue()).decode()}
    rows = [{"images": a, name: b} for a, b in zip(batch.tolist(), made.condition.tolist(), strict=True)]
    row = {"image_bytes": encoded, name: [int(value) for value in made.condition[0]]}
    requests = [
        {"signature_name": "serving_default", "instances": rows},
        {"signature_name": "serving_default", "instances": rows[:1]},
        {"signature_name": "encoded", "instances": [row, row]},
        {"signature_name": "classify", "instances": [{"images": each["images"]} for each in rows]},
        {"signature_name": "classify_encoded", "instances": [{"image_bytes": encoded}]},
    ]
    (made.folder / "requests.json").write_text(json.dumps(requests))


def test_float32_files_give_the_same_images(
    faces: Exported, joint: Exported, results: dict[str, dict[str, np.ndarray]]
) -> None:
    for made in (faces, joint):
        found, translated = results[made.folder.name], made.translated.transpose(0, 2, 3, 1)
        names = ["keras translated"]
        classified = ["keras probabilities", "keras classifier"]
        if made is faces:
            names += ["serving_default 3", "faces.tflite"]
            classified += ["classify 3", "faces.tflite classifier"]
            assert np.abs(found["serving_default 1"] - translated[:1]).max() < CLOSE
        for name in names:
            assert found[name].shape == translated.shape
            assert np.abs(found[name] - translated).max() < CLOSE, name
        for name in classified:
            assert np.abs(found[name] - made.probabilities).max() < CLOSE, name


def test_encoded_images(faces: Exported, results: dict[str, dict[str, np.ndarray]]) -> None:
    """They are cut and scaled as `images.fit` does it, except for rounding."""
    cut = images.to_array([images.fit(photo(), faces.info.image_size, faces.info.crop)])
    own = predictor(faces.folder / "m.safetensors")
    expected = images.to_pixels(own.generate(cut, faces.condition[:1]))[0].astype(int)
    found = [np.asarray(Image.open(io.BytesIO(content)), int) for content in results["faces"]["encoded 2"]]
    assert len(found) == 2
    assert max(np.abs(each - expected).max() for each in found) <= 3
    probabilities = faces.info.probabilities(own.classify(cut))
    assert np.abs(results["faces"]["classify_encoded 1"] - probabilities).max() < 0.01


def test_quantized_files(faces: Exported, joint: Exported, results: dict[str, dict[str, np.ndarray]]) -> None:
    limits = {"joint.half": 55, "joint.dynamic": 25, "faces.int8": 15}  # dB, at least, with random weights
    for name, limit in limits.items():
        made = {"faces": faces, "joint": joint}[name.partition(".")[0]]
        error = results[made.folder.name][f"{name}.tflite"] - made.translated.transpose(0, 2, 3, 1)
        assert limit < 10 * np.log10(4 / np.square(error).mean()) < 100, name
        assert np.abs(results[made.folder.name][f"{name}.tflite classifier"] - made.probabilities).max() < 0.1
    assert (
        Path(faces.folder / "faces.int8.tflite").stat().st_size < 0.6 * (faces.folder / "faces.tflite").stat().st_size
    )


def test_the_command_prints_size_speed_and_psnr(faces: Exported, joint: Exported) -> None:
    rows = (faces.output + joint.output).splitlines()
    for pattern in (
        r"faces.keras: float32, \d+\.\d MB, \d+ ms an image, .*Keras.*",
        r"faces_savedmodel: float32, \d+\.\d MB, .*",
        r"joint.half.tflite: float16, .*, PSNR \d+\.\d dB against float32 \(8 drawn faces\)",
        r"joint.dynamic.tflite: dynamic, .*, PSNR .*",
        r"faces.int8.tflite: calibrating on 3 images",
        r"faces.int8.tflite: int8, .*, PSNR .* \(3 of the images\)",
    ):
        assert any(re.fullmatch(pattern, row) for row in rows), rows


def test_the_description_travels_with_the_files(faces: Exported, joint: Exported) -> None:
    for made, paths in ((faces, ["faces.keras", "faces.tflite", "faces_savedmodel"]), (joint, ["joint.keras"])):
        for path in paths:
            description, labels = _description(made.folder / path)
            assert ModelInfo.loads(description) == made.info
            assert labels.splitlines()[: made.info.domains.num_classes] == list(made.info.domains.names)
            assert len(labels.splitlines()) == made.info.domains.num_labels


def _description(path: Path) -> tuple[str, str]:
    if path.is_dir():
        extra = path / "assets.extra"
        return (extra / "stargan.json").read_text("utf-8"), (extra / "labels.txt").read_text("utf-8")
    with zipfile.ZipFile(path) as archive:
        return archive.read("stargan.json").decode(), archive.read("labels.txt").decode()


def test_the_code_in_the_documentation(faces: Exported, results: dict[str, dict[str, np.ndarray]]) -> None:
    """Its three programs translate one image and write it."""
    written = [np.asarray(Image.open(faces.folder / f"{name}.png"), int) for name in ("keras", "litert", "served")]
    assert {image.shape for image in written} == {(64, 64, 3)}
    assert np.abs(written[0] - written[1]).max() <= 1  # the third one cuts the image itself


@pytest.mark.skipif(not LITERT_JS.exists(), reason="no LiteRT.js: npm install @litertjs/core")
def test_the_page_in_the_documentation(faces: Exported) -> None:
    """LiteRT.js opens the file in a browser, and the page draws what Python does."""
    (page,) = re.findall(r"```html\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    folder = faces.folder / "page"
    folder.mkdir()
    (folder / "page.html").write_text(page.replace("128", "64"))
    (folder / "node_modules").symlink_to(LITERT_JS.parent)
    (folder / "faces.tflite").symlink_to(faces.folder / "faces.tflite")
    (folder / "labels.txt").write_text(_description(faces.folder / "faces.tflite")[1])
    face = images.fit(photo(), faces.info.image_size)
    face.save(folder / "face.png")
    with served(folder) as address, chromium() as browser:
        tab = browser.new_page()
        tab.goto(address + "page.html")
        until(tab, "document.title === 'translated'")
        shown = tab.evaluate("document.getElementById('result').toDataURL()")
    found = Image.open(io.BytesIO(base64.b64decode(shown.partition(",")[2]))).convert("RGB")

    own, batch = predictor(faces.folder / "m.safetensors"), images.to_array([face])
    change = np.zeros_like(faces.condition[:1])
    young = faces.info.domains.names.index("Young")
    change[0, young] = 1 - 2 * faces.info.probabilities(own.classify(batch))[0, young].round()
    expected = images.to_pixels(own.generate(batch, change))[0]
    assert np.abs(np.asarray(found, int) - expected).max() <= 1


# ---------------------------------------------------------------- sources


@pytest.mark.parametrize("name", ["celeba", "cartoons"])
def test_shipped_models(name: str) -> None:
    """Reading checks that the weights found in the file give the images of its graph."""
    info, arrays = onnx_arrays.read(locations.locate(Path(name)), "tensorflow")
    assert info.classifier
    assert any(key.startswith("classifier/") for key in arrays)


# ---------------------------------------------------------------- refusals


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    source = model_file(tmp_path / "m.safetensors", MODELS["joint"])
    info, arrays, _ = safetensors_file.read(source)
    del arrays["generator/layers.0.weight"]
    safetensors_file.write(source, info, arrays, {})
    for name in ("m.keras", "m.tflite", "m_savedmodel"):
        with pytest.raises(ModelError, match=r"generator/layers\.0\.weight is missing"):
            export(source, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def test_existing_files_and_other_folders(tmp_path: Path) -> None:
    source = model_file(tmp_path / "m.safetensors", MODELS["joint"])
    old, other = tmp_path / "old_savedmodel", tmp_path / "my_savedmodel"
    for file in (tmp_path / "m.keras", old / "saved_model.pb", other / "diary.txt"):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    for path in (tmp_path / "m.keras", f"{old}/"):
        done = in_process("export", source, path)
        assert done.returncode == 2
        assert done.stderr.endswith("exists; say --overwrite to replace it\n")
    done = in_process("export", source, f"{other}/", "--overwrite")
    assert "contains something else than a SavedModel" in done.stderr
    assert (other / "diary.txt").is_file()
