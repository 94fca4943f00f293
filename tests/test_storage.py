"""Atomic writes: the old file or the new one, and nothing left behind. Locks."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stargan.storage import atomic_write, lock, remove_leftovers, write_bytes


def test_files_are_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.bin"
    for content in (b"first", b"second", b""):
        write_bytes(path, content)
        assert path.read_bytes() == content
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("sync", [False, True])
def test_the_old_file_stays_until_the_end(tmp_path: Path, sync: bool) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path, sync=sync) as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_failure_leaves_nothing(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").write_text("old")

    def interrupted() -> None:
        with atomic_write(tmp_path / "a", folder=kind == "folder") as temporary:
            (temporary / "inside" if kind == "folder" else temporary).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    usual = (tmp_path / "out").stat().st_mode
    with atomic_write(tmp_path / "out", sync=False, folder=True) as temporary:
        (temporary / "inside").write_text("whole")
    assert [str(file.relative_to(tmp_path)) for file in sorted(tmp_path.rglob("*"))] == ["out", "out/inside"]
    assert (tmp_path / "out").stat().st_mode == usual


def test_long_names_and_many_writers_at_once(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 255)  # the longest name that file systems allow
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write_text("first")
        second.write_text("second")
        assert first != second
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_synced_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    sync, rename = os.fsync, Path.replace

    def watched_sync(descriptor: int) -> None:
        calls.append("fsync")
        sync(descriptor)

    def watched_rename(path: Path, target: Path) -> Path:
        calls.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(Path, "replace", watched_rename)
    write_bytes(tmp_path / "a", b"1")
    assert calls == ["fsync", "rename", "fsync"]
    with atomic_write(tmp_path / "b", sync=False) as temporary:
        temporary.write_bytes(b"2")
    assert calls == ["fsync", "rename", "fsync", "rename"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has this device")
def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, atomic_write(tmp_path / "a.png"):
        Path("/dev/full").write_bytes(b"x")
    assert caught.value.filename == str(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError) as wrong:
        write_bytes(tmp_path / "file" / "a.png", b"x")
    assert str(wrong.value.filename).startswith(str(tmp_path / "file"))


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "a.png"):
        (tmp_path / "none").read_bytes()
    assert caught.value.filename == str(tmp_path / "none")


# ---------------------------------------------------------------- killed processes

WRITING = """
import sys, time
from pathlib import Path
from stargan.storage import atomic_write, lock
folder = Path(sys.argv[1])
atomic_folder = atomic_write(folder / "folder", folder=True)
with lock(folder / "lock"), atomic_write(folder / "file") as file, atomic_folder as inner:
    file.write_text("half")
    (inner / "half").touch()
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_what_a_killed_process_leaves_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    users = [".notes.partial", ".0123456789abcdef.partially", "0123456789abcdef.partial"]
    for name in users:
        (tmp_path / name).touch()
    (tmp_path / ".0123456789abcdef.partial").symlink_to(tmp_path / users[0])
    with subprocess.Popen([sys.executable, "-c", WRITING, tmp_path], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            before = set(tmp_path.iterdir())
            remove_leftovers(tmp_path)
            assert set(tmp_path.iterdir()) == before
            with pytest.raises(BlockingIOError, match=f"process {process.pid}"), lock(tmp_path / "lock", wait=False):
                pass
        finally:
            process.kill()
    assert len(before) == len(users) + 4  # the link, the lock, the file and the folder
    remove_leftovers(tmp_path)
    with lock(tmp_path / "lock", wait=False):  # the crash has unlocked it
        assert (tmp_path / "lock").read_text() == str(os.getpid())
    assert {path.name for path in tmp_path.iterdir()} == {*users, ".0123456789abcdef.partial"}


def test_one_at_a_time(tmp_path: Path) -> None:
    with lock(tmp_path / "lock"):
        with pytest.raises(BlockingIOError, match=f"process {os.getpid()}"), lock(tmp_path / "lock", wait=False):
            pass
        assert (tmp_path / "lock").exists()
    assert not (tmp_path / "lock").exists()


def test_systems_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stargan.storage.fcntl", None)
    (tmp_path / ".0123456789abcdef.partial").touch()
    with lock(tmp_path / "lock"), lock(tmp_path / "lock", wait=False):
        write_bytes(tmp_path / "a", b"1")
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".0123456789abcdef.partial", "a"]


def test_a_failed_sync_of_the_folder_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:  # the file's was the first
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_bytes(tmp_path / "a.txt", b"a")
    assert caught.value.filename == str(tmp_path / "a.txt")
