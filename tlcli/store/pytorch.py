"""Read weights that PyTorch saved: files of `torch.save(model.state_dict())`."""

from __future__ import annotations

import contextlib
import io
import math
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from tlcli.errors import TlcliError
from tlcli.store.budget import Budget
from tlcli.store.named_tensors import TensorFile, file_digest
from tlcli.store.unpickling import RestrictedUnpickler, UnsafePickleError
from tlcli.store.zips import open_archive

PYTORCH, PYTORCH_LEGACY = "PyTorch weights", "legacy PyTorch weights"
_DAMAGED = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(struct.error, zlib.error),
)


class _Storage:
    """A stand-in for a storage of PyTorch: the place of `numel` numbers of one type."""

    def __init__(self, dtype: str, key: str, numel: int) -> None:
        self.dtype, self.key, self.numel = dtype, key, numel


class _Tensor:
    """A stand-in for a tensor: a view of a storage."""

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> None:
        numbers = (offset, *size, *stride)
        if not isinstance(storage, _Storage) or not all(type(n) is int and 0 <= n < 2**40 for n in numbers):
            raise UnsafePickleError("it describes a tensor wrongly")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        count = math.prod(size)
        if len(size) > 8 or count > storage.numel or (count and last >= storage.numel):
            raise UnsafePickleError("it has a tensor that reaches beyond its storage")
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class _StorageType(str):
    """A stand-in for the class of a storage; its text is the type of the numbers."""

    __slots__ = ()


def _dictionary(*_: Any) -> dict[Any, Any]:
    return {}


class _TorchUnpickler(RestrictedUnpickler):
    known: ClassVar = {
        ("collections", "OrderedDict"): _dictionary,
        ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
        ("torch._utils", "_rebuild_parameter"): _parameter,
    }

    def find_class(self, module: str | bytes, name: str | bytes) -> Any:
        text = name.decode("ascii", "replace") if isinstance(name, bytes) else name
        if module in ("torch", b"torch") and text in _STORAGES:
            return _StorageType(_STORAGES[text])
        return super().find_class(module, name)

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, numel = pid[:5]
        if kind not in ("storage", b"storage") or not isinstance(dtype, _StorageType):
            raise UnsafePickleError("it refers to something that is not a storage of numbers")
        if type(numel) is not int or not 0 <= numel < 2**40:
            raise UnsafePickleError("it has a storage of no valid length")
        return _Storage(str(dtype), key.decode() if isinstance(key, bytes) else str(key), numel)

    def load_build(self) -> None:
        """Drop the attributes of a dictionary (`_metadata`)."""
        if type(self.stack[-2]) is not dict:
            super().load_build()
        self.stack.pop()

    dispatch: ClassVar[dict[int, Any]] = {**RestrictedUnpickler.dispatch, pickle.BUILD[0]: load_build}


class _Torch(TensorFile):
    """The tensors of `torch.save(model.state_dict())`; `numbers(storage)` gives their numbers."""

    def __init__(
        self,
        name: str,
        layout: str,
        digest: Callable[[], str],
        value: Any,
        numbers: Callable[[_Storage], bytes],
        budget: Budget,
    ) -> None:
        super().__init__(name, layout, digest)
        self._tensors, self._numbers, self._budget = self._state_dict(value), numbers, budget

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(tensor.size) for name, tensor in self._tensors.items()}

    def array(self, name: str) -> np.ndarray:
        tensor = self._tensors[name]
        self._budget.take(_itemsize(tensor.storage.dtype) * tensor.storage.numel, f"the tensor {name!r:.100}")
        content = self._numbers(tensor.storage)
        if tensor.storage.dtype == "bfloat16":  # the upper half of a float32
            halves = np.frombuffer(content, "<u2")
            flat = (halves.astype("<u4") << 16).view("<f4")
        else:
            flat = np.frombuffer(content, tensor.storage.dtype)
        if len(flat) != tensor.storage.numel:
            raise TlcliError(f"{self.name} is cut short or damaged at {name!r}.")
        strides = [step * flat.itemsize for step in tensor.stride]
        view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.size, strides, writeable=False)
        return np.array(view)

    def _state_dict(self, value: Any) -> dict[str, _Tensor]:
        """The first dictionary with tensors: the value itself, or one in it (`state_dict`, `model`)."""
        inner = list(value.values()) if isinstance(value, dict) else []
        for one in (value, *inner):
            tensors = (
                {_name(k): t for k, t in one.items() if isinstance(t, _Tensor)} if type(one) is dict else {}
            )
            if tensors:
                shared = "module."  # from DataParallel
                if all(name.startswith(shared) for name in tensors):
                    tensors = {name.removeprefix(shared): tensor for name, tensor in tensors.items()}
                return tensors
        raise TlcliError(f"{self.name} holds no dictionary of tensors; expected what state_dict() gives.")


def _name(key: str | bytes) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else key


@contextlib.contextmanager
def open_pytorch(path: Path, budget: Budget) -> Iterator[TensorFile]:
    """Open a file of `torch.save`, new or old, without running anything in it.

    Raises TlcliError if it is another file, is damaged, or asks for more than tensors or than the budget
    allows.
    """
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    if zipped:
        with _plain_words(path), open_archive(path, budget) as archive:
            yield _open_zipped(path, archive, budget)
    else:
        with _plain_words(path), path.open("rb") as file:
            yield _legacy(path, file, budget)


@contextlib.contextmanager
def _plain_words(path: Path) -> Iterator[None]:
    try:
        yield
    except UnsafePickleError as error:
        raise TlcliError(
            f"{path} is refused: {error}.\nExpected tensors alone: torch.save(model.state_dict(), ...)."
        ) from None
    except (*_DAMAGED, zipfile.BadZipFile, UnicodeDecodeError, RecursionError, NotImplementedError) as error:
        raise TlcliError(f"{path} is damaged or no weights file of PyTorch.") from error


def _open_zipped(path: Path, archive: zipfile.ZipFile, budget: Budget) -> _Torch:
    """PyTorch 1.6 and later: a pickle that describes, and one member for each storage."""
    described = [name for name in archive.namelist() if name.endswith("data.pkl") and name.count("/") == 1]
    if len(described) != 1:
        raise TlcliError(f"{path} is a zip archive without weights of PyTorch (data.pkl) or Keras in it.")
    folder = described[0].removesuffix("data.pkl")
    order = f"{folder}byteorder"
    if order in archive.namelist() and _member(archive, order) != b"little":
        raise TlcliError(f"{path} was written on a machine of another byte order.")
    value = _TorchUnpickler(io.BytesIO(_member(archive, described[0])), budget).load()

    def numbers(storage: _Storage) -> bytes:
        return _member(archive, f"{folder}data/{storage.key}")

    return _Torch(path.name, PYTORCH, lambda: file_digest(path), value, numbers, budget)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The content of a member. Raises BadZipFile if its declared place is outside the file."""
    try:
        return archive.read(name)
    except OSError as error:
        raise zipfile.BadZipFile(str(error)) from error


_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def _legacy(path: Path, file: BinaryIO, budget: Budget) -> _Torch:
    """PyTorch before 1.6: pickles one after the other, then the storages, each after its length."""

    def load() -> Any:
        return _TorchUnpickler(file, budget).load()

    if file.read(2) != b"\x80\x02":
        raise TlcliError(
            f"{path} is not a weights file; expected one of Keras (.h5, .weights.h5, .keras), safetensors or "
            "PyTorch (.pt, .pth)."
        )
    file.seek(0)
    if load() != _MAGIC or load() != _PROTOCOL:
        raise TlcliError(f"{path} is a pickle, but no weights file of PyTorch.")
    load()  # about the machine
    value, keys = load(), [key.decode() if isinstance(key, bytes) else key for key in load()]
    places: dict[str, int] = {}
    sizes = _storage_sizes(value)
    for key in keys:
        places[key] = file.tell() + 8
        file.seek(8 + sizes[key], io.SEEK_CUR)

    def numbers(storage: _Storage) -> bytes:
        file.seek(places[storage.key])
        return file.read(_itemsize(storage.dtype) * storage.numel)

    return _Torch(path.name, PYTORCH_LEGACY, lambda: file_digest(path), value, numbers, budget)


def _storage_sizes(value: Any) -> dict[str, int]:
    """The bytes of every storage that a value refers to."""
    sizes: dict[str, int] = {}
    stack, seen = [value], set[int]()
    while stack:
        one = stack.pop()
        if id(one) in seen:  # a pickle can hold a list that holds itself
            continue
        seen.add(id(one))
        if isinstance(one, _Tensor):
            sizes[one.storage.key] = _itemsize(one.storage.dtype) * one.storage.numel
        elif type(one) is dict:
            stack.extend(one.values())
        elif type(one) in (list, tuple):
            stack.extend(one)
    return sizes


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
