"""Model files that strangers made: nothing in them runs for long, fills the memory or gives other people's images."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stargan
from stargan.errors import ModelError
from stargan.faces import network
from stargan.inference.load import describe
from stargan.model import locations, onnx_graph, onnx_session
from stargan.model.info import ModelInfo

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper

SIDE = 16
DESCRIPTION: dict[str, Any] = {
    "format": "stargan-model-2",
    "domains": [{"name": "d", "groups": [{"names": ["a"], "categorical": False, "name": ""}]}],
    "architecture": {"image_size": [SIDE, SIDE]},
}


def node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(operator, inputs.split(" "), [output], **attributes)


def array(name: str, values: Any, kind: Any = np.float32) -> Any:
    return numpy_helper.from_array(np.asarray(values, kind), name)


def value(name: str, shape: Sequence[int | str] | None, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


IMAGES, LABELS = value("images", ["N", 3, SIDE, SIDE]), value("labels", ["N", 1])


def model(nodes: Sequence[Any], arrays: Sequence[Any] = (), inputs: Any = None, classifier: Any = None) -> Any:
    """A model file whose graph has these nodes, from `images` and `labels` to `translated`."""
    graph = helper.make_graph(nodes, "g", inputs or [IMAGES, LABELS], [value("translated", None)], list(arrays))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    made.metadata_props.add(key="stargan", value=json.dumps({**DESCRIPTION, "classifier": classifier is not None}))
    if classifier is not None:
        made.metadata_props.add(key="classifier", value=classifier)
    return made


def classifier(nodes: Sequence[Any], arrays: Sequence[Any] = (), inputs: Any = None) -> str:
    graph = helper.make_graph(nodes, "c", inputs or [IMAGES], [value("logits", None)], list(arrays))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return base64.b64encode(made.SerializeToString()).decode()


SAME = node("Identity", "images", "translated")
ADD = node("Add", "images r", "translated")
SUM = node("ReduceSum", "big", "r", keepdims=0)


def saved(path: Path, made: Any) -> Path:
    path.write_bytes(made.SerializeToString())
    return path


def refusal(path: Path, made: Any = None) -> str:
    """The line with which a model is refused, at loading or at its first image."""
    if made is not None:
        saved(path, made)
    with pytest.raises(ModelError) as caught:
        used(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def used(path: Path) -> None:
    loaded = stargan.load(path)
    loaded.values(photos(2))
    loaded.generate(photos(2), np.zeros((2, 1), np.float32))


def photos(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, 3, SIDE, SIDE)).astype(np.float32)


def test_a_small_model_works(tmp_path: Path) -> None:
    """What the other tests change is not damaged before."""
    loaded = stargan.load(saved(tmp_path / "a.onnx", model([SAME])))
    assert np.array_equal(loaded.generate(photos(3), np.zeros((3, 1), np.float32)), photos(3))
    arrays = [array("axes", [1, 2, 3], np.int64), array("last", [1], np.int64)]
    mean = [node("ReduceMean", "images axes", "m", keepdims=0), node("Unsqueeze", "m last", "logits")]
    estimating = model([SAME], classifier=classifier(mean, arrays))
    assert stargan.load(saved(tmp_path / "a.onnx", estimating)).values(photos(3)).shape == (3, 1)


# ---------------------------------------------------------------- graphs that compute without end

DOUBLED = [node("ConstantOfShape", "one", "d0", value=array("v", [1])),
           *(node("Concat", f"d{i} d{i}", f"d{i + 1}", axis=0) for i in range(33)),
           node("ReduceSum", "d33", "r", keepdims=0), ADD]  # fmt: skip
ONE = array("one", [1], np.int64)
LARGE = array("large", [100_000, 100_000], np.int64)
BOMBS = {
    "doubled": (DOUBLED, [ONE]),
    "concatenated": ([node("Concat", "a a", "d0", axis=0),
                      *(node("Concat", f"d{i} d{i}", f"d{i + 1}", axis=0) for i in range(33)),
                      node("ReduceSum", "d33", "r", keepdims=0), ADD], [array("a", [1])]),
    "of int8": ([node("DequantizeLinear", "a scale", "f"), node("QuantizeLinear", "f scale", "q"),
                 node("DequantizeLinear", "q scale", "d0"),
                 *(node("Concat", f"d{i} d{i}", f"d{i + 1}", axis=0) for i in range(33)),
                 node("ReduceSum", "d33", "r", keepdims=0), ADD],
                [array("a", [1], np.int8), array("scale", 0.5)]),
    "filled": ([node("ConstantOfShape", "large", "big"), SUM, ADD], [LARGE]),
    "expanded": ([node("Expand", "a large", "big"), SUM, ADD], [array("a", 1), LARGE]),
    "broadcast": ([node("Add", "a b", "big"), SUM, ADD],
                  [array("a", np.zeros((9000, 1))), array("b", np.zeros((1, 9000)))]),
    "einsum": ([node("Einsum", "a b", "big", equation="i,j->ij"), SUM, ADD],
               [array("a", np.zeros(9000)), array("b", np.zeros(9000))]),
    "resized": ([node("Resize", "a  s", "big"), SUM, ADD],
                [array("a", np.zeros((1, 1, 99, 99))), array("s", [1, 1, 9999, 9999])]),
    "of a shape": ([node("Shape", "images", "s", start=1), node("Mul", "s s", "t"), node("Mul", "t t", "u"),
                    node("ConstantOfShape", "u", "big"), SUM, ADD], []),
    "of a product": ([node("Cast", "large", "f", to=TensorProto.FLOAT), node("Cast", "f", "s", to=TensorProto.INT64),
                      node("Expand", "a s", "big"), SUM, ADD], [array("a", 1), LARGE]),
    "many": ([*(n for i in range(40) for n in (
        node("Expand", "a size", f"b{i}"), node("ReduceSum", f"b{i}", f"r{i}", keepdims=0),
        node("Add", f"{f't{i}' if i else 'images'} r{i}", "translated" if i == 39 else f"t{i + 1}")))],
        [array("a", 1), array("size", [5000, 5000], np.int64)]),
    "of images": ([node("Concat", "images images", "d0", axis=1),
                   *(node("Concat", f"d{i} d{i}", f"d{i + 1}", axis=1) for i in range(33)),
                   node("ReduceSum", "d33", "r", keepdims=0), ADD], []),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_small_graphs_cannot_fill_the_memory(name: str, tmp_path: Path) -> None:
    """In a process of its own, which may take 2 GB, less than each of these would."""
    saved(tmp_path / "a.onnx", model(*BOMBS[name]))
    code = (
        "import os, sys, numpy as np, stargan\n"
        "real = os.sysconf\n"
        "os.sysconf = lambda n: 2**31 // real('SC_PAGE_SIZE') if n == 'SC_PHYS_PAGES' else real(n)  # a small machine\n"
        "try:\n"
        f"    stargan.load(sys.argv[1]).generate(np.zeros((1, 3, {SIDE}, {SIDE})), np.zeros((1, 1)))\n"
        "    sys.exit('it ran')\n"
        "except stargan.errors.ModelError as error: print(error)\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.onnx")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    line, peak = done.stdout.splitlines()
    assert line.startswith(f"{tmp_path / 'a.onnx'}: its graph ")
    assert int(peak) < 2_000_000


def body() -> Any:
    nodes = [node("Identity", "c", "c2"), node("Identity", "x", "x2")]
    inputs = [value("i", [], TensorProto.INT64), value("c", [], TensorProto.BOOL), value("x", [])]
    return helper.make_graph(nodes, "b", inputs, [value("c2", [], TensorProto.BOOL), value("x2", [])])


REFUSED: dict[str, tuple[Any, list[Any], str]] = {
    "loop": ([node("Loop", "m t x0", "r", body=body()), ADD],
             [array("m", 2**62, np.int64), array("t", True, bool), array("x0", 0)], "operator 'Loop'"),
    "custom": ([helper.make_node("Identity", ["images"], ["translated"], domain="evil")], [], "operator 'Identity'"),
    "sequence": ([node("SequenceConstruct", "images", "translated")], [], "operator 'SequenceConstruct'"),
    "random": ([node("RandomNormalLike", "images", "translated")], [], "operator 'RandomNormalLike'"),
    "graph inside": ([node("Relu", "images", "translated", body=body())], [], "Relu with a graph"),
    "float8": ([node("Cast", "a", "r", to=TensorProto.FLOAT), ADD],
               [helper.make_tensor("a", TensorProto.FLOAT8E4M3FN, [1], [1.0])], "array 'a' has a type (number 17"),
    "text": ([SAME], [numpy_helper.from_array(np.array(["x"], object), "a")], "array 'a' has a type (number 8"),
    "too short": ([ADD], [onnx.TensorProto(name="r", data_type=1, dims=[1000, 1000], raw_data=b"\0" * 8)],
                  "array 'r' has the shape [1000, 1000], but 2 elements"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_graphs_that_no_model_has(name: str, tmp_path: Path) -> None:
    nodes, arrays, expected = REFUSED[name]
    assert expected in refusal(tmp_path / "a.onnx", model(nodes, arrays))
    inside = classifier([*nodes, node("ReduceMean", "images", "logits")], arrays)
    line = refusal(tmp_path / "b.onnx", model([SAME], classifier=inside))
    assert line.startswith("its attribute classifier is damaged (")
    assert expected in line


def test_no_other_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\0" * 4)
    made = model([ADD], [array("r", [0])])
    stored = made.graph.initializer[0]
    stored.ClearField("raw_data")
    stored.data_location = TensorProto.EXTERNAL
    stored.external_data.add(key="location", value="secret")
    assert "stored in another file" in refusal(tmp_path / "a.onnx", made)


def test_functions_are_refused(tmp_path: Path) -> None:
    made = model([SAME])
    made.functions.append(helper.make_function("x", "f", ["a"], ["b"], [node("Identity", "a", "b")], []))
    assert "contains functions" in refusal(tmp_path / "a.onnx", made)


# ---------------------------------------------------------------- what a graph takes and gives

AXIS = array("ax", [2], np.int64)
ZERO, END = array("s", [0], np.int64), array("x", [0], np.int64)
WRONG: dict[str, tuple[Any, str]] = {
    "one number": (model([node("ReduceMean", "images", "translated", keepdims=0)]), "float32 of shape () where"),
    "other shape": (model([node("ReduceMean", "images ax", "translated")], [AXIS]), "of shape (2, 3, 1, 16) where"),
    "nothing": (model([node("Slice", "images s s x", "translated")], [ZERO, END]), "of shape (0, 3, 16, 16) where"),
    "twice as many": (model([node("Concat", "images images", "translated", axis=0)]), "of shape (4, 3, 16, 16) where"),
    "whole numbers": (model([node("Cast", "images", "translated", to=TensorProto.FLOAT)],
                            inputs=[value("images", ["N", 3, SIDE, SIDE], TensorProto.INT64), LABELS]),
                      "does not fit its graph, whose inputs are images tensor(int64) ["),
    "only seven": (model([SAME], inputs=[value("images", [7, 3, SIDE, SIDE]), value("labels", [7, 1])]),
                   "does not fit its graph"),
    "without labels": (model([SAME], inputs=[IMAGES]), "does not fit its graph"),
    "one input more": (model([SAME], inputs=[IMAGES, LABELS, value("other", ["N", 1])]), "does not fit its graph"),
    "not a number": (model([node("Div", "z z", "q"), node("Mul", "images q", "translated")], [array("z", 0)]),
                     "numbers that are not finite"),
    "cannot run": (model([node("Reshape", "images t", "translated")], [array("t", [7, 7], np.int64)]), "cannot be run"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_results_are_checked(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made, expected = WRONG[name]
    assert expected in refusal(tmp_path / "a.onnx", made)
    assert capfd.readouterr() == ("", "")  # nothing that ONNX Runtime prints


@pytest.mark.parametrize(
    ("nodes", "arrays", "expected"),
    [
        ([node("ReduceMean", "images", "logits", keepdims=0)], [], "float32 of shape () where float32 of shape (2, 1)"),
        ([node("ReduceMean", "images axes", "logits", keepdims=0)], [array("axes", [2, 3], np.int64)], "shape (2, 3)"),
        ([node("Reshape", "images axes", "logits")], [array("axes", [7, 7], np.int64)], "cannot be run"),
    ],
)
def test_logits_are_checked(nodes: Any, arrays: Any, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(tmp_path / "a.onnx", model([SAME], classifier=classifier(nodes, arrays)))


def test_openvino_has_the_same_bounds(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    for name in ("doubled", "many", "filled"):
        saved(tmp_path / "a.onnx", model(*BOMBS[name]))
        with pytest.raises(ModelError, match="its graph"):
            stargan.load(tmp_path / "a.onnx", runtime="openvino")
    with pytest.raises(ModelError, match="not finite"):
        stargan.load(saved(tmp_path / "a.onnx", WRONG["not a number"][0]), runtime="openvino")


# ---------------------------------------------------------------- damaged files


def test_any_damage_gets_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Bytes changed, cut and put in; whatever still loads gives images of the right shape."""
    whole = model([node("Add", "images r", "translated")], [array("r", np.zeros(3 * SIDE).reshape(3, SIDE, 1))])
    content, rng = whole.SerializeToString(), np.random.default_rng(0)
    for _ in range(150):
        spoiled = bytearray(content)
        for position in rng.integers(0, len(content), rng.integers(1, 4)):
            spoiled[position] = rng.integers(0, 256)
        cut = rng.integers(0, len(content)) if rng.random() < 0.2 else len(content)
        (tmp_path / "a.onnx").write_bytes(spoiled[:cut])
        try:
            made = stargan.load(tmp_path / "a.onnx").generate(photos(1), np.zeros((1, 1), np.float32))
            assert made.shape == (1, 3, SIDE, SIDE)
        except stargan.errors.StarganError as error:
            assert "\n" not in str(error)  # noqa: PT017
    assert capfd.readouterr() == ("", "")


def test_metadata_that_is_no_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = bytearray(locations.locate(Path("cartoons"), locations.BEST_FOR_USE).read_bytes())
    content[content.find(b"torch")] = 0xFF  # the name of the program that made it
    (tmp_path / "a.onnx").write_bytes(content)
    try:
        stargan.load(tmp_path / "a.onnx")
    except ModelError as error:
        assert "damaged" in str(error)  # noqa: PT017
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------- what is never run, and what must load


def test_the_description_is_read_without_loading_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a graph was loaded")

    monkeypatch.setattr(onnx_session, "session", refuse)
    assert describe(saved(tmp_path / "a.onnx", model(DOUBLED, [ONE]))).domains.names == ("a",)
    assert describe("celeba") == describe(locations.SHIPPED / "celeba.onnx")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.onnx")
    with pytest.raises(ModelError, match=r"a\.onnx: cannot be read \(a pipe, socket or device"):
        stargan.load(tmp_path / "a.onnx")


@pytest.mark.parametrize("name", ["celeba", "cartoons"])
def test_shipped_models_pass(name: str) -> None:
    content = (locations.SHIPPED / f"{name}.onnx").read_bytes()
    onnx_graph.check(content)
    assert ModelInfo.loads(onnx_graph.metadata(content)["stargan"]) == describe(name)


def test_the_face_finder_passes() -> None:
    onnx_graph.check(network.WEIGHTS.read_bytes())


GENERATOR = [  # the operators of an edit generator, which works at a quarter of the size
    node("SpaceToDepth", "images", "a", blocksize=4),
    node("Shape", "a", "shape"),
    node("Slice", "shape zero one", "n"),
    node("Concat", "n sides", "full", axis=0),
    node("ConstantOfShape", "full", "blank"),
    node("Unsqueeze", "labels two_three", "l4"),
    node("Expand", "l4 planes", "planes2"),
    node("Concat", "a blank planes2", "b", axis=1),
    node("Pad", "b pads", "c"),
    node("Conv", "c kernel", "d"),
    node("InstanceNormalization", "d scale shift", "e"),
    node("LeakyRelu", "e", "f"),
    node("Softmax", "f", "g", axis=1),
    node("Sigmoid", "f", "h"),
    node("Where", "mask g h", "i"),
    node("DepthToSpace", "i", "j", blocksize=4),
    node("Tanh", "j", "k"),
    node("Clip", "k low high", "translated"),
]
STORED = [
    array("zero", [0], np.int64), array("one", [1], np.int64), array("two_three", [2, 3], np.int64),
    array("sides", [1, 4, 4], np.int64), array("planes", [1, 1, 4, 4], np.int64),
    array("pads", [0, 0, 1, 1, 0, 0, 1, 1], np.int64), array("scale", np.ones(48)),
    array("shift", np.zeros(48)), array("mask", [True], bool),
    array("low", -1.0), array("high", 1.0),
    array("kernel", np.random.default_rng(0).normal(size=(48, 50, 3, 3))),
]  # fmt: skip


def test_an_edit_generator_passes(tmp_path: Path) -> None:
    loaded = stargan.load(saved(tmp_path / "a.onnx", model(GENERATOR, STORED)))
    for count in (1, 3):
        made = loaded.generate(photos(count), np.ones((count, 1), np.float32))
        assert made.shape == (count, 3, SIDE, SIDE)
        assert made.std() > 0


# ---------------------------------------------------------------- .safetensors


def weights(path: Path, arrays: dict[str, Any], **architecture: Any) -> Path:
    safetensors = pytest.importorskip("safetensors.torch")
    info = {**DESCRIPTION, "architecture": {"image_size": [SIDE, SIDE], **architecture}}
    path.write_bytes(safetensors.save(arrays, metadata={"stargan": json.dumps(info)}))
    return path


def test_sizes_are_compared_before_networks_are_built(tmp_path: Path) -> None:
    """900 bytes that state networks of 1.2 TB."""
    torch = pytest.importorskip("torch")
    path = weights(tmp_path / "a.safetensors", {}, width=1024, blocks=1000)
    assert path.stat().st_size < 1000
    assert refusal(path) == "generator/layers.0.weight is missing"
    weights(path, {"generator/layers.0.weight": torch.zeros(4, 4, 7, 7)}, width=1024, blocks=1000)
    assert refusal(path) == "generator/layers.0.weight has shape (4, 4, 7, 7), not (1024, 4, 7, 7)"


@pytest.mark.parametrize(
    ("kind", "expected"), [("bfloat16", "BF16"), ("float8_e4m3fn", "F8_E4M3"), ("int32", "I32"), ("bool", "BOOL")]
)
def test_types_of_arrays(kind: str, expected: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    arrays = {"generator/layers.0.weight": torch.zeros(64, 4, 7, 7).to(getattr(torch, kind))}
    line = refusal(weights(tmp_path / "a.safetensors", arrays))
    assert line == f"its array generator/layers.0.weight has the type {expected}; must be F32, F16, F64"


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_arrays_are_finite(number: float, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = weights(tmp_path / "a.safetensors", {"generator/layers.1.bias": torch.full((64,), number)})
    assert refusal(path) == "its array generator/layers.1.bias contains numbers that are not finite"


def test_a_pipe_as_safetensors(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    os.mkfifo(tmp_path / "a.safetensors")
    assert refusal(tmp_path / "a.safetensors") == "cannot be read (a pipe, socket or device, not a file)"


# ---------------------------------------------------------------- descriptions


@pytest.mark.parametrize(
    "extra",
    [
        '"quality": {"x": NaN}',
        '"quality": {"x": 1e999}',
        '"data": [{"n": -Infinity}]',
        '"data": [{"n": [1e999]}]',
        '"steps": ' + "9" * 5000,
        '"quality": {"x": ' + "9" * 400 + "}",
        '"licence": "' + "x" * 2**24 + '"',
        '"data": ' + "[" * 100_000,
    ],
)
def test_descriptions_out_of_bounds(extra: str) -> None:
    text = json.dumps(DESCRIPTION)
    assert ModelInfo.loads(text).domains.names == ("a",)
    with pytest.raises(ModelError, match="its description ") as caught:
        ModelInfo.loads(f"{text[:-1]}, {extra}}}")
    assert len(str(caught.value)) < 300


def test_what_is_written_is_json() -> None:
    info = replace(ModelInfo.loads(json.dumps(DESCRIPTION)), quality={"val/hit": float("nan"), "val/rec": 0.5})
    assert ModelInfo.loads(info.dumps()).quality == {"val/rec": 0.5}
