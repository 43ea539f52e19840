"""Trees of images as people have them: wrappers, parts, tables of labels, groups, archives."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image
from sixteen_bits import png_of_16_bits, tiff_of_16_bits

from tlcli.data import join, load_source, split
from tlcli.data.decoding import decode_one
from tlcli.errors import TlcliError, UsageError

RNG = np.random.default_rng(7)


def pictures(root, tree, n=2):
    """Random pictures at each path of a tree; returns their pixels by path."""
    pixels = {}
    for folder in tree:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            path = root / folder / f"{i}.png"
            Image.fromarray(RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)).save(path)
            pixels[f"{folder}/{i}.png"] = np.asarray(Image.open(path))
    return pixels


def read(path, **options):
    """Per part, the (class name, pixels) of each image."""
    source = load_source(str(path), **options)
    cut = split(source, source.class_numbers)
    parts = {
        name: [(cut.class_names[y], x) for x, y in zip(part.images[:], part.labels, strict=True)]
        for name, part in cut.parts.items()
    }
    return parts, source


def check(parts, pixels, expected):
    """`expected`: per part and class, the folders that its images lie in."""
    assert parts.keys() == expected.keys()
    for name, classes in expected.items():
        wanted = [
            (label, x)
            for label, folders in sorted(classes.items())
            for folder in folders
            for path, x in pixels.items()
            if path.rpartition("/")[0] == folder
        ]
        assert [label for label, _ in parts[name]] == [label for label, _ in wanted]
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(parts[name], wanted, strict=True))


TREES = {
    "kaggle": ["training_set/cats", "training_set/dogs", "test_set/cats", "test_set/dogs"],
    "intel": [f"seg_{p}/seg_{p}/{c}" for p in ("train", "test") for c in ("forest", "sea")],
    "mnist_png": [f"{p}/{c}" for p in ("training", "testing") for c in ("3", "7")],
    "chest": [f"xray/{p}/{c}" for p in ("train", "val", "test") for c in ("NORMAL", "SICK")],
    "speech": [f"{p}/{c}" for p in ("Train", "dev", "eval") for c in ("a", "b")],
    "prefix": [f"{p}-photos/{c}" for p in ("train", "test") for c in ("a", "b")],
    "inside": [f"{c}/{p}" for c in ("bottle", "cable") for p in ("train", "test")],
    "camel": [f"{p}/{c}" for p in ("TrainData", "TestData") for c in ("a", "b")],
}


@pytest.mark.parametrize("packed", ["", "zip", "tar", "gztar"])
@pytest.mark.parametrize("name", TREES)
def test_parts_and_classes_of_a_tree(tmp_path, name, packed):
    """Folders and archives are read alike, with a wrapper folder around everything or without."""
    pixels = pictures(tmp_path / "around" / "set", TREES[name])
    classes: dict[str, dict[str, list[str]]] = {}
    for folder in TREES[name]:
        words = folder.lower().replace("_", "/").replace("-", "/").replace("data", "").split("/")
        part = next(p for w in words for p, ws in PARTS.items() if w in ws)
        label = folder.split("/")[0 if name == "inside" else -1]
        classes.setdefault(part, {}).setdefault(label, []).append(folder)
    path = tmp_path / "around"
    if packed:
        path = shutil.make_archive(str(tmp_path / "packed"), packed, tmp_path, "around")
    parts, source = read(path)
    check(parts, pixels, {part: classes[part] for part in ("train", "validation", "test") if part in classes})
    assert len(source.notes) == 1
    assert source.warnings == []


PARTS = {"train": ("train", "training"), "validation": ("val", "dev"), "test": ("test", "testing", "eval")}


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (["one/cat", "one/dog", "two/cat", "two/dog"], "read in two ways.*either may be the classes"),
        (["train/cat", "train/dog", "holdout/cat", "holdout/dog"], "train is the training part or a class"),
        (["train", "test"], "called like parts.*`labels` FILE.csv"),
        (["train_1/a", "train_1/b", "train_2/a", "train_2/b"], "both called like the train part"),
        (["cat/train", "cat/test", "dog"], "cat holds folders of parts, and dog does not"),
        (["."], "lie in no class folders"),
    ],
)
def test_trees_that_can_be_read_in_two_ways(tmp_path, tree, words):
    pictures(tmp_path / "set", tree)
    with pytest.raises(TlcliError, match=words):
        load_source(str(tmp_path / "set"))


def test_names_that_only_look_like_parts_are_classes(tmp_path):
    pictures(tmp_path / "set", ["train_station", "test_tube", "bus"])
    parts, _ = read(tmp_path / "set")
    assert {label for label, _ in parts["train"]} == {"bus", "test_tube", "train_station"}


def test_what_lies_beside_the_parts_is_told(tmp_path):
    tree = ["train/a", "train/b", "test/a", "test/b", "pred", "notes"]
    pixels = pictures(tmp_path / "set", tree)
    parts, source = read(tmp_path / "set")
    check(parts, pixels, {p: {"a": [f"{p}/a"], "b": [f"{p}/b"]} for p in ("train", "test")})
    beside, unlabelled = source.warnings
    assert "notes" in beside
    assert "pred/" in unlabelled
    assert " 2 images " in unlabelled


def test_tiny_imagenet_and_an_unlabelled_test_part(tmp_path):
    root = tmp_path / "tiny-imagenet"
    pixels = pictures(root, ["train/n01/images", "train/n02/images", "val/images", "test/images"], n=4)
    rows = [f"{i}.JPEG\tn0{1 + i % 2}\t0\t0\t9\t9\n" for i in range(4)]
    (root / "val" / "val_annotations.txt").write_text("".join(rows).replace("JPEG", "png"))
    parts, source = read(root)
    assert [label for label, _ in parts["train"]] == ["n01"] * 4 + ["n02"] * 4
    assert any("test/" in text and " 4 images " in text for text in source.warnings)
    wanted = [("n01", "0"), ("n01", "2"), ("n02", "1"), ("n02", "3")]
    for (label, x), (name, i) in zip(parts["test"], wanted, strict=True):
        assert label == name
        assert np.array_equal(x, pixels[f"val/images/{i}.png"])


def test_labels_parts_and_groups_of_a_table(tmp_path):
    pixels = pictures(tmp_path / "set", ["a", "b"], n=6)
    rows = [f"{p},{'cat' if i % 2 else 'dog'},{'train' if i < 9 else 'test'}" for i, p in enumerate(pixels)]
    (tmp_path / "t.csv").write_text("path,label,split\n" + "\n".join(rows))
    parts, _ = read(tmp_path / "set", labels=tmp_path / "t.csv")
    assert {name: len(part) for name, part in parts.items()} == {"train": 9, "test": 3}
    for part, start, stop in (("train", 0, 9), ("test", 9, 12)):
        for label, odd in (("cat", 1), ("dog", 0)):
            wanted = [x for i, x in enumerate(pixels.values()) if start <= i < stop and i % 2 == odd]
            found = [x for name, x in parts[part] if name == label]
            assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
    (tmp_path / "t.csv").write_text("path,label,split,patient\na/0.png,x,train,7\nb/0.png,x,test,7\n")
    with pytest.raises(TlcliError, match="group '7'"):
        load_source(str(tmp_path / "set"), labels=tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("elsewhere.png,x\n")
    with pytest.raises(TlcliError, match="names none of the 12 images"):
        load_source(str(tmp_path / "set"), labels=tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("image,MEL,NV\na/0.png,1.0,0.0\nb/0.png,0.0,1.0\n")
    with pytest.raises(TlcliError, match=r"MEL, NV, image.*`label`"):
        load_source(str(tmp_path / "set"), labels=tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("0.png,x\n")
    with pytest.raises(TlcliError, match="fits several images"):
        load_source(str(tmp_path / "set"), labels=tmp_path / "t.csv")


@pytest.mark.parametrize("seed", range(5))
def test_a_group_stands_on_one_side(tmp_path, seed):
    """A burst of five images is in the test, the validation or the training part, never in two."""
    (tmp_path / "set").mkdir()
    rows = []
    for i in range(100):
        Image.fromarray(RNG.integers(0, 256, (3, 3), dtype=np.uint8)).save(tmp_path / "set" / f"{i:03d}.png")
        rows.append(f"{i:03d};{'abc'[i // 5 % 3]};burst{i // 5}")
    (tmp_path / "t.csv").write_text("id;label;group\n" + "\n".join(rows))
    source = load_source(str(tmp_path / "set"), labels=tmp_path / "t.csv", seed=seed, test=0.3)
    cut = split(source, [0, 1, 2], validation=0.25, seed=seed)
    files = [i for label in range(3) for i in range(100) if i // 5 % 3 == label]
    burst = {name: {files[i] // 5 for i in part.source_index} for name, part in cut.parts.items()}
    assert set.union(*burst.values()) == set(range(20))
    assert sum(len(found) for found in burst.values()) == 20
    assert 20 <= len(cut.test) <= 40
    assert set(cut.test.labels.tolist()) == {0, 1, 2}
    with pytest.raises(UsageError, match="divide groups"):
        load_source(str(tmp_path / "set"), labels=tmp_path / "t.csv", test="every-fifth")


def test_a_test_part_is_drawn_by_the_seed(tmp_path):
    pictures(tmp_path / "set", ["a", "b", "c"], n=10)
    held = {}
    for seed, share in ((0, None), (0, 0.2), (1, 0.2), (0, 0.5)):
        source = load_source(str(tmp_path / "set"), test=share, seed=seed)
        held[seed, share] = source.test.source_index.tolist()
        assert np.bincount(source.test.labels).tolist() == [round(10 * (share or 0.2))] * 3
        assert sorted(held[seed, share] + source.train.source_index.tolist()) == list(range(30))
    assert held[0, None] == held[0, 0.2] != held[1, 0.2]
    assert set(held[0, 0.2]) < set(held[0, 0.5])
    for bad in (0, 1, 1.5, "every-tenth"):
        with pytest.raises(UsageError, match="`test`"):
            load_source(str(tmp_path / "set"), test=bad)


def test_parts_in_two_folders(tmp_path):
    pixels = pictures(tmp_path, ["one/a", "one/b", "two/a", "two/b"])
    parts, _ = read(tmp_path / "one", test_dataset=tmp_path / "two")
    wanted = {"train": {"a": ["one/a"], "b": ["one/b"]}, "test": {"a": ["two/a"], "b": ["two/b"]}}
    check(parts, pixels, wanted)


def test_the_test_part_of_a_set_of_another_kind(tmp_path):
    """A folder for training and arrays for testing: labels go by the names of the classes."""
    pixels = pictures(tmp_path, ["one/a", "one/b", "one/c"], n=4)
    images = RNG.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    letters = np.array(list("baab"))
    np.savez(tmp_path / "two.npz", x_train=images[:2], y_train=letters[:2], x_test=images[2:], y_test=letters)
    source = load_source(str(tmp_path / "one"), test_dataset=tmp_path / "two.npz")
    assert source.class_names == ["a", "b", "c"]
    cut = split(source, [0, 1])
    assert np.array_equal(cut.test.images[:], images[2:])
    assert cut.test.labels.tolist() == [1, 0, 0, 1]
    assert np.array_equal(cut.train.images[:], list(pixels.values())[:8])
    assert cut.train.labels.tolist() == [0] * 4 + [1] * 4
    with pytest.raises(TlcliError, match="has no test image of class 'c'"):
        split(source, [0, 1, 2])
    with pytest.raises(UsageError, match="the test part is that of `test_dataset`"):
        load_source(str(tmp_path / "one"), test_dataset=tmp_path / "two.npz", test=0.2)
    np.savez(tmp_path / "two.npz", images=images, labels=letters[[0, 1, 2, 3, 0, 1]])
    source = load_source(str(tmp_path / "one"), test_dataset=tmp_path / "two.npz")
    assert np.array_equal(source.test.images[:], images)
    assert "all of two" in source.notes[-1]
    np.savez(tmp_path / "two.npz", images=images, labels=np.array(list("abcdef")))
    with pytest.raises(TlcliError, match=r"two .*'d'"):
        load_source(str(tmp_path / "one"), test_dataset=tmp_path / "two.npz")


def test_several_sets_are_joined(tmp_path):
    pixels = pictures(tmp_path, ["one/a", "one/b", "two/b", "two/c"], n=4)
    (tmp_path / "two" / "c" / "1.png").write_bytes(b"")
    sources = [load_source(str(tmp_path / name), test="every-fifth") for name in ("one", "two")]
    joined = join(sources, sources[0].fit)
    assert (joined.name, joined.class_names) == ("one+two", ["a", "b", "c"])
    cut = split(joined, [0, 1, 2])
    train = {"a": ["one/a"], "b": ["one/b", "two/b"], "c": ["two/c"]}
    wanted = [
        (label, pixels[f"{folder}/{i}.png"])
        for label in "abc"
        for folder in train[label]
        for i in range(3)
        if f"{folder}/{i}.png" != "two/c/1.png"
    ]
    found = list(zip(cut.train.labels.tolist(), cut.train.images[:], strict=True))
    order = sorted(range(len(found)), key=lambda k: found[k][0])
    for k, (label, x) in zip(order, wanted, strict=True):
        assert "abc"[found[k][0]] == label
        assert np.array_equal(found[k][1], x)
    assert "c/1.png (empty file)" in " ".join(cut.options["notes"])
    digits, other = load_source("digits"), load_source(str(tmp_path / "one"), image_size=8, channels=1)
    assert split(join([digits, other], other.fit), [3, 10]).image_shape == (8, 8, 1)
    with pytest.raises(TlcliError, match=r"8 x 8.* 5 x 4"):
        join([digits, sources[0]], sources[0].fit)


def test_16_bit_images_have_one_scale(tmp_path):
    values = (100, 200, 255, 256, 300, 4095, 30000, 65535)
    for c in "ab":
        (tmp_path / "deep" / c).mkdir(parents=True)
        for i, value in enumerate(values):
            Image.fromarray(np.full((3, 3), value, np.uint16)).save(tmp_path / "deep" / c / f"{i}.png")
    for highest, white in ((65535, 65535), (4095, 4095), (300, None)):
        for path in (tmp_path / "deep").rglob("*.png"):
            if int(np.asarray(Image.open(path)).max()) > highest:
                path.unlink()
        if white is None:
            with pytest.raises(TlcliError, match="`white`"):
                read(tmp_path / "deep", test="every-fifth")
            continue
        source = load_source(str(tmp_path / "deep"), test="every-fifth")
        cut = split(source, [0, 1])
        n = sum(value <= highest for value in values)
        for part in cut.parts.values():
            for i, x in zip(part.source_index, part.images[:], strict=True):
                assert (x == round(values[i % n] * 255 / white)).all()
        assert f"white is {white}" in " ".join(source.notes)


@pytest.mark.parametrize("highest", [65535, 4095])
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colour_of_16_bits_keeps_them(tmp_path, channels, highest):
    """Pillow keeps only the upper eight bits, so that images of 12 bits are black."""
    deep = RNG.integers(0, highest + 1, (12, 5, 4, channels))
    deep[0, 0, 0, 0] = highest
    if channels != 3:
        deep[..., -1] = 65535
    files = [("png", png_of_16_bits(x)) for x in deep]
    if channels != 2:
        packs = [("<", False), ("<", True), (">", False), (">", True)]
        files[4:8] = [
            ("tif", tiff_of_16_bits(x, o, packed=p)) for x, (o, p) in zip(deep[4:8], packs, strict=True)
        ]
    for i, (suffix, content) in enumerate(files):
        path = tmp_path / "deep" / "ab"[i // 6] / f"{i:02}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    source = load_source(str(tmp_path / "deep"), test="every-fifth")
    cut = split(source, [0, 1])
    assert f"white is {highest}" in " ".join(source.notes)
    wanted = np.rint(deep[..., : 1 if channels == 2 else 3] * (255 / highest))
    for part in cut.parts.values():
        assert np.array_equal(part.images, wanted[part.source_index])


def test_transparency_of_16_bits_is_over_white(tmp_path):
    deep = np.full((2, 1, 1, 4), 65535, np.uint16)
    deep[1] = (0, 65535, 0, 0x8080)
    for name, x in zip("ab", deep, strict=True):
        (tmp_path / f"{name}.png").write_bytes(png_of_16_bits(x))
    assert decode_one(tmp_path / "a.png").tolist() == [[[255, 255, 255]]]
    assert decode_one(tmp_path / "b.png").tolist() == [[[127, 255, 127]]]


@pytest.mark.parametrize("suffix", ["tif", "ppm", "pgm", "gif"])
def test_more_formats(tmp_path, suffix):
    for c in "ab":
        (tmp_path / "set" / c).mkdir(parents=True)
        for i in range(3):
            image = Image.fromarray(RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8))
            frames = {"save_all": True, "append_images": [image.rotate(180)]} if suffix == "gif" else {}
            image = image.convert("L") if suffix == "pgm" else image
            image.save(tmp_path / "set" / c / f"{i}.{suffix}", **frames)
    source = load_source(str(tmp_path / "set"), test="every-fifth")
    cut = split(source, [0, 1])
    for i, x in zip(cut.train.source_index, cut.train.images[:], strict=True):
        plain = Image.open(tmp_path / "set" / "ab"[i // 3] / f"{i % 3}.{suffix}")
        plain = plain if suffix == "pgm" else plain.convert("RGB")
        assert np.array_equal(x, np.asarray(plain).reshape(x.shape))
