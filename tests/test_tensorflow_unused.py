"""Where TensorFlow is installed, commands that do not need it do not load it: it takes seconds and prints lines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install '.[tensorflow]'")

PROGRAM = """
import json, sys
from pathlib import Path
sys.path[:] = json.loads(sys.argv[1])
model, photo = sys.argv[3:]
from stargan import cli
from stargan.evaluation import classifier
classifier.STEPS = 4

def check(what):
    loaded = {"tensorflow", "keras", "ai_edge_litert"} & sys.modules.keys()
    assert not loaded, (what, loaded)

for command in json.loads(sys.argv[2]):
    assert cli.main(command) == 0, command
    check(command[0])
import stargan
from web_server import form, serving
with serving({"m": stargan.load(model)}) as client:
    assert client.get("/").status_code == 200
    assert form(client, "/v1/translate", Path(photo).read_bytes(), target="green").status_code == 200
check("serve")
"""


def test_the_commands_of_pytorch_do_not_load_tensorflow(colours: Path, tmp_path: Path) -> None:
    model, run, photo = (
        str(tmp_path / "run" / "model.onnx"),
        str(tmp_path / "run"),
        str(next((colours / "red").iterdir())),
    )
    commands = [
        ["--help"],
        ["data", str(colours)],
        ["train", "--data", str(colours), "--run", run, *TINY, "--steps", "2", "--sample-every", "2"],
        ["translate", model, photo, "--to", "green", "--out", str(tmp_path / "out")],
        ["translate", f"{run}/model.safetensors", photo, "--to", "blue", "--out", str(tmp_path / "out")],
        [
            "evaluate",
            run,
            "--data",
            str(colours),
            "--out",
            str(tmp_path / "report"),
            "--limit",
            "4",
            "--classifiers",
            "1",
        ],
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(sys.path), json.dumps(commands), model, photo],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "tensorflow" not in done.stderr.lower()
