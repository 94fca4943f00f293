"""The HTTP API: the same results as Python's, kind refusals, limits, and who may call it."""

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

import httpx
from web_server import form, serving

import stargan
from stargan import images
from stargan.inference.steps import steps
from stargan.web import Access, Limits, page
from stargan.web.memory import PhotoMemory

SIDE = 192
PAGE = Path(page.__file__).parent


@pytest.fixture(scope="module")
def models() -> dict[str, stargan.Translator]:
    return {name: stargan.load(name) for name in ("celeba", "cartoons")}


@pytest.fixture(scope="module")
def model(models: dict[str, stargan.Translator]) -> stargan.Translator:
    return models["celeba"]


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    data = pytest.importorskip("skimage.data", reason="scikit-image's portrait is not installed")
    return Image.fromarray(data.astronaut()).crop((80, 0, 400, 320)).resize((SIDE, SIDE))


@pytest.fixture(scope="module")
def two(portrait: Image.Image) -> Image.Image:
    """The portrait, and its mirror image to the right of it."""
    wide = Image.new("RGB", (2 * SIDE, SIDE), "gray")
    wide.paste(portrait, (0, 0))
    wide.paste(portrait.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (SIDE, 0))
    return wide


@pytest.fixture(scope="module")
def client(models: dict[str, stargan.Translator]) -> Iterator[httpx.Client]:
    with serving(models) as made:
        yield made


def encoded(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def problem(answer: Any) -> tuple[int, str]:
    found = answer.json()
    assert found.keys() == {"code", "message"}
    assert "\n" not in found["message"]
    return answer.status_code, found["code"]


# ---------------------------------------------------------------- results


def test_a_form_gives_what_python_gives(client: httpx.Client, model: stargan.Translator, portrait: Image.Image) -> None:
    fields = {"target": "black hair,Young=0", "strength": "0.6", "known": ["Male=0"]}
    answer = form(client, "/v1/translate", encoded(portrait), **fields)
    assert answer.headers["content-type"] == "image/png"
    expected = model.translate(portrait, ["Black_Hair", "Young=0"], strength=0.6, known=["Male=0"])
    assert np.array_equal(pixels(answer.content), np.asarray(expected))
    assert not np.array_equal(np.asarray(expected), np.asarray(portrait))


def test_json_in_and_out(client: httpx.Client, model: stargan.Translator, portrait: Image.Image) -> None:
    asked = {"image": base64.b64encode(encoded(portrait)).decode(), "target": ["Blond_Hair"]}
    answer = client.post("/v1/translate", json=asked, headers={"Accept": "application/json"})
    made = answer.json()
    assert (made["format"], made["width"], made["height"]) == ("png", SIDE, SIDE)
    expected = model.translate(portrait, ["Blond_Hair"])
    assert np.array_equal(pixels(base64.b64decode(made["image"])), np.asarray(expected))


def test_faces_are_those_of_python(client: httpx.Client, model: stargan.Translator, two: Image.Image) -> None:
    seen = form(client, "/v1/faces", encoded(two)).json()
    expected = model.faces(two)
    assert (seen["width"], seen["height"], len(seen["faces"])) == (*two.size, 2)
    for face, found in zip(seen["faces"], expected, strict=True):
        assert face["number"] == found.number
        assert face["box"] == pytest.approx(found.face.box)
        assert {one["word"]: one["probability"] for one in face["labels"]} == pytest.approx(found.labels, abs=1e-4)
        assert face["warnings"] == list(found.warnings)


def test_each_face_gets_its_own_change(client: httpx.Client, model: stargan.Translator, two: Image.Image) -> None:
    """A photo is sent once; then only its name."""
    photo = form(client, "/v1/faces", encoded(two)).json()["photo"]
    edits: list[dict[str, Any]] = [
        {"faces": [1], "target": ["Black_Hair"], "known": ["Brown_Hair", "Male=0", "Young"]},
        {"faces": [2], "target": ["Young=0"], "strength": 0.5, "known": ["Male=0"]},
    ]
    answer = client.post("/v1/translate", json={"photo": photo, "edits": edits})
    first = model.translate(two, ["Black_Hair"], faces=1, known=["Brown_Hair", "Male=0", "Young"])
    both = model.look(two)
    values = [model.look(two, known=edit["known"]).values[row] for row, edit in enumerate(edits)]
    results = model.edit(
        both.images,
        [steps(model.domains, values[0], ["Black_Hair"]), steps(model.domains, values[1], ["Young=0"], 0.5)],
    )
    assert np.array_equal(pixels(answer.content), np.asarray(both.paint(results)))
    left = np.s_[:, : SIDE // 2]
    assert np.array_equal(pixels(answer.content)[left], np.asarray(first)[left])


def test_the_second_face_only(client: httpx.Client, model: stargan.Translator, two: Image.Image) -> None:
    answer = form(client, "/v1/translate", encoded(two), target="Black_Hair", faces="2")
    assert np.array_equal(pixels(answer.content), np.asarray(model.translate(two, ["Black_Hair"], faces=2)))


def test_crop(client: httpx.Client, model: stargan.Translator, portrait: Image.Image) -> None:
    answer = form(client, "/v1/translate", encoded(portrait), target="Black_Hair", crop="true")
    view = model.look(portrait)
    (expected,) = images.to_images(model.edit(view.images, [steps(model.domains, view.values[0], ["Black_Hair"])]))
    assert np.array_equal(pixels(answer.content), np.asarray(expected))


def test_a_cut_face(client: httpx.Client, model: stargan.Translator, portrait: Image.Image) -> None:
    cut = model.faces(portrait)[0].image
    answer = form(client, "/v1/translate", encoded(cut), target="Black_Hair", align="false")
    assert np.array_equal(pixels(answer.content), np.asarray(model.translate(cut, ["Black_Hair"], align=False)))


def test_models_that_are_not_about_faces(
    client: httpx.Client, models: dict[str, stargan.Translator], portrait: Image.Image
) -> None:
    wide = portrait.resize((SIDE, SIDE // 2))
    seen = form(client, "/v1/faces", encoded(wide), model="cartoons").json()
    assert seen["faces"] == []
    assert len(seen["labels"]) == len(models["cartoons"].domains.group_names)
    asked = {"photo": seen["photo"], "model": "cartoons", "target": ["Blond_Hair"]}
    expected = models["cartoons"].translate(wide, ["Blond_Hair"])
    assert np.array_equal(pixels(client.post("/v1/translate", json=asked).content), np.asarray(expected))


def test_turned_photos_and_their_files(client: httpx.Client, model: stargan.Translator, portrait: Image.Image) -> None:
    exif = Image.Exif()
    exif[274], exif[271] = 6, "Maker"
    file = encoded(portrait.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)
    answer = form(client, "/v1/translate", file, target="Black_Hair")
    expected = model.translate(file, ["Black_Hair"])
    made = Image.open(io.BytesIO(answer.content))
    assert (made.format, made.size) == ("JPEG", portrait.size)
    assert 274 not in made.getexif()
    assert made.getexif()[271] == "Maker"
    assert np.abs(np.asarray(made, int) - np.asarray(expected, int)).mean() < 2


def test_a_preview_is_the_result_in_small(client: httpx.Client, model: stargan.Translator, two: Image.Image) -> None:
    answer = form(client, "/v1/translate", encoded(two), target="Black_Hair", longest="256")
    assert answer.headers["content-type"] == "image/jpeg"
    small = pixels(answer.content)
    assert small.shape == (128, 256, 3)
    full = model.translate(two, ["Black_Hair"]).resize((256, 128), Image.Resampling.BICUBIC, reducing_gap=2.0)
    before = two.resize((256, 128), Image.Resampling.BICUBIC, reducing_gap=2.0)
    apart = np.abs(small.astype(int) - np.asarray(full, int)).mean()
    assert apart < np.abs(np.asarray(before, int) - np.asarray(full, int)).mean() / 2


def test_a_sheet_has_every_domain(client: httpx.Client, model: stargan.Translator, portrait: Image.Image) -> None:
    answer = form(client, "/v1/sheet", encoded(portrait), side="64")
    tiles = answer.json()["tiles"]
    assert [tile["word"] for tile in tiles] == ["", *(word for word, _ in model.translate_all(portrait))]
    shapes = {pixels(base64.b64decode(tile["image"])).shape for tile in tiles}
    assert len(shapes) == 1
    assert max(shapes.pop()) == 64
    assert len({tile["image"] for tile in tiles}) == len(tiles)


def test_nothing_to_change_gives_the_photo(client: httpx.Client, portrait: Image.Image) -> None:
    photo = form(client, "/v1/faces", encoded(portrait)).json()["photo"]
    answer = client.post("/v1/translate", json={"photo": photo})
    assert np.array_equal(pixels(answer.content), np.asarray(portrait))


# ---------------------------------------------------------------- about the models


def test_models_say_what_can_be_requested(client: httpx.Client, models: dict[str, stargan.Translator]) -> None:
    found = client.get("/v1/models").json()["models"]
    assert [one["name"] for one in found] == ["celeba", "cartoons"]
    assert [one["about"] for one in found] == ["faces", "images"]
    for one, model in zip(found, models.values(), strict=True):
        values = [value for group in one["groups"] for value in group["values"]]
        for value in values:
            for word in [*value["request"], *value["synonyms"]]:
                assert stargan.domains.requests.parse(model.domains, [word])
        assert {value["word"] for value in values} == {*stargan.domains.requests.every_word(model.domains)}
        assert "Model card" in one["card"]
    hair = found[0]["groups"][0]
    assert hair["none"]["word"] == "other hair"
    none = stargan.domains.requests.parse(models["celeba"].domains, hair["none"]["request"])
    assert {*none.values()} == {0}


def test_health_metrics_and_docs(client: httpx.Client, portrait: Image.Image) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "version": stargan.__version__}
    before = client.get("/metrics").text
    form(client, "/v1/translate", encoded(portrait), target="Black_Hair")
    metrics = client.get("/metrics").text
    count = re.compile(r'stargan_requests_total{method="POST",path="/v1/translate",status="200"} (\d+)')
    earlier, later = count.search(before), count.search(metrics)
    assert later is not None
    assert int(later[1]) == (int(earlier[1]) if earlier else 0) + 1
    assert 'stargan_batch_images_count{model="celeba"}' in metrics
    assert "stargan_queue 0.0" in metrics
    docs = client.get("/docs").text
    assert re.findall(r'(?:src|href)="(.)', docs) == ["/"] * 4  # nothing from elsewhere
    for name in re.findall(r'(?:src|href)="([^"]+)"', docs):
        assert client.get(name).status_code == 200
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/translate", "/v1/faces", "/v1/sheet", "/v1/models", "/healthz", "/metrics"} <= paths.keys()


# ---------------------------------------------------------------- refusals

NO_FACE = encoded(Image.effect_noise((96, 64), 40).convert("RGB"))
BAD_FORMS: dict[str, tuple[bytes, dict[str, Any], tuple[int, str]]] = {
    "text": (b"not an image", {"target": "Black_Hair"}, (415, "not_an_image")),
    "empty": (b"", {"target": "Black_Hair"}, (422, "no_image")),
    "no face": (NO_FACE, {"target": "Black_Hair"}, (422, "no_face")),
    "unknown label": (NO_FACE, {"target": "Blnd_Hair"}, (422, "label")),
    "contradiction": (NO_FACE, {"target": "Black_Hair,Blond_Hair"}, (422, "label")),
    "no target": (NO_FACE, {}, (422, "label")),
    "unknown model": (NO_FACE, {"target": "Black_Hair", "model": "x"}, (404, "model_name")),
    "unknown photo": (b"", {"target": "Black_Hair", "photo": "x"}, (404, "photo")),
    "strength": (NO_FACE, {"target": "Black_Hair", "strength": "2"}, (422, "value")),
    "strength nan": (NO_FACE, {"target": "Black_Hair", "strength": "nan"}, (422, "value")),
    "faces": (NO_FACE, {"target": "Black_Hair", "faces": "some"}, (422, "value")),
    "unknown field": (NO_FACE, {"target": "Black_Hair", "colour": "red"}, (422, "value")),
    "format": (NO_FACE, {"target": "Black_Hair", "format": "gif"}, (422, "value")),
}


@pytest.mark.parametrize("case", BAD_FORMS)
def test_bad_forms(client: httpx.Client, case: str) -> None:
    image, fields, expected = BAD_FORMS[case]
    assert problem(form(client, "/v1/translate", image, **fields)) == expected


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b"{", "application/json", (422, "value")),
        (b"[]", "application/json", (422, "value")),
        (b'{"image": "***", "target": ["Male"]}', "application/json", (422, "no_image")),
        (b'{"image": "a", "target": ["Male"]}', "application/json", (422, "value")),
        (b'{"target": ["\\ud800"], "photo": "x"}', "application/json", (422, "value")),
        (b"x" * 10, "text/plain", (415, "content_type")),
        (b"x" * 10, "multipart/form-data", (400, "form")),
        (b"x" * 10, "multipart/form-data; boundary=b", (400, "form")),
    ],
)
def test_bad_bodies(client: httpx.Client, content: bytes, kind: str, expected: tuple[int, str]) -> None:
    assert problem(client.post("/v1/translate", content=content, headers={"Content-Type": kind})) == expected


def test_a_face_that_is_not_there(client: httpx.Client, portrait: Image.Image) -> None:
    answer = form(client, "/v1/translate", encoded(portrait), target="Black_Hair", faces="2")
    assert problem(answer) == (422, "image")
    assert "no face 2" in answer.json()["message"]


def test_unknown_paths_and_methods(client: httpx.Client) -> None:
    for answer, status in (
        (client.get("/v2"), 404),
        (client.get("/v1/translate"), 405),
        (client.get("/page/../api.py"), 404),
    ):
        assert problem(answer) == (status, "http")
    assert problem(client.get("/page/../../api.py"))[0] == 404
    assert problem(client.get("/page/%2e%2e/api.py"))[0] == 404


def test_limits(models: dict[str, stargan.Translator], two: Image.Image) -> None:
    bomb = encoded(Image.new("1", (20_000, 20_000)))  # 50 KB that claim 400 megapixels
    with serving(models, Limits(megabytes=0.1, megapixels=0.08, faces=1)) as client:
        assert problem(form(client, "/v1/faces", bytes(200_000))) == (413, "bytes")
        chunks = (bytes(30_000) for _ in range(5))  # without a length
        headers = {"Content-Type": "application/json"}
        assert problem(client.post("/v1/faces", content=chunks, headers=headers)) == (413, "bytes")
        assert problem(form(client, "/v1/faces", bomb)) == (413, "pixels")
        small = encoded(two, "JPEG")
        assert problem(form(client, "/v1/translate", small, target="Black_Hair")) == (413, "faces")
        assert form(client, "/v1/translate", small, target="Black_Hair", faces="2").status_code == 200


def test_no_image_touches_a_disk(
    client: httpx.Client, portrait: Image.Image, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def rollover(_: object) -> None:
        raise AssertionError("an upload is written to a file")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile.rollover", rollover)
    large = encoded(portrait.resize((1200, 1200)), "BMP")
    assert len(large) > 4_000_000
    assert form(client, "/v1/faces", large).status_code == 200
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------- who may call


def test_headers(client: httpx.Client) -> None:
    for path in ("/", "/healthz", "/nothing"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:80", "[::1]:8000", "192.168.1.7"])
def test_known_hosts(client: httpx.Client, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", "a:b:c", "[::1"])
def test_unknown_hosts(client: httpx.Client, host: str) -> None:
    """Another site may have pointed its name at this machine."""
    assert problem(client.get("/healthz", headers={"Host": host})) == (421, "host")


def test_hosts_and_origins_can_be_allowed(models: dict[str, stargan.Translator]) -> None:
    access = Access(hosts=("photos.example",), origins=("https://shop.example",))
    with serving(models, access=access) as client:
        assert client.get("/healthz", headers={"Host": "photos.example"}).status_code == 200
        for origin, status in (("https://shop.example", 404), ("https://evil.example", 403)):
            answer = client.post("/v1/translate", json={"photo": "x", "target": ["Male"]}, headers={"Origin": origin})
            assert answer.status_code == status
            assert (answer.headers.get("access-control-allow-origin") == origin) == (status == 404)


def test_pages_of_other_sites_may_not_call(client: httpx.Client) -> None:
    for origin in ("https://evil.example", "null", "http://localhost:9999"):
        assert problem(client.delete("/v1/photos/x", headers={"Origin": origin})) == (403, "origin")
    assert client.delete("/v1/photos/x", headers={"Origin": str(client.base_url).rstrip("/")}).status_code == 204


def test_a_key(models: dict[str, stargan.Translator]) -> None:
    with serving(models, access=Access(key="open-sesame")) as client:
        assert client.get("/").status_code == client.get("/healthz").status_code == 200
        for path in ("/v1/models", "/metrics"):
            wrong: list[Any] = [
                {},
                {"Authorization": "Bearer x"},
                {"X-API-Key": "open"},
                {"Authorization": "Basic open-sesame"},
            ]
            for headers in [*wrong, {"X-API-Key": "open-sesame\xe9".encode("latin-1")}]:
                answer = client.get(path, headers=headers)
                assert problem(answer) == (401, "key")
                assert answer.headers["www-authenticate"] == "Bearer"
            for headers in ({"Authorization": "Bearer open-sesame"}, {"X-API-Key": "open-sesame"}):
                assert client.get(path, headers=headers).status_code == 200
    with pytest.raises(stargan.StarganError, match="ASCII"):
        Access(key="ouvre toi")


# ---------------------------------------------------------------- photos in memory


def test_memory_forgets(portrait: Image.Image) -> None:
    now = [0.0]
    photo = images.read_photo(portrait)
    limits = Limits(kept_photos=3, kept_minutes=1)
    memory = PhotoMemory(limits, lambda: now[0])
    names = []
    for second in range(4):
        now[0] = second
        names.append(memory.keep(photo)[0])
    assert len({*names}) == 4
    assert len(memory) == 3
    with pytest.raises(stargan.StarganError, match="send it again"):
        memory.get(names[0])
    memory.get(names[1])  # now the one that was used last
    memory.keep(photo)
    memory.get(names[1])
    with pytest.raises(stargan.StarganError):
        memory.get(names[2])
    now[0] = 64.0
    memory.forget_old()
    assert len(memory) == 0

    memory = PhotoMemory(replace(limits, kept_megabytes=2.5 * SIDE * SIDE * 4 / 1e6), lambda: now[0])
    for _ in range(3):
        memory.keep(photo)
    assert len(memory) == 2


def test_a_photo_can_be_forgotten(client: httpx.Client, portrait: Image.Image) -> None:
    photo = form(client, "/v1/faces", encoded(portrait)).json()["photo"]
    assert client.delete(f"/v1/photos/{photo}").status_code == 204
    assert problem(client.post("/v1/faces", json={"photo": photo})) == (404, "photo")


# ---------------------------------------------------------------- the page's files


def keys(plain: Any, above: str = "") -> dict[str, str]:
    if isinstance(plain, str):
        return {above: plain}
    return {name: text for key, value in plain.items() for name, text in keys(value, f"{above}.{key}").items()}


def test_both_languages_have_all_strings() -> None:
    words = {path.stem: json.loads(path.read_text("utf-8")) for path in (PAGE / "words").glob("*.json")}
    assert words.keys() == {"en", "zh"}
    english, chinese = keys(words["en"]), keys(words["zh"])
    assert english.keys() == chinese.keys()
    for name, text in english.items():
        assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", chinese[name])), name
        assert chinese[name].strip()
        assert text.strip()
    html = "".join(path.read_text("utf-8") for path in PAGE.rglob("*.html"))
    scripts = "".join(path.read_text("utf-8") for path in PAGE.rglob("*.js"))
    used = {*re.findall(r'data-(?:words|label|title)="(\w+)"', html), *re.findall(r'\bt\("(\w+)"', scripts)}
    assert used <= words["en"].keys()
    spare = {name for name, text in words["en"].items() if isinstance(text, str)} - used
    assert {name for name in spare if f'"{name}"' not in scripts} == set()


def test_limits_of_shipped_models_are_translated(models: dict[str, stargan.Translator]) -> None:
    for language in ("en", "zh"):
        words = json.loads((PAGE / "words" / f"{language}.json").read_text("utf-8"))
        assert {*words["limits"]} == {model.info.card.limits for model in models.values() if model.info.card}


def test_the_page_needs_nothing_from_elsewhere() -> None:
    ours = [path for kind in ("js", "html", "css") for path in PAGE.rglob(f"*.{kind}")]
    for path in [path for path in ours if path.parent != PAGE / "runtime"]:
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|[\"'(]//", text), path.name
    for folder in (PAGE, PAGE / "watch"):
        index = (folder / "index.html").read_text("utf-8")
        assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?![^>]*src=)", index)  # as the security policy wants it
        scripts = "".join(path.read_text("utf-8") for path in folder.glob("*.js"))
        assert {*re.findall(r'id="([\w-]+)"', index)} >= {*re.findall(r'\$\("([\w-]+)"\)', scripts)}


def test_files_of_the_page_are_served(client: httpx.Client) -> None:
    index = client.get("/")
    assert index.headers["content-type"].startswith("text/html")
    for name in re.findall(r'(?:src|href)="(page/[^"]+)"', index.text):
        assert client.get(f"/{name}").status_code == 200, name
    portrait = hashlib.sha256(client.get("/page/samples/portrait.jpg").content).digest()
    source = Path(__file__).parent.parent / "docs" / "photos" / "astronaut.jpg"
    assert portrait == hashlib.sha256(source.read_bytes()).digest()  # the public domain portrait of the docs
