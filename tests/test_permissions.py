"""What may not be read or written is named as such: it is never called damaged, and never passed over in silence."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from conftest import draw_folders
from datasets import faces, some_rows, table
from test_loop import tiny

from stargan import training
from stargan.model import run_folder

# Root may read everything. A process that has dropped two capabilities is bound by permissions from its next exec on:
# CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, from the bounding set. For other users that fails, and is not needed.
WITHOUT_RIGHTS = """
import ctypes, os, sys
for capability in (1, 2):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1], *sys.argv[2:]])
"""
COMMANDS = """
import contextlib, io, json, sys
from stargan import cli
results = []
for arguments in json.loads(sys.argv[1]):
    error = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
        code = cli.main(arguments)
    results.append([code, [line for line in error.getvalue().splitlines() if line.startswith("stargan: ")]])
print(json.dumps(results))
"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has capabilities")


def run_without_rights(*commands: Sequence[object]) -> list[tuple[int, list[str]]]:
    """Runs commands in one process that may not do all; returns the exit code and the error lines of each."""
    arguments = json.dumps([[str(word) for word in command] for command in commands])
    command = [sys.executable, "-c", WITHOUT_RIGHTS, COMMANDS, arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [(code, lines) for code, lines in json.loads(done.stdout)]


@pytest.fixture
def locked() -> Iterator[Callable[..., None]]:
    """Takes all permissions, or all but `mode`, from files and folders; they come back at the end."""
    taken: list[tuple[Path, int]] = []

    def take(*paths: Path, mode: int = 0) -> None:
        for path in paths:
            taken.append((path, path.stat().st_mode))
            path.chmod(mode)

    yield take
    for path, mode in reversed(taken):
        path.chmod(mode)


def check(results: list[tuple[int, list[str]]], named: list[Path]) -> None:
    for (code, lines), path in zip(results, named, strict=True):
        assert (code, len(lines)) == (2, 1), (path, lines)
        assert str(path) in lines[0]
        assert "permission denied" in lines[0].lower()
        assert "damaged" not in lines[0]
        assert "delete" not in lines[0]


def test_images_and_folders_of_images(tmp_path: Path, locked: Callable[..., None]) -> None:
    photos = {name: faces(tmp_path / name) / "img_align_celeba" for name in ("whole", "file", "deep", "listed", "odd")}
    (photos["deep"] / "x" / "y").mkdir(parents=True)
    shutil.copy(photos["odd"] / "000.png", photos["odd"] / "no_ending")
    for path in photos["odd"].glob("*.png"):
        path.unlink()
    inside = {"file": "003.png", "deep": "x/y", "odd": "no_ending"}
    named = [folder / inside.get(name, "") for name, folder in photos.items()]
    locked(*named[:3], named[4])
    locked(named[3], mode=0o300)
    check(
        run_without_rights(
            *(
                ["translate", "cartoons", folder, "--to", "Smiling", "--out", tmp_path / "out" / name]
                for name, folder in photos.items()
            )
        ),
        named,
    )


def test_data_sets(tmp_path: Path, locked: Callable[..., None]) -> None:
    celeba, images, domains = faces(tmp_path / "celeba"), faces(tmp_path / "images"), draw_folders(tmp_path / "d", 3)
    csv = table(tmp_path / "t" / "t.csv", some_rows())
    archive = Path(shutil.make_archive(str(tmp_path / "z"), "zip", domains))
    (domains / "notes.txt").write_text("x")
    shutil.copytree(domains, tmp_path / "e")
    named = [
        celeba / "list_attr_celeba.txt", images / "img_align_celeba", domains / "red", csv, archive,
        tmp_path / "e/notes.txt",
    ]  # fmt: skip
    locked(*named)
    check(
        run_without_rights(
            *(["data", path] for path in (celeba, images, domains, csv, archive, tmp_path / "e")),
        ),
        named,
    )


def test_the_folder_of_another_person_beside_the_data_does_not_matter(
    tmp_path: Path, locked: Callable[..., None]
) -> None:
    data = faces(tmp_path / "data")
    (tmp_path / "images").mkdir()
    locked(tmp_path / "images")
    assert run_without_rights(["data", data]) == [(0, [])]


def test_runs_and_models(tmp_path: Path, locked: Callable[..., None]) -> None:
    draw_folders(tmp_path / "data", 10)
    training.train(tiny(tmp_path / "data", steps=2, checkpoint_every=1), tmp_path / "0", say=lambda line: None)
    runs = [tmp_path / "0", *(Path(shutil.copytree(tmp_path / "0", tmp_path / str(i))) for i in range(1, 6))]
    image = tmp_path / "data" / "red" / "red000.png"
    (runs[4] / "model.onnx").write_bytes(b"")
    named = [
        run_folder.checkpoints(runs[0])[-1], runs[1] / run_folder.CHECKPOINTS, runs[2] / run_folder.CONFIG,
        runs[3] / run_folder.STATS, runs[4] / "model.onnx", runs[5],
    ]  # fmt: skip
    locked(*named)
    translate: list[str | Path] = [image, "--to", "blue", "--out", tmp_path / "out"]
    check(
        run_without_rights(
            *(["train", "--resume", run, "--steps", "3"] for run in runs[:4]),
            *(["translate", run, *translate] for run in runs[4:]),
        ),
        named,
    )


def test_places_to_write(tmp_path: Path, locked: Callable[..., None]) -> None:
    data, folder = faces(tmp_path / "data"), tmp_path / "folder"
    folder.mkdir()
    locked(folder, mode=0o555)
    image = data / "img_align_celeba" / "000.png"
    check(
        run_without_rights(
            ["translate", "cartoons", image, "--to", "Smiling", "--out", folder / "out"],
            ["translate", "cartoons", image, folder / "out.png", "--to", "Smiling"],
            ["export", "cartoons", folder / "x.onnx", "--licence", "none"],
            ["train", "--data", data, "--run", folder / "run", "--allow-empty"],
            ["cartoons", folder / "faces", "--count", "2"],
            ["data", data, "--sheet", folder / "sheet.png"],
        ),
        [folder] * 6,
    )
