"""The gate that every HDF5 file passes before any of its data is read.

The gate lists the objects of a file through HDF5's low-level interface, which follows no links. It refuses
objects that could read another file, take memory without bound or loop for ever: links other than plain ones,
external storage, virtual datasets, types other than plain numbers and fixed-length UTF-8 texts, filters other
than shuffle, gzip and fletcher32, declared sizes that the stored bytes cannot hold, cycles, depth, and names
with a path in them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from h5py import h5, h5a, h5d, h5g, h5l, h5z

from tlcli.store.attributes import EXPECTED_TYPES, NUMBERS, UnsafeError, dtype_of, read_attribute, shape_of
from tlcli.store.budget import CHUNK, DEFLATE, OBJECT, Budget
from tlcli.store.tree import UNPRINTABLE

MAX_DEPTH = 8
MAX_ATTRIBUTES = 64
"""The most attributes of one object."""
MAX_NAME_BYTES = 600
MAX_RANK = 8
MAX_CHUNK_BYTES = 2**24

_FILTERS = {h5z.FILTER_DEFLATE: "gzip", h5z.FILTER_SHUFFLE: "shuffle", h5z.FILTER_FLETCHER32: "fletcher32"}
_LINKS = {h5l.TYPE_SOFT: "soft link", h5l.TYPE_EXTERNAL: "external link"}
HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, AttributeError)
"""The errors that h5py raises for a damaged file."""


@dataclass
class Item:
    """One object of a file, as far as the gate could read it."""

    path: str
    kind: str
    """`group`, `dataset`, `soft link`, `external link`, `named type`, ..."""
    dtype: str = ""
    shape: tuple[int, ...] = ()
    itemsize: int = 0
    chunks: tuple[int, ...] | None = None
    filters: tuple[str, ...] = ()
    storage: int = 0
    """Bytes of data in the file."""
    attributes: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    """The reason why the gate refuses it, or empty."""
    too_large: bool = False
    """Whether its size is the only reason."""
    flaw: str = ""
    """The reason why a strict reader refuses one of its attributes, or empty."""


class RawChecks(Protocol):
    """Checks of the file's bytes that must come before HDF5 reads them: see `heap.RawFile`."""

    def check_group(self, header: int) -> None: ...

    def check_index(self, header: int) -> None: ...


class Walk:
    """One walk over all objects of a file, each visited once."""

    def __init__(self, file: Any, size: int, strict: bool, raw: RawChecks, budget: Budget) -> None:
        self._file = file
        self._raw = raw
        self._size = size
        self._strict = strict
        self._items: dict[str, Item] = {}
        self._seen: set[int] = set()
        self._declared = 0
        self._stored = 0
        self._budget = budget

    def run(self) -> dict[str, Item]:
        root = h5g.open(self._file, b"/")
        self._seen.add(address_of(root))
        item = Item("", "group")
        self._items[""] = item
        self._check(item, lambda: self._attributes(item, root))
        pending = [(root, "", 1)]
        while pending:
            group, path, depth = pending.pop()
            pending += [(child, name, depth + 1) for child, name in self._group(group, path, depth)]
        return self._items

    def _check(self, item: Item, look: Callable[[], object]) -> None:
        """Check an object; note the reason to refuse it, or raise if strict."""
        try:
            look()
        except UnsafeError as error:
            item.problem = str(error)
            if self._strict:
                raise

    def _group(self, group: Any, path: str, depth: int) -> list[tuple[Any, str]]:
        """List the members of a group; returns its groups."""
        item = self._items[path]
        try:
            self._raw.check_group(address_of(group))
        except UnsafeError as error:
            item.problem = f"{path or 'the root'!r:.100} is {error}"
            if self._strict:
                raise UnsafeError(item.problem) from error
            return []
        names = _names(group, self._size // _LINK_BYTES)
        self._budget.take(len(names) * OBJECT, f"the {len(names):,} objects in {path or 'the root'!r:.100}")
        if len(names) > self._size // _LINK_BYTES:
            item.problem = f"{path or 'the root'!r:.100} lists more objects than the file has room for"
        elif depth > MAX_DEPTH and names:
            item.problem = f"its groups are nested more than {MAX_DEPTH} deep"
        if item.problem:
            if self._strict:
                raise UnsafeError(item.problem)
            return []
        below = []
        for name in names:
            child = self._member(group, name, path)
            if child is not None:
                below.append(child)
        return below

    def _member(self, group: Any, name: bytes, parent: str) -> tuple[Any, str] | None:
        text = name.decode("utf-8", "replace")
        self._budget.take(len(parent) + len(text), "the names of its objects")
        item = Item(f"{parent}/{text}".lstrip("/"), "unknown")
        self._items[item.path] = item
        found: list[Any] = []
        self._check(item, lambda: found.append(self._open(group, name, item)))
        return (found[0], item.path) if found and found[0] is not None else None

    def _open(self, group: Any, name: bytes, item: Item) -> Any:
        """Check one member; returns it if it is a group."""
        link = group.links.get_info(name).type
        if link != h5l.TYPE_HARD:
            item.kind = _LINKS.get(link, "foreign link")
            article = "an" if item.kind[0] == "e" else "a"
            raise UnsafeError(f"{item.path!r:.100} is {article} {item.kind}; expected none")
        check_name(name)
        info = h5g.get_objinfo(group, name)  # `h5o.get_info` also looks into a group's heap
        address = _join(info.objno)
        if address in self._seen:
            item.kind = "repeated object"
            raise UnsafeError(f"{item.path!r:.100} leads to an object that another name leads to")
        self._seen.add(address)
        if info.type == h5g.GROUP:
            item.kind = "group"
            opened = h5g.open(group, name)
            self._attributes(item, opened)
            return opened
        if info.type != h5g.DATASET:
            item.kind = "named type"
            raise UnsafeError(f"{item.path!r:.100} is a named type; expected groups and datasets")
        item.kind = "dataset"
        self._dataset(item, h5d.open(group, name), address)
        return None

    def _dataset(self, item: Item, stored: Any, address: int) -> None:
        """Check the layout first: even asking a virtual dataset its size opens other files."""
        properties = stored.get_create_plist()
        layout = properties.get_layout()
        if layout == h5d.VIRTUAL:
            item.kind = "virtual dataset"
            raise UnsafeError(f"{item.path!r:.100} is a virtual dataset, which reads other files")
        if properties.get_external_count():
            item.kind = "external dataset"
            raise UnsafeError(f"{item.path!r:.100} keeps its data in another file")
        kind = stored.get_type()
        item.dtype, item.itemsize = dtype_of(kind), kind.get_size()
        space = stored.get_space()
        item.shape = shape_of(space)
        found = 0
        if layout == h5d.CHUNKED:
            item.chunks = tuple(int(n) for n in properties.get_chunk())
            try:
                self._raw.check_index(address)
            except UnsafeError as error:
                raise UnsafeError(f"{item.path!r:.100} is {error}") from error
            found, item.storage = _stored_chunks(stored, min(chunk_count(item), self._size), self._size)
        else:
            item.storage = stored.get_storage_size()
        item.filters = tuple(
            _FILTERS.get(properties.get_filter(i)[0], f"filter {properties.get_filter(i)[0]}")
            for i in range(min(properties.get_nfilters(), 32))
        )
        self._check_dataset(item, layout, found)
        self._attributes(item, stored)

    def _check_dataset(self, item: Item, layout: int, found: int) -> None:
        where = f"{item.path!r:.100}"
        if item.dtype not in NUMBERS and item.dtype != "string":
            raise UnsafeError(f"{where} has the type {item.dtype}; expected {EXPECTED_TYPES}")
        if item.filters not in _PIPELINES:
            raise UnsafeError(
                f"{where} passes the filters {', '.join(item.filters)}; expected shuffle, gzip "
                "and fletcher32, in this order"
            )
        if len(item.shape) > MAX_RANK:
            raise UnsafeError(f"{where} has {len(item.shape)} dimensions; expected {MAX_RANK} at most")
        size = product(item.shape) * item.itemsize
        chunks = chunk_count(item)
        self._stored += item.storage
        if self._stored > self._size:
            raise UnsafeError(f"{where} claims more stored bytes than the file has")
        if layout == h5d.CHUNKED:
            self._check_chunks(item, size, found, chunks)
        elif size > item.storage:
            raise UnsafeError(f"{where} declares {size:,} bytes and stores {item.storage:,}")
        self._declared += size + chunks * CHUNK
        if not self._budget.allows(self._declared):
            shape = f"the shape {item.shape}" + (f" in {chunks:,} chunks" if chunks else "")
            item.too_large = True
            raise UnsafeError(self._budget.refusal(f"{where} of {shape}", self._declared))

    def _check_chunks(self, item: Item, size: int, found: int, expected: int) -> None:
        assert item.chunks is not None
        where = f"{item.path!r:.100}"
        if not expected and size:
            raise UnsafeError(f"{where} has chunks of the shape {item.chunks}")
        if product(item.chunks) * item.itemsize > MAX_CHUNK_BYTES:
            raise UnsafeError(
                f"{where} has chunks of the shape {item.chunks}: more than {MAX_CHUNK_BYTES:,} bytes"
            )
        ratio = DEFLATE if "gzip" in item.filters else 1
        if size > item.storage * ratio:
            raise UnsafeError(f"{where} declares {size:,} bytes and stores {item.storage:,}")
        if found != expected:
            raise UnsafeError(f"{where} stores {found} chunks; expected {expected}")

    def _attributes(self, item: Item, target: Any) -> None:
        count = h5a.get_num_attrs(target)
        if count > MAX_ATTRIBUTES:
            raise UnsafeError(f"{item.path!r:.100} has {count} attributes; expected {MAX_ATTRIBUTES} at most")
        for index in range(count):
            attribute = h5a.open(target, index=index)
            name = attribute.name
            text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
            try:
                check_name(name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape"))
                value = read_attribute(attribute)
                self._budget.take(len(text) + len(str(value)), f"the attribute {text!r:.80}")
                item.attributes[text] = value
            except UnsafeError as error:
                item.attributes[text] = f"({str(error).partition(';')[0]})"
                where = item.path or "the root"
                item.flaw = item.flaw or f"the attribute {text!r:.80} of {where!r:.100} is {error}"
                if self._strict:
                    raise UnsafeError(item.flaw) from error


_LINK_BYTES = 8
"""The least number of bytes of a member of a group."""


def _names(group: Any, most: int) -> list[bytes]:
    """The names in a group, sorted here: HDF5 1.14 crashes if it sorts those of a damaged group.

    No more than one above `most` are listed: a tree may have the same branch many times on each level.
    """
    names: list[bytes] = []

    def note(name: bytes) -> bool | None:
        names.append(name)
        return True if len(names) > most else None  # anything but None ends the pass

    group.links.iterate(note, idx_type=h5.INDEX_NAME, order=h5.ITER_NATIVE)
    return sorted(names)


def _stored_chunks(stored: Any, most: int, most_bytes: int) -> tuple[int, int]:
    """The number of stored chunks and their bytes, counted up to the most that the file can hold.

    HDF5's own counts go through all of a tree, which may have the same branch many times on each level: some
    kilobytes name billions of chunks.
    """
    count = size = 0

    def note(chunk: Any) -> bool | None:
        nonlocal count, size
        count, size = count + 1, size + chunk.size
        return True if count > most or size > most_bytes else None

    stored.chunk_iter(note)
    return count, size


def address_of(group: Any) -> int:
    """The address of the header of an open group."""
    return _join(h5g.get_objinfo(group).objno)


def _join(halves: tuple[int, int]) -> int:
    """An address, which HDF5 gives in two halves if a C `long` has four bytes."""
    return int(halves[0]) | int(halves[1]) << 32


_PIPELINES = {
    (*shuffle, *gzip, *sums)
    for shuffle in ((), ("shuffle",))
    for gzip in ((), ("gzip",))
    for sums in ((), ("fletcher32",))
}


@functools.lru_cache(10_000)
def check_name(name: bytes) -> None:
    """Refuse names that are a path or not plain text."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise UnsafeError(f"the name {name!r:.80} is not UTF-8") from None
    if not 0 < len(name) <= MAX_NAME_BYTES:
        raise UnsafeError(f"the name {text!r:.80} has {len(name)} bytes; expected 1...{MAX_NAME_BYTES}")
    if text in (".", "..") or any(c in "/\\<>" for c in text) or UNPRINTABLE.search(text):
        raise UnsafeError(f"the name {text!r:.80} is a path or holds markup or control characters")


def product(shape: tuple[int, ...]) -> int:
    product = 1
    for n in shape:
        product *= n
    return product


def chunk_count(item: Item) -> int:
    """The number of chunks of a dataset by its shape; 0 if it has none or their shape is impossible."""
    if item.chunks is None or len(item.chunks) != len(item.shape) or 0 in item.chunks:
        return 0
    return product(tuple(-(-n // c) for n, c in zip(item.shape, item.chunks, strict=True)))
