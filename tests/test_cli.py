"""The command line as a person uses it: in processes of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY, stargan
from PIL import Image

from stargan import load


def test_overview_and_version() -> None:
    for arguments in ([], ["--help"]):
        done = stargan(*arguments)
        assert done.returncode == 0
        for name in ("train", "translate", "data", "evaluate", "export", "import", "cartoons", "demo"):
            assert f"\n  {name} " in done.stdout
    assert stargan("--version").stdout.startswith("stargan ")


def test_help_loads_nothing_large() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "stargan", "--help"], capture_output=True, text=True, timeout=60
    )
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "stargan" in loaded
    assert not loaded & {"torch", "onnxruntime", "onnx", "tensorboard", "safetensors", "tyro", "rich", "numpy", "PIL"}


BUFFERED = {**os.environ, "PYTHONUNBUFFERED": ""}  # as users have it: what cannot be written is seen late


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [["--help"], ["translate", "--help"], ["card", "celeba"]])
def test_a_full_disk_is_told(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "stargan", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, env=BUFFERED, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.stderr.decode().splitlines() == ["stargan: No space left on device"]
    assert done.returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="the shell's")
def test_output_that_nobody_reads() -> None:
    command = f"{sys.executable} -m stargan --help"
    for end, code in ((">&-", 0), ("| true; exit ${PIPESTATUS[0]}", 2)):
        done = subprocess.run(["bash", "-c", f"{command} {end}"], env=BUFFERED, capture_output=True, timeout=60)
        assert not done.stderr
        assert done.returncode in (0, code)  # 0 where `true` has not ended yet


@pytest.mark.parametrize("command", ["data", "train", "translate", "evaluate", "export", "import", "cartoons", "demo"])
def test_every_command_explains_its_options(command: str) -> None:
    done = stargan(command, "--help")
    assert done.returncode == 0
    assert f"usage: stargan {command}" in done.stdout
    assert "None" not in done.stdout.split("default: None")[0] or command != "data"


BAD = {
    "unknown command": (["trian"], "did you mean train?"),
    "near-miss option": (["train", "--stepps", "4"], "did you mean --steps"),
    "wrong type": (["train", "--steps", "many"], "--steps"),
    "wrong choice": (["train", "--objective", "wgan"], "'wgan-gp'"),
    "out of range": (["train", "--batch-size", "0"], "--batch-size 0: must be at least 1"),
    "bad size": (["train", "--image-size", "12a"], "must be N or WIDTHxHEIGHT"),
    "odd size": (["train", "--image-size", "100"], "divisible by 64"),
    "unknown recipe": (["train", "--recipe", "celebb"], "did you mean celeba?"),
    "nothing to train on": (["train", "--run", "x"], "say --data PATH and --run FOLDER"),
    "missing data": (["train", "--data", "/no/where", "--run", "x"], "/no/where"),
    "missing run": (["train", "--resume", "/no/where"], "/no/where: not a run folder"),
    "missing model": (["translate", "/no/m.onnx", __file__, "--to", "A", "--out", "x"], "/no/m.onnx"),
    "missing picture": (["translate", "/no/m.onnx", "/no/p.jpg", "--to", "A", "--out", "x"], "/no/p.jpg: no such"),
    "no target": (["translate", "m.onnx", "p.jpg", "--out", "x"], "say either --to WORDS or --all or --protocol NAME"),
    "no out": (["translate", "m.onnx", "p.jpg", "--to", "A"], "--out"),
    "export to what": (["export", "/no/run", "x.tar"], "cannot write this kind"),
    "no faces": (["cartoons", "x", "--count", "0"], "--count 0: must be at least 1"),
    "missing set": (["data", "/no/where"], "/no/where"),
    "enormous faces": (["cartoons", "x", "--size", "100000"], "--size 100000: must be at most 8192"),
    "faces into a file": (["cartoons", __file__], "test_cli.py is a file; must be a folder"),
    "faces below a file": (["cartoons", f"{__file__}/x"], "test_cli.py is a file; must be a folder in which"),
    "translations into a file": (["translate", "cartoons", "p.jpg", "--all", "--out", __file__], "must be a folder"),
    "a run below a file": (["train", "--data", ".", "--run", f"{__file__}/x"], "test_cli.py is a file"),
    "a model into a folder": (["export", "cartoons", "/tmp"], "OUT /tmp: is a folder; must be a file"),
    "a crop of nothing": (["import", "G.ckpt", "m.onnx", "--crop", "0"], "--crop 0: must be at least 1"),
    "a sheet of no kind": (["data", ".", "--sheet", "s.xyz"], "s.xyz: cannot write a picture of this kind"),
    "official in half": (["export", "run", "--official", "x", "--half"], "--half: a checkpoint of the official code"),
    "no pairs": (["evaluate", "cartoons", "--data", ".", "--pairs", "no", "--out", "x"], "--pairs no: no such folder"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line_and_exit_code_2(case: str, tmp_path: Path) -> None:
    arguments, expected = BAD[case]
    done = subprocess.run(
        [sys.executable, "-m", "stargan", *arguments], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("stargan: ")
    assert expected in done.stderr
    assert not list(tmp_path.iterdir())


def test_translate_files_and_folders(run: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "in"
    (pictures / "deep").mkdir(parents=True)
    Image.new("RGB", (30, 20), "red").save(pictures / "a.jpg")
    Image.new("L", (20, 30)).save(pictures / "deep" / "b.png")
    (pictures / "notes.txt").write_text("not a picture")
    out = tmp_path / "out"
    done = stargan("translate", run, pictures, "--to", "green", "--to", "domain=blue", "--out", out)
    assert done.returncode == 0, done.stderr
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert found == ["a.domain=blue.png", "a.green.png", "deep/b.domain=blue.png", "deep/b.green.png"]
    for path in out.rglob("*.png"):
        with Image.open(path) as picture:
            assert picture.size == (16, 16)

    before = (out / "a.green.png").read_bytes()
    again = stargan("translate", run, pictures, "--to", "green", "--out", out)
    assert again.returncode == 2
    assert "exists; say --overwrite" in again.stderr
    assert (out / "a.green.png").read_bytes() == before
    assert stargan("translate", run, pictures, "--to", "green", "--out", out, "--overwrite").returncode == 0


def test_translations_inside_the_folder_are_not_translated_again(run: Path, tmp_path: Path) -> None:
    Image.effect_noise((20, 20), 60).save(tmp_path / "a.png")
    for word in ("red", "blue"):
        stargan("translate", run, tmp_path, "--to", word, "--out", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.blue.png", "a.red.png"]


def test_translate_all_writes_every_domain_and_a_grid(run: Path, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.jpg")
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.png")
    done = stargan("translate", run, tmp_path / "a.jpg", tmp_path / "a.png", "--all", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    ends = ["all", "blue", "green", "red"]
    assert names == [f"a.{kind}.{end}.png" for kind in ("jpg", "png") for end in ends]


def test_unreadable_pictures_are_left_out_by_name(run: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    Image.new("RGB", (30, 20), "red").save(tmp_path / "good.jpg")
    done = stargan("translate", run, tmp_path, "--to", "green", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "text.jpg" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.green.png"]


def test_signs_on_the_command_line(run: Path, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.jpg")
    done = stargan(
        "translate",
        run,
        tmp_path / "a.jpg",
        "--to",
        "+green",
        "-red",
        "--from",
        "-green",
        "red",
        "--out",
        tmp_path / "o",
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["a.+green,red=0.png"]


def test_data_prints_a_table_and_writes_a_sheet(colours: Path, tmp_path: Path) -> None:
    done = stargan("data", colours, "--sheet", tmp_path / "sheet.png")
    assert done.returncode == 0, done.stderr
    for word in ("red", "green", "blue", "60", "train", "val"):
        assert word in done.stdout
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 100


def test_a_run_is_not_overwritten(run: Path, colours: Path) -> None:
    done = stargan("train", "--data", colours, "--run", run, *TINY)
    assert done.returncode == 2
    assert f"already contains a run; use --resume {run}" in done.stderr


def test_a_finished_run_can_be_prolonged(colours: Path, tmp_path: Path) -> None:
    first = stargan("train", "--data", colours, "--run", tmp_path / "r", *TINY, "--steps", "4")
    assert first.returncode == 0, first.stderr
    done = stargan("train", "--resume", tmp_path / "r", "--steps", "6")
    assert done.returncode == 0, done.stderr
    for name in ("model.onnx", "model.safetensors"):
        assert load(tmp_path / "r" / name).info.steps == 6
    assert stargan("train", "--resume", tmp_path / "r", "--width", "8").returncode == 2


def test_dry_run_says_what_it_would_be_and_writes_nothing(colours: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "stargan",
            "train",
            "--data",
            colours,
            *TINY,
            "--run",
            "r",
            "--dry-run",
            "--steps",
            "50",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    for word in ('"steps": 50', "labels: 3 (blue, green, red)", "generator:", "GMAC a picture", "50 steps:", "GiB"):
        assert word in done.stdout
    assert not list(tmp_path.iterdir())
