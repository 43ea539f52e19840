"""The page on the Python API, block by block, and the cost of `import tlcli`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tlcli.models.registry import NETWORKS
from tlcli.register import Owner
from tlcli.store import Results, read
from tlcli.training.methods import METHODS

ROOT = Path(__file__).resolve().parent.parent


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def registers():
    """The page registers a network and a method, which must not stay."""
    yield
    assert [register.forget(Owner("program", "__main__")) for register in (NETWORKS, METHODS)] == [1, 1]


def test_every_block_of_the_page_runs(tmp_path, monkeypatch, capsys, registers):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for number, block in enumerate(blocks(ROOT / "tlcli" / "README.md")):
        exec(compile(block, f"block {number} of tlcli/README.md", "exec"), names)
    told = capsys.readouterr().out

    assert "['base.h5', 'target-20.h5', 'target-100.h5']" in told
    assert read("results.h5", Results).provenance.ancestry
    assert (tmp_path / "report" / "report.html").exists()
    assert "epoch,accuracy,loss,samples_seen,test_accuracy,test_loss" in told
    assert "['thaw:head=0.3', 'thaw:head=0.3']" in told
    assert names["tuned"].runs[0].test_accuracy > 0.9
    assert names["classifier"].score(names["test"].embeddings, names["test"].labels) == pytest.approx(
        names["neighbours"].test_accuracy, abs=0.02
    )


def test_importing_it_costs_nothing():
    code = (
        "import sys, tlcli; light = set(sys.modules)\n"
        "tlcli.data.sources(), tlcli.models.architectures(), tlcli.training.Recipe(epochs=1)\n"
        "tlcli.store.read, tlcli.report.build\n"
        "tlcli.analysis.knn.evaluate, tlcli.analysis.statistics.compare\n"
        "print(sorted({'numpy', 'h5py'} & light),\n"
        "      sorted({'keras', 'tensorflow', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] []\n"


def test_what_a_user_prints_is_short():
    import tlcli

    assert dir(tlcli) == sorted(tlcli.__all__)
    source = tlcli.data.load_source("digits")
    dataset = tlcli.data.split(source, range(6))
    assert "train: Part(images=<uint8 869x8x8x1>, labels=<int64 869>" in repr(dataset)
    assert max(len(repr(shown)) for shown in (source, dataset, dataset.train)) < 600


def test_what_it_has_can_be_listed():
    code = "import tlcli; assert {'data', 'training', 'report'} <= set(dir(tlcli)); tlcli.nothing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "has no attribute 'nothing'" in done.stderr
