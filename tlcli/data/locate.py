"""Find the files of a set: in the user's folder, Keras's cache, tlcli's cache, or on the network."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tlcli import __version__
from tlcli.data.source import ReportCounts, Request
from tlcli.errors import TlcliError

_BLOCK = 1 << 20
_TIMEOUT = 30
"""Seconds to wait for a byte from a server."""


class MissingData(TlcliError):
    """The files of a published set are not on this machine, and were not downloaded."""


@dataclass(frozen=True)
class Download:
    """A file of the publisher: its name, its SHA-256, its most bytes, and its addresses."""

    name: str
    sha256: str
    limit: int
    urls: tuple[str, ...]
    """Addresses in the order to try: the publisher, then mirrors. The checksum makes a mirror as good."""


def keras_datasets() -> Path:
    """Keras's own cache of datasets."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".keras") / "datasets"


def cache_folder(name: str) -> Path:
    """The folder for downloaded sets: TLCLI_CACHE_DIR, else the user's cache folder."""
    given = os.environ.get("TLCLI_CACHE_DIR")
    if given:
        return Path(given).expanduser() / name
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "tlcli" / name


def local_folders(request: Request, inside: Sequence[str], keras: Sequence[str]) -> Iterator[Path]:
    """The existing folders to look in: `inside` the user's data folder, then `keras` inside Keras's cache."""
    folders = [request.data_dir / name for name in inside] if request.data_dir else []
    folders += [keras_datasets() / name for name in keras]
    yield from (folder for folder in folders if folder.is_dir())


def fetch_all(set_name: str, downloads: Sequence[Download], request: Request) -> Path:
    """The folder that holds every file, each checked against its SHA-256; missing ones are downloaded.

    Raises MissingData, which says how to provide the files otherwise.
    """
    folder = cache_folder(set_name)
    for download in downloads:
        target = folder / download.name
        if target.is_file() and _sha256(target) == download.sha256:
            continue
        if not request.download:
            raise MissingData(_missing_message(set_name, downloads, "downloading is switched off"))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TlcliError(
                f"Cannot keep {set_name} in {folder}: {error.strerror}; "
                "set TLCLI_CACHE_DIR to a writable folder."
            ) from None
        _fetch(set_name, download, target, downloads, request.progress)
    return folder


def _fetch(
    set_name: str,
    download: Download,
    target: Path,
    downloads: Sequence[Download],
    progress: ReportCounts | None,
) -> None:
    """Try each address in turn. The target appears only complete and checked."""
    from tlcli import store

    problems = []
    for url in download.urls:
        try:
            with store.atomic_file(target, force=True, follow=False) as partial:
                digest = _copy(url, partial, download.limit, progress)
                if digest != download.sha256:
                    raise ValueError(f"wrong SHA-256 {digest[:12]}..., expected {download.sha256[:12]}...")
            return
        except urllib.error.HTTPError as error:
            problems.append(f"{url}: HTTP {error.code}")
        except urllib.error.URLError as error:
            problems.append(f"{url}: {error.reason}")
        except (OSError, ValueError) as error:
            problems.append(f"{url}: {error}")
    raise MissingData(_missing_message(set_name, downloads, "; ".join(problems)))


def _copy(url: str, target: Path, limit: int, progress: ReportCounts | None) -> str:
    """Copy a URL to a file; returns the SHA-256."""
    request = urllib.request.Request(url, headers={"User-Agent": f"tlcli/{__version__}"})
    digest, done = hashlib.sha256(), 0
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply, open(target, "wb") as out:
        length = reply.headers.get("Content-Length")
        total = min(int(length), limit) if length and length.isdigit() else limit
        while block := reply.read(_BLOCK):
            done += len(block)
            if done > limit:
                raise ValueError(f"more than the expected {limit} bytes")
            digest.update(block)
            out.write(block)
            if progress:
                progress(done, total)
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _missing_message(set_name: str, downloads: Sequence[Download], why: str) -> str:
    files = ", ".join(download.name for download in downloads)
    return (
        f"{set_name} is neither in the data folder nor in Keras's cache, "
        f"and could not be downloaded ({why}).\n"
        f"Put {files} into a folder and name it with `data_dir` or TLCLI_DATA_DIR."
    )
