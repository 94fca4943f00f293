"""Checks `.onnx` files before anything loads them, and reads their metadata.

Loading a graph runs parts of it: ONNX Runtime and OpenVINO compute all constants. So a file of 600 bytes can fill the
memory, or never end. This module reads the file itself and lets only graphs pass that cannot do that. An `.onnx` file
is a message in the encoding of Protocol Buffers (protobuf.dev/programming-guides/encoding); the field numbers are those
of `onnx.proto` (github.com/onnx/onnx).
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from stargan.errors import ModelError

MAX_BYTES = 2**31 - 1
"""Size of a file, at most; Protocol Buffers do not allow more."""
MAX_NODES = 100_000
MAX_FILLS = 16
"""Constants of a size that only the runtime knows, at most: they can be large, and ONNX Runtime bounds each of them."""
GROWTH = 16
"""How many elements may be computed as constants for each element that is stored (and `FREE` more). Weights that are
stored as float16 count 1 for 1, and the kernels of a fast generator 4 for 1."""
FREE = 2**22

OPERATORS = frozenset({
    # ---- of our exports and of the face finder
    "Add", "Cast", "Concat", "Conv", "ConvTranspose", "DequantizeLinear", "Einsum", "Expand", "Gather", "Gemm",
    "InstanceNormalization", "LeakyRelu", "Less", "MatMul", "Mul", "Pad", "QuantizeLinear", "Reciprocal", "ReduceMean",
    "Relu", "Reshape", "Resize", "Sigmoid", "Slice", "Split", "Sqrt", "Sub", "Tanh", "Transpose", "Unsqueeze", "Where",
    # ---- of other generators and classifiers that fit the same inputs and outputs
    "Abs", "And", "AveragePool", "BatchNormalization", "Clip", "Constant", "ConstantOfShape", "DepthToSpace", "Div",
    "Elu", "Equal", "Erf", "Exp", "Flatten", "Gelu", "GlobalAveragePool", "Greater", "GreaterOrEqual",
    "GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "LayerNormalization", "LessOrEqual", "Log", "Max",
    "MaxPool", "Min", "Mish", "Neg", "Not", "Or", "Pow", "PRelu", "ReduceMax", "ReduceMin", "ReduceSum", "Shape",
    "Softmax", "Softplus", "SpaceToDepth", "Squeeze", "Sum", "Tan",
})  # fmt: skip
"""The operators that a graph may have. None of them contains another graph, repeats anything or reads a file."""

_UNBOUNDED = frozenset({"ConstantOfShape", "Conv", "ConvTranspose", "Expand", "Pad", "Resize"})
_PRODUCTS = frozenset({
    "Add", "And", "Div", "Equal", "Gather", "Gemm", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "MatMul", "Max",
    "Min", "Mul", "Or", "Pow", "PRelu", "Sub", "Sum", "Where",
})  # fmt: skip
# Their results have at most as many elements as the product of all inputs.
_SAME_SHAPE = frozenset({"Cast", "DequantizeLinear", "Identity", "QuantizeLinear"})  # as the first input
# By data type: bytes of an element. float, uint8, int8, int32, int64, bool, float16, double.
_TYPES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}

Shape = tuple[int, ...]
Fields = list[tuple[int, Any]]


def metadata(model: bytes) -> dict[str, str]:
    """Reads the metadata of an `.onnx` file, and nothing else.

    Raises:
        ModelError: The file is damaged.
    """
    with _damage():
        entries = [dict(_fields(value)) for number, value in _fields(model) if number == 14]
        return {_text(entry.get(1, b"")): _text(entry.get(2, b"")) for entry in entries}


def without_metadata(model: bytes) -> bytes:
    """The same file without its metadata, which runtimes do not need.

    Raises:
        ModelError: The file is damaged.
    """
    with _damage():
        view, kept, position = memoryview(model), [], 0
        while position < len(view):
            (number, _), end = _field(view, position)
            kept += [] if number == 14 else [view[position:end]]
            position = end
        return b"".join(kept)


def check(model: bytes) -> None:
    """Checks that a graph is safe to load.

    Raises:
        ModelError: The file is damaged; it refers to other files or contains functions; an operator is not in
            `OPERATORS`; an array has another size than its shape says, or a type that no model has; or the graph
            computes more constants than it could need.
    """
    with _damage():
        fields = _fields(model)
        (graph,) = [value for number, value in fields if number == 7]
        if any(number in (20, 25) for number, _ in fields):
            raise ModelError("its graph contains functions or training steps, which no model of stargan has")
        _check_graph(_fields(graph))


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """Turns what a damaged message causes, such as a number where bytes should be, into a ModelError."""
    try:
        yield
    except (TypeError, ValueError, KeyError, UnicodeDecodeError) as error:
        raise ModelError("damaged or not an .onnx file") from error


def _check_graph(graph: Fields) -> None:
    if any(number == 15 for number, _ in graph):
        raise ModelError("its graph contains sparse arrays, which no model of stargan has")
    shapes: dict[str, Shape | None] = {}  # of constants; None if only the runtime knows
    for number, value in graph:
        if number == 5:  # initializer
            name, shape = _tensor(value)
            shapes[name] = shape
    nodes = [_fields(value) for number, value in graph if number == 1]
    if len(nodes) > MAX_NODES:
        raise ModelError(f"its graph has {len(nodes)} operations; at most {MAX_NODES} are allowed")
    left = FREE + GROWTH * sum(math.prod(shape) for shape in shapes.values() if shape is not None)
    fills = 0
    for node in nodes:
        outputs, computed = _constant(node, shapes)
        if not outputs:
            continue
        shapes |= dict.fromkeys(outputs, computed)
        fills += computed is None
        left -= len(outputs) * math.prod(computed or ())
        if left < 0 or fills > MAX_FILLS:
            raise ModelError("its graph computes far more constants than a model needs")


def _constant(node: Fields, shapes: dict[str, Shape | None]) -> tuple[list[str], Shape | None]:
    """Checks a node. If it computes constants, returns their names, and the shape or just the number of elements."""
    operator, attributes = _node(node)
    inputs = [_text(value) for number, value in node if number == 1 and len(value)]
    outputs = [_text(value) for number, value in node if number == 2]
    if operator == "Shape":  # of what is not constant: runtimes may know it all the same
        return outputs, (8,)
    if operator == "Constant":
        return outputs, (max((size for size, _ in attributes.values()), default=0),)
    if not all(name in shapes for name in inputs):
        return [], None
    known = [shape for name in inputs if (shape := shapes[name]) is not None]
    if operator in _UNBOUNDED or len(known) < len(inputs) or not known:
        return outputs, None
    if operator in _SAME_SHAPE:
        return outputs, known[0]
    if operator == "Einsum":
        return outputs, _einsum(attributes["equation"][1], known)
    sizes = [math.prod(shape) for shape in known]
    return outputs, (math.prod(max(1, size) for size in sizes) if operator in _PRODUCTS else sum(sizes),)


def _node(node: Fields) -> tuple[str, dict[str, tuple[int, str]]]:
    """Checks a node's operator and attributes; returns the operator and, by attribute, its elements and its text."""
    single = dict(node)
    operator = _text(single.get(4, b""))
    if operator not in OPERATORS or _text(single.get(7, b"")) not in ("", "ai.onnx") or single.get(8):
        raise ModelError(f"its graph contains the operator {operator[:40]!r}, which no model of stargan has")
    attributes = {}
    for number, value in node:
        if number != 5:
            continue
        attribute = _fields(value)
        if any(field in (6, 10, 11, 14, 15, 22, 23) for field, _ in attribute):
            raise ModelError(f"its graph contains a {operator} with a graph, a type or a list of arrays in it")
        tensors = [_tensor(content) for field, content in attribute if field == 5]
        entry = dict(attribute)
        size = sum(math.prod(shape) for _, shape in tensors) + sum(
            len(content) if isinstance(content, memoryview) else 1 for field, content in attribute if field in (7, 8)
        )
        attributes[_text(entry.get(1, b""))] = (max(size, 1), _text(entry.get(4, b"")))
    return operator, attributes


def _einsum(equation: str, shapes: list[Shape]) -> Shape:
    """The shape of an Einsum of constants, from an equation such as `tk,kio->tio`."""
    inputs, _, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if [len(term) for term in terms] != [len(shape) for shape in shapes] or not (inputs + output).replace(
        ",", ""
    ).isalpha():
        raise ModelError(f"its graph contains an Einsum of constants with the equation {equation[:40]!r}")
    sides = {
        letter: side
        for term, shape in zip(terms, shapes, strict=True)
        for letter, side in zip(term, shape, strict=True)
    }
    return tuple(sides[letter] for letter in output)


def _tensor(message: memoryview) -> tuple[str, Shape]:
    """Checks that a stored array has a known type and as many bytes as its shape says; returns its name and shape."""
    fields = _fields(message)
    dims = [side for number, value in fields if number == 1 for side in _integers(value)]
    single = dict(fields)
    name = _text(single.get(8, b""))
    label = f"its graph's array {name[:40]!r}"
    if single.get(14) or 13 in single or 3 in single:
        raise ModelError(f"{label} is stored in another file or in parts, which no model of stargan has")
    size = _TYPES.get(single.get(2, 0))
    if size is None or 6 in single:
        raise ModelError(f"{label} has a type (number {single.get(2)} of ONNX) that no model of stargan has")
    present = len(single[9]) / size if 9 in single else sum(_count(number, value) for number, value in fields)
    if any(side >= 2**31 for side in dims) or math.prod(dims) != present:
        raise ModelError(f"{label} has the shape {dims}, but {present:g} elements")
    return name, tuple(dims)


def _count(number: int, value: Any) -> int:
    """The number of elements in a field of a stored array; one that is not packed holds a single element."""
    if number in (4, 10):  # float_data, double_data
        return len(value) // (4 if number == 4 else 8)
    if number not in (5, 7):  # int32_data, int64_data
        return 0
    return 1 if isinstance(value, int) else sum(byte < 128 for byte in value)  # only the last byte of an integer is


# ---------------------------------------------------------------- Protocol Buffers


def _integers(value: int | memoryview) -> list[int]:
    """The integers of a repeated field, packed or not."""
    if isinstance(value, int):
        return [value]
    found, position = [], 0
    while position < len(value):
        number, position = _varint(value, position)
        found.append(number)
    return found


def _fields(message: bytes | memoryview) -> Fields:
    """The fields of a message in order: pairs of the field's number and its content, an integer or bytes."""
    return list(_walk(memoryview(message)))


def _walk(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    position = 0
    while position < len(message):
        field, position = _field(message, position)
        yield field


def _field(message: memoryview, position: int) -> tuple[tuple[int, int | memoryview], int]:
    """A field, and the position behind it."""
    tag, position = _varint(message, position)
    kind = tag & 7
    if kind == 0:
        value, position = _varint(message, position)
        return (tag >> 3, value), position
    if kind == 2:
        size, position = _varint(message, position)
    elif kind in (1, 5):
        size = 8 if kind == 1 else 4
    else:  # groups, which no current file has
        raise ValueError
    if size > len(message) - position:
        raise ValueError
    return (tag >> 3, message[position : position + size]), position + size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """An integer, and the position behind it."""
    result = shift = 0
    while position < len(message) and shift < 64:
        byte = message[position]
        position += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, position
        shift += 7
    raise ValueError


def _text(value: Any) -> str:
    return str(value, "utf-8")
