"""Using a model: both kinds of file agree, images of any kind go in, bad files are refused in one line."""

import base64
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stargan
from stargan import cli, images
from stargan.domains import requests
from stargan.errors import ConfigError, DomainError, ImageError, MissingExtraError, ModelError
from stargan.inference import translator
from stargan.interop import export as exporting
from stargan.interop.export import export
from stargan.model import digest, run_folder, safetensors_file


@pytest.fixture(scope="module")
def model(run: Path) -> stargan.Translator:
    return stargan.load(run / "model.onnx")


def some(model: stargan.Translator, count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    width, height = model.image_size
    photos = rng.uniform(-1, 1, (count, 3, height, width)).astype(np.float32)
    return photos, model.domains.labels(model.domains.random_values(rng, count), 0)


def test_onnx_and_torch_agree(run: Path, model: stargan.Translator) -> None:
    other = stargan.load(run / "model.safetensors")
    photos, labels = some(model)
    assert np.abs(model.generate(photos, labels) - other.generate(photos, labels)).max() < 1e-4
    assert np.array_equal(model.values(photos), other.values(photos))
    assert model.info == other.info


def test_batch_equals_one_by_one(model: stargan.Translator) -> None:
    photos, labels = some(model)
    single = np.concatenate([model.generate(photos[i : i + 1], labels[i : i + 1]) for i in range(len(photos))])
    np.testing.assert_allclose(model.generate(photos, labels), single, atol=1e-5)
    assert model.generate(photos[:0], labels[:0]).shape == (0, 3, 16, 16)


def test_large_batches_are_split(model: stargan.Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    photos, labels = some(model)
    expected = model.generate(photos, labels)
    counts = []

    def generate(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        counts.append(len(images))
        return backend.generate(images, labels)

    backend = model._backend
    watched = stargan.Translator(model.info, type("Watched", (), {"generate": staticmethod(generate)})())
    for pixels, parts in ((2 * 16 * 16, [2, 2, 1]), (4 * 16 * 16, [3, 2]), (5 * 16 * 16, [5]), (1, [1] * 5)):
        monkeypatch.setattr(translator, "BATCH_PIXELS", pixels)
        counts.clear()
        np.testing.assert_allclose(watched.generate(photos, labels), expected, atol=1e-5)
        assert counts == parts


def test_translate_takes_any_image(model: stargan.Translator, tmp_path: Path) -> None:
    photo = Image.effect_noise((37, 53), 60)
    path = tmp_path / "p.png"
    photo.save(path)
    for given in (photo, path, str(path), path.read_bytes()):
        result = model.translate(given, {"red": 1})
        assert result.size == (37, 53)
        assert result.mode == "RGB"
    assert model.translate(path, ["red"]).tobytes() == model.translate(photo, ["red"]).tobytes()


def test_known_labels_override_the_estimate(model: stargan.Translator) -> None:
    photos, _ = some(model, 2)
    assert model.values(photos, ["green"])[:, model.domains.names.index("green")].tolist() == [1, 1]


def test_translate_all_names_all_domains(model: stargan.Translator) -> None:
    found = model.translate_all(Image.new("RGB", (20, 20), "red"))
    assert [word for word, _ in found] == ["blue", "green", "red"]


def test_labels_unknown_words_and_shapes(model: stargan.Translator) -> None:
    with pytest.raises(DomainError, match="did you mean red"):
        model.translate(Image.new("RGB", (9, 9)), ["reed"])
    photos, labels = some(model)
    with pytest.raises(DomainError, match=r"must be \(5, 3\)"):
        model.generate(photos, labels[:, :2])
    with pytest.raises(ImageError, match=r"must be \(N, 3, 16, 16\)"):
        model.generate(photos[:, :, :8], labels)


def test_run_folder_and_checkpoint_are_models_too(run: Path) -> None:
    assert stargan.load(run).info.steps == 12
    assert stargan.load(run_folder.checkpoints(run)[0]).info.steps == 5


def test_export_writes_what_was_read(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "a.safetensors")
    export(tmp_path / "a.safetensors", tmp_path / "b.onnx")
    photos, labels = some(stargan.load(run))
    assert np.array_equal(
        stargan.load(tmp_path / "b.onnx").generate(photos, labels), stargan.load(run).generate(photos, labels)
    )
    with pytest.raises(ModelError, match="exists; say --overwrite"):
        export(run, tmp_path / "b.onnx")
    with pytest.raises(ModelError, match="cannot write this kind"):
        export(run, tmp_path / "b.pt")
    with pytest.raises(ModelError, match="end product"):
        export(run / "model.onnx", tmp_path / "c.safetensors")


def test_onnx_that_differs_is_not_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="differ from those of pytorch"):
        export(run, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [".onnx", ".safetensors"])
def test_damaged_files_are_refused(kind: str, run: Path, tmp_path: Path) -> None:
    whole = (run / f"model{kind}").read_bytes()
    path = tmp_path / f"bad{kind}"
    rng = np.random.default_rng(0)
    spoiled = bytearray(whole)
    for position in rng.integers(0, 2000, 300):
        spoiled[position] = rng.integers(0, 256)
    for content in (b"", b"not a model", whole[: len(whole) // 2], whole[:20], bytes(spoiled)):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="bad"):
            stargan.load(path)


@pytest.mark.parametrize("content", ["", "no base64!", "bm90IGEgZ3JhcGg=", "of another size"])
def test_a_damaged_classifier(content: str, run: Path, model: stargan.Translator, tmp_path: Path) -> None:
    library = pytest.importorskip("onnx")
    graph = library.load(run / "model.onnx")
    (classifier,) = (entry for entry in graph.metadata_props if entry.key == "classifier")
    if content == "of another size":
        small = library.load_from_string(base64.b64decode(classifier.value))
        small.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 8
        content = base64.b64encode(small.SerializeToString()).decode()
    classifier.value = content
    kept = [entry for entry in graph.metadata_props if entry.key != digest.KEY]  # whoever changes it can drop this, too
    del graph.metadata_props[:]
    graph.metadata_props.extend(kept)
    library.save(graph, tmp_path / "bad.onnx")
    damaged = stargan.load(tmp_path / "bad.onnx")
    photos, _ = some(model, 2)
    with pytest.raises(ModelError, match=r"bad.onnx: its attribute classifier is damaged"):
        damaged.values(photos)
    known = ["red"]
    assert requests.fully_specified(model.domains, known)
    assert np.array_equal(damaged.values(photos, known), model.values(photos, known))  # nothing to estimate
    assert damaged.values(photos[:0], known).shape == (0, 3)


def test_missing_and_foreign_files(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        stargan.load(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="without model"):
        stargan.load(tmp_path)
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(ModelError, match="not a model file"):
        stargan.load(tmp_path / "x.txt")
    info, arrays, _ = safetensors_file.read(run / "model.safetensors")
    arrays.pop("generator/layers.0.weight")
    safetensors_file.write(tmp_path / "part.safetensors", info, arrays, {})
    with pytest.raises(ModelError, match=r"part.safetensors: generator/layers.0.weight is missing"):
        stargan.load(tmp_path / "part.safetensors")


# ---------------------------------------------------------------- OpenVINO


def test_openvino_gives_the_same_images(run: Path, model: stargan.Translator) -> None:
    pytest.importorskip("openvino")
    other = stargan.load(run, runtime="openvino")
    assert other.info == model.info
    photos, labels = some(model, 12)
    expected = model.generate(photos, labels)
    first = other.generate(photos, labels)
    assert np.abs(first - expected).max() < 1e-4
    assert np.array_equal(other.values(photos), model.values(photos))

    parts = [slice(start, start + 3) for start in range(0, 12, 3)]
    with ThreadPoolExecutor(4) as pool:  # other calls' results are not written over
        made = list(pool.map(lambda part: other.generate(photos[part], labels[part]), parts))
    assert np.abs(np.concatenate(made) - expected).max() < 1e-4
    assert np.abs(first - expected).max() < 1e-4


def test_openvino_in_the_shell(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    Image.effect_noise((24, 20), 90).convert("RGB").save(tmp_path / "a.png")
    command = ["translate", str(run), str(tmp_path / "a.png"), "--to", "red", "--out"]
    assert cli.main([*command, str(tmp_path / "one")]) == 0
    assert cli.main([*command, str(tmp_path / "other"), "--runtime", "openvino"]) == 0
    one, other = (np.asarray(Image.open(tmp_path / name / "a.red.png"), int) for name in ("one", "other"))
    assert np.abs(one - other).max() <= 1


def test_what_openvino_cannot_run(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.onnx").write_bytes((run / "model.onnx").read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"bad.onnx: damaged"):
        stargan.load(tmp_path / "bad.onnx", runtime="openvino")
    with pytest.raises(ModelError, match=r"model.safetensors: openvino runs .onnx files; `stargan export`"):
        stargan.load(run / "model.safetensors", runtime="openvino")
    with pytest.raises(ConfigError, match="runtime tensorrt: must be onnxruntime or openvino"):
        stargan.load(run, runtime="tensorrt")  # type: ignore[arg-type]
    openvino = pytest.importorskip("openvino")

    def fail(*_: object) -> None:
        raise RuntimeError("Exception from core.cpp:132:\nCheck failed:\nNo conversion rule for Foo\n\n")

    monkeypatch.setattr(openvino.Core, "compile_model", fail)
    with pytest.raises(ModelError, match=r"model.onnx: OpenVINO cannot run it \(No conversion rule for Foo\)$"):
        stargan.load(run, runtime="openvino")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'stargan\[openvino\]'"):
        stargan.load(run, runtime="openvino")


def test_missing_torch_says_what_to_install(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'stargan\[train\]'"):
        stargan.load(run / "model.safetensors")


def test_prepare_is_the_crop_and_scale_of_training(model: stargan.Translator, tmp_path: Path) -> None:
    photo = Image.effect_noise((24, 20), 90).convert("RGB")
    expected = images.to_array([images.fit(photo, (16, 16))])
    assert np.array_equal(model.prepare([photo]), expected)
