"""A value that an option does not take ends every command with exit code 2."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from tlcli import store
from tlcli.cli import backend
from tlcli.cli.commands import SUMMARIES, load
from tlcli.errors import UsageError
from tlcli.store.records import Checkpoint
from tlcli.training.arms import parse_arms

HUGE = str(10**22)
VALUES = {
    "N": ["-1", HUGE, "1.5x"],
    "R": ["-1", "0", HUGE],
    "M": ["-1", HUGE],
    "P": ["-0.5", "1.5", "nan"],
    "W": ["-1", "11", "inf"],
    "RATE": ["-1", "0", "nan", "1e9"],
    "SHARE": ["-0.5", "1", "nan"],
    "DECAY": ["-0.5", "1", "nan"],
    "POINTS": ["-1", "0", "101", "nan"],
    "VALUE": ["-1", "0", "nan"],
    "1|3": ["0", "2"],
    "N|HxW": ["0", "-1", "99999", "3x"],
    "HxWxC": ["0x8x1", "8x8", "99999x8x1"],
    "NUMBERS": ["0", "-1", "5-2", HUGE, "1-100000", "x"],
    "LAYERS": ["5-2", "-1"],
    "N[,N]": ["-1", HUGE],
    "M[,M,M]": ["x", "nan", "1,2"],
    "S[,S,S]": ["x", "0", "-1"],
    "NAME[:KEY=VALUE,...]": ["nosuch", "freeze:copy", "freeze:nosuch=1"],
    "NAME,NAME": ["nosuch", "part,,label"],
    "NAME=VALUE": ["nosuch=1", "dropout", "dropout=7"],
    "SPEC": ["shift:-1", "nosuch", "11-12"],
    "PNG": ["x.jpg"],
    "imagenet": ["nosuch"],
}
"""Values out of range, by what the help calls the value. A choice (a|b) takes no other word."""

FREE = {"NAME", "PATH", "DIR", "FILE", "KEY", "TEXT", "ARM", "DATASET", "NAME|PATH", "NAME|FILE"}
FREE |= {"fine|coarse|FILE|KEY"}
"""Names of files and of their content, which have no range."""

ARGUMENTS = {
    "split": ["--dataset", "digits", "-o", "out.h5"],
    "train-base": ["digits-0-5.h5", "--arch", "cnn2", "-o", "out.h5"],
    "import-weights": ["weights.h5", "--arch", "cnn2", "-o", "out.h5"],
    "transfer": ["base.h5", "digits-6-9.h5", "-o", "out.h5"],
    "embed": ["base.h5", "digits-6-9.h5", "-o", "out.h5"],
    "knn": ["pixels.h5", "-o", "out.h5"],
    "rank": ["base.h5", "--target", "digits-6-9.h5", "-o", "out.h5"],
    "report": ["pixels.h5", "-o", "out"],
    "inspect": ["digits-0-5.h5"],
    "dump": ["pixels.h5"],
    "archs": ["cnn2"],
}
OF_ARMS = {"--method", "--copy", "--freeze", "--head-units", "--head-dropout"}
"""Options of `transfer` that the library checks when it knows the layers of the base."""

NUMBERS = [
    *((command, "--device", "tpu") for command in ("train-base", "transfer", "embed", "rank")),
    ("split", "--size", "99999"),
    ("split", "--size", "4"),
    ("split", "--proportion", "0.0001"),
    ("split", "--multiple-of", "100000"),
    ("split", "--validation", "0.0001"),
    ("split", "--classes", "0-10"),
    ("knn", "--k", "1-1000"),
]
"""Values outside a range that the data set gives, and unknown words for --device."""


def ranges() -> list[tuple[str, str, str]]:
    """Every option with a range, of every command, with a value out of it."""
    found = []
    for command in ARGUMENTS:
        for parameter in load(command).params:
            option = max(parameter.opts, key=len)
            kind = parameter.metavar
            if not option.startswith("--") or parameter.is_flag or kind in FREE:
                continue
            values = VALUES[kind] if kind in VALUES else ["nosuch"] if "|" in kind else VALUES[kind]
            found += [(command, option, value) for value in values]
    return found


@pytest.fixture
def with_base(work, monkeypatch):
    """The folder with a base, too, whose weights are never used, and a file of weights."""
    base = Checkpoint(
        architecture="cnn2",
        options={},
        input_shape=(8, 8, 1),
        class_names=list("012345"),
        class_original=np.arange(6),
        mean=np.zeros(1, np.float32),
        std=np.ones(1, np.float32),
        weights={"head/bias": np.zeros(6, np.float32)},
    )
    store.write(work / "base.h5", base, command="tlcli train-base")
    with h5py.File(work / "weights.h5", "w") as file:
        file["layers/dense/vars/0"] = np.zeros((4, 6), np.float32)
    return work


def no_framework() -> None:
    """Stop a command that would load TensorFlow: it has accepted all options."""
    raise SystemExit(99)


def require_usage_error(option: str, value: str) -> None:
    methods, name = ([value], None) if option == "--method" else (["freeze"], option[2:].replace("-", "_"))
    given = {name: value} if name in ("copy", "freeze") else {"head": {name: value}} if name else {}
    groups = [("conv_1",), ("conv_2",), ("dense",), ("head",)]
    with pytest.raises(UsageError):
        parse_arms(methods, groups, **given)


def test_every_command_with_options_of_its_own_is_tried():
    assert set(SUMMARIES) - set(ARGUMENTS) == {"verify", "datasets", "plugins", "export-weights"}


def test_a_value_out_of_range_has_one_exit_code(call, with_base, monkeypatch):
    monkeypatch.setattr(backend, "set_environment", no_framework)
    wrong = []
    for command, option, value in ranges() + NUMBERS:
        if option in OF_ARMS:
            require_usage_error(option, value)
            continue
        more = ["--classes", "6"] if command == "import-weights" and option != "--classes" else []
        done = call(command, *ARGUMENTS[command], *more, f"{option}={value}")
        if done.returncode != 2:
            wrong.append((command, option, value, done.returncode, done.stderr.decode()[-200:]))
        assert not (with_base / "out.h5").exists()
    assert not wrong, "\n".join(map(str, wrong))
