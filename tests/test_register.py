"""Registers: the sources of names, their owners, and the messages for failures."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tlcli
from tlcli.errors import TlcliError, UsageError
from tlcli.models.registry import NETWORKS
from tlcli.plugin_files import _forget, files, load_file
from tlcli.register import PLUGINS, Owner, Register, _entry_points
from tlcli.text import did_you_mean, similar
from tlcli.training.methods import METHODS

NETWORK = """
import keras, tlcli

@tlcli.network("{name}", "a test")
def build(inputs, classes, *, width=4):
    return keras.layers.Dense(classes)(keras.layers.Flatten()(inputs))
"""


@pytest.fixture
def write(tmp_path):
    """A function that writes a plug-in; unloads all plug-ins afterwards."""

    def plugin(text: str, name: str = "mynet.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    before = dict(PLUGINS)
    yield plugin
    for module, owner in list(PLUGINS.items()):
        if module not in before:
            _forget(module, owner)


def test_a_file_registers_under_its_name_and_digest(write):
    path = write(NETWORK.format(name="mynet"))
    owner = load_file(path)
    assert load_file(path) is owner
    assert files() == [owner]
    assert NETWORKS["mynet"].defaults == {"width": 4}
    assert NETWORKS.owner("mynet") == owner
    assert NETWORKS.plugin("mynet") == ("mynet.py", owner.sha256)
    assert NETWORKS.plugin("cnn2") == ("", "")
    assert NETWORKS.require("mynet", "mynet.py", owner.sha256, "base.h5") is NETWORKS["mynet"]
    with pytest.raises(UsageError, match=r"base.h5 was made `with` mynet.py \(0{8}...\); mynet.py here is"):
        NETWORKS.require("mynet", "mynet.py", "0" * 64, "base.h5")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "mynet.py registers nothing"),
        ("import tlcli\nnonsense", "mynet.py failed, line 2: NameError: name 'nonsense' is not defined."),
        ("def f(:\n  pass", "mynet.py failed, line 1: SyntaxError"),
        ("raise SystemExit(3)", "mynet.py failed, line 1: SystemExit: 3."),
        (NETWORK.format(name="cnn2"), "'cnn2' belongs to tlcli itself; the file mynet.py registers another"),
        (NETWORK.format(name="a b"), "no usable name"),
        (NETWORK.format(name="keras:mine"), "no usable name"),
        (NETWORK.format(name="mine").replace("width=4", "width"), "'width' needs a default"),
        (NETWORK.format(name="kept") + "1 / 0", "line 7: ZeroDivisionError"),
    ],
)
def test_a_file_that_is_no_plug_in_leaves_nothing(write, text, words):
    path = write(text)
    networks, modules = list(NETWORKS), set(sys.modules)
    for _ in range(2):  # it is not taken for loaded
        with pytest.raises(TlcliError) as caught:
            load_file(path)
        assert words in str(caught.value)
    assert (list(NETWORKS), files(), set(sys.modules) - modules) == (networks, [], set())


def test_a_second_owner_is_told_of_the_first(write):
    load_file(write(NETWORK.format(name="mynet")))
    with pytest.raises(UsageError, match=r"'mynet' belongs to the file mynet.py; the file other.py"):
        load_file(write(NETWORK.format(name="mynet"), "other.py"))


def test_paths_that_are_no_python_files(tmp_path):
    for path in ("base.h5", tmp_path / "none.py", tmp_path):
        with pytest.raises(UsageError, match="plug-in"):
            load_file(path)


PACKAGE = {
    "own_package.py": NETWORK.format(name="fromafar") + "import tlcli.training.methods as m\n"
    '@tlcli.method("mild", "a test")\ndef mild(copy, freeze):\n    return [m.Phase(frozen=0)]\n',
    "broken_package.py": "import a_module_that_is_not_there",
    "own_package-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: own-package\nVersion: 1.2\n",
    "own_package-1.2.dist-info/entry_points.txt": "[tlcli.networks]\nfromafar = own_package:build\n"
    "cnn4 = own_package:build\nabsent = own_package:build\n[tlcli.methods]\nmild = own_package:mild\n",
    "broken-3.dist-info/METADATA": "Metadata-Version: 2.1\nName: broken\nVersion: 3\n",
    "broken-3.dist-info/entry_points.txt": "[tlcli.networks]\nbroken = broken_package:x\n",
}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Two packages as pip leaves them; registers that have not looked yet."""
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    _entry_points.cache_clear()
    for register in (NETWORKS, METHODS):
        monkeypatch.setattr(register, "_searched", False)
    yield Owner("package", "own-package 1.2")
    for register in (NETWORKS, METHODS):
        register.forget(Owner("package", "own-package 1.2"))
        register._announced.clear(), register.problems.clear()
    for module in ("own_package", "broken_package"):
        sys.modules.pop(module, None), PLUGINS.pop(module, None)
    _entry_points.cache_clear()


def test_installed_packages_announce_names_and_are_imported_when_they_are_wanted(installed, write):
    assert NETWORKS["cnn2"].name == "cnn2"
    assert "fromafar" in NETWORKS
    assert "own_package" not in sys.modules
    with pytest.raises(UsageError, match=r"'fromafar' belongs to the package own-package 1.2; the file"):
        load_file(write(PACKAGE["own_package.py"]))
    assert NETWORKS.owner("fromafar") == METHODS.owner("mild") == installed
    assert NETWORKS.plugin("fromafar")[0] == "own-package 1.2"
    for name, words in {
        "cnn4": "'cnn4' belongs to tlcli itself; the package own-package 1.2 registers another",
        "broken": r"'broken' of the package broken 3 cannot be loaded \(ModuleNotFoundError",
        "absent": "'absent' is announced by the package own-package 1.2, which registers none",
    }.items():
        with pytest.raises(UsageError, match=words):
            NETWORKS[name]
    assert "fromafar" in list(NETWORKS)
    assert not {"broken", "absent", "cnn4"} & set(NETWORKS)


def test_what_a_file_was_made_with_is_told_where_it_is_missing():
    register: Register[int] = NETWORKS  # type: ignore[assignment]
    for plugin, words in {
        "mynet.py": r"no network 'mynet'; base.h5 was made `with` mynet.py \(12ab12ab...\). Load it first",
        "own 1.0": r"base.h5 was made with the package own 1.0 \(12ab12ab...\). Install it",
        "__main__": r"base.h5 was made in a notebook \(12ab",
    }.items():
        with pytest.raises(UsageError, match=words):
            register.require("mynet", plugin, "12ab" * 16, "base.h5")


def test_suggestions_are_slips_of_the_keyboard():
    networks = [*NETWORKS, "keras:ResNet50", "keras:MobileNetV3Small"]
    assert did_you_mean("resnet50", list(NETWORKS)) == ""
    assert similar("resnet50", networks) == ["keras:ResNet50"]
    assert similar("mobilenetv3", networks) == ["keras:MobileNetV3Small"]
    assert similar("densnet", networks) == ["densenet"]
    assert similar("plaincnn", networks) == ["plain-cnn"]
    assert similar("vgg", networks) == ["vgg16"]
    assert similar("cnn22", networks) == ["cnn2"]
    assert similar("x", networks) == []
    assert similar("--tset", ["--quiet", "--dataset", "--test"]) == ["--test"]
    assert similar("--test", ["--quiet", "--select-on-test"]) == similar("--source", ["--force"]) == []
    with pytest.raises(UsageError, match="is a file"):
        NETWORKS["mynet.py"]


def test_a_plug_in_that_imports_keras_at_its_top_does_not_load_it(write, tmp_path):
    """Otherwise every command with --with would wait for TensorFlow, even `plugins` and completion."""
    path = write(
        NETWORK.format(name="mynet") + "from keras import layers, ops\nimport tensorflow as tf\n"
        "def later(): return layers.Dense, keras.ops.sum, tf.constant(1)\n"
    )
    code = (
        "import sys; from tlcli.cli.main import run\n"
        f"assert run(['--with', {str(path)!r}, 'plugins']) == 0\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "network  mynet  mynet.py" in done.stdout
    load_file(path)
    module = sys.modules[NETWORKS["mynet"].build.__module__]
    assert module.later()[0].__name__ == "Dense"


def test_the_command_is_recorded_with_its_plug_ins_and_the_source_is_checked(write, tmp_path, monkeypatch):
    from tlcli import store
    from tlcli.cli.main import run

    text = (
        "import tlcli\n@tlcli.source('{0}', 'x', train=1, test=1, image_shape=(1, 1, 1), class_names=['a'])\n"
        "def load(request):\n    return {1}\n"
    )
    good = "tlcli.data.load_source('digits', download=False)"
    first, second = write(text.format("one", good), "first.py"), write(text.format("two", "3"), "second.py")
    monkeypatch.setenv("TLCLI_WITH", str(first))
    monkeypatch.chdir(tmp_path)
    assert run(["--with", str(second), "split", "--dataset", "one", "--size", "50", "-q"]) == 0
    made = store.read("one-all-n50.h5", store.Dataset).provenance.command
    assert made == "tlcli --with first.py --with second.py split --dataset one --size 50"
    with pytest.raises(TlcliError, match=r"'two' of the file second.py gave int; expected tlcli.data.Source"):
        tlcli.data.load_source("two")


def test_a_recipe_of_ones_own_is_checked_where_it_is_used(write):
    from tlcli.training import Recipe

    text = "import tlcli\n@tlcli.recipe('{0}', 'a test')\ndef make():\n    return {1}\n"
    load_file(write(text.format("mild", "{'learning_rate': 0.01, 'epochs': 3}"), "mild.py"))
    assert Recipe.from_options("mild").rate == 0.01
    load_file(write(text.format("wrong", "{'lr': 0.01}"), "wrong.py"))
    with pytest.raises(UsageError, match="'wrong' sets 'lr'; a recipe has"):
        Recipe.from_options("wrong")
    with pytest.raises(UsageError, match="expected a dictionary"):
        load_file(write(text.format("none", "None"), "none.py"))
