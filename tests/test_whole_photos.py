"""Photos in, whole photos out: with the faces model that comes with the package and a portrait of NASA's."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import in_process
from PIL import Image, ImageDraw, ImageOps

import stargan
from stargan import images
from stargan.errors import ConfigError, DataError, DomainError, ImageError
from stargan.inference import jobs

SIDE = 256
KNOWN = ["Brown_Hair", "Male=0", "Young", "Smiling", "Eyeglasses=0"]


@pytest.fixture(scope="module")
def model() -> stargan.Translator:
    return stargan.load("celeba")


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    """The astronaut's head and shoulders, SIDE pixels wide."""
    data = pytest.importorskip("skimage.data", reason="scikit-image's portrait is not installed")
    return Image.fromarray(data.astronaut()).crop((80, 0, 400, 320)).resize((SIDE, SIDE))


@pytest.fixture(scope="module")
def two(portrait: Image.Image) -> Image.Image:
    """The portrait twice, the second time smaller, on gray."""
    wide = Image.new("RGB", (2 * SIDE, SIDE), "gray")
    wide.paste(portrait, (0, 0))
    wide.paste(portrait.resize((180, 180)), (SIDE + 40, 40))
    return wide


def changed(before: Image.Image, after: Image.Image) -> np.ndarray:
    assert before.size == after.size
    return (np.asarray(before) != np.asarray(after)).any(-1)


def test_only_the_aligned_square_changes(model: stargan.Translator, portrait: Image.Image) -> None:
    result = model.translate(portrait, ["Black_Hair"], known=KNOWN)
    (face,) = model.look(portrait).regions
    square = Image.new("L", portrait.size)
    ImageDraw.Draw(square).polygon([tuple(corner) for corner in face.part.corners], fill=1, outline=1, width=3)
    where = changed(portrait, result)
    assert where.any()
    assert not where[np.asarray(square) == 0].any()
    hair = np.s_[20:60, 90:150]  # above the forehead
    assert np.asarray(result)[hair].mean() < np.asarray(portrait)[hair].mean() - 15


def test_strength(model: stargan.Translator, portrait: Image.Image) -> None:
    def change(strength: float) -> np.ndarray:
        result = model.translate(portrait, ["Black_Hair"], known=KNOWN, strength=strength)
        return np.asarray(result, float) - np.asarray(portrait, float)

    assert not change(0).any()
    half, whole, more = change(0.5), change(1), change(1.5)
    assert np.abs(half).mean() == pytest.approx(np.abs(whole).mean() / 2, rel=0.1)
    assert np.abs(more).mean() > 1.2 * np.abs(whole).mean()
    for wrong in (-0.1, 1.6, float("nan"), True, "much"):
        with pytest.raises(ConfigError, match="must be a number from 0 to"):
            model.translate(portrait, ["Black_Hair"], strength=wrong)  # type: ignore[arg-type]


def test_faces_are_chosen(model: stargan.Translator, two: Image.Image) -> None:
    both, left, right, largest = (
        changed(two, model.translate(two, ["Black_Hair"], known=KNOWN, faces=choice))
        for choice in ("all", 1, [2], "largest")
    )
    assert left[:, :SIDE].any()
    assert not left[:, SIDE:].any()
    assert right[:, SIDE + 40 :].any()
    assert not right[:, :SIDE].any()
    assert np.array_equal(both, left | right)
    assert np.array_equal(largest, left)
    with pytest.raises(ImageError, match="no face 3; the faces are numbered 1 to 2 from left to right"):
        model.translate(two, ["Black_Hair"], faces=3)
    for wrong in ("biggest", 0, [], True, [1, "2"]):
        with pytest.raises(ConfigError, match="must be 'all', 'largest' or numbers from 1"):
            model.translate(two, ["Black_Hair"], faces=wrong)  # type: ignore[arg-type]


def test_faces_and_their_labels(model: stargan.Translator, two: Image.Image) -> None:
    found = model.faces(two, known=["Male=0"])
    assert [face.number for face in found] == [1, 2]
    assert found[0].face.size > found[1].face.size
    for face in found:
        assert face.image.size == model.image_size
        assert face.labels["Male=0"] == pytest.approx(1, abs=1e-5)
        assert 0.5 < face.labels.get("Young", face.labels.get("Young=0", 0)) <= 1
        assert not face.warnings
    tiny = model.faces(two.resize((two.width // 6, two.height // 6)))
    assert any("pixels wide" in line for face in tiny for line in face.warnings)
    cut = model.faces(two.crop((110, 0, SIDE, SIDE)))
    assert any("cut by the border" in line for face in cut for line in face.warnings)
    assert model.faces(Image.new("RGB", (200, 200), "green")) == []
    assert stargan.load("cartoons").faces(two) == []


def test_what_matters_of_a_face(model: stargan.Translator, portrait: Image.Image) -> None:
    """An edit generator takes only the change of labels, so the labels that a request leaves alone do not matter."""
    woman, man, blond, brown = (
        np.asarray(model.translate(portrait, {"Black_Hair": 1}, known=known))
        for known in (["female", "young"], ["male", "old"], ["blond hair"], ["brown hair"])
    )
    assert np.array_equal(woman, man)
    assert not np.array_equal(blond, brown)


def test_black_and_white_stays_so(model: stargan.Translator, portrait: Image.Image) -> None:
    photo = portrait.convert("L")
    (face,) = model.faces(photo)
    for source, result in (
        (photo, model.translate(photo, ["Black_Hair"], known=KNOWN)),
        (face.image, model.translate_aligned(face.image, ["Black_Hair"], known=KNOWN)),
    ):
        made = np.asarray(result)
        assert not np.ptp(made, axis=-1).any()
        assert (made != np.asarray(source.convert("RGB"))).any()


def test_a_model_for_whole_images_may_give_colours() -> None:
    """As one that colours drawings does."""
    drawn = Image.effect_mandelbrot((64, 64), (-2, -1.5, 1, 1.5), 50)
    assert np.ptp(np.asarray(stargan.load("cartoons").translate(drawn, ["Blond_Hair"])), axis=-1).max() > 20


def test_lists_and_arrays(model: stargan.Translator, portrait: Image.Image) -> None:
    array = np.asarray(portrait)
    expected = model.translate(portrait, ["Black_Hair"], known=KNOWN)
    given: list[images.ImageSource] = [portrait, array]
    for several in (given, np.stack([array, array])):
        results = model.translate(several, ["Black_Hair"], known=KNOWN)
        assert [result.tobytes() for result in results] == [expected.tobytes()] * 2  # type: ignore[union-attr]
    assert model.translate([], ["Black_Hair"]) == []
    with pytest.raises(ImageError, match=r"an array of float64, shape \(256, 256, 3\); must be uint8"):
        model.translate(array / 255, ["Black_Hair"])
    with pytest.raises(DomainError, match="unknown domain"):
        model.translate([portrait], ["Green_Hair"])


def test_the_square_alone(model: stargan.Translator, portrait: Image.Image) -> None:
    (face,) = model.faces(portrait)
    assert model.translate_aligned(face.image, ["Black_Hair"]).size == model.image_size
    assert model.translate_aligned(face.image, ["Black_Hair"], strength=0).tobytes() == face.image.tobytes()


def test_every_domain(model: stargan.Translator, two: Image.Image) -> None:
    found = dict(model.translate_all(two, known=KNOWN))
    hair = ["Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"]
    assert list(found) == [*hair, "Male", "Young=0", "Smiling=0", "Eyeglasses"]
    assert all(result.size == two.size for result in found.values())


def test_the_command_and_python_give_the_same_pixels(
    model: stargan.Translator, portrait: Image.Image, tmp_path: Path
) -> None:
    portrait.save(tmp_path / "in.png")
    done = in_process("translate", "celeba", tmp_path / "in.png", tmp_path / "out.png", "--to", "Black_Hair")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "out.png") as written:
        assert written.tobytes() == model.translate(tmp_path / "in.png", ["Black_Hair"]).tobytes()
    assert "in.png: 1 face; face 1: " in done.stdout


def test_what_a_file_says_is_kept(model: stargan.Translator, portrait: Image.Image, tmp_path: Path) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    exif[0x010F] = "a camera"
    turned = portrait.transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "in.jpg", quality=95, exif=exif, icc_profile=profile, dpi=(300, 300), subsampling=0)
    done = in_process("translate", "celeba", tmp_path / "in.jpg", "--to", "Black_Hair", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "in.Black_Hair.jpg") as written:
        assert written.format == "JPEG"
        assert written.size == portrait.size
        assert written.getexif().get(0x0112, 1) == 1
        assert written.getexif()[0x010F] == "a camera"
        assert written.info["icc_profile"] == profile
        assert written.info["dpi"] == (300, 300)
        upright = images.decode(tmp_path / "in.jpg")
        difference = np.abs(np.asarray(written, float)[SIDE - 40 :] - np.asarray(upright, float)[SIDE - 40 :])
        assert difference.mean() < 2  # that of writing JPEG again


def test_transparency_is_kept(model: stargan.Translator, portrait: Image.Image, tmp_path: Path) -> None:
    clear = portrait.copy()
    clear.putalpha(Image.linear_gradient("L").resize(portrait.size))
    clear.save(tmp_path / "in.png")
    done = in_process(
        "translate", "celeba", tmp_path / "in.png", tmp_path / "out.png", "--to", "Black_Hair", "--from", *KNOWN
    )
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "out.png") as written:
        there, before = np.asarray(written, int), np.asarray(clear, int)
    assert (there[..., 3] == before[..., 3]).all()
    (face,) = model.look(clear).regions
    low, high = face.part.corners.min(0).astype(int), face.part.corners.max(0).astype(int) + 1
    around = np.ones(before.shape[:2], bool)
    around[max(low[1], 0) : high[1], max(low[0], 0) : high[0]] = False
    assert around.any()
    assert (there == before)[around].all()
    over_white = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    change = np.asarray(model.translate(clear, ["Black_Hair"], known=KNOWN), int) - np.asarray(over_white, int)
    assert (there[..., :3] == np.clip(before[..., :3] + change, 0, 255)).all()
    assert np.abs(change).max() > 20


@pytest.mark.parametrize(
    ("model", "options", "why"),
    [("celeba", ["--no-align"], "--no-align looks for none"), ("cartoons", [], "cartoons is not about faces")],
)
def test_faces_are_chosen_only_where_they_are_found(
    model: str, options: list[str], why: str, portrait: Image.Image, tmp_path: Path
) -> None:
    portrait.save(tmp_path / "in.png")
    words = ["--to", "Black_Hair", "--face", "1", *options]
    done = in_process("translate", model, tmp_path / "in.png", tmp_path / "out.png", *words)
    said = f"stargan: --face 1: chooses among faces, and {why}; leave it out\n"
    assert (done.returncode, done.stderr) == (2, said)


def test_a_photo_without_a_face_is_left_out(portrait: Image.Image, tmp_path: Path) -> None:
    portrait.save(tmp_path / "face.png")
    Image.new("RGB", (120, 90), "green").save(tmp_path / "meadow.png")
    done = in_process("translate", "celeba", tmp_path, "--to", "Black_Hair", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "meadow.png: no face found; if it shows one face, cut and aligned already, say --no-align" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["face.Black_Hair.png"]
    aligned = in_process(
        "translate", "celeba", tmp_path / "meadow.png", tmp_path / "o.png", "--to", "Black_Hair", "--no-align"
    )
    assert aligned.returncode == 0, aligned.stderr
    with Image.open(tmp_path / "o.png") as written:
        assert written.size == (120, 90)


def test_a_small_image_without_a_face_may_be_an_aligned_one(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), "brown").save(tmp_path / "a.png")
    done = in_process("translate", "celeba", tmp_path / "a.png", tmp_path / "o.png", "--to", "Black_Hair")
    assert done.returncode == 0, done.stderr
    assert "a.png: no face found; this small image is taken as one face, cut and aligned already" in done.stderr
    assert not stargan.load("celeba").faces(tmp_path / "a.png")


def test_boxes_squares_and_grids(two: Image.Image, model: stargan.Translator, tmp_path: Path) -> None:
    two.save(tmp_path / "two.webp")
    out = tmp_path / "out"
    assert in_process("translate", "celeba", tmp_path / "two.webp", "--faces", "boxes", "--out", out).returncode == 0
    done = in_process("translate", "celeba", tmp_path / "two.webp", "--crop", "--to", "Black_Hair", "--out", out)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "two.face1.Black_Hair.png", "two.face2.Black_Hair.png", "two.faces.webp",
    ]  # fmt: skip
    with Image.open(out / "two.faces.webp") as boxes, Image.open(out / "two.face1.Black_Hair.png") as square:
        assert boxes.size == two.size
        assert square.size == model.image_size
    again = in_process("translate", "celeba", tmp_path / "two.webp", "--crop", "--to", "Black_Hair", "--out", out)
    assert again.returncode == 2
    assert "two.face1.Black_Hair.png: exists" in again.stderr or "two.face2.Black_Hair.png: exists" in again.stderr
    done = in_process("translate", "celeba", tmp_path / "two.webp", "--all", "--out", tmp_path / "all")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "all" / "two.all.png") as grid:
        assert grid.height > 2 * model.image_size[1]  # a row for each face


def test_standard_input_and_output(portrait: Image.Image, model: stargan.Translator) -> None:
    file = io.BytesIO()
    portrait.save(file, "PNG")
    command = [sys.executable, "-m", "stargan", "translate", "celeba", "-", "-", "--to", "Black_Hair"]
    done = subprocess.run(command, input=file.getvalue(), capture_output=True)
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as written:
        assert written.format == "PNG"
        assert written.tobytes() == model.translate(portrait, ["Black_Hair"]).tobytes()
    assert b"standard input: 1 face" in done.stderr
    done = subprocess.run(command, input=b"hello", capture_output=True)
    assert (done.returncode, done.stdout) == (2, b"")


def test_going_on_with_a_folder(run: Path, tmp_path: Path) -> None:
    for name in "ab":
        Image.effect_noise((20, 20), 60).save(tmp_path / f"{name}.png")
    out = tmp_path / "out"
    command = ("translate", run, tmp_path, "--to", "red", "--to", "blue", "--out", out, "--skip-existing")
    assert in_process(*command).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    (out / "b.blue.png").unlink()
    done = in_process(*command)
    assert done.returncode == 0, done.stderr
    assert "skipped 1 image" in done.stdout
    assert {path for path, time in before.items() if path.stat().st_mtime_ns != time} == {out / "b.blue.png"}


def test_long_requests_make_short_names(run: Path, tmp_path: Path) -> None:
    Image.effect_noise((20, 20), 60).save(tmp_path / "a.png")
    words = ["green"] + ["red=0"] * 60
    done = in_process("translate", run, tmp_path / "a.png", "--to", *words, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "out").iterdir()
    assert path.name.startswith("a.green,red=0")
    assert len(path.name) < 100


def test_two_translations_never_get_one_file(tmp_path: Path) -> None:
    job = jobs.Job(tmp_path / "a.png", Path("a"))
    with pytest.raises(ConfigError, match=r"x-A.*\.png: would be both x/A of .*a\.png and x-A of .*a\.png"):
        jobs.check([job], ["x/A", "x-A"], jobs.Output(tmp_path))
    with pytest.raises(ConfigError, match="would be both"):
        jobs.check([job], ["all", jobs.GRID], jobs.Output(tmp_path, squares=True))


def test_a_model_that_is_not_about_faces_changes_the_whole_photo(run: Path) -> None:
    wide = ImageOps.colorize(Image.linear_gradient("L"), "black", "white").resize((96, 32))
    model = stargan.load(run / "model.onnx")
    result = model.translate(wide, ["green"], known=["red"])
    assert result.size == wide.size
    where = changed(wide, result)
    assert where[:, :16].any()
    assert where[:, -16:].any()


def test_a_model_shows_itself(model: stargan.Translator, run: Path) -> None:
    assert repr(model) == (
        "<stargan model for faces in photos, 128x128 pixels: "
        "Black_Hair, Blond_Hair, Brown_Hair, Gray_Hair; Male; Young; Smiling; Eyeglasses>"
    )
    shown = model._repr_html_()
    assert "<td>Male</td>" in shown
    assert "Male=0 " in shown
    assert "not measured" in stargan.load(run / "model.onnx")._repr_html_()


def test_deep_photos_of_one_call_share_their_range(model: stargan.Translator) -> None:
    bright, dark = (Image.fromarray(np.full((64, 64), level, np.uint16)) for level in (4095, 255))

    def levels(photos: list[Image.Image], **options: tuple[float, float]) -> list[int]:
        results = model.translate(photos, ["Male"], strength=0, align=False, **options)  # type: ignore[arg-type]
        return [result.getpixel((5, 5))[0] for result in results]  # type: ignore[index]

    assert levels([bright, dark]) == [255, 16]
    assert levels([dark]) == [255]
    assert levels([bright, dark], range=(0, 65535)) == [16, 1]
    with pytest.raises(ConfigError, match="5,1"):
        levels([dark], range=(5, 1))
    with pytest.raises(DataError, match="some floats"):
        levels([bright, Image.fromarray(np.zeros((64, 64), np.float32))])
