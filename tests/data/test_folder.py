"""Folders of images."""

from __future__ import annotations

import os
import re
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from tlcli import store
from tlcli.data import load_source, split
from tlcli.errors import TlcliError, UsageError


def picture(seed: int, size=(8, 10), grey=False) -> Image.Image:
    shape = size if grey else (*size, 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of class folders with n colour PNG images each."""

    def make(names, n=5, **options):
        root = tmp_path / "photos"
        for c, name in enumerate(names):
            (root / name).mkdir(parents=True)
            for i in range(n):
                picture(100 * c + i, **options).save(root / name / f"{i}.png")
        return root

    return make


def everything(root, test="every-fifth", **options):
    source = load_source(str(root), test=test, **options)
    return source, split(source, source.class_numbers)


def test_images_labels_and_positions(folder):
    source, cut = everything(folder(["cat", "dog"]))
    assert (source.name, cut.class_names) == ("photos", ["cat", "dog"])
    assert cut.train.source_index.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert cut.test.source_index.tolist() == [4, 9]
    assert cut.train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert np.array_equal(cut.test.images[1], np.asarray(picture(104)))
    assert source.warnings == []
    assert np.array_equal(source.train.images[3], np.asarray(picture(3)))


def test_train_and_test_folders(folder, tmp_path):
    root = folder(["train/cat", "train/dog", "val/cat", "val/dog", "test/dog", "test/cat"], n=3)
    source, cut = everything(root, None)
    assert {name: len(part) for name, part in cut.parts.items()} == {"train": 6, "validation": 6, "test": 6}
    (root / "test").rename(tmp_path / "elsewhere")
    source, cut = everything(root, None)
    assert list(cut.parts) == ["train", "test"]
    assert "validation" in source.warnings[0]


def test_a_class_may_be_called_train(folder):
    _, cut = everything(folder(["train", "bus"]))
    assert cut.class_names == ["bus", "train"]


def test_numbers_as_names_are_the_published_numbers(folder):
    source, cut = everything(folder(["10", "9", "07"]))
    assert source.class_numbers == cut.class_original.tolist() == [7, 9, 10]
    assert cut.class_names == ["07", "9", "10"]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
def test_formats_sizes_and_colours_mix(folder, suffix):
    root = folder(["cat", "dog"])
    picture(1, (30, 20)).save(root / "cat" / f"z.{suffix}")
    picture(2, (9, 9), grey=True).save(root / "dog" / f"y.{suffix}")
    _, cut = everything(root, image_size=(6, 7))
    assert cut.train.images.shape == (10, 6, 7, 3)
    grey = cut.train.images[9]
    assert (grey[..., 0] == grey[..., 2]).all() or suffix == "webp"  # WebP has no grey of its own
    with pytest.raises(TlcliError, match="differ in size"):
        everything(root)


def test_grey_folders_have_one_channel(folder, tmp_path):
    root = folder(["cat", "dog"], grey=True)
    assert everything(root)[1].image_shape == (8, 10, 1)
    picture(7).save(root / "dog" / "4.png")  # the last of its class: a test image
    _, cut = everything(root)
    assert cut.train.images.shape[3] == cut.test.images.shape[3] == 3
    store.write(tmp_path / "x.h5", cut)
    assert np.array_equal(store.read(tmp_path / "x.h5", store.Dataset).test.images, cut.test.images[:])


def test_depth_transparency_and_orientation(folder):
    root = folder(["a", "b"], size=(6, 6))
    deep = np.arange(36, dtype=np.uint16).reshape(6, 6) * 257 * 7
    Image.fromarray(deep).save(root / "a" / "0.png")
    Image.new("RGBA", (6, 6), (0, 0, 0, 0)).save(root / "a" / "1.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    top = np.zeros((6, 6, 3), np.uint8)
    top[:2] = 255
    Image.fromarray(top).save(root / "a" / "2.png", exif=exif)
    _, cut = everything(root)
    assert np.array_equal(cut.train.images[0][..., 0], np.arange(36).reshape(6, 6) * 7)
    assert (cut.train.images[1] == 255).all()
    assert (cut.train.images[2][:, -2:] == 255).all()
    assert (cut.train.images[2][:, :-2] == 0).all()


def test_orientation_with_another_size(folder):
    root = folder(["a", "b"])
    exif = Image.Exif()
    exif[0x0112] = 6
    left = np.zeros((40, 80, 3), np.uint8)
    left[20:] = 255
    Image.fromarray(left).save(root / "a" / "0.jpg", exif=exif, quality=95)
    _, cut = everything(root, image_size=8)
    assert cut.train.images[0][:, :3].mean() > 240
    assert cut.train.images[0][:, 5:].mean() < 15


def _bomb(width, height):
    """A PNG of a few bytes that declares a huge image."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def test_unreadable_images_are_named_and_counted(folder):
    root = folder(["cat", "dog"], n=10)
    whole = (root / "cat" / "3.png").read_bytes()
    (root / "cat" / "0.png").write_bytes(b"")
    (root / "cat" / "3.png").write_bytes(whole[: len(whole) // 2])
    (root / "dog" / "1.png").write_bytes(b"no image at all")
    (root / "dog" / "2.png").write_bytes(_bomb(20_000, 20_000))
    (root / "dog" / "5.png").write_bytes(_bomb(11_000, 11_000))
    (root / "dog" / "6.png").unlink()
    os.mkfifo(root / "dog" / "6.png")  # who opens it waits for a writer that never comes
    (root / "dog" / "sound.mp3").write_bytes(b"x")
    (root / "dog" / ".hidden").write_bytes(b"x")
    (root / "empty").mkdir()
    source, cut = everything(root)
    assert len(cut.train) == 16 - 6
    assert cut.train.source_index.tolist()[:3] == [1, 2, 5]
    told = "\n".join(source.warnings)
    assert "6 of 16 images" in told
    for name in (
        "cat/0.png (empty file)",
        "cat/3.png (",
        "dog/1.png (no image",
        "dog/2.png (",
        "dog/5.png (declares",
        "dog/6.png (no regular file)",
    ):
        assert name in told
    assert "1 .mp3 files" in told
    assert "The folder empty/ has no images" in told


def test_no_readable_image_at_all(folder, tmp_path):
    root = folder(["cat"], n=1)
    (root / "cat" / "0.png").write_bytes(b"")
    with pytest.raises(TlcliError, match="None of the 1 images"):
        load_source(str(root))
    with pytest.raises(TlcliError, match="lie in no class folders"):
        load_source(str(tmp_path / "photos" / "cat"))
    with pytest.raises(UsageError, match="pixels"):
        load_source(str(root), image_size=0)


def test_one_image_classes_can_be_left_out(folder):
    root = folder(["cat", "dog"])
    (root / "lone").mkdir()
    picture(1).save(root / "lone" / "1.png")
    source = load_source(str(root))
    with pytest.raises(TlcliError, match="no test image of class 'lone'"):
        split(source, [0, 1, 2])
    assert split(source, [0, 1]).classes == 2


@pytest.mark.parametrize("name", ['it\'s "quoted"', "<b>&amp;", "Žluťoučký kůň", "a,b", "汉字", "-o x"])
def test_odd_names_are_kept(folder, tmp_path, name):
    _, cut = everything(folder([name, "dog"]))
    assert name in cut.class_names
    store.write(tmp_path / "x.h5", cut)
    assert store.read(tmp_path / "x.h5", store.Dataset).class_names == cut.class_names


def test_a_folder_whose_name_is_no_utf_8(folder, tmp_path):
    latin = folder(["cat", "dog"]).rename(tmp_path / os.fsdecode(b"caf\xe9"))
    (latin / "cat" / os.fsdecode(b"\xe9.png")).write_bytes(b"")
    source, cut = everything(latin)
    store.write(tmp_path / "x.h5", cut)
    assert store.read(tmp_path / "x.h5", store.Dataset).source == source.name == r"caf\udce9"
    assert len(source.warnings) == 1


def test_names_that_look_the_same_are_one_too_many(folder):
    with pytest.raises(TlcliError, match="class names must differ"):
        load_source(str(folder(["caf\u00e9", "cafe\u0301"])))


def test_linked_folders_do_not_run_in_circles(folder):
    root = folder(["cat", "dog"])
    (root / "cat" / "again").symlink_to(root)
    assert len(everything(root)[1].train) == 8


def test_links_that_lead_out_of_the_folder_are_counted(folder, tmp_path):
    """Images may be links into a store, but the command names links out of the folder."""
    root, away = folder(["cat", "dog"]), tmp_path / "away"
    assert not everything(root)[0].warnings
    (root / "dog").rename(away)
    (root / "dog").symlink_to("../away")
    (root / "cat" / "inside.png").symlink_to("0.png")
    (tmp_path / "photos-2.png").write_bytes((away / "0.png").read_bytes())
    (root / "cat" / "outside.png").symlink_to(tmp_path / "photos-2.png")
    (tmp_path / "linked").symlink_to(root)
    for path in (root, tmp_path / "linked"):
        source, cut = everything(path)
        (said,) = (warning for warning in source.warnings if "out of" in warning)
        assert said.startswith("2 links")
        assert {"cat/outside.png", "dog"} <= set(re.findall(r"[\w/]+(?:\.png)?", said))
        assert len(cut.train) + len(cut.test) == 12


def test_a_zip_is_read_where_it_is(folder, tmp_path):
    import shutil
    import zipfile

    root = folder(["cat", "dog"])
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "photos")
    _, cut = everything(packed)
    assert np.array_equal(cut.train.images[:], everything(root)[1].train.images[:])
    for name in ("../cat/evil.png", "/etc/evil.png", "cat\\..\\..\\evil.png"):
        with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
            archive.writestr(name, b"x")
        with pytest.raises(TlcliError, match="points outside"):
            load_source(str(tmp_path / "evil.zip"))
    for name in ("cat//evil.png", "./cat/evil.png", "cat/./evil.png", "//evil.png"):
        with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
            archive.writestr("cat/0.png", b"x")
            archive.writestr(name, b"x")
        with pytest.raises(TlcliError, match=r"empty step|points outside"):
            load_source(str(tmp_path / "evil.zip"))
    (tmp_path / "evil.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(TlcliError, match="zip"):
        load_source(str(tmp_path / "evil.zip"))
    assert not list(tmp_path.rglob("evil.png"))


def test_many_and_deep_folders_take_no_time(folder, tmp_path):
    """Reading them takes neither minutes nor endless recursion."""
    import zipfile

    root = folder(["cat", "dog"])
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for name in ("cat", "dog"):
            for number, image in enumerate(sorted((root / name).iterdir())):
                archive.write(image, f"{name}/{name}{number}/{'d/' * 50}{image.name}")
        for number in range(20_000):
            archive.writestr(f"cat/{number}/x/y/none.txt", b"")
    started = time.process_time()
    _, cut = everything(tmp_path / "many.zip")
    assert time.process_time() - started < 10
    assert np.array_equal(cut.train.images[:], everything(root)[1].train.images[:])
    for name, words in (("cat/" + "d/" * 99 + "x.png", "64 deep"), ("cat/0/x/y/none.txt/z", "as a folder")):
        with zipfile.ZipFile(tmp_path / "many.zip", "a") as archive:
            archive.writestr(name, b"x")
        with pytest.raises(TlcliError, match=words):
            load_source(str(tmp_path / "many.zip"))
        with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
            archive.writestr("cat/0/x/y/none.txt", b"")
    (root / "cat" / ("d/" * 300)).mkdir(parents=True)
    assert len(everything(root)[1].train) == len(cut.train)


def test_only_the_chosen_classes_are_decoded(folder):
    root = folder(["cat", "dog", "eel"])
    for path in (root / "eel").iterdir():
        path.write_bytes(b"")
    source = load_source(str(root))
    split(source, [0, 1])
    assert source.warnings == []
    with pytest.raises(TlcliError, match="'eel'"):
        split(source, [0, 2])
