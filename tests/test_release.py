"""What is released: the files that come with the package, and the wheel."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_shipped_files_are_those_of_the_list() -> None:
    listed = dict(re.findall(r"^\| `(\S+)` \| `([0-9a-f]{64})` \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE))
    shipped = {str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*.onnx")}
    assert listed.keys() == shipped
    for name, digest in listed.items():
        assert hashlib.sha256((ROOT / name).read_bytes()).hexdigest() == digest, name


def wheel(folder: Path) -> Path:
    """Builds a wheel from a copy of the sources."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        folder.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    code = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=folder, env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr[-500:].decode()
    (built,) = (folder / "dist").iterdir()
    return built


def test_the_wheel_is_reproducible(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="setuptools is not installed")
    first, second = wheel(tmp_path / "first"), wheel(tmp_path / "second with another name")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = {name for name in archive.namelist() if "dist-info" not in name}
    sources = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src" / "stargan").rglob("*") if path.is_file()}
    assert names == {name for name in sources if "__pycache__" not in name}
