"""The rules for every command: channels, names, pipes, exit codes, help, start-up."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import subprocess
import sys
import time

import h5py
import pytest
from processes import ENVIRONMENT, fails, tlcli

from tlcli import store
from tlcli.cli import reference
from tlcli.cli.commands import SUMMARIES, load, module
from tlcli.errors import UsageError
from tlcli.store.records import Dataset, Results


def test_split_prints_the_path_and_nothing_else(run, work):
    done = run("split", "--dataset", "digits", "--classes", "6-9", "--proportion", "0.1", "--seed", "3")
    assert done.stdout == b"digits-6-9-p0.1-s3.h5\n"
    assert b"Next: tlcli" in done.stderr
    assert len(store.read(work / "digits-6-9-p0.1-s3.h5", Dataset).train) == 57


def test_a_stderr_that_takes_nothing_decides_nothing(work):
    read, write = os.pipe()
    os.close(read)  # as when the log's reader has ended
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tlcli.cli.main", "split", "--dataset", "digits", "-o", "all.h5"],
            cwd=work,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=write,
            timeout=600,
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stdout) == (0, b"all.h5\n")
    assert store.file_format(work / "all.h5") == "tlcli-dataset"


def test_quiet_says_nothing_and_json_gives_one_object(run):
    done = run("knn", "pixels.h5", "--json", "--quiet")
    assert done.stderr == b""
    result = json.loads(done.stdout)
    assert (result["path"], result["kind"]) == ("pixels-knn.h5", "results")
    assert 0.9 < result["test_accuracy"] <= 1
    assert done.stdout.count(b"\n") == 1


def test_an_existing_output_is_refused_before_computing_and_kept(run, work):
    before = (work / "pixels.h5").read_bytes()
    for arguments in (
        ["knn", "pixels.h5", "-o", "pixels.h5"],
        ["split", "--dataset", "digits", "-o", "pixels.h5"],
    ):
        fails(run(*arguments), 1, "pixels.h5", "--force")
    assert (work / "pixels.h5").read_bytes() == before
    assert run("knn", "pixels.h5", "-o", "digits-0-5.h5", "--force").returncode == 0
    assert store.file_format(work / "digits-0-5.h5") == "tlcli-results"


def test_the_same_command_gives_the_same_bytes_anywhere(run, work, tmp_path_factory):
    other = tmp_path_factory.mktemp("other place")
    for arguments in (
        ["split", "--dataset", "digits", "--classes", "random:4", "--size", "80", "--seed", "5"],
        ["knn", str(work / "pixels.h5"), "--k", "1,3"],
    ):
        first = run(*arguments, "-o", "first.h5", "--force", "--json")
        second = tlcli(arguments[0], "-o", "second.h5", "--quiet", *arguments[1:], cwd=other)
        assert first.returncode == second.returncode == 0, second.stderr
        assert (work / "first.h5").read_bytes() == (other / "second.h5").read_bytes()
        (other / "second.h5").unlink()


def test_files_record_the_command_without_paths_and_inputs_with_digests(run, work):
    (work / "a folder").mkdir()
    (work / "pixels.h5").rename(work / "a folder" / "my pixels.h5")
    run("knn", "a folder/my pixels.h5", "-o", "out.h5", "--k", "1-3", "--quiet", "--metric", "cosine")
    provenance = store.read(work / "out.h5", Results).provenance
    assert provenance.command == "tlcli knn 'my pixels.h5' --k 1-3 --metric cosine"
    assert [p.name for p in provenance.parents] == ["my pixels.h5"]
    assert [a.name for a in provenance.ancestry] == ["my pixels.h5", "digits-6-9.h5"]


def test_names_with_spaces_and_other_letters(run, work):
    (work / "pixels.h5").rename(work / "größe 1 – 'x'.h5")
    done = run("knn", "größe 1 – 'x'.h5")
    assert done.stdout.decode() == "größe 1 – 'x'-knn.h5\n"


def test_a_real_pipe(work):
    program = f"{shlex.quote(sys.executable)} -m tlcli.cli.main"
    line = (
        f"{program} split --dataset digits --classes 6-9 -o - | "
        f"{program} split --dataset - --classes 6-8 -o - > cut.h5 && "
        f"{program} knn - -o - < pixels.h5 | {program} inspect - --json"
    )
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=work, capture_output=True, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kind"] == "results"
    assert store.read(work / "cut.h5", Dataset).classes == 3


def test_a_reader_that_goes_away_is_no_drama(work):
    line = f"{shlex.quote(sys.executable)} -m tlcli.cli.main datasets | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=work, capture_output=True, env=ENVIRONMENT)
    assert done.stderr == b""
    assert done.returncode in (0, 1)


def test_a_full_stdout_is_told(work):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tlcli.cli.main", "datasets"],
            cwd=work,
            stdout=full,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
        )
    assert done.returncode == 1
    assert "disk is full" in done.stderr.decode()


def test_the_terminal_gets_no_file_and_gives_none(work):
    import pty

    for arguments, stream in ((["knn", "pixels.h5", "-o", "-"], "stdout"), (["knn", "-"], "stdin")):
        master, slave = os.openpty() if hasattr(os, "openpty") else pty.openpty()
        pipes = {"stdout": subprocess.PIPE, "stdin": subprocess.DEVNULL, stream: slave}
        done = subprocess.run(
            [sys.executable, "-m", "tlcli.cli.main", *arguments],
            cwd=work,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            **pipes,
        )
        os.close(slave)
        os.close(master)
        assert done.returncode == 2
        assert b"terminal" in done.stderr


def test_impossible_combinations(call):
    fails(call("knn", "pixels.h5", "-o", "-", "--json"), 2, "--json")
    fails(call("transfer", "-", "-", "--method", "scratch"), 2, "2 inputs are '-'")
    fails(call("split", "--dataset", "digits", "--size", "10", "--proportion", "0.1"), 2)
    fails(call("report", "pixels.h5", "-o", "-"), 2, "folder")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["splt"], ["splt", "'split'"]),
        (["knn", "pixels.h5", "--metrc", "cosine"], ["--metrc", "'--metric'"]),
        (["knn", "pixels.h5", "--metric", "cosin"], ["cosin", "'cosine'"]),
        (["split", "--dataset", "digist"], ["digist", "digits"]),
        (["train-base", "digits-0-5.h5", "--arch", "densnet"], ["densnet", "densenet"]),
        (["transfer", "pixels.h5", "digits-6-9.h5", "--method", "freze"], ["freze", "freeze"]),
        (["train-base", "digits-0-5.h5", "--arch", "cnn2", "--recipe", "fats"], ["fats", "fast"]),
        (["knn"], ["EMBEDDINGS"]),
        (["knn", "pixels.h5", "--k"], ["--k"]),
        (["knn", "pixels.h5", "--k", "1-x"], ["1-x", "1-40"]),
        (["knn", "pixels.h5", "--k", "2000"], ["2000"]),
        (["split", "--dataset", "digits", "--size", "many"], ["--size", "many"]),
        (["train-base", "digits-0-5.h5", "--arch", "cnn2", "--arch-option", "filters"], ["NAME=VALUE"]),
        (["archs", "--input", "32"], ["32x32x3"]),
        (["train-base", "x.h5", "--arch", "cnn2", "--dropout", "0.3"], ["--arch-option dropout=0.3"]),
        (["transfer", "x.h5", "y.h5", "--dropout", "0.3"], ["tlcli train-base --arch-option dropout=0.3"]),
        (["transfer", "x.h5", "y.h5", "--method", "lwf", "--rate=0.3"], ["--method lwf:rate=0.3"]),
        (["knn", "x.h5", "--colour", "0.3"], ["no option --colour."]),
        (["knn", "x.h5", "--with", "x.py"], ["--with comes before the command"]),
        (["train-base", "x.h5", "--arch", "mynet.py"], ["'mynet.py' is a file", "--with mynet.py"]),
        (["split", "--dataset", "my.py"], ["'my.py' is a file", "a data set", "--with my.py"]),
        (["train-base", "x.h5", "--arch", "resnet50x"], ["no network 'resnet50x'"]),
        (["--with", "x.py", "archs"], ["plug-in x.py", "cannot be read"]),
        ([], ["command"]),
    ],
)
def test_wrong_usage(call, arguments, words):
    fails(call(*arguments), 2, *words)


def test_options_of_a_network_may_stand_in_one_and_help_is_a_command_too(call):
    done = call("archs", "cnn2", "--arch-option", "filters=4,dropout=0.5", "--json", "-q")
    assert json.loads(done.stdout)["architectures"][0]["options"] == {
        "filters": 4,
        "units": 128,
        "dropout": 0.5,
    }
    assert call("help", "knn").stdout == call("knn", "--help").stdout
    assert call("help").stdout.startswith(b"Usage: tlcli")
    from tlcli.cli.options import pairs

    assert pairs("--x", ["head_units=512,256,dropout=0.5"]) == {"head_units": "512,256", "dropout": "0.5"}


def test_no_colour_and_no_control_characters(run, work):
    with h5py.File(work / "evil.h5", "w") as file:
        file.create_group("\x1b[31mred\x1b[0m")
        file["a\nb"] = [1]
    done = run("inspect", "evil.h5", env={"NO_COLOR": "1"})
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\\x1b[31mred" in done.stdout


def test_debug_shows_the_traceback_and_the_same_code(run):
    for done in (run("knn", "none.h5", "--debug"), run("knn", "none.h5", env={"TLCLI_DEBUG": "1"})):
        assert done.returncode == 1
        assert b"Traceback" in done.stderr
        assert b"tlcli: none.h5" in done.stderr


LIGHT_COMMANDS = ("split", "knn", "inspect", "dump", "verify", "datasets", "report")
LIGHT = [
    ["--help"],
    ["split", "--help"],
    ["train-base", "--help"],
    ["transfer", "--help"],
    ["split", "--dataset", "digits", "-o", "light.h5"],
    ["knn", "pixels.h5", "-o", "light.h5"],
    ["inspect", "digits-0-5.h5"],
    ["verify", "digits-0-5.h5"],
    ["datasets"],
    ["archs"],
    ["plugins"],
    ["report", "knn.h5", "-o", "light"],
]


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_commands_without_networks_never_import_tensorflow(run, work, arguments):
    """Also: the help imports neither numpy nor h5py, only `report` draws, and `knn` needs no scikit-learn."""
    if arguments[0] == "report":
        assert run("knn", "pixels.h5", "-o", "knn.h5").returncode == 0
    arguments = [sys.executable, "-X", "importtime", "-m", "tlcli.cli.main", *arguments]
    done = subprocess.run(arguments, cwd=work, capture_output=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-500:]
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.decode().splitlines()}
    unwanted = {"tensorflow", "keras", "jax", "torch"}
    if "--help" in arguments:
        unwanted |= {"numpy", "h5py", "rich"}
    if "report" not in arguments:
        unwanted |= {"matplotlib"}
    if "knn" in arguments:
        unwanted |= {"sklearn", "scipy"}
    assert not imported & unwanted


def test_help_starts_quickly(work):
    """The goal is three times `import typer`; the limit of five allows for a busy machine."""

    def seconds(*arguments: str) -> float:
        best = 1e9
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run(
                [sys.executable, *arguments], cwd=work, capture_output=True, env=ENVIRONMENT, check=True
            )
            best = min(best, time.perf_counter() - started)
        return best

    assert seconds("-m", "tlcli.cli.main", "--help") < 5 * seconds("-c", "import typer")


@pytest.mark.parametrize("name", SUMMARIES)
def test_summaries_are_the_first_lines_of_the_help(name):
    assert " ".join(load(name).help.split("\n\n")[0].split()) == SUMMARIES[name]


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_option_and_argument_has_a_help_text(name):
    assert all(param.help for param in load(name).params)
    assert module(name).EXAMPLES


@pytest.mark.parametrize("name", ["train-base", "transfer"])
def test_every_field_of_a_recipe_is_an_option(name):
    from tlcli.training.recipe import settings

    options = {p.name: p for p in load(name).params}
    assert {"optimizer", "learning_rate", "batch_size", "epochs"} <= set(settings()) <= set(options)
    shown = {n: options[n].help.partition("[default: ")[2].rstrip("]") for n in settings()}
    assert (shown["optimizer"], shown["batch_size"], shown["epochs"]) == ("adam", "100", "10")
    assert shown["learning_rate"].startswith("0.001")
    assert options["optimizer"].metavar == "adam|adamw|sgd"
    for field, setting in settings().items():
        assert set((options[field].metavar or "").split("|")) >= set(setting.choices)


def test_a_parameter_is_called_by_its_flag(call):
    """The library names the parameter of its function, the command line the option."""
    from tlcli.training import Recipe

    with pytest.raises(UsageError, match=r"^`ema`: received 2, expected a number"):
        Recipe(ema=2, epochs=1)
    for arguments, words in (
        (["--ema", "2"], "--ema: received 2"),
        (["--batch-size", "0"], "--batch-size: received 0, expected a number from 1"),
        (["--optimizer", "adan"], "Did you mean 'adam'?"),
        (["--epochs", "1", "--samples", "2"], "both --epochs and --samples"),
        (["--momentum", "0.5"], "--momentum is of sgd"),
    ):
        fails(call("train-base", "digits-0-5.h5", "--arch", "cnn2", *arguments), 2, words)
    fails(call("knn", "pixels.h5", "--power", "2"), 2, "--power: received 2")


@pytest.mark.parametrize("command", [["train-base", "x.h5", "--arch", "cnn2"], ["transfer", "b.h5", "x.h5"]])
def test_a_named_recipe_holds_but_for_the_options_given(command):
    from tlcli.cli.options import read_recipe
    from tlcli.training.recipe import Recipe
    from tlcli.training.recipes import RECIPES

    def chosen(*options: str) -> Recipe:
        return read_recipe(load(command[0]).make_context(command[0], [*command[1:], *options]))

    for name in RECIPES:
        assert chosen("--recipe", name) == Recipe.from_options(name)
    fast = Recipe.from_options("fast")
    assert chosen("--recipe", "fast", "--augment", "none") == dataclasses.replace(fast, augment=())
    assert chosen("--recipe", "fast", "--augment", "flip").augment == ("flip",)
    assert not chosen("--recipe", "small", "--no-mirrored").mirrored


def test_the_reference_is_up_to_date():
    text = reference.README.read_text(encoding="utf-8")
    assert reference.update(text) == text, "run: python -m tlcli.cli.reference"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tlcli sp", {"split"}),
        ("tlcli split --dataset dig", {"digits"}),
        ("tlcli train-base x.h5 --arch cnn", {"cnn2", "cnn4"}),
        ("tlcli import-weights x.h5 --arch vgg", {"vgg16"}),
        ("tlcli transfer base.h5 x.h5 --method fr", {"freeze"}),
        ("tlcli knn x.h5 --metric c", {"cosine"}),
        ("tlcli train-base x.h5 --recipe f", {"fast"}),
        ("tlcli train-base x.h5 --augment cut", {"cutout"}),
    ],
)
def test_the_shell_completes_names_without_tensorflow(work, words, expected):
    environment = {
        "_TLCLI_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    code = (
        "import sys; sys.argv[0] = 'tlcli'; from tlcli.cli.main import main\n"
        "try: main()\nfinally: assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=work, capture_output=True, env={**ENVIRONMENT, **environment}
    )
    assert done.returncode == 0, done.stderr
    assert expected <= set(done.stdout.decode().split())


def test_the_examples_of_light_commands_run(call, work):
    """The examples in the help of the commands that need no network, one after the other."""
    (work / "pixels.h5").rename(work / "digits-6-9-by-base.h5")
    for file in ("digits-0-5.h5", "digits-6-9.h5"):
        (work / file).unlink()
    examples = [line for name in LIGHT_COMMANDS for line in module(name).EXAMPLES]
    lines = [line for line in examples if " base.h5" not in line]
    assert len(lines) >= 10
    for line in lines:
        done = call(*shlex.split(line)[1:])
        assert done.returncode == 0, f"{line}: {done.stderr.decode()}"


def test_the_examples_of_the_other_commands_run(call):
    """The examples of commands that load TensorFlow, in one process; other tests cover pipes."""
    names = ("train-base", "transfer", "embed", "export-weights", "import-weights", "rank", "archs")
    examples = [line for name in names for line in module(name).EXAMPLES]
    examples = [line for line in examples if "|" not in line and "cifar100vgg" not in line]
    examples = [line for line in examples if "--pretrained" not in line]  # which is downloaded
    assert len(examples) >= 11
    for line in examples:
        trains = "train-base" in line or "transfer" in line
        short = ["--epochs", "1"] if trains and "--epochs" not in line and "--samples" not in line else []
        done = call(*shlex.split(line)[1:], *short)
        assert done.returncode == 0, f"{line}: {done.stderr.decode()}"
