"""`stargan export FILE.onnx --quantize int8`."""

import base64
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stargan import load
from stargan.data import cartoons
from stargan.errors import ConfigError, DataError, ModelError, StarganError
from stargan.interop import comparison, onnx_arrays, onnx_int8
from stargan.interop.export import export
from stargan.interop.form import Form
from stargan.interop.sample_requests import requests, samples
from stargan.model import locations, onnx_file

onnx = pytest.importorskip("onnx")

CARTOONS = locations.locate(Path("cartoons"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces to calibrate on."""
    folder = tmp_path_factory.mktemp("drawn")
    for index in range(20):
        cartoons.draw(*cartoons.sample(1, index), 64).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def small(drawn: Path) -> Path:
    """The model `cartoons` in whole numbers."""
    export(CARTOONS, drawn.parent / "small.onnx", quantize="int8", calibrate=[drawn])
    return drawn.parent / "small.onnx"


def test_translations_stay_nearly_the_same(small: Path, drawn: Path) -> None:
    before, after = load(CARTOONS), load(small)
    assert small.stat().st_size < 0.7 * CARTOONS.stat().st_size  # whose weights are float16
    images = before.prepare(sorted(drawn.iterdir()))
    random, domains = np.random.default_rng(0), before.domains
    values = before.values(images)
    change = domains.random_changes(random, values, 0) - values
    theirs, ours = (model.generate(images, change.astype(np.float32)) for model in (before, after))
    assert 30 < 10 * np.log10(4 / np.square(theirs - ours).mean()) < 60
    assert (after.values(images) == values).mean() > 0.97


def test_both_graphs_are_in_whole_numbers(small: Path) -> None:
    content = onnx_file.read(small)
    for serialised, everything in ((content.generator, False), (base64.b64decode(content.classifier), True)):
        graph = onnx.load_from_string(serialised).graph
        kernels = [array for array in graph.initializer if len(array.dims) == 4]
        whole = [array for array in kernels if array.data_type == onnx.TensorProto.INT8]
        assert 0.7 * len(kernels) < len(whole) <= len(kernels)
        assert (len(whole) == len(kernels)) == everything
        assert {node.domain for node in graph.node} <= {"", "ai.onnx"}
        assert not graph.value_info


def test_it_is_an_end_product(small: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^\S+small.onnx: is in int8; export the model that it was made of instead"):
        onnx_arrays.read(small)
    info = onnx_file.describe(small, tmp_path / "copy.onnx", lambda info: replace(info, licence="mine"))
    assert info.licence == "mine"


def test_only_convolutions_that_another_layer_follows() -> None:
    helper, numbers = onnx.helper, onnx.numpy_helper
    names = ("first", "second", "other", "last")
    kernels = [numbers.from_array(np.ones((3, 3, 1, 1), np.float32), name) for name in names]
    nodes = [  # without names, as TensorFlow's engine leaves them
        helper.make_node("Conv", ["x", "first"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "second"], ["c"]),
        helper.make_node("Conv", ["b", "other"], ["d"]),
        helper.make_node("Add", ["c", "b"], ["e"]),
        helper.make_node("Conv", ["e", "last"], ["f"]),
    ]
    shape = ["batch", 3, 8, 8]
    x, f, d = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in "xfd")
    graph = helper.make_graph(nodes, "g", [x], [f, d], kernels)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    model.metadata_props.add(key="where", value="/home/someone")
    images = np.random.default_rng(0).uniform(-1, 1, (1, 3, 8, 8)).astype(np.float32)
    made = onnx.load_from_string(onnx_int8.quantize(model.SerializeToString(), [{"x": images}]))
    stored = {array.name: array.data_type for array in made.graph.initializer if len(array.dims) == 4}
    whole = {name for name, kind in stored.items() if kind == onnx.TensorProto.INT8}
    assert whole == {"first_quantized", "second_quantized"}
    assert stored.keys() - whole == {"other", "last"}
    assert not made.metadata_props


def test_a_graph_with_nothing_to_quantize() -> None:
    helper = onnx.helper
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    content = helper.make_model(graph).SerializeToString()
    assert onnx_int8.quantize(content, [{"x": np.ones(1, np.float32)}]) == content


def test_it_says_what_the_file_is_like(drawn: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    export(CARTOONS, tmp_path / "m.onnx", quantize="int8", calibrate=sorted(drawn.iterdir())[:3])
    said = [record.getMessage() for record in caplog.records if record.name.startswith("stargan")]
    assert said[0] == "m.onnx: calibrating on 1 image"
    assert said[1].startswith("m.onnx: int8, ")
    assert " in float32, --plain), PSNR " in said[1]
    assert said[1].endswith("dB against float32 (2 of the images)")
    assert len(said) == 2


def test_the_tools_leave_logging_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root.manager, "disable", logging.ERROR)
    with onnx_int8._quiet():
        logging.warning("which would add a handler if there were none")
        assert logging.root.manager.disable == logging.ERROR
    assert logging.root.handlers == []
    assert logging.root.manager.disable == logging.ERROR


def test_a_file_is_kept_if_the_new_one_does_not_run(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"kept")
    quantized = onnx_int8.quantize
    broken = lambda graph, feeds: quantized(graph, feeds)[:-100]  # noqa: E731
    monkeypatch.setattr(onnx_int8, "quantize", broken)
    with pytest.raises(ModelError):
        export(CARTOONS, path, quantize="int8", calibrate=[drawn], overwrite=True)
    assert path.read_bytes() == b"kept"
    assert list(tmp_path.iterdir()) == [path]


def test_images_that_are_no_numbers(tmp_path: Path) -> None:
    batch = (np.zeros((1, 3, 2, 2), np.float32), np.zeros((1, 1), np.float32))
    with (
        pytest.raises(ModelError, match=r"m.onnx: ONNX Runtime cannot write it \(its images have numbers that are not"),
        comparison.in_one_line(tmp_path / "m.onnx", "ONNX Runtime"),
    ):
        comparison.measure(tmp_path, lambda images, _: images * np.nan, lambda images, _: images, [batch])


def test_a_difference_that_one_sees(caplog: pytest.LogCaptureFixture) -> None:
    form = Form(quantize="int8", calibrate=(Path("photos"),))
    found = comparison.Measured(1000, 1.0, "", 0.5, 29.9, 8)
    comparison.report(Path("m.onnx"), found, form, "--half changes")
    comparison.report(Path("n.onnx"), replace(found, psnr=30.1), form, "--half changes")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "m.onnx: int8 changes its images visibly, by more than 30 dB allow; --half changes less"
    ]


@pytest.mark.parametrize("count", [1, 2, 5, 20, 300])
def test_images_are_to_calibrate_on_or_to_compare(count: int, tmp_path: Path) -> None:
    for index in range(count):
        cartoons.draw(*cartoons.sample(1, index), 32).save(tmp_path / f"{index}.png")
    info = onnx_file.read(CARTOONS).info
    calibration, measured = samples([tmp_path], info)
    assert len(measured) == {1: 1, 2: 1, 5: 3}.get(count, 8)
    assert len(calibration) == {1: 1, 2: 1, 5: 2, 20: 12}.get(count, 192)
    assert (count == 1) == bool({each.tobytes() for each in calibration} & {each.tobytes() for each in measured})
    for images, condition in requests(measured, info, None):
        assert (images.shape, images.dtype) == ((1, 3, 64, 64), np.float32)
        assert (condition.dtype, condition.any()) == (np.float32, True)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("m.onnx", {"quantize": "int8"}, ConfigError, "--quantize int8: needs --calibrate IMAGES"),
        (
            "m.onnx",
            {"quantize": "dynamic"},
            ModelError,
            "--quantize dynamic is only for .tflite files; say --quantize int",
        ),
        ("m.onnx", {"quantize": "float16"}, ModelError, "--quantize float16 is only for .tflite files; say --half"),
        ("m.onnx", {"calibrate": ["photos"]}, ConfigError, "--calibrate: is only for --quantize int8"),
        ("m.onnx", {"quantize": "int8", "half": True}, ConfigError, "leave out --half or --quantize int8"),
        ("m.keras", {"quantize": "int8"}, ModelError, "--quantize is only for .onnx and .tflite files"),
        ("m.onnx", {"quantize": "int8", "calibrate": ["/no/photos"]}, DataError, "/no/photos: no such file"),
        ("m.onnx", {"quantize": "int8", "calibrate": [""]}, DataError, "no images in this folder"),
    ],
)
def test_refused(name: str, options: dict, error: type[StarganError], message: str, tmp_path: Path) -> None:
    if "calibrate" in options:
        options = options | {"calibrate": [tmp_path / each for each in options["calibrate"]]}
    with pytest.raises(error, match=message):
        export(CARTOONS, tmp_path / name, **options)
    assert not any(tmp_path.iterdir())
