"""Small real data and one small trained run, made once a session."""

import os

# Before torch is imported: two threads of it beside other work on two cores wait for each other most of the time, and
# networks of 16 pixels gain nothing from threads. Processes that the tests start inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

import contextlib
import io
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stargan import cli, faces

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 200)}
TINY = [
    "--image-size",
    "16",
    "--width",
    "4",
    "--blocks",
    "1",
    "--d-layers",
    "2",
    "--batch-size",
    "4",
    "--device",
    "cpu",
]


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keeps decoded images out of the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["STARGAN_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def graphs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Shares exported graphs; see `onnx_cache`."""
    with contextlib.suppress(ImportError):  # a part of PyTorch, which some environments lack
        import onnx_cache

        from stargan.engine.pytorch import onnx_export

        own = tmp_path_factory.getbasetemp()
        onnx_cache.folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "graphs"
        onnx_cache.folder.mkdir(exist_ok=True)
        vars(onnx_export)["exported"] = onnx_cache.exported


def draw_folders(
    root: Path, count: int = 20, names: tuple[str, ...] = ("red", "green", "blue"), *, infix: str = ""
) -> Path:
    """A folder for each colour, with noisy squares of it; `infix` in their names decides the split."""
    rng = np.random.default_rng(0)
    for name in names:
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = np.array(COLOURS[name]) + rng.integers(-40, 40, (20, 24, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / name / f"{name}{infix}{index:03}.png")
    return root


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each colour, one image is for validation and two are for testing."""
    return draw_folders(tmp_path_factory.mktemp("data") / "colours", infix="-167-")


@pytest.fixture(scope="session")
def aligned_faces() -> list[Image.Image]:
    """One face, always at the same place but for a few pixels, cut as `PLACE` says."""
    photo = _astronaut()
    (face,) = faces.find(photo)
    aligned = faces.align(photo, face, PLACE, (128, 128)).image
    shifts = np.random.default_rng(0).integers(-3, 4, (20, 2))
    return [aligned.crop((x, y, 120 + x, 120 + y)).resize((128, 128)) for x, y in (shifts + 4).tolist()]


@pytest.fixture(scope="session")
def photos_of_faces() -> list[Image.Image]:
    """The same face in photos, each time somewhere else."""
    head = _astronaut().crop((130, 0, 330, 200))
    places = np.random.default_rng(0).integers(0, (160, 60, 90), (20, 3))
    photos = [Image.new("RGB", (360, 260), "gray") for _ in places]
    for photo, (x, y, smaller) in zip(photos, places.tolist(), strict=True):
        photo.paste(head.resize((200 - smaller, 200 - smaller)), (x, y))
    return photos


PLACE = faces.FaceCrop((-0.15, -0.1), (0.15, -0.1), (-0.12, 0.2), (0.12, 0.2))


def _astronaut() -> Image.Image:
    data = pytest.importorskip("skimage.data", reason="scikit-image's portrait is not installed")
    return Image.fromarray(data.astronaut())


def write_folders(root: Path, photos: list[Image.Image]) -> Path:
    """Two folders with every other image each; all are `.png` files."""
    for index, photo in enumerate(photos):
        path = root / "ab"[index % 2] / f"{index:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo.save(path)
    return root


def stargan(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a process of its own."""
    command = [sys.executable, "-m", "stargan", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def in_process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the command line in this process, which has imported the libraries already."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(list(map(str, arguments)))
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def run(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of twelve steps."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    schedule = ["--steps", "12", "--checkpoint-every", "5", "--sample-every", "6", "--log-every", "3"]
    done = stargan("train", "--data", colours, "--run", folder, *TINY, *schedule, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """A bucket in a server of this process that speaks S3."""
    server_of = pytest.importorskip("moto.server", reason="moto is not installed")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = server_of.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            patched.setenv(name, "us-east-1")
        s3fs.S3FileSystem().mkdir("faces")
        yield "s3://faces"
    server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escapes what is no UTF-8 in captured output, such as odd file names: pytest-xdist cannot send it."""
    report = yield
    report.sections = [(title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections]
    return report
