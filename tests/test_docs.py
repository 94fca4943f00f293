"""The documentation as a whole: it builds as a site with all links right, and the Chinese pages keep in step."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_snippets import blocks

ROOT = Path(__file__).parents[1]
PAIRS = [("README.md", "README.zh.md"), ("docs/start.md", "docs/start.zh.md")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-q",
        "-f",
        str(ROOT / "mkdocs.yml"),
        "-d",
        str(folder),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_has_every_page_and_needs_nothing_from_elsewhere(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    built = {path.parent.relative_to(site) for path in site.rglob("index.html")}
    assert pages - {Path("index")} <= built
    assert (site / "site" / "icon.svg").is_file()
    assert (site / "notebook.ipynb").is_file()
    for path in site.rglob("*.html"):
        html = path.read_text("utf-8")
        loaded = re.findall(r'<(?:script|img|iframe|source)[^>]*\ssrc="([^"]+)"', html)
        loaded += re.findall(r'<link[^>]*rel="(?:stylesheet|preconnect|icon)"[^>]*href="([^"]+)"', html)
        assert not [address for address in loaded if re.match("https?:|//", address)], path
    assert not any("url(http" in path.read_text("utf-8") for path in site.rglob("*.css"))


def test_a_wrong_anchor_is_found(tmp_path: Path) -> None:
    """The check of the links works: the same settings refuse a link to a heading that is not there."""
    pytest.importorskip("material", reason="the extra `docs` is not installed")
    settings = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nvalidation:")[2].partition("\nnav:")[0]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# One\n\n[two](#one) [three](#none)\n")
    (tmp_path / "mkdocs.yml").write_text(f"site_name: test\nvalidation:{settings}\n")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(tmp_path / "mkdocs.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "'#none'" in done.stderr
    assert "'#one'" not in done.stderr


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_the_chinese_pages_have_the_same_commands(english: str, chinese: str) -> None:
    first, second = ((ROOT / name).read_text("utf-8") for name in (english, chinese))
    assert commands(first) == commands(second)
    assert len(commands(first)) > 3
    for mark in (r"^#+ ", r"^\| ", r"!\["):  # headings, rows of tables and images
        assert len(re.findall(mark, first, re.MULTILINE)) == len(re.findall(mark, second, re.MULTILINE)), mark
    assert f"({Path(chinese).name})" in first.splitlines()[2]
    assert f"({Path(english).name})" in second.splitlines()[2]


@pytest.mark.parametrize("name", ["README.md", "README.zh.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_pages_outside_of_the_site(name: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text("utf-8")):
        assert (ROOT / target).exists(), target


def commands(text: str) -> list[list[str]]:
    """The blocks of code of a page, without their comments."""
    return [[re.sub(r"\s*(?<!\S)#.*", "", line) for line in block.lines] for block in blocks(text)]
