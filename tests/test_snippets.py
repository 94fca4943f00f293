"""Runs the commands and the Python code in README.md and docs/.

The rule: every fenced block of Python is run, and in indented blocks every line that begins with `stargan`. The blocks
of a file share a folder with the data, photos and models that they name. Trainings and evaluations are shortened. A
block below a comment `<!-- not run: REASON -->` is left out; `NOT_RUN` lists all of them. Lines with pip, make or
python, which install things or take hours, are not commands of ours. The Chinese pages have the same blocks, which
`test_docs.py` checks.
"""

import itertools
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import COLOURS, TINY, draw_folders, in_process, write_folders
from PIL import Image
from test_import import official

import stargan
from stargan import demo
from stargan.evaluation import classifier, evaluation_set, features, identity
from stargan.web import runtime

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(set((ROOT / "docs").glob("*.md")) - set((ROOT / "docs").glob("*.zh.md")))]
NOT_RUN = {
    "training.md": 2,
    "scale.md": 7,
    "contrast.md": 1,
    "models.md": 2,
    "import.md": 1,
    "serve.md": 1,
    "tensorflow.md": 5,
    "from-taki0112.md": 1,
    "experiments.md": 4,
}
"""How many blocks of a page are not run."""

SHORTER = {
    "train": [*TINY, "--steps", "2", "--sample-every", "2", "--workers", "1"],
    "evaluate": ["--limit", "4", "--classifiers", "1", "--overwrite"],
    "cartoons": ["--count", "150"],
    "translate": ["--overwrite"],  # several snippets may write to the same file
    "import": ["--overwrite"],
}
"""Options that are added to a command, so that it takes seconds."""
SMALL = {"recipe": "modern", "image_size": 16, "width": 4, "blocks": 1, "d_layers": 2}
CELEBA = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")


@dataclass(frozen=True)
class Block:
    """A block of a page: its language, its lines, and whether it is run."""

    python: bool
    lines: list[str]
    runs: bool

    @property
    def commands(self) -> list[str]:
        """The commands of the package, each in one line."""
        joined = re.sub(r"\\\n\s*", "", "\n".join(self.lines)).splitlines()
        return [line.strip() for line in joined if line.strip().startswith("stargan ")]


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page, in their order."""
    lines = iter([*text.splitlines(), ""])
    before = ["", ""]
    for line in lines:
        if line.startswith("```"):
            inside = []
            for row in lines:
                if row.startswith("```"):
                    break
                inside.append(row)
            yield Block(line == "```python", inside, _runs(before))
        elif line.startswith("    ") and not before[-1].strip():
            inside = [line]
            for row in lines:
                if not row.startswith("    "):
                    break
                inside.append(row)
            yield Block(False, inside, _runs(before))
            line = ""
        before = [before[-1], line]


def _runs(before: list[str]) -> bool:
    return not any(re.fullmatch(r"<!-- not run: .+ -->", line) for line in before)


def test_blocks_are_found() -> None:
    page = "a\n\n    stargan data \\\n        x   # y\n    make\n\n```python\nprint()\n```\n"
    page += "<!-- not run: z -->\n\n    stargan q\n"
    found = list(blocks(page))
    assert [block.python for block in found] == [False, True, False]
    assert [block.runs for block in found] == [True, True, False]
    assert found[0].commands == ["stargan data x   # y"]


def test_blocks_that_are_not_run() -> None:
    found = Counter(page.name for page in PAGES for block in blocks(page.read_text("utf-8")) if not block.runs)
    assert dict(found) == NOT_RUN


# ---------------------------------------------------------------- what the snippets name


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, photos_of_faces: list[Image.Image]) -> Path:
    """A folder with everything that the snippets read."""
    root = tmp_path_factory.mktemp("snippets")
    portrait = _portrait()
    for name in ("photo.jpg", "holiday.jpg", "a.jpg", "b.jpg"):
        portrait.save(root / name)
    group = Image.new("RGB", (2 * portrait.width, 2 * portrait.height))
    for place in ((0, 0), (0, 1), (1, 0), (1, 1)):
        group.paste(portrait, (place[0] * portrait.width, place[1] * portrait.height))
    group.save(root / "group.jpg")
    _film(root / "clip.mp4", portrait)
    for name, colour in (("summer", "green"), ("winter", "blue")):
        draw_folders(root / "drawn", names=(colour,), infix="-167-")
        (root / "seasons").mkdir(exist_ok=True)
        shutil.move(root / "drawn" / colour, root / "seasons" / name)
    write_folders(root / "photos", photos_of_faces[:10])
    _celeba(root / "celeba")
    _models(root)
    return root


def _portrait() -> Image.Image:
    data = pytest.importorskip("skimage.data", reason="scikit-image's portrait is not installed")
    return Image.fromarray(data.astronaut()).crop((130, 0, 330, 200))


def _film(path: Path, portrait: Image.Image) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *portrait.size, "yuv420p"
        for _ in range(3):
            target.mux(stream.encode(av.VideoFrame.from_image(portrait)))
        target.mux(stream.encode(None))


def _celeba(folder: Path) -> None:
    """A data set in CelebA's format, with its split."""
    rng = np.random.default_rng(0)
    images = folder / "img_align_celeba"
    images.mkdir(parents=True)
    rows, split = [], []
    for number in range(60):
        hair = number % 3
        values = [*(1 if hair == column else -1 for column in range(3)), *rng.choice([-1, 1], 2)]
        name = f"{number + 1:06}.jpg"
        colour = list(COLOURS.values())[hair]
        Image.fromarray((np.array(colour) + rng.integers(-40, 40, (20, 20, 3))).astype(np.uint8)).save(images / name)
        rows.append(f"{name} {' '.join(map(str, values))}")
        split.append(f"{name} {0 if number < 40 else 1 if number < 50 else 2}")
    (folder / "list_attr_celeba.txt").write_text("\n".join(["60", " ".join(CELEBA), *rows, ""]))
    (folder / "list_eval_partition.txt").write_text("\n".join([*split, ""]))


def _models(root: Path) -> None:
    """Models under the names that the pages use."""
    hair = ",".join(CELEBA[:3])
    how = ["--exclusive", hair, "--recipe", "paper", *SHORTER["train"]]  # the official code has no other networks
    done = in_process("train", "--data", root / "celeba", "--run", root / "runs" / "faces", *how)
    assert done.returncode == 0, done.stderr
    shutil.copytree(root / "runs" / "faces", root / "runs" / "paper")
    shutil.copy(root / "runs" / "faces" / "model.onnx", root / "official.onnx")
    (root / "demo" / "run").mkdir(parents=True)
    shutil.copy(Path(stargan.__file__).parent / "model" / "shipped" / "cartoons.onnx", root / "demo/run/model.onnx")
    fixtures = Path(__file__).parent / "fixtures"
    for name in ("200000-G.ckpt", "200000-D.ckpt"):
        shutil.copy(fixtures / name, root)
    (root / "rafd").mkdir()
    generator = official("rafd_categorical", root / "rafd")
    for letter in "GD":
        shutil.copy(generator.with_name(f"10-{letter}.ckpt"), root / f"100000-{letter}.ckpt")


# ---------------------------------------------------------------- running them


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_run(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [block for block in blocks(page.read_text("utf-8")) if block.runs and (block.python or block.commands)]
    if not found:
        return
    for module, name, value in (
        (classifier, "STEPS", 4),
        (classifier, "BATCH", 8),
        (evaluation_set, "CARTOON_TRAIN_FACES", 40),
        (demo, "TEST_PAIRS", 9),
        (features, "installed", lambda: False),  # networks that take seconds to load; they have tests of their own
        (identity, "installed", lambda: False),
    ):
        monkeypatch.setattr(module, name, value)
    folder = tmp_path / "here"
    shutil.copytree(request.getfixturevalue("inputs"), folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(stargan, "train", _train(stargan.train))
    names = {"stargan": stargan, "model": stargan.load("celeba")}
    for block in found:
        if block.python:
            exec(compile("\n".join(block.lines), page.name, "exec"), names)
        for command in block.commands:
            _run(command)


def _train(train: Callable[..., stargan.Run]) -> Callable[..., stargan.Run]:
    """`stargan.train`, but with tiny networks and a few steps."""

    def shorter(*arguments: Any, **options: Any) -> stargan.Run:
        if "resume" in options:
            return train(*arguments, **{**options, "steps": 4})
        return train(*arguments, **{**options, **SMALL, "steps": 2})

    return shorter


def _run(command: str) -> None:
    _, name, *rest = shlex.split(command, comments=True)
    if name == "export" and rest[1].endswith("/") and not (runtime.complete(runtime.PACKAGED) or shutil.which("npm")):
        return  # pages need ONNX Runtime for browsers
    for option, value in itertools.pairwise(rest):  # several snippets may write to the same place
        if option in ("--out", "--run") and name in ("translate", "train"):
            shutil.rmtree(value, ignore_errors=True)
    done = _serve(rest) if name == "serve" else in_process(name, *rest, *SHORTER.get(name, []))
    assert done.returncode == 0, f"{command}\n{done.stderr}"


def _serve(options: list[str]) -> subprocess.CompletedProcess[str]:
    """Starts a server, and stops it when it says that it listens."""
    command = [sys.executable, "-m", "stargan", "serve", *options, "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        alarm = threading.Timer(100, process.kill)
        alarm.start()
        line = process.stdout.readline()
        process.terminate()
        out, err = process.communicate()
        alarm.cancel()
    assert "Ctrl-C stops" in line, err
    return subprocess.CompletedProcess(command, process.returncode, line + out, err)
