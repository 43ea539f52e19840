"""Ways to change an HDF5 file so that reading it would do harm, each with words of its refusal."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5p, h5s, h5t

from tlcli.store import layout

SECRET = b"root:x:0:0:secret"


def replace(file: h5py.File, name: str, **options: Any) -> None:
    """Put another dataset in the place of one."""
    del file[name]
    file.create_dataset(name, **options)


def soft_link(file: h5py.File) -> None:
    del file["train/images"]
    file["train/images"] = h5py.SoftLink("/test/images")


def dangling_link(file: h5py.File) -> None:
    file["train/more"] = h5py.SoftLink("/nowhere")


def external_link(file: h5py.File) -> None:
    del file["train/images"]
    file["train/images"] = h5py.ExternalLink("other.h5", "/images")


def hard_link_twice(file: h5py.File) -> None:
    del file["train/images"]
    file["train/images"] = file["test/images"]


def cycle(file: h5py.File) -> None:
    file["train/again"] = file["/"]


def external_storage(file: h5py.File) -> None:
    replace(file, "train/images", shape=(20, 6, 5, 2), dtype=np.uint8, external=[("secret", 0, 1200)])


def virtual_dataset(file: h5py.File) -> None:
    shape = (20, 6, 5, 2)
    plan = h5py.VirtualLayout(shape, np.uint8)
    plan[:] = h5py.VirtualSource("other.h5", "images", shape)
    del file["train/images"]
    file.create_virtual_dataset("train/images", plan)


def object_reference(file: h5py.File) -> None:
    replace(file, "train/labels", data=np.array([file["test"].ref] * 20, h5py.ref_dtype))


def region_reference(file: h5py.File) -> None:
    reference = file["test/labels"].regionref[:2]
    replace(file, "train/labels", data=np.array([reference] * 20, h5py.regionref_dtype))


def reference_attribute(file: h5py.File) -> None:
    file.attrs["source"] = file["test"].ref


def named_type(file: h5py.File) -> None:
    file["train/type"] = np.dtype(np.int64)


def foreign_filter(file: h5py.File) -> None:
    replace(file, "train/images", data=np.zeros((20, 6, 5, 2), np.uint8), compression="lzf")


def unknown_filter(file: h5py.File) -> None:
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_chunk((20,))
    properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
    del file["train/labels"]
    h5d.create(file["train"].id, b"labels", h5t.STD_I64LE, h5s.create_simple((20,)), properties)


def scale_offset(file: h5py.File) -> None:
    replace(file, "train/labels", data=np.zeros(20, np.int64), scaleoffset=0)


def variable_strings(file: h5py.File) -> None:
    replace(file, "classes/names", data=["a", "b", "c"], dtype=h5py.string_dtype())


def variable_attribute(file: h5py.File) -> None:
    file.attrs["source"] = "mnist"


def compound(file: h5py.File) -> None:
    replace(file, "train/labels", data=np.zeros(20, [("a", "<i8"), ("b", "<f4")]))


def variable_length(file: h5py.File) -> None:
    replace(file, "train/labels", shape=(20,), dtype=h5py.vlen_dtype(np.int64))


def enumeration(file: h5py.File) -> None:
    replace(file, "train/labels", data=np.zeros(20, bool))


def big_endian(file: h5py.File) -> None:
    replace(file, "train/labels", data=np.zeros(20, ">i8"))


def opaque(file: h5py.File) -> None:
    replace(file, "train/labels", data=np.zeros(20, "V8"))


def float_labels(file: h5py.File) -> None:
    replace(file, "train/labels", data=np.full(20, np.nan))


def terabytes(file: h5py.File) -> None:
    replace(file, "train/images", shape=(10**12, 6, 5, 2), dtype=np.uint8, chunks=(1000, 6, 5, 2))


def terabytes_contiguous(file: h5py.File) -> None:
    replace(file, "train/images", shape=(10**12, 6, 5, 2), dtype=np.uint8)


def unallocated(file: h5py.File) -> None:
    replace(
        file,
        "train/images",
        shape=(10**7, 6, 5, 2),
        dtype=np.uint8,
        chunks=(1000, 6, 5, 2),
        compression="gzip",
    )


def unallocated_contiguous(file: h5py.File) -> None:
    replace(file, "train/images", shape=(10**7, 6, 5, 2), dtype=np.uint8)


def overflowing_shape(file: h5py.File) -> None:
    replace(file, "train/images", shape=(2**31, 2**31, 2, 1), dtype=np.uint8, chunks=(1, 1, 1, 1))


def huge_chunk(file: h5py.File) -> None:
    replace(
        file,
        "train/images",
        shape=(20, 6, 5, 2),
        maxshape=(None, 6, 5, 2),
        chunks=(300_000, 6, 5, 2),
        dtype=np.uint8,
        compression="gzip",
    )
    file["train/images"][0] = 0


def deflate_bomb(file: h5py.File) -> None:
    """A chunk that unpacks to a thousand times what it declares."""
    replace(
        file, "train/images", shape=(20, 6, 5, 2), dtype=np.uint8, chunks=(20, 6, 5, 2), compression="gzip"
    )
    bomb = zlib.compress(bytes(2**20))
    file["train/images"].id.write_direct_chunk((0, 0, 0, 0), bomb[:2000])


def short_chunk(file: h5py.File) -> None:
    """A chunk that unpacks to less than it declares: what comes after it in memory would be read."""
    replace(
        file, "train/images", shape=(20, 6, 5, 2), dtype=np.uint8, chunks=(20, 6, 5, 2), compression="gzip"
    )
    file["train/images"].id.write_direct_chunk((0, 0, 0, 0), zlib.compress(bytes(10)))


def masked_filter(file: h5py.File) -> None:
    replace(
        file, "train/images", shape=(20, 6, 5, 2), dtype=np.uint8, chunks=(20, 6, 5, 2), compression="gzip"
    )
    file["train/images"].id.write_direct_chunk((0, 0, 0, 0), bytes(1200), filter_mask=1)


def deep_groups(file: h5py.File) -> None:
    file.create_group("/".join(["g"] * 200))


def many_objects(file: h5py.File) -> None:
    for i in range(300):
        file.create_group(f"train/{i}")


def many_attributes(file: h5py.File) -> None:
    for i in range(100):
        file.attrs[f"a{i}"] = np.int64(i)


def large_attribute(file: h5py.File) -> None:
    file.attrs["source"] = np.bytes_(b"x" * 2**21)


def array_attribute(file: h5py.File) -> None:
    file.attrs["source"] = np.zeros(10**4, "S3")


def number_for_text(file: h5py.File) -> None:
    file.attrs["source"] = np.int64(3)


def version_as_text(file: h5py.File) -> None:
    file.attrs["format_version"] = np.bytes_(b"1")


def null_attribute(file: h5py.File) -> None:
    file.attrs["source"] = h5py.Empty("S3")


def null_dataset(file: h5py.File) -> None:
    replace(file, "train/labels", data=h5py.Empty(np.int64))


def many_dimensions(file: h5py.File) -> None:
    replace(file, "train/labels", data=np.zeros((1,) * 20, np.int64))


def set_text(file: h5py.File, name: str, value: bytes) -> None:
    """Give an attribute of the root another text, stored as tlcli stores texts."""
    array = np.array(value)
    kind = layout._text_type(array.dtype.itemsize)
    del file.attrs[name]
    h5a.create(file.id, name.encode(), kind, h5s.create(h5s.SCALAR)).write(array, kind)


def raw_name(name: bytes) -> Callable[[h5py.File], None]:
    def attack(file: h5py.File) -> None:
        h5py.h5g.create(file["train"].id, name)

    return attack


def text_attribute(name: str, value: bytes) -> Callable[[h5py.File], None]:
    def attack(file: h5py.File) -> None:
        set_text(file, name, value)

    return attack


ATTACKS: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    **{
        attack.__name__: (attack, words)
        for attack, words in (
            (soft_link, "is a soft link"),
            (dangling_link, "is a soft link"),
            (external_link, "is an external link"),
            (hard_link_twice, "another name leads to"),
            (cycle, "another name leads to"),
            (external_storage, "keeps its data in another file"),
            (virtual_dataset, "is a virtual dataset"),
            (object_reference, "the type reference"),
            (region_reference, "the type reference"),
            (reference_attribute, "reference; expected"),
            (named_type, "is a named type"),
            (foreign_filter, "passes the filters"),
            (unknown_filter, "passes the filters filter 32015"),
            (scale_offset, "passes the filters"),
            (variable_strings, "variable-length text"),
            (variable_attribute, "variable-length text"),
            (compound, "the type compound"),
            (variable_length, "the type variable-length"),
            (enumeration, "the type enumeration"),
            (big_endian, "unusual int of 8"),
            (opaque, "the type opaque"),
            (float_labels, "train/labels holds float64 values; expected int64"),
            (terabytes, "and stores 0"),
            (terabytes_contiguous, "and stores 0"),
            (unallocated, "declares 600,000,000 bytes and stores 0"),
            (unallocated_contiguous, "declares 600,000,000 bytes and stores 0"),
            (overflowing_shape, "and stores 0"),
            (huge_chunk, "has chunks of the shape"),
            (deflate_bomb, "has a chunk of another size"),
            (short_chunk, "has a chunk of another size"),
            (masked_filter, "has a chunk"),
            (deep_groups, "nested more than 8 deep"),
            (many_objects, "unknown group 'train/0'"),
            (many_attributes, "has 110 attributes"),
            (large_attribute, "2,097,152 bytes"),
            (array_attribute, "an array; expected one value"),
            (number_for_text, "is a whole number; expected string"),
            (version_as_text, "format version '1'"),
            (null_attribute, "it has no shape"),
            (null_dataset, "it has no shape"),
            (many_dimensions, "20 dimensions"),
        )
    },
    "dots": (raw_name(b".."), "is a path or holds markup"),
    "markup": (raw_name(b"<script>alert(1)<"), "is a path or holds markup"),
    "backslash": (raw_name(b"..\\x"), "is a path or holds markup"),
    "control": (raw_name(b"a\x1b[2J"), "is a path or holds markup"),
    "not_utf8": (raw_name(b"\xff\xfe"), "is not UTF-8"),
    "long_name": (raw_name(b"n" * 5000), "has 5000 bytes"),
    "attribute_not_utf8": (text_attribute("source", b"\xff\xfe"), "not UTF-8"),
    "control_attribute": (text_attribute("source", b"\x1b[2J"), "holds control characters"),
    "control_json": (text_attribute("options", b'{"a": ["\\u001b[2J"]}'), "holds control characters"),
    "not_json": (text_attribute("options", b"{'a': 1}"), "not valid JSON"),
    "deep_json": (text_attribute("options", b"[" * 50_000), "not valid JSON"),
    "infinite_json": (text_attribute("options", b'{"a": 1e999}'), "not valid JSON"),
    "wrong_json": (text_attribute("options", b"[]"), "expected json object"),
    "long_integer": (text_attribute("options", b'{"a": ' + b"9" * 10_000 + b"}"), "not valid JSON"),
}
