"""What is fuzzed: each reader, with inputs to start from. All inputs are made here, of drawn images and tiny models."""

import asyncio
import io
import json
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import stargan
from stargan import engine, images
from stargan.config import Config
from stargan.data import sources
from stargan.domains import Domains, Group, LabelSet, requests
from stargan.images import opening
from stargan.inference.clips import files as clips
from stargan.interop import export, foreign
from stargan.model import card_markdown, digest, onnx_file, run_folder, safetensors_file
from stargan.model.card import CONDITIONS, MODEL, Card
from stargan.model.figure import Figure
from stargan.model.info import ModelInfo
from stargan.training import same_data

SIDE = 8
PIXELS = 2**20  # in the fuzzer, images may be this large; with 100 times as many, an input could take seconds


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        seeds: Makes the inputs to start from.
        read: Reads an input; the folder is empty but for what `prepare` has put there.
        prepare: Puts files into the folder, once.
    """

    seeds: Callable[[], list[bytes]]
    read: Callable[[bytes, Path], object]
    prepare: Callable[[Path], object] = lambda folder: None


def bounded() -> None:
    """Bounds the size of images, in proportion to the memory for them, so that the fuzzer is fast."""
    opening.MAX_BYTES = opening.MAX_BYTES // opening.MAX_PIXELS * PIXELS
    opening.MAX_PIXELS = clips.MAX_PIXELS = PIXELS
    opening._memory = opening._Memory(opening.MAX_BYTES)


# ---------------------------------------------------------------- images

KINDS = {  # by Pillow's name of the format, the modes to start from
    "JPEG": ("RGB", "L", "CMYK"), "PNG": ("RGB", "L", "P", "RGBA", "LA", "1", "I;16"), "GIF": ("RGB", "P"),
    "BMP": ("RGB", "L", "P", "1"), "PPM": ("RGB", "L", "1", "I"), "WEBP": ("RGB", "RGBA"), "AVIF": ("RGB",),
    "TIFF": ("RGB", "L", "1", "CMYK", "I;16", "F"), "JPEG2000": ("RGB", "L"), "ICO": ("RGBA",), "TGA": ("RGB", "L"),
}  # fmt: skip
_ANIMATED = ("GIF", "PNG", "WEBP")


def drawn(mode: str = "RGB", side: int = 24) -> Image.Image:
    """A small image with some structure."""
    gray = Image.linear_gradient("L").resize((side, side - 3))
    if mode in ("I", "I;16", "F"):
        return Image.fromarray(np.asarray(gray).astype({"I": np.int32, "F": np.float32}.get(mode, np.uint16)) * 200)
    return Image.merge("RGB", [gray, gray.rotate(90), gray.rotate(180)]).convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def _image_seeds(kind: str) -> list[bytes]:
    settings: dict[str, Any] = {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"}
    settings |= {"sizes": [(16, 16)]} if kind == "ICO" else {}
    return [encoded(drawn(mode), kind, **settings) for mode in KINDS[kind]]


def _read_image(content: bytes, _: Path) -> None:
    content = _with_checksums(content)
    images.size_of(content)
    images.read_photo(content)


def _with_checksums(content: bytes) -> bytes:
    """Corrects the checksums of a PNG file, or else a decoder looks at nothing that was changed."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    parts, at = [content[:8]], 8
    while at + 8 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        parts += [content[at:end], zlib.crc32(content[at + 4 : end]).to_bytes(4, "big")]
        at = end + 4
    return b"".join(parts)


def _animations() -> list[bytes]:
    frames = [drawn(), drawn().rotate(90)]
    return [encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50) for kind in _ANIMATED]


def _read_animation(content: bytes, folder: Path) -> None:
    path = folder / "moving.gif"
    path.write_bytes(_with_checksums(content))
    if clips.is_clip(path):
        for frame in clips.open_clip(path).frames():
            frame.getpixel((0, 0))


# ---------------------------------------------------------------- data sets

_ROWS = [("a.png", "1", "winter", "12.5"), ("b.png", "0", "summer", "80"), ("c.png", "1", "winter", "")]
_NAMES = ("path", "smiling", "season", "age")


def _draw_three(folder: Path) -> None:
    for name, *_ in _ROWS:
        (folder / name).write_bytes(encoded(drawn()))


def _table(separator: str, end: str = "\n") -> bytes:
    return end.join(separator.join(row) for row in [_NAMES, *_ROWS]).encode()


def _json_lines() -> list[bytes]:
    rows = [dict(zip(("file_name", *_NAMES[1:]), row, strict=True)) for row in _ROWS]
    return ["\n".join(map(json.dumps, rows)).encode()]


def _parquet() -> list[bytes]:
    import pyarrow
    from pyarrow import parquet

    plain = pyarrow.table(dict(zip(_NAMES, zip(*_ROWS, strict=True), strict=True)))
    inside = [{"bytes": encoded(drawn()), "path": name} for name, *_ in _ROWS]
    written = []
    for table in (plain, pyarrow.table({"image": inside, "label": [0, 1, 0]})):
        buffer = io.BytesIO()
        parquet.write_table(table, buffer)
        written.append(buffer.getvalue())
    return written


def _zip() -> list[bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, *_ in _ROWS:
            archive.writestr(f"images/{name}", encoded(drawn("L", 8)))
        archive.writestr("labels.csv", _table(","))
    return [buffer.getvalue()]


def _shard() -> list[bytes]:
    buffers = [io.BytesIO(), io.BytesIO()]
    for buffer, kind in zip(buffers, (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT), strict=True):
        with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
            for index, (name, *labels) in enumerate(_ROWS):
                parts = {f"é{index}.png": encoded(drawn("L", 8)), f"é{index}.json": json.dumps({"a": labels}).encode()}
                for part, content in {**parts, f"é{index}.cls": name.encode()}.items():
                    member = tarfile.TarInfo(part)
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
    return [buffer.getvalue() for buffer in buffers]


def _list() -> list[bytes]:
    rows = ["a.png  1 -1", "b.png -1  1", "c.png  1  1"]
    partition = b"\0a.png 0\nb.png 1\nc.png 2\n"
    return ["\n".join(["3", "Smiling Male", *rows]).encode() + partition, "\n".join(["x Smiling", *rows]).encode()]


def _file(name: str, beside: str = "") -> Callable[[bytes, Path], object]:
    """A reader of a data set given by this file; `beside`: another one, which an input has after a zero byte."""

    def read(content: bytes, folder: Path) -> None:
        own, _, other = content.partition(b"\0") if beside else (content, b"", b"")
        (folder / name).write_bytes(own)
        if beside:
            (folder / beside).write_bytes(other)
        try:
            whole = name in ("dataset.json", "metadata.jsonl", "list_attr_celeba.txt")
            found = sources.find(folder if whole else folder / name)
            Domains((found.label_set,)).to_json()
        finally:
            shutil.rmtree(stargan.storage.cache_folder(), ignore_errors=True)  # what was unpacked

    return read


# ---------------------------------------------------------------- words and descriptions

_DOMAINS = Domains((LabelSet("faces", (Group(("Black", "Blond")), Group(("Male",)), Group(("Young",)))),))


def _read_words(content: bytes, folder: Path) -> None:
    """A request and, in a second line, the name of a domain."""
    request, _, name = content.decode("utf-8", "replace").partition("\n")
    domains = Domains((LabelSet("d", (Group((name,)),)),)) if name else _DOMAINS
    requests.steps(domains, request.split(","))
    requests.target(domains, np.zeros(domains.num_classes, np.float32), request.split(","))


def _read_description(content: bytes, _: Path) -> None:
    info = ModelInfo.loads(content.decode("utf-8", "replace"))
    ModelInfo.loads(info.dumps())
    repr(info.domains)
    requests.every_word(info.domains)
    if info.card:
        card_markdown.markdown("m", info, info.card)


def _descriptions() -> list[bytes]:
    card = Card(dict.fromkeys(CONDITIONS, 1), {"all": {"error": Figure(0.5, 0.4, 0.6, 100)}}, {}, "none")
    old = {"format": "stargan-model-1", "domains": _INFO.domains.to_json(), "image_size": [16, 16], "data": []}
    return [text.encode() for text in (json.dumps(old), _INFO.dumps(), replace(_INFO, card=card).dumps())]


# ---------------------------------------------------------------- models

_CONFIG = Config(
    data=("faces",), image_size=(SIDE, SIDE), width=1, blocks=0, d_layers=1, device="cpu", precision="fp32"
)
_INFO = ModelInfo(Domains((LabelSet("d", (Group(("a",)), Group(("b", "c")))),)), _CONFIG.architecture, classifier=True)


def _arrays() -> dict[str, np.ndarray]:
    """The networks of a tiny model, not trained."""
    state = engine.create(_CONFIG, _INFO.domains).state()
    return {name: array for name, array in state.items() if not name.startswith(safetensors_file.TRAINING)}


def _onnx() -> list[bytes]:
    """A small graph; without a digest, or else every change would be noticed before anything is read."""
    from onnx import helper, numpy_helper

    photos, labels, *results = (
        helper.make_tensor_value_info(name, 1, ["N", *shape])
        for name, shape in (
            ("images", (3, SIDE, SIDE)),
            ("labels", (_INFO.domains.num_labels,)),
            ("translated", (3, SIDE, SIDE)),
            ("logits", (3,)),
        )
    )
    kernel = numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), "kernel")
    conv = helper.make_node("Conv", ["images", "kernel"], ["x"])
    nodes = [
        [conv, helper.make_node("Tanh", ["x"], ["translated"])],
        [conv, helper.make_node("ReduceMean", ["x"], ["logits"], axes=[2, 3], keepdims=0)],
    ]
    graphs = [
        helper.make_model(
            helper.make_graph(made, "g", inputs, [result], [kernel]),
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=9,
        ).SerializeToString()
        for made, inputs, result in zip(nodes, ([photos, labels], [photos]), results, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        onnx_file.write(path := Path(folder) / "m.onnx", _INFO, *graphs)
        return [path.read_bytes()[: -digest._SIZE]]


def _use(path: Path) -> None:
    model = stargan.load(path)
    width, height = model.image_size
    if width * height <= SIDE * SIDE:
        photo = np.zeros((1, 3, height, width), np.float32)
        model.generate(photo, np.zeros((1, model.domains.num_labels), np.float32))
        if model.info.classifier:
            model.probabilities(photo)


def _read_model(name: str) -> Callable[[bytes, Path], object]:
    def read(content: bytes, folder: Path) -> None:
        path = folder / name
        path.write_bytes(_safetensors_file(content) if name.endswith(".safetensors") else content)
        _use(path)

    return read


def _safetensors_file(content: bytes) -> bytes:
    """A file of a header and, after a zero byte, the arrays: with the length of the header, so that it may change."""
    header, _, arrays = content.partition(b"\0")
    return struct.pack("<Q", len(header)) + header + arrays


def _safetensors() -> list[bytes]:
    from safetensors.numpy import save

    file = save({n: a for n, a in _arrays().items() if n[0] != "d"}, {"stargan": _INFO.dumps()})
    size = struct.unpack("<Q", file[:8])[0]
    return [file[8 : 8 + size].rstrip() + b"\0" + file[8 + size :]]


def _checkpoints() -> list[bytes]:
    """A checkpoint of the official code, in the new form of PyTorch's files and in the old one."""
    import torch

    theirs = foreign.to_official({n: a for n, a in _arrays().items() if n.startswith("generator/")})
    tensors = {name.partition("/")[2]: torch.from_numpy(array) for name, array in theirs.items()}
    written = []
    for form in (True, False):
        torch.save(tensors, buffer := io.BytesIO(), _use_new_zipfile_serialization=form)
        written.append(buffer.getvalue())
    return written


def _read_checkpoint(content: bytes, folder: Path) -> None:
    (folder / "1-G.ckpt").write_bytes(content)
    foreign.import_model(folder / "1-G.ckpt", folder / "out.safetensors", attributes=("a", "b", "c"), overwrite=True)


# ---------------------------------------------------------------- run folders

_REPORT = "report.json"


def _run_files() -> list[bytes]:
    config = json.dumps(_CONFIG.to_json())
    figures = {"all": {"error": vars(Figure(0.5, 0.4, 0.6, 100))}}
    model = {"figures": figures, "groups": {"a": figures["all"]}, "about": {MODEL: json.loads(_INFO.dumps())}}
    report = {**dict.fromkeys(CONDITIONS, 1), "models": {"m": model}}
    contents = {
        run_folder.CONFIG: config,
        run_folder.STATS: '{"step": 1, "d_real": 0.5}\n{"step": 2, "d_real": null}\n',
        run_folder.DATA: json.dumps({"data_key": "k", "images": []}),
        _REPORT: json.dumps(report),
    }
    return [f"{name}\n{content}".encode() for name, content in contents.items()]


def _read_run(content: bytes, folder: Path) -> None:
    """The first line names the file, the rest is its content."""
    name, _, content = content.partition(b"\n")
    for known in (run_folder.CONFIG, run_folder.STATS, run_folder.DATA, _REPORT):
        (folder / known).unlink(missing_ok=True)
        if name == known.encode():
            (folder / known).write_bytes(content)
    run_folder.stats(folder)
    if (folder / run_folder.DATA).exists():
        same_data.check(folder, "k", [], [])
    elif (folder / _REPORT).exists():
        export._card(folder / _REPORT, "", _INFO)
    elif not (folder / run_folder.STATS).exists():
        run_folder.saved_config(folder)


# ---------------------------------------------------------------- the API

_BOUNDARY = b"cut"


def _bodies() -> list[bytes]:
    message = {"target": ["Blond_Hair"], "strength": 0.5, "faces": [1], "edits": [{"target": ["Male"], "faces": "all"}]}
    field = b'--cut\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    fields = [field % (b"target", b"", b"Male=0"), field % (b"image", b'; filename="a.png"', encoded(drawn()))]
    form = b"".join(fields) + b"--cut--\r\n"
    return [b"j" + json.dumps({"image": "aGVsbG8=", **message}).encode(), b"f" + form]


def _read_body(content: bytes, _: Path) -> None:
    """The first byte says whether it is JSON or a form."""
    from starlette.requests import Request

    from stargan.web import Limits
    from stargan.web.messages import Translation
    from stargan.web.receiving import receive

    kind = b"application/json" if content[:1] == b"j" else b"multipart/form-data; boundary=" + _BOUNDARY

    async def body() -> dict[str, Any]:
        return {"type": "http.request", "body": content[1:], "more_body": False}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind)]}
    asyncio.run(receive(Request(scope, body), Translation, Limits(megabytes=1)))()


# ---------------------------------------------------------------- all

TARGETS: dict[str, Target] = {
    **{kind.lower(): Target(lambda kind=kind: _image_seeds(kind), _read_image) for kind in KINDS},  # type: ignore[misc]
    "animation": Target(_animations, _read_animation),
    "csv": Target(lambda: [_table(mark) for mark in ",;\t"], _file("table.csv", "classes.txt"), _draw_three),
    "txt": Target(lambda: [_table(" ", "\r\n")], _file("table.txt"), _draw_three),
    "jsonl": Target(_json_lines, _file("metadata.jsonl"), _draw_three),
    "json": Target(lambda: [b'{"labels": [["a.png", 0], ["b.png", 1]]}'], _file("dataset.json"), _draw_three),
    "legend": Target(lambda: [b'path,label\na.png,0\nb.png,1\nc.png,0\0{"0": "cat", "1": "dog"}'],
                     _file("table.csv", "id2label.json"), _draw_three),
    "list": Target(_list, _file("list_attr_celeba.txt", "list_eval_partition.txt"), _draw_three),
    "parquet": Target(_parquet, _file("table.parquet"), _draw_three),
    "shard": Target(_shard, _file("shard.tar")),
    "zip": Target(_zip, _file("images.zip")),
    "words": Target(lambda: [b"Blond=0.5,-Male,no Young", b"faces/Male=0,+black", b"d/A b-c=-1\nA-b c"], _read_words),
    "description": Target(_descriptions, _read_description),
    "onnx": Target(_onnx, _read_model("m.onnx")),
    "safetensors": Target(_safetensors, _read_model("m.safetensors")),
    "checkpoint": Target(_checkpoints, _read_checkpoint),
    "run": Target(_run_files, _read_run),
    "body": Target(_bodies, _read_body),
}  # fmt: skip
