"""The command line as a person uses it."""

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY, in_process, stargan, write_folders
from PIL import Image

from stargan import __version__, cli, load
from stargan.cli.commands import SUMMARIES
from stargan.config import recipes


def test_overview_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["-h"], ["--help"]):
        assert cli.main(arguments) == 0
        text = capsys.readouterr().out
        for name, summary in SUMMARIES.items():
            assert re.search(rf" {name} +{summary[:30]}", text)
    assert stargan("--version").stdout == f"stargan {__version__}\n"


LARGE = {"torch", "onnxruntime", "onnx", "tensorboard", "safetensors", "rich", "numpy", "PIL", "typeguard"}


@pytest.mark.parametrize(("option", "large"), [("--help", LARGE), ("--version", {*LARGE, "tyro"})])
def test_the_overview_loads_nothing_large(option: str, large: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "stargan", option], capture_output=True, text=True, timeout=60
    )
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "stargan" in loaded
    assert not loaded & large


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


@pytest.mark.parametrize("command", SUMMARIES)
def test_every_command_explains_its_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, "-h"]) == 0
    text = capsys.readouterr().out
    assert f"usage: stargan {command} [-h]" in text
    for raw in ("[PATH", "[STR", "{None}", "(default: )", "(default: None)", "(default: False)"):
        assert raw not in text or command == "train"


def test_options_of_training_are_grouped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert cli.main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    groups = re.findall(r"^\W*((?:\w+ )?options)\W*$", text, re.MULTILINE)
    assert groups == [
        "options",
        "data options",
        "network options",
        "loss options",
        "optimization options",
        "run options",
    ]
    assert not {"--mask", "--resize", "--critic-updates", "--lambda-slope"} & set(text.split())
    for name, summary in recipes.SUMMARIES.items():
        assert re.search(rf"{name} +{summary}", text)
    assert recipes.SUMMARIES.keys() == recipes.RECIPES.keys()


@pytest.mark.parametrize(
    ("options", "recipe"),
    [
        ([], "edit"),
        (["--image-size", "64"], "edit"),
        (["--image-size", "64", "--image-size=32"], "modern"),
        (["--image-size", "256x300"], "modern-256"),
        (["--data", "a", "--data=b"], "modern"),
        (["--generator", "stargan"], "modern"),
        (["--discriminator", "stargan"], "modern"),
        (["--method", "cyclegan"], "cyclegan"),
    ],
)
def test_the_default_recipe_follows_other_options(
    options: list[str], recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", *options, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"(default: {recipe})" in text
    said = f"recipe {recipe}; edit, the default, needs one data set and square images of 64, 128, 256 or 512 pixels\n"
    assert (said in text) == (recipe.startswith("modern") and options[0] not in ("--generator", "--discriminator"))


def test_defaults_in_the_help_are_those_of_the_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--recipe=rafd", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for default in ("(default: 54200)", "(default: 0.0)", "(default: rafd)"):
        assert default in text


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell: str) -> None:
    script = stargan("completion", shell).stdout
    for word in (*SUMMARIES, "--objective", "wgan-gp", "--from"):
        assert word in script
    assert "--critic-updates" not in script
    if shell == "bash" and shutil.which("bash"):
        ask = "COMP_WORDS=(stargan tra); COMP_CWORD=1; _tyro_stargan; echo ${COMPREPLY[@]}"
        done = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, timeout=60)
        assert sorted(done.stdout.split()) == ["train", "translate"]


BAD = {
    "unknown command": (["trian"], "did you mean train?"),
    "unknown option": (["--verbose"], "unknown option --verbose (see stargan --help)"),
    "near-miss option": (
        ["train", "--stepps", "4"],
        "unknown option --stepps; did you mean --steps? (see",
    ),
    "near-miss and missing": (
        ["evaluate", "m", "--dta", "x"],
        "missing: --data DATA, --out FOLDER (unknown option --dta)",
    ),
    "too much": (["card", "celeba", "cartoons"], "unexpected argument cartoons"),
    "wrong type": (["train", "--steps", "many"], "--steps many: must be a whole number"),
    "wrong type, optional": (["demo", "--steps", "many"], "--steps many: must be a whole number"),
    "wrong crop": (["train", "--crop", "1.5"], "--crop 1.5: must be a fraction up to 1, or a whole number of pixels"),
    "wrong choice": (["train", "--objective", "wgan"], "--objective wgan: must be one of wgan-gp, wgan-lp, dragan,"),
    "another shell": (["completion", "fish"], "shell fish: must be one of bash, zsh"),
    "no value": (["train", "--steps"], "--steps: its value is missing"),
    "out of range": (["train", "--batch-size", "0"], "--batch-size 0: must be at least 1"),
    "bad size": (["train", "--image-size", "12a"], "must be N or WIDTHxHEIGHT"),
    "odd size": (["train", "--image-size", "2"], "--image-size 2x2: must be a multiple of 4"),
    "unknown recipe": (["train", "--recipe", "celebb"], "did you mean celeba?"),
    "nothing to train on": (["train", "--run", "x"], "say --data PATH and --run FOLDER"),
    "missing data": (["train", "--data", "/no/where", "--run", "x"], "/no/where"),
    "missing run": (["train", "--resume", "/no/where"], "/no/where: not a run folder"),
    "missing model": (["translate", "/no/m.onnx", __file__, "--to", "A", "--out", "x"], "/no/m.onnx"),
    "missing image": (["translate", "/no/m.onnx", "/no/p.jpg", "--to", "A", "--out", "x"], "/no/p.jpg: no such"),
    "no target": (
        ["translate", "m.onnx", "p.jpg", "--out", "x"],
        "say either --to LABEL... or --all or",
    ),
    "no out": (["translate", "m.onnx", "p.jpg", "--to", "A"], "say --out FOLDER, or one photo and the file to write"),
    "out of no kind": (["translate", "m.onnx", "p.jpg", "q.xyz", "--to", "A"], "q.xyz: cannot write an image of this"),
    "two targets in a file": (["translate", "m", "p.jpg", "q.jpg", "--to", "A", "--to", "B"], "q.jpg: several transl"),
    "too strong": (["translate", "m", "p.jpg", "q.jpg", "--to", "A", "--strength", "2"], "--strength 2.0: must be a"),
    "strange strength": (["translate", "m", "p", "q.jpg", "--to", "A", "--strength", "nan"], "--strength nan: must be"),
    "no such face": (["translate", "m", "p", "q.jpg", "--to", "A", "--face", "0"], "--face 0: must be largest or num"),
    "both": (["translate", "m", "p", "q.jpg", "--to", "A", "--overwrite", "--skip-existing"], "say either --overwrite"),
    "nothing at all": (["translate"], "missing: MODEL"),
    "export to what": (["export", "/no/run", "x.tar"], "cannot write this kind"),
    "no faces": (["cartoons", "x", "--count", "0"], "--count 0: must be at least 1"),
    "missing set": (["data", "/no/where"], "/no/where"),
    "enormous faces": (["cartoons", "x", "--size", "100000"], "--size 100000: must be at most 8192"),
    "faces into a file": (["cartoons", __file__], "test_cli.py is a file; must be a folder"),
    "faces below a file": (["cartoons", f"{__file__}/x"], "test_cli.py is a file; must be a folder in which"),
    "translations into a file": (["translate", "cartoons", "p.jpg", "--all", "--out", __file__], "must be a folder"),
    "a run below a file": (["train", "--data", ".", "--run", f"{__file__}/x"], "test_cli.py is a file"),
    "a model into a folder": (["export", "cartoons", "/tmp"], "FILE /tmp: is a folder; must be a file"),
    "a crop of nothing": (["import", "G.ckpt", "m.onnx", "--crop", "0"], "--crop 0: must be a fraction up to 1"),
    "a sheet of no kind": (["data", ".", "--sheet", "s.xyz"], "s.xyz: cannot write an image of this kind"),
    "official in half": (["export", "run", "--official", "x", "--half"], "--half: a checkpoint of the official code"),
    "an address": (["translate", "celeba", "https://a.b/c.jpg", "d.jpg"], "https://a.b/c.jpg: an address, not a file;"),
    "an address of a model": (["card", "http://a.b/c.onnx"], "http://a.b/c.onnx: an address, not a file; download it"),
    "no number of minutes": (["train", "--minutes", "long"], "--minutes long: must be a number (see"),
    "no minutes": (["train", "--minutes", "0"], "--minutes 0.0: must be a number above 0"),
    "a group of one": (["train", "--exclusive", "A"], "--exclusive A: must be two or more names"),
    "quiet and verbose": (["card", "celeba", "-q", "-v"], "say either -q or -v"),
    "no pairs": (["evaluate", "cartoons", "--data", ".", "--pairs", "no", "--out", "x"], "--pairs no: no such folder"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line_and_exit_code_2(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, expected = BAD[case]
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1, printed.err
    assert printed.err.startswith("stargan: ")
    assert expected in printed.err
    assert not printed.out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])  # tyro draws other boxes in each
@pytest.mark.parametrize("columns", ["60", "120"])
def test_mistakes_read_the_same_on_every_terminal(
    encoding: str, columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    for case in ("near-miss option", "near-miss and missing", "wrong type", "wrong choice", "nothing at all"):
        arguments, expected = BAD[case]
        assert cli.main(arguments) == 2
        assert expected in capsys.readouterr().err


def test_translate_files_and_folders(run: Path, tmp_path: Path) -> None:
    photos = tmp_path / "in"
    (photos / "deep").mkdir(parents=True)
    Image.new("RGB", (30, 20), "red").save(photos / "a.jpg")
    Image.new("L", (20, 30)).save(photos / "deep" / "b.png")
    (photos / "notes.txt").write_text("not an image")
    out = tmp_path / "out"
    done = in_process("translate", run, photos, "--to", "green", "--to", "domain=blue", "--out", out)
    assert done.returncode == 0, done.stderr
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*.*"))
    assert found == ["a.domain=blue.jpg", "a.green.jpg", "deep/b.domain=blue.png", "deep/b.green.png"]
    for path in out.rglob("*.*"):
        with Image.open(path) as image:
            assert image.size == ((30, 20) if path.name.startswith("a") else (20, 30))

    before = (out / "a.green.jpg").read_bytes()
    again = in_process("translate", run, photos, "--to", "green", "--out", out)
    assert again.returncode == 2
    assert "exists; say --overwrite" in again.stderr
    assert (out / "a.green.jpg").read_bytes() == before
    assert in_process("translate", run, photos, "--to", "green", "--out", out, "--overwrite").returncode == 0


def test_translations_inside_the_folder_are_not_translated_again(run: Path, tmp_path: Path) -> None:
    Image.effect_noise((20, 20), 60).save(tmp_path / "a.png")
    for word in ("red", "blue"):
        in_process("translate", run, tmp_path, "--to", word, "--out", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.blue.png", "a.red.png"]


def test_translate_all_writes_every_domain_and_a_grid(run: Path, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.jpg")
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.png")
    done = in_process("translate", run, tmp_path / "a.jpg", tmp_path / "a.png", "--all", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    ends = ["all", "blue", "green", "red"]
    assert names == [f"a.{k}.{end}.{'png' if end == 'all' else k}" for k in ("jpg", "png") for end in ends]


def test_unreadable_images_are_left_out_by_name(run: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    Image.new("RGB", (30, 20), "red").save(tmp_path / "good.jpg")
    done = in_process("translate", run, tmp_path, "--to", "green", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "text.jpg" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.green.jpg"]


def test_signs_on_the_command_line(run: Path, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.jpg")
    done = in_process(
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
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["a.+green,red=0.jpg"]


def test_data_aligns_faces(photos_of_faces: list[Image.Image], tmp_path: Path) -> None:
    data = write_folders(tmp_path / "photos", [*photos_of_faces[:3], Image.new("RGB", (64, 64))])
    plain, aligned = tmp_path / "plain.png", tmp_path / "aligned.png"
    assert "left out: nothing" in in_process("data", data, "--sheet", plain).stdout
    done = in_process("data", data, "--align", "faces", "--sheet", aligned)
    assert done.returncode == 0, done.stderr
    assert "left out: no face in 1 of 4 images: b/003.png" in done.stdout.splitlines()
    assert "left out: nothing" not in done.stdout
    assert aligned.read_bytes() != plain.read_bytes()


def test_data_prints_a_table_and_writes_a_sheet(colours: Path, tmp_path: Path) -> None:
    done = in_process("data", colours, "--sheet", tmp_path / "sheet.png")
    assert done.returncode == 0, done.stderr
    for word in ("red", "green", "blue", "60", "train", "val"):
        assert word in done.stdout
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 100


@pytest.mark.parametrize("name", ["sheet.png", "sheet.jpg"])
def test_a_contact_sheet_replaces_only_another_one(colours: Path, tmp_path: Path, name: str) -> None:
    sheet = tmp_path / name
    for _ in range(2):
        assert in_process("data", colours, "--sheet", sheet).returncode == 0
    Image.new("RGB", (8, 8)).save(sheet)
    own = sheet.read_bytes()
    refused = in_process("data", colours, "--sheet", sheet)
    assert refused.returncode == 2
    assert "is no contact sheet; say --overwrite" in refused.stderr
    assert sheet.read_bytes() == own
    assert in_process("data", colours, "--sheet", sheet, "--overwrite").returncode == 0
    assert sheet.read_bytes() != own


def test_a_run_is_not_overwritten(run: Path, colours: Path) -> None:
    done = in_process("train", "--data", colours, "--run", run, *TINY)
    assert done.returncode == 2
    assert f"already contains a run; use --resume {run}" in done.stderr


def test_a_finished_run_can_be_prolonged(colours: Path, tmp_path: Path) -> None:
    first = in_process("train", "--data", colours, "--run", tmp_path / "r", *TINY, "--steps", "4")
    assert first.returncode == 0, first.stderr
    done = in_process("train", "--resume", tmp_path / "r", "--steps", "6")
    assert done.returncode == 0, done.stderr
    for name in ("model.onnx", "model.safetensors"):
        assert load(tmp_path / "r" / name).info.steps == 6
    assert in_process("train", "--resume", tmp_path / "r", "--width", "8").returncode == 2


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
    for word in ('"steps": 50', "labels: 3 (blue, green, red)", "generator:", "GMAC an image", "GiB"):
        assert word in done.stdout
    assert not list(tmp_path.iterdir())
