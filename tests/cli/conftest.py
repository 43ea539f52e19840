"""Folders with a few small files for the commands."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from processes import Run, tlcli

from tlcli import store
from tlcli.cli import main, signals
from tlcli.store.records import Dataset, EmbeddingPart, Embeddings


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A folder with a dataset of each half of the digits, and embeddings of one: its pixels."""
    folder = tmp_path_factory.mktemp("made")
    for classes in ("0-5", "6-9"):
        assert tlcli("split", "--dataset", "digits", "--classes", classes, cwd=folder).returncode == 0
    dataset = store.read(folder / "digits-6-9.h5", Dataset)
    parts = {
        name: EmbeddingPart(
            np.asarray(part.images[:]).reshape(len(part), -1).astype(np.float32),
            part.labels,
            part.source_index,
        )
        for name, part in dataset.parts.items()
    }
    record = Embeddings(parts, "pixels", dataset.class_names, dataset.class_original)
    store.write(folder / "pixels.h5", record, command="tlcli embed", parents=[dataset])
    return folder


@pytest.fixture
def work(made, tmp_path) -> Path:
    """A fresh folder with copies of those files."""
    for file in made.glob("*.h5"):
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.fixture
def run(work) -> Run:
    """Run a command in that folder."""

    def call(*arguments: str, **options):
        return tlcli(*arguments, cwd=work, **options)

    return call


@pytest.fixture
def call(work, monkeypatch, capfdbinary) -> Run:
    """Run a command without a new process, which takes half a second."""

    def invoke(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        monkeypatch.chdir(work)
        monkeypatch.setattr(sys, "argv", ["tlcli", *arguments])
        capfdbinary.readouterr()
        handlers = {number: signal.getsignal(number) for number in signals.NAMES}
        with warnings.catch_warnings(), mock.patch.dict(os.environ):
            code = main.run(list(arguments))
        for number, handler in handlers.items():
            signal.signal(number, handler)
        return subprocess.CompletedProcess(arguments, code, *capfdbinary.readouterr())

    return invoke
