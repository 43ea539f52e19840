"""Downloads, from a server on this machine: once, checked, and nothing left behind."""

from __future__ import annotations

import hashlib
import http.server
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from stand_ins import DIGITS, SMALL10, check_cifar, check_grey, cifar_files, damage, idx_files, packed

from tlcli.data import cifar, idx
from tlcli.data.locate import Download
from tlcli.data.readers import cifar10, cifar100, fashion_mnist, mnist
from tlcli.data.source import Request, sources
from tlcli.errors import TlcliError

pytestmark = pytest.mark.usefixtures("no_caches")


@pytest.fixture
def server(tmp_path):
    """Serves tmp_path/www on 127.0.0.1; returns its address and the list of what was asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            asked.append(self.path)

    (tmp_path / "www").mkdir()
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=tmp_path / "www")
    ) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/", asked
        running.shutdown()


def test_mnist_is_downloaded_once_and_checked(tmp_path, server):
    url, asked = server
    digests = idx_files(tmp_path / "www")
    small = replace(mnist.SET, mirrors=(url + "gone/", url), checksums=digests)
    seen = []
    check_grey(idx.load(small, Request(progress=lambda done, total: seen.append((done, total)))))
    assert seen
    assert all(done <= total for done, total in seen)
    before = list(asked)
    check_grey(idx.load(small, Request()))
    assert asked == before
    damage(tmp_path / "cache" / "mnist", f"{idx.FILES[0]}.gz", lambda b: b[:-1])
    check_grey(idx.load(small, Request()))
    assert len(asked) > len(before)


def test_a_wrong_checksum_leaves_nothing_behind(tmp_path, server):
    url, _ = server
    digests = idx_files(tmp_path / "www")
    damage(tmp_path / "www", f"{idx.FILES[0]}.gz", lambda b: b[:-1] + b"x")
    with pytest.raises(TlcliError, match="wrong SHA-256") as told:
        idx.load(replace(mnist.SET, mirrors=(url,), checksums=digests), Request())
    assert "`data_dir` or TLCLI_DATA_DIR" in str(told.value)
    assert len(str(told.value).split("\n")) == 2
    assert list((tmp_path / "cache" / "mnist").iterdir()) == []


def test_what_a_killed_download_left_is_removed(tmp_path, server):
    url, _ = server
    digests = idx_files(tmp_path / "www")
    cache = tmp_path / "cache" / "mnist"
    cache.mkdir(parents=True)
    (cache / f".{idx.FILES[0]}.gz.123-abcdef01.tlcli-tmp").write_bytes(b"half of it")
    check_grey(idx.load(replace(mnist.SET, mirrors=(url,), checksums=digests), Request()))
    assert sorted(p.name for p in cache.iterdir()) == sorted(f"{name}.gz" for name in idx.FILES)


def test_no_server_and_no_permission(tmp_path, server, monkeypatch):
    url, asked = server
    nowhere = replace(mnist.SET, mirrors=("http://127.0.0.1:9/",))
    with pytest.raises(TlcliError, match="could not be downloaded"):
        idx.load(nowhere, Request())
    with pytest.raises(TlcliError, match="switched off"):
        idx.load(replace(mnist.SET, mirrors=(url,)), Request(download=False))
    assert asked == []
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TLCLI_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(TlcliError, match="TLCLI_CACHE_DIR to a writable folder"):
        idx.load(replace(mnist.SET, mirrors=(url,)), Request())


def test_cifar_is_downloaded(tmp_path, server):
    url, _ = server
    packed(cifar_files(SMALL10, tmp_path / SMALL10.binary_folder, binary=True), tmp_path / "www" / "c.tar.gz")
    digest = hashlib.sha256((tmp_path / "www" / "c.tar.gz").read_bytes()).hexdigest()
    small = replace(SMALL10, download=Download(SMALL10.binary_archive, digest, 1 << 20, (url + "c.tar.gz",)))
    check_cifar(cifar.load(small, Request()), DIGITS[np.arange(60) % 10])
    with pytest.raises(TlcliError, match="more than the expected 9 bytes"):
        cifar.load(replace(small, download=replace(small.download, limit=9, name="other.tar.gz")), Request())


def test_addresses_are_https_and_checksums_are_sha256():
    downloads = [
        *mnist.SET.downloads,
        *fashion_mnist.SET.downloads,
        cifar10.LAYOUT.download,
        cifar100.LAYOUT.download,
    ]
    assert len({d.sha256 for d in downloads}) == len(downloads) == 10
    assert all(len(d.sha256) == 64 and all(u.startswith("https://") for u in d.urls) for d in downloads)
    assert {info.name for info in sources()} >= {"mnist", "fashion-mnist", "cifar10", "cifar100"}
