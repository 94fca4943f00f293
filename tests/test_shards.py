"""WebDataset shards, written and read, here and in an object store; shards of strangers."""

import gzip
import itertools
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import draw_folders, in_process
from PIL import Image
from shard_files import assert_same, image, samples, write_shard
from test_loop import tiny

from stargan import training
from stargan.data import cache, remote, shard_writer, shards, sources
from stargan.errors import ConfigError, DataError, MissingExtraError
from stargan.inference import bulk

# ---------------------------------------------------------------- read


def test_shards_of_splits(tmp_path: Path) -> None:
    write_shard(tmp_path / "train-000000.tar", samples(0, 6))
    write_shard(tmp_path / "train-000001.tar", samples(6, 6))
    write_shard(tmp_path / "test-000000.tar", samples(12, 4))
    found = sources.find(tmp_path)
    assert [group.names for group in found.label_set.groups] == [("snow",), ("summer", "winter")]
    assert found.files == tuple(f"{index:05}.png" for index in (*range(12, 16), *range(12)))
    assert [len(found.rows(split)) for split in ("train", "val", "test")] == [12, 0, 4]
    assert cache.load(found, (8, 8)).pixels[:, 0, 0, 0].tolist() == [*range(12, 16), *range(12)]
    assert any("caption" in note for note in found.notes)


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("s-{000..001}.tar", 12), ("s-{000,002}.tar", 12), ("s-*.tar", 18), ("s-00[12].tar", 12), ("s-001.tar", 6)],
)
def test_patterns(tmp_path: Path, pattern: str, count: int) -> None:
    for index in range(3):
        write_shard(tmp_path / f"s-{index:03}.tar", samples(6 * index, 6))
    found = sources.find(tmp_path / pattern)
    assert len(found.files) == count
    assert sources.is_there(str(tmp_path / pattern))
    assert not found.rows("test").size or found.hashed


def test_classes_of_numbers_and_repeated_names(tmp_path: Path) -> None:
    """Shards that number their samples alike; `.cls` has the class, and a text may be the class as well."""
    for number in range(2):
        members: dict[str, bytes | tarfile.TarInfo] = {}
        for index in range(4):
            members |= {f"d/{index}.PNG": image(index), f"d/{index}.cls": b"%d" % (index % 2), f"d/{index}.depth": b"x"}
        write_shard(tmp_path / f"{number}.tar", {**members, "readme.txt": b"hello"})
    found = sources.find(tmp_path)
    assert found.files == (*(f"d/{i}.PNG" for i in range(4)), *(f"1/d/{i}.PNG" for i in range(4)))
    assert found.label_set.groups[0].name == "class" or found.label_set.names == ("class",)
    assert "left out: 2 samples without an image" in found.notes


def test_compressed(tmp_path: Path) -> None:
    plain = write_shard(tmp_path / "plain.tar", samples(0, 4))
    (tmp_path / "packed.tar").write_bytes(gzip.compress(plain.read_bytes()))
    assert sources.find(tmp_path / "packed.tar").files == sources.find(plain).files


def test_a_tar_file_beside_images_is_where_they_came_from(tmp_path: Path) -> None:
    folder = draw_folders(tmp_path / "data", 4)
    write_shard(folder / "data.tar", samples(0, 4))
    found = sources.find(folder)
    assert found.kind == "folders"
    assert "left out: 1 .tar file" in found.notes
    assert bulk.find(folder) is None


def test_expanded() -> None:
    assert shards.expanded("a-{08..10}-{x,y}.tar")[1::4] == ["a-08-y.tar", "a-10-y.tar"]
    assert shards.expanded("a.tar") == ["a.tar"]


# ---------------------------------------------------------------- written


def test_a_data_set_as_shards(tmp_path: Path) -> None:
    """Labels, splits and bytes are the same; an image that cannot be read is left out."""
    folder = draw_folders(tmp_path / "data", 30)
    (folder / "red" / "red000.png").write_bytes(b"no image")
    done = in_process("data", folder, "--shards", tmp_path / "out", "--shard-size", "40")
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["test-000000.tar", "train-000000.tar", "train-000001.tar", "train-000002.tar", "val-000000.tar"]
    assert f"shards: 5 in {tmp_path / 'out'}" in done.stdout
    (folder / "red" / "red000.png").unlink()
    assert_same(sources.find(folder), sources.find(tmp_path / "out"))
    again = in_process("data", folder, "--shards", tmp_path / "out")
    assert again.returncode == 2
    assert "exists and is not an empty folder" in again.stderr
    assert "must be at least 1" in in_process("data", folder, "--shards", "x", "--shard-size", "0").stderr


def test_each_shard_has_images_of_all_kinds(tmp_path: Path) -> None:
    """Also of folders, one for each domain, whose images come sorted; each image is in one shard, once."""
    folder = draw_folders(tmp_path / "data", 40)
    data = sources.find(folder)
    domains = {f"{row:09}": data.files[row].split("/")[0] for row in range(len(data.files))}
    found: dict[str, list[list[str]]] = {}
    for name, options in (("mixed", ()), ("again", ()), ("kept", ("--keep-order",))):
        done = in_process("data", folder, "--shards", tmp_path / name, "--shard-size", "12", *options)
        assert done.returncode == 0, done.stderr
        found[name] = []
        for path in sorted((tmp_path / name).glob("train-*.tar")):
            with tarfile.open(path) as archive:
                found[name].append([member.name[:9] for member in archive if member.name.endswith(".png")])
    assert found["mixed"] == found["again"]
    assert found["kept"] == [sorted(shard) for shard in found["kept"]]
    assert sorted(itertools.chain(*found["mixed"])) == list(itertools.chain(*found["kept"]))
    kinds = {name: [{domains[image] for image in shard} for shard in each] for name, each in found.items()}
    assert all(len(shard) == 3 for shard in kinds["mixed"][:-1])
    assert any(len(shard) == 1 for shard in kinds["kept"])


def test_labels_that_are_not_known(tmp_path: Path) -> None:
    for index in range(8):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / f"{index}.png")
    rows = [f"{i}.png,{'' if i == 3 else i % 2},{('a', 'b', '')[i % 3]},train" for i in range(8)]
    (tmp_path / "table.csv").write_text("\n".join(["path,smiling,kind,split", *rows]))
    source = sources.find(tmp_path / "table.csv")
    shard_writer.write(source, tmp_path / "out", 3)
    assert_same(source, sources.find(tmp_path / "out"))
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    shard_writer.write(source, tmp_path / "again", 3)
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}


# ---------------------------------------------------------------- strangers' shards


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def large(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = 2**20 + 1
    return member


HOSTILE: dict[str, tuple[dict[str, bytes | tarfile.TarInfo], str]] = {
    "absolute": ({"/etc/x.png": image()}, "/etc/x.png: a path that leads out of the shard"),
    "above": ({"a/../../x.png": image()}, "a path that leads out"),
    "link": ({"x": link("x.png", "/etc/passwd")}, "x.png: a link, a device or a sparse file"),
    "hard link": ({"x": link("x.png", "y", tarfile.LNKTYPE)}, "a link"),
    "device": ({"x": link("x.png", "", tarfile.CHRTYPE)}, "a device"),
    "large labels": ({"0.png": image(), "x": large("0.json")}, "0.json: 1,048,577 bytes, more than 1,048,576"),
    "no object": ({"0.png": image(), "0.json": b"[1]"}, "0.json: must be an object of labels"),
    "no json": ({"0.png": image(), "0.json": b"{"}, "0.json: not JSON"),
    "no text": ({"0.png": image(), "0.cls": b"\xff"}, "0.cls: not a text in UTF-8"),
    "no image": ({"0.json": b"{}"}, "no images in it"),
    "a file as a folder": ({"0.png": image(), "0.png/1.png": image()}, "cannot be unpacked"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_members(tmp_path: Path, name: str) -> None:
    members, said = HOSTILE[name]
    path = write_shard(tmp_path / "x.tar", members)
    with pytest.raises(DataError, match=r"x\.tar") as error:
        sources.find(path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_damaged_shards(tmp_path: Path) -> None:
    whole = write_shard(tmp_path / "whole.tar", samples(0, 6)).read_bytes()
    damaged = bytearray(whole)
    damaged[2048:2148] = b"\1" * 100  # a header in the middle, which tarfile takes for the end
    cases = {
        "cut.tar": whole[: len(whole) // 3 + 100],
        "header.tar": bytes(damaged),
        "text.tar": b"hello" * 200,
        "empty.tar": b"",
        "packed.tar": gzip.compress(whole)[:300],
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name) as error:
            sources.find(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_bomb(tmp_path: Path) -> None:
    """A few kilobytes that claim an image of 16 GiB."""
    member = tarfile.TarInfo("x.png")
    member.size = 2**34
    (tmp_path / "x.tar").write_bytes(gzip.compress(member.tobuf() + b"\0" * 10_000))
    with pytest.raises(DataError, match=r"x\.png: 17,179,869,184 bytes, more than"):
        sources.find(tmp_path / "x.tar")


# ---------------------------------------------------------------- an object store


def test_a_data_set_in_an_object_store(bucket: str, tmp_path: Path) -> None:
    """It is written there, read from there, and trained on; a resumed run reads it again."""
    folder = draw_folders(tmp_path / "data", 20, infix="-167-")
    done = in_process("data", folder, "--shards", f"{bucket}/shards", "--shard-size", "40")
    assert done.returncode == 0, done.stderr
    assert f"in {bucket}/shards" in done.stdout
    assert remote.names(f"{bucket}/shards") == {f"{part}-000000.tar" for part in ("test", "train", "val")} | {
        "train-000001.tar"
    }
    assert_same(sources.find(folder), sources.find(Path(f"{bucket}/shards")))
    assert len(sources.find(f"{bucket}/shards/train-{{000000..000001}}.tar").files) == 51
    assert len(sources.find(f"{bucket}/shards/t*.tar").files) == 57
    with pytest.raises(ConfigError, match="s3://faces/shards: exists and is not an empty folder"):
        shard_writer.check_empty(Path(f"{bucket}/shards"))


def test_training_on_an_object_store(bucket: str, tmp_path: Path) -> None:
    """A resumed run finds the same images there."""
    for split, first in (("train", 0), ("val", 20)):
        shard = write_shard(tmp_path / f"{split}-000000.tar", samples(first, 10))
        remote.write(shard, f"{bucket}/training/{split}-000000.tar")
    config = replace(tiny(tmp_path, steps=2), data=(f"{bucket}/training",))
    training.train(config, tmp_path / "run", say=lambda line: None)
    result = training.train(replace(config, steps=4), tmp_path / "run", resume=True, say=lambda line: None)
    assert result.step == 4


def test_what_has_changed_is_copied_again(bucket: str, tmp_path: Path) -> None:
    for name, count in (("a", 4), ("b", 6)):
        remote.write(write_shard(tmp_path / f"{name}.tar", samples(0, count)), f"{bucket}/changing/x.tar")
        assert len(sources.find(f"{bucket}/changing/x.tar").files) == count


def test_what_is_not_there(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for where in (f"{bucket}/nothing", "s3://no-such-bucket/x", f"{bucket}/x-{{0..3}}.tar", f"{bucket}/n*.tar"):
        with pytest.raises(DataError, match="no such file or folder") as error:
            sources.find(where)
        assert where in str(error.value)
    with pytest.raises(DataError, match=r"abc://x: cannot be read \(Protocol not known: abc"):
        sources.find("abc://x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert len(in_process("data", "s3://faces/elsewhere").stderr.splitlines()) == 1


def test_without_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'stargan\[remote\]'"):
        sources.find("s3://faces")


def test_addresses() -> None:
    assert remote.address(Path("s3://a/b")) == "s3://a/b"
    assert remote.address("https://a.org/b.tar?x=1") == "https://a.org/b.tar?x=1"
    assert remote.address(Path("C:/faces")) is None
    assert remote.address("faces/s3") is None
