"""Atomic writes: the old file or the new one, and nothing left behind."""

import os
from pathlib import Path

import pytest

from stargan.storage import atomic_write, write_bytes


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


@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
def test_a_failure_leaves_nothing(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").write_text("old")

    def interrupted() -> None:
        with atomic_write(tmp_path / "a") as temporary:
            if kind == "folder":
                temporary.mkdir()
                (temporary / "inside").write_text("half")
            elif kind == "file":
                temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    usual = (tmp_path / "out").stat().st_mode
    with atomic_write(tmp_path / "out", sync=False) as temporary:
        temporary.mkdir()
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
