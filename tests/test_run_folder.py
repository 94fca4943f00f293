"""One run in a folder, on the data it was begun with; damage is repaired or named; files of the user are kept."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import TINY, draw_folders
from PIL import Image
from test_loop import assert_same, final, tiny

from stargan import training
from stargan.errors import CheckpointError, ConfigError, DataError, StarganError
from stargan.model import run_folder
from stargan.storage import lock
from stargan.training.prepare import check_new


def train(data: Path, run: Path, **changes: object) -> None:
    training.train(tiny(data, **changes), run, say=lambda line: None)


def resume(run: Path, *, allow_changes: bool = False, **changes: object) -> list[str]:
    """Resumes a run; returns its lines of output."""
    lines: list[str] = []
    config = replace(run_folder.saved_config(run), **changes)  # type: ignore[arg-type]
    training.train(config, run, resume=True, allow_changes=allow_changes, say=lines.append)
    return lines


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, `data`, and a run of two steps, `run`."""
    root = tmp_path_factory.mktemp("begun")
    draw_folders(root / "data", 10)
    train(root / "data", root / "run", steps=2)
    return root


@pytest.fixture
def copied(begun: Path, tmp_path: Path) -> Path:
    """A copy of `begun`, whose run uses the copied images."""
    shutil.copytree(begun, tmp_path / "copy")
    config = run_folder.saved_config(tmp_path / "copy/run")
    run_folder.save_config(tmp_path / "copy/run", replace(config, data=(str(tmp_path / "copy/data"),)))
    return tmp_path / "copy"


# ---------------------------------------------------------------- one run at a time


def test_a_second_training_is_refused(copied: Path) -> None:
    run = copied / "run"
    with lock(run / run_folder.LOCK), pytest.raises(ConfigError, match=f"process {os.getpid()} is training in this"):
        resume(run, steps=4)
    resume(run, steps=4)
    assert not (run / run_folder.LOCK).exists()


def test_a_new_run_does_not_replace_one_that_began_meanwhile(colours: Path, copied: Path) -> None:
    with pytest.raises(ConfigError, match="already contains a run"):
        train(colours, copied / "run")


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        train(tmp_path / "none", tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- killed before the first checkpoint


def test_a_run_killed_before_its_first_checkpoint_begins_again(colours: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    schedule = ["--steps", "100000", "--checkpoint-every", "100000", "--log-every", "1"]
    command = [sys.executable, "-m", "stargan", "train", "--data", str(colours), "--run", str(run), *TINY, *schedule]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 300
        while not (run / run_folder.STATS).exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert (run / run_folder.LOCK).exists()  # nobody could remove it, but the system has unlocked it
    (first,) = run_folder.checkpoints(run)
    first.with_name(".0123456789abcdef.partial").touch()
    shutil.copytree(run, tmp_path / "earlier")
    (tmp_path / "earlier" / run_folder.CHECKPOINTS / first.name).unlink()
    training.train(replace(run_folder.saved_config(run), steps=5), tmp_path / "whole", say=lambda line: None)
    for cut in (run, tmp_path / "earlier"):
        resume(cut, steps=5)
        assert_same(final(cut), final(tmp_path / "whole"))
        assert json.loads((cut / run_folder.STATS).read_text().splitlines()[0])["step"] == 1
        assert not list(cut.rglob(".*"))


def test_a_run_with_a_start_has_it_as_its_first_checkpoint(
    colours: Path, begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    config = tiny(colours, steps=3)
    with monkeypatch.context() as patched:
        patched.setattr("stargan.training.loop.train", killed)
        with pytest.raises(KeyboardInterrupt):
            training.train(config, tmp_path / "cut", start_from=begun / "run", say=lambda line: None)
    resume(tmp_path / "cut")
    training.train(config, tmp_path / "whole", start_from=begun / "run", say=lambda line: None)
    assert_same(final(tmp_path / "cut"), final(tmp_path / "whole"))


def test_a_run_whose_checkpoints_are_gone_does_not_begin_again(copied: Path) -> None:
    run = copied / "run"
    shutil.rmtree(run / run_folder.CHECKPOINTS)
    (run / run_folder.STATS).write_text('{"step": 900, "d_total": 1.0}\n')
    with pytest.raises(CheckpointError, match="has no checkpoint to continue from, although it reached step 900"):
        resume(run)


# ---------------------------------------------------------------- the same images


def blacken(data: Path) -> None:
    for path in (data / "red").iterdir():
        Image.new("RGB", (24, 20)).save(path)


def remove(data: Path) -> None:
    (data / "red/red003.png").write_bytes(b"")
    (data / "blue/blue001.png").write_bytes(b"no image")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (blacken, "10 of 30 images have changed .*: red/red000.png"),
        (remove, "2 of 30 .*: blue/blue001.png, red/red003.png"),
    ],
)
def test_changed_images_are_noticed(change: Callable[[Path], None], line: str, copied: Path) -> None:
    change(copied / "data")
    with pytest.raises(CheckpointError, match=f"{line}.*; say --allow-changes to go on"):
        resume(copied / "run", steps=4)
    assert [said for said in resume(copied / "run", steps=4, allow_changes=True) if "the run goes on with them" in said]
    assert not [said for said in resume(copied / "run", steps=6) if "have changed" in said]  # it is now the run's data


def test_the_same_images_at_another_place_and_time_are_the_same(copied: Path) -> None:
    (copied / "data").rename(copied / "renamed")
    for path in (copied / "renamed").rglob("*.png"):
        os.utime(path, (1, 1))
    assert not [
        line for line in resume(copied / "run", steps=4, data=(str(copied / "renamed"),)) if "have changed" in line
    ]


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize(
    "content", [b"\xff\n", b"{}\n", b"[1]\n", b'{"step": "x"}\n', b"[" * 100_000, b'{"step": 1e999}', b"\x00" * 9]
)
def test_damaged_lines_of_figures_are_left_out(content: bytes, copied: Path) -> None:
    stats = copied / "run" / run_folder.STATS
    before = stats.read_bytes()
    stats.write_bytes(before + content)
    resume(copied / "run")
    assert stats.read_bytes() == before


@pytest.mark.parametrize("content", ["[" * 100_000, '{"steps": "x"}', "\x00", "", "[]", '{"steps": 1e400}'])
@pytest.mark.parametrize("name", [run_folder.CONFIG, run_folder.DATA])
def test_other_damaged_files_are_named(name: str, content: str, copied: Path) -> None:
    (copied / "run" / name).write_text(content)
    with pytest.raises(StarganError, match=rf"{name}: damaged") as caught:
        resume(copied / "run", steps=3)
    assert len(str(caught.value)) < 500


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_pipes_are_not_waited_for(copied: Path) -> None:
    run = copied / "run"
    config = run_folder.saved_config(run)
    for name in (run_folder.DATA, run_folder.CONFIG):
        (run / name).unlink()
        os.mkfifo(run / name)
    with pytest.raises(OSError, match="a pipe, socket or device, not a file"):
        training.train(config, run, resume=True, say=lambda line: None)
    with pytest.raises(CheckpointError, match="a pipe, socket or device, not a file"):
        run_folder.saved_config(run)
    os.mkfifo(copied / "table.csv")
    with pytest.raises(DataError, match=r"table.csv: cannot be read \(a pipe, socket or device, not a file\)"):
        train(copied / "table.csv", copied / "other")


def test_a_link_in_the_place_of_the_lock_is_not_followed(copied: Path) -> None:
    (copied / "precious").write_text("precious")
    (copied / "run" / run_folder.LOCK).symlink_to(copied / "precious")
    with pytest.raises(OSError, match="symbolic link"):
        resume(copied / "run", steps=3)
    assert (copied / "precious").read_text() == "precious"


def test_damaged_event_files_do_not_matter(copied: Path) -> None:
    (events,) = (copied / "run").glob("events.*")
    events.write_bytes(os.urandom(100))
    resume(copied / "run", steps=4)
    assert len(list((copied / "run").glob("events.*"))) == 2


# ---------------------------------------------------------------- what belongs to the user


def test_copies_of_checkpoints_are_kept(copied: Path) -> None:
    folder = copied / "run" / run_folder.CHECKPOINTS
    own = run_folder.checkpoints(copied / "run")[-1]
    names = ["step-00000002-best.safetensors", "step-00000002 (copy).safetensors", "my step-00000002.safetensors"]
    for name in [*names, "step-1.safetensors", "notes.txt"]:
        shutil.copy(own, folder / name)
    resume(copied / "run", steps=6, checkpoint_every=1, keep_checkpoints=1)
    assert [path.name for path in run_folder.checkpoints(copied / "run")] == ["step-00000006.safetensors"]
    expected = {*names, "step-1.safetensors", "notes.txt", "step-00000006.safetensors"}
    assert {path.name for path in folder.iterdir()} == expected


def test_checkpoints_come_in_the_order_of_their_steps(tmp_path: Path) -> None:
    (tmp_path / run_folder.CHECKPOINTS).mkdir()
    for step in (99_999_999, 100_000_000, 5):
        (tmp_path / run_folder.CHECKPOINTS / f"step-{step:08}.safetensors").touch()
    assert [int(path.stem[5:]) for path in run_folder.checkpoints(tmp_path)] == [5, 99_999_999, 100_000_000]


def test_a_run_that_was_killed_before_its_settings_begins_again(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    (folder / run_folder.CHECKPOINTS).mkdir(parents=True)
    for left in (".lock", ".0123456789abcdef.partial", f"{run_folder.CHECKPOINTS}/step-00000000.safetensors"):
        (folder / left).touch()
        check_new(folder)
    (folder / run_folder.CHECKPOINTS / "notes.txt").touch()
    with pytest.raises(ConfigError, match="not an empty folder"):
        check_new(folder)
