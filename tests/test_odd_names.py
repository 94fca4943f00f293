"""Names of files, folders and labels in any script and encoding, and what the terminal cannot show."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY, in_process
from datasets import write_photo

from stargan.data import cache
from stargan.data.sources import find
from stargan.domains.names import check_name, clean, key
from stargan.errors import DomainError
from stargan.inference.jobs import Job, Output

ODD = {
    "cafe\u0301": "caf\u00e9",  # as macOS writes it
    "a\u00a0b": "a b",
    "\u05d0\u200f": "\u05d0",
    "\ufefftext": "text",
    "soft\u00adhyphen": "softhyphen",
    "\u0645\u06cc\u200c\u062e": "\u0645\u06cc\u200c\u062e",
    "\U0001f468\u200d\U0001f469": "\U0001f468\u200d\U0001f469",
    "\u5feb\u4e50": "\u5feb\u4e50",
    "ni\udcf1o": "ni\u00f1o",
    "caf\udcc3\udca9": "caf\u00e9",
}


@pytest.mark.parametrize("name", ODD)
def test_clean(name: str) -> None:
    assert clean(name) == ODD[name]
    check_name(clean(name))
    assert key(name) == key(ODD[name])


def test_joiners_do_not_matter_in_requests() -> None:
    assert key("\u0645\u06cc\u200c\u062e") == key("\u0645\u06cc\u062e")


def test_control_characters_name_nothing() -> None:
    with pytest.raises(DomainError):
        check_name("a\x1b[31mb")


def odd_folders(root: Path) -> Path:
    """A folder for each odd name, some with a file of an odd name."""
    for number, name in enumerate(ODD):
        for index in range(2):
            write_photo(root / f"{number}{name}" / f"{index}{name}.png", index)
    return root


def test_folders_of_odd_names(tmp_path: Path) -> None:
    source = find(odd_folders(tmp_path / "s\udce9t"))
    assert source.name == "s\u00e9t"
    assert source.label_set.names == tuple(sorted(f"{number}{name}" for number, name in enumerate(ODD.values())))
    assert not cache.load(source, (16, 16), folder=tmp_path / "cache").bad


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_what_standard_output_cannot_show(tmp_path: Path, encoding: str) -> None:
    data = odd_folders(tmp_path / "s\udce9t")
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "stargan", "data", str(data), "--sheet", str(tmp_path / "\u0431.png")]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert "\\u5feb" in done.stdout.decode(encoding) or encoding == "utf-8"
    assert (tmp_path / "\u0431.png").is_file()


def test_a_run_of_odd_names(tmp_path: Path) -> None:
    data, run = odd_folders(tmp_path / "s\udce9t"), tmp_path / "r\udce9n"
    done = in_process("train", "--data", data, "--run", run, *TINY, "--steps", "2")
    assert done.returncode == 0, done.stderr
    done = in_process("translate", run, data, "--to", "7\u5feb\u4e50", "--out", tmp_path / "\udcff")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "\udcff").rglob("*.png"))) == 2 * len(ODD)


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u5feb"])
def test_names_that_become_too_long(tmp_path: Path, letter: str) -> None:
    name = letter * (250 // len(letter.encode()))
    write_photo(tmp_path / "in" / f"{name}.png")
    write_photo(tmp_path / "in" / f"{name[:-1]}y.png")
    done = in_process("translate", "cartoons", tmp_path / "in", "--all", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    written = list((tmp_path / "out").iterdir())
    assert f"{len(written)} files in" in done.stdout
    assert all(file.name.startswith(letter) and file.suffix == ".png" for file in written)


def test_short_names_stay() -> None:
    assert Output(Path("out")).path(Job(Path("a.jpg"), Path("b/a")), "Male=0") == Path("out/b/a.Male=0.jpg")
