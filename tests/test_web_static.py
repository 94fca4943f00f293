"""The page without a server: a real model in a real browser, on a plain file server, compared with Python."""

import base64
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import in_process
from PIL import Image, ImageOps
from web_browser import SIDE, Page, chromium, drop, made, opened, press, served, two_faces, until, wait, wait_for_change

pytest.importorskip("pydantic", reason="the extra `serve` is not installed")

import stargan
from stargan import images
from stargan.errors import StarganError
from stargan.model import locations, onnx_file, onnx_graph
from stargan.photos import Part, put_back, tone
from stargan.web import runtime, site

NEAR = 0.25  # levels of 255, on average, between the page and Python: rounding, and the order of sums
WORDS = json.loads((site.PAGE / "words" / "en.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def model() -> stargan.Translator:
    return stargan.load("celeba")


@pytest.fixture(scope="module")
def cartoons() -> stargan.Translator:
    return stargan.load("cartoons")


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pages of both shipped models."""
    try:
        runtime.files()
    except StarganError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("sites")
    for name in ("celeba", "cartoons"):
        done = in_process("export", name, f"{folder / name}/")
        assert (done.returncode, done.stdout) == (0, f"{folder / name / 'index.html'}\n"), done.stderr
    return folder


@pytest.fixture(scope="module")
def address(sites: Path) -> Iterator[str]:
    with served(sites) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_faces(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Page]:
    yield from opened(browser, f"{address}celeba/")


@pytest.fixture
def drawings(browser: Any, address: str) -> Iterator[Page]:
    """The page of the small model, which is not about faces."""
    yield from opened(browser, f"{address}cartoons/")


def downloaded(page: Page) -> np.ndarray:
    with page.expect_download() as downloading:
        page.click("#download")
    with Image.open(downloading.value.path()) as image:
        return np.asarray(image.convert("RGB"), int)


def apart(found: np.ndarray, expected: Image.Image) -> float:
    return float(np.abs(found - np.asarray(expected, int)).mean())


def test_a_whole_photo_as_in_python(page: Page, model: stargan.Translator, two: Path) -> None:
    began = time.perf_counter()
    drop(page, two)
    wait(page)
    looked = time.perf_counter()
    for face, found in enumerate(model.faces(two)):
        assert page.get_attribute(f'#outlines [data-face="{face + 1}"]', "aria-pressed") == "true"
        for group, probability in enumerate(found.labels.values()):
            shown = page.text_content(f'label:has([data-key="seen-{face + 1}-{group}"]) small')
            assert abs(int(shown.split()[0]) - 100 * probability) < 1.5
    press(page, "Black_Hair")
    print(f"loaded and looked at in {looked - began:.1f} s; changed in {time.perf_counter() - looked:.1f} s")
    page.click('#outlines [data-face="1"]')
    press(page, "Blond_Hair")
    before = made(page)
    page.fill("#strength", "50")
    wait_for_change(page, before)
    kept = downloaded(page)
    first = model.translate(two, ["Black_Hair"], faces=1)
    second = model.translate(two, ["Blond_Hair"], faces=2, strength=0.5)
    assert apart(kept[:, :SIDE], first.crop((0, 0, SIDE, SIDE))) < NEAR
    assert apart(kept[:, SIDE:], second.crop((SIDE, 0, 2 * SIDE, SIDE))) < NEAR
    assert apart(kept, Image.open(two)) > 1


def test_known_labels(page: Page, model: stargan.Translator, two: Path) -> None:
    drop(page, two)
    wait(page)
    page.click('#outlines [data-face="2"]')
    press(page, "Black_Hair")
    before = made(page)
    page.select_option('[data-key="seen-1-1"]', "Male")
    wait_for_change(page, before)
    assert apart(downloaded(page), model.translate(two, ["Black_Hair"], faces=1, known=["Male"])) < NEAR


def test_models_that_are_not_about_faces(
    drawings: Page, cartoons: stargan.Translator, tmp_path: Path, two: Path
) -> None:
    photo = tmp_path / "wide.png"
    Image.open(two).resize((150, 100)).save(photo)  # in windows
    drop(drawings, photo)
    wait(drawings)
    drawings.click("#show-all")
    drawings.wait_for_selector("#tiles img")
    words = drawings.eval_on_selector_all("#tiles button", "tiles => tiles.map((tile) => tile.dataset.word)")
    assert words == ["", *(word for word, _ in cartoons.translate_all(photo))]
    before = made(drawings)
    drawings.click('#tiles [data-word="Blond_Hair"]')
    wait_for_change(drawings, before)
    assert apart(downloaded(drawings), cartoons.translate(photo, ["Blond_Hair"])) < NEAR


def test_transparent_photos_stay_so(drawings: Page, cartoons: stargan.Translator, two: Path, tmp_path: Path) -> None:
    photo = tmp_path / "cut out.png"
    image = Image.open(two).crop((0, 0, SIDE, SIDE)).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size).point([0] * 40 + [200] * 40 + [255] * 176))
    image.save(photo)
    drop(drawings, photo)
    wait(drawings)
    press(drawings, "Black_Hair")
    with drawings.expect_download() as downloading:
        drawings.click("#download")
    with Image.open(downloading.value.path()) as kept:
        assert np.array_equal(np.asarray(kept.getchannel("A")), np.asarray(image.getchannel("A")))
        over_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        change = np.asarray(cartoons.translate(photo, ["Black_Hair"]), int) - np.asarray(over_white, int)
        expected = np.clip(np.asarray(image, int)[..., :3] + change, 0, 255)
        wrong = np.abs(np.asarray(kept.convert("RGBA"), int)[..., :3] - expected)
        assert wrong[np.asarray(image.getchannel("A")) == 255].mean() < NEAR
        assert wrong[np.asarray(image.getchannel("A")) == 200].mean() < 1.5  # browsers round colours times opacity


def test_nothing_leaves_the_browser(browser: Any, address: str, two: Path) -> None:
    """`opened` fails on any request to elsewhere; here the page and its thread try one."""
    opening = opened(browser, f"{address}cartoons/")
    page = next(opening)
    assert page.text_content('[data-words="promise_here"]') == WORDS["promise_here"]
    drop(page, two)
    wait(page)
    elsewhere = address.replace("127.0.0.1", "localhost")
    assert len(page.workers) == 1
    for place in (page, *page.workers):
        answer = place.evaluate(f"fetch('{elsewhere}', {{mode: 'no-cors'}}).then(() => 'sent', () => 'refused')")
        assert answer == "refused"
    with pytest.raises(AssertionError):  # it has noticed
        next(opening)


def test_kind_errors(drawings: Page, tmp_path: Path) -> None:
    text = tmp_path / "photo.jpg"
    text.write_text("Dear diary")
    drop(drawings, text)
    drawings.wait_for_selector("#toast:not([hidden])")
    assert drawings.text_content("#toast-text") == WORDS["errors"]["not_an_image"]


def test_a_file_that_does_not_come(browser: Any, address: str, sites: Path, two: Path) -> None:
    graph = sites / "cartoons" / "page" / "model" / "classifier.onnx"
    opening = opened(browser, f"{address}cartoons/")
    content = graph.read_bytes()
    graph.unlink()
    try:
        page = next(opening)
        drop(page, two)
        page.wait_for_selector("#toast:not([hidden])")
        assert page.text_content("#toast-text") == WORDS["errors"]["download"]
    finally:
        graph.write_bytes(content)
    page.click("#toast-close")
    drop(page, two)  # it is tried again
    until(page, "!document.getElementById('panel').hidden && !document.getElementById('panel').inert")
    next(opening, None)


# ---------------------------------------------------------------- putting changes back


def test_changes_are_put_back_as_in_python(drawings: Page) -> None:
    rng = np.random.default_rng(0)
    for scale in (0.7, 1.6, 9.0, 40.0):  # the last in cells of two pixels
        side = round(32 * scale) + 20
        photo = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).resize((side + 7, side))
        small = photo.resize((32, 32))
        turn = scale * np.array(((0.98, -0.2), (0.2, 0.98)))
        part = Part(small, np.column_stack((turn, (5.3, -4.1))))
        before = images.to_array([small])
        after = np.clip(before + rng.normal(0, 0.4, before.shape).astype(np.float32), -1, 1)
        expected = np.asarray(put_back(photo, before, after, [part]), int)
        found = put_back_by_the_page(drawings, photo, part, before, after)
        assert np.abs(expected - np.asarray(photo, int)).mean() > 2
        assert np.abs(found - expected).max() <= 1, scale
        assert np.abs(found - expected).mean() < 0.02, scale


def put_back_by_the_page(
    page: Page, photo: Image.Image, part: Part, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    script = """async ([photo, size, small, matrix, before, after]) => {
        const { putBack } = await import("./page/local/pasting.js");
        const bytes = (text) => Uint8ClampedArray.from(atob(text), (letter) => letter.charCodeAt(0));
        const floats = (text) => new Float32Array(bytes(text).buffer);
        const fade = Array(4).fill([0, 0.1]);
        const part = { image: { width: 32, height: 32, data: bytes(small) }, matrix, fade };
        const whole = { width: size[0], height: size[1], data: bytes(photo) };
        const { data } = putBack(whole, [floats(before)], [floats(after)], [part]);
        let text = "";
        for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
        return btoa(text);
    }"""
    arrays = [np.asarray(one.convert("RGBA")) for one in (photo, part.image)] + [before, after]
    texts = [base64.b64encode(array.tobytes()).decode() for array in arrays]
    found = page.evaluate(script, [texts[0], photo.size, texts[1], part.matrix.ravel().tolist(), *texts[2:]])
    pixels = np.frombuffer(base64.b64decode(found), np.uint8)
    return pixels.reshape(photo.height, photo.width, 4)[..., :3].astype(int)


def test_the_page_keeps_tones_as_python_does(drawings: Page) -> None:
    script = """async ([before, after]) => {
        const { keepTone } = await import("./page/local/tone.js");
        return Array.from(keepTone(Float32Array.from(before), Float32Array.from(after)));
    }"""
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).resize((32, 32))
    gray = photo.convert("L")
    sepia = ImageOps.colorize(gray, "#1b0f05", "#fff0d0", "#8a6a45")
    pale = Image.blend(gray.convert("RGB"), photo, 0.1)
    colours = images.to_array([pale])[0].reshape(3, -1)
    assert tone.TONED < tone.Curve(colours[:, :: tone.EVERY]).distance(colours) < tone.COLOURED
    for source in (gray.convert("RGB"), sepia, pale, photo, Image.new("RGB", (32, 32), "gray")):
        before = images.to_array([source])
        after = np.clip(before + rng.normal(0.1, 0.4, (1, 3, 32, 32)).astype(np.float32), -1, 1)
        found = drawings.evaluate(script, [before.ravel().tolist(), after.ravel().tolist()])
        tone.keep(before, after)
        np.testing.assert_allclose(found, after.ravel(), atol=1e-5)


# ---------------------------------------------------------------- the folder


def test_a_page_is_only_replaced_if_that_is_said(sites: Path) -> None:
    folder = sites / "cartoons"
    (folder / "CNAME").write_text("photos.example")
    target = f"{folder}/"
    done = in_process("export", "cartoons", target)
    assert (done.returncode, done.stderr) == (
        2,
        f"stargan: {folder / 'index.html'}: exists; say --overwrite to replace it\n",
    )
    (folder / "page" / "app.js").write_text("damaged")
    assert in_process("export", "cartoons", target, "--overwrite").returncode == 0
    assert (folder / "page" / "app.js").read_bytes() == (site.PAGE / "app.js").read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["CNAME", "index.html", "page"]


def test_bad_targets(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "mine.html").touch()
    (tmp_path / "file").touch()
    damaged = tmp_path / "damaged.onnx"
    content = bytearray(locations.locate(Path("cartoons")).read_bytes())
    content[5000] ^= 1
    damaged.write_bytes(content)
    for arguments, message in {
        ("cartoons", f"{tmp_path}/"): f"{tmp_path / 'page'}: not written by stargan; choose another folder",
        ("cartoons", str(tmp_path)): f"FILE {tmp_path}: is a folder; must be a file, or {tmp_path}/ for a page",
        ("cartoons", f"{tmp_path / 'file'}/"): f"FOLDER {tmp_path / 'file'}: {tmp_path / 'file'} is a file",
        (str(damaged), f"{tmp_path / 'new'}/"): f"{damaged}: damaged",
        ("cartoons", f"{tmp_path / 'new'}/", "--limits", "None."): "--limits: limits are part of the model card",
    }.items():
        done = in_process("export", *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith(f"stargan: {message}")
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "page").iterdir()] == ["mine.html"]


def test_npm_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STARGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    if runtime.complete(runtime.PACKAGED):
        pytest.skip("this package contains what npm would fetch")
    done = in_process("export", "cartoons", f"{tmp_path / 'site'}/")
    assert done.returncode == 2
    assert done.stderr.startswith(f"stargan: npm is needed once, to fetch onnxruntime-web {runtime.VERSION}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "site").exists()


def test_npm_fetches_something_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    npm = tmp_path / "npm"
    for body, message in (
        ("touch onnxruntime-web.tgz", "npm fetched something else than what stargan was tested with"),
        ("echo npm error network >&2; exit 1", "npm could not fetch onnxruntime-web .* \\(npm error network\\)"),
    ):
        npm.write_text(f"#!/bin/sh\n{body}\n")
        npm.chmod(0o755)
        monkeypatch.setattr(shutil, "which", lambda _: str(npm))
        with pytest.raises(StarganError, match=message):
            runtime.fetch(tmp_path / "runtime")
    assert not (tmp_path / "runtime").exists()


def test_licences_lie_beside_what_they_are_about(sites: Path) -> None:
    for name in runtime.LICENCES:
        assert "MIT License" in (sites / "celeba" / "page" / "runtime" / name).read_text("utf-8")
    assert "CenterFace" in (sites / "celeba" / "page" / "model" / "finder-LICENSE.md").read_text("utf-8")


def test_a_graph_without_its_metadata() -> None:
    file = onnx_file.read(locations.locate(Path("cartoons")))
    bare = onnx_graph.without_metadata(file.generator)
    assert onnx_graph.metadata(bare) == {}
    assert len(bare) < len(file.generator) - len(file.classifier)
    onnx_graph.check(bare)
