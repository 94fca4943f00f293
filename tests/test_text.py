"""Text from strangers: names that no terminal may obey, and words that take long to look at."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import in_process
from PIL import Image

from stargan.domains import Domains, requests
from stargan.domains.names import key
from stargan.errors import DomainError, StarganError, one_line
from stargan.model.card import Card
from stargan.model.card_markdown import markdown
from stargan.model.figure import Figure
from stargan.model.info import ModelInfo

EVIL = "a\nb\x1b[2Jc\r\x00\x7f\x9b31m\u202ed"
SHOWN = r"a\nb\x1b[2Jc\r\x00\x7f\x9b31m\u202ed"


def domains(name: str) -> Domains:
    return Domains.from_json([{"name": "d", "groups": [{"names": [name], "categorical": False, "name": ""}]}])


def test_one_line() -> None:
    assert one_line(EVIL) == SHOWN
    assert one_line("Grün, 日本, می\u200cخواهم") == "Grün, 日本, می\u200cخواهم"  # as it is
    assert one_line("M\udcfcller") == r"M\udcfcller"  # a byte of a name in Latin-1
    assert str(StarganError(EVIL)) == SHOWN


def test_long_words_are_shortened() -> None:
    line = str(StarganError(f"--face {'1' * 5000}: must be a number"))
    assert line.endswith("111: must be a number")
    assert len(line) < 300
    assert str(StarganError("/a" * 400)) == "/a" * 400  # a path


def test_names_of_files_in_errors(tmp_path: Path) -> None:
    (tmp_path / "evil\n\x1b[31m.png").write_bytes(b"no image")
    for path in (tmp_path, tmp_path / "evil\n\x1b[31m.png", tmp_path / "none\n\x1b[31m.png"):
        done = in_process("translate", "cartoons", path, "--to", "Smiling", "--out", tmp_path / "out")
        assert done.returncode == 2
        assert "\x1b" not in done.stderr + done.stdout
        assert r"\n\x1b[31m.png" in done.stderr


def test_names_of_files_in_the_table_of_a_data_set(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("a", "b"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for index in range(3):
            pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / folder / f"{index}.png")
    (tmp_path / "data" / "a" / "evil\n\x1b[31m.png").write_bytes(b"no image")
    done = in_process("data", tmp_path / "data", "--sheet", tmp_path / "sheet.png")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert r"evil\n\x1b[31m.png" in done.stdout


def test_text_in_a_card() -> None:
    text = json.dumps({
        "format": "stargan-model-2",
        "domains": domains("Smiling").to_json(),
        "architecture": {"image_size": [16, 16]},
        "licence": EVIL,
        "recipe": EVIL,
        "data": [{"name": EVIL, "training_images": EVIL}],
    })  # fmt: skip
    figures = {EVIL: {"error": Figure(0.5, 0.4, 0.6, 10)}}
    card = Card({EVIL: EVIL}, figures, figures, EVIL)
    shown = markdown(EVIL, ModelInfo.loads(text), card)
    assert not set(shown) & set("\x1b\r\x00\x7f\x9b\u202e")
    assert shown.count(SHOWN) == 10
    assert f"- Licence of the data: {SHOWN}\n" in shown


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\nb", "a\0b", "\u202ea"])
def test_names_of_domains_can_be_printed(name: str) -> None:
    with pytest.raises(DomainError) as caught:
        domains(name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("middle", [" " * 300_000, " =" * 150_000, "/ " * 150_000, "_-" * 150_000])
def test_no_name_takes_long(middle: str) -> None:
    began = time.process_time()
    key(f"a{middle}b")
    with pytest.raises(DomainError):
        requests.parse(domains("Smiling"), [f"a{middle}b"])
    assert time.process_time() - began < 2


def test_spaces_around_marks() -> None:
    assert key(" celeba / Blond Hair = 1 ") == "celeba/blond_hair=1"
    assert key("a  =  / b") == "a=/b"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["translate", "cartoons", "", "--to", "Smiling"], "the argument after cartoons is empty"),
        (["translate", "", "a.png", "--to", "Smiling"], "the argument after translate is empty"),
        (["translate", "cartoons", "a.png", "--out", ""], "the argument after --out is empty"),
        (["train", "--data=", "--run", "r"], "--data: its value is empty"),
        ([""], "the argument after stargan is empty"),
    ],
)
def test_an_empty_argument_is_not_the_current_folder(arguments: list[str], message: str) -> None:
    done = in_process(*arguments)
    assert (done.returncode, done.stderr) == (2, f"stargan: {message}\n")


@pytest.mark.parametrize("number", ["9" * 5000, "1\x1b[31m"])
def test_counts_that_are_none(number: str, tmp_path: Path) -> None:
    done = in_process("train", "--data", tmp_path, "--run", tmp_path / "r", "--steps", number)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr
