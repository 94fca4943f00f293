"""Using a model needs only the base install: no PyTorch, no safetensors, no onnx."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
EXTRAS = ("torch", "safetensors", "onnx", "onnxscript", "tensorboard", "pyarrow", "openvino", "pytest")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "a.jpg"
    Image.effect_noise((40, 30), 80).convert("RGB").save(path)
    return path


def translate(python: Path | str, run: Path, photo: Path, out: Path) -> bytes:
    done = subprocess.run(
        [python, "-m", "stargan", "translate", run / "model.onnx", photo, "--all", "--out", out],
        capture_output=True,
        text=True,
        cwd=out.parent,
    )
    assert done.returncode == 0, done.stderr
    assert len(list(out.iterdir())) == 4
    with Image.open(out / "a.all.png") as grid:
        return grid.tobytes()


def test_extras_are_not_imported(run: Path, photo: Path, tmp_path: Path) -> None:
    program = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {EXTRAS}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from stargan.cli import main
sys.exit(main(sys.argv[1:]))
"""
    out = tmp_path / "out"
    command = ["translate", str(run), str(photo), "--to", "red", "--out", str(out)]
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (out / "a.red.jpg").is_file()

    command[1] = str(run / "model.safetensors")
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'stargan[train]'" in done.stderr


@pytest.mark.slow
def test_a_real_environment_with_only_the_base_install(run: Path, photo: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    subprocess.run([sys.executable, "-m", "venv", base], check=True)
    python = base / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install: list[str | Path] = [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", ROOT]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"pip cannot install here: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    listed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert not [name for name in EXTRAS if f"\n{name} " in listed]
    assert translate(python, run, photo, tmp_path / "there") == translate(sys.executable, run, photo, tmp_path / "here")
