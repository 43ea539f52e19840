"""JAX keeps its programs in a folder that only the user can write, up to a limit of size."""

from __future__ import annotations

import os

import pytest

from tlcli.environment import jax_gpu_plugins, set_environment
from tlcli.training.engines import program_cache


def test_a_folder_of_the_user_alone_is_taken(tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir(mode=0o700)
    assert program_cache.fault_of(folder) == ""


@pytest.mark.skipif(os.name == "nt", reason="folders have no modes there")
@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_a_folder_that_others_can_write_is_refused(tmp_path, mode):
    folder = tmp_path / "programs"
    folder.mkdir()
    folder.chmod(mode)
    assert program_cache.fault_of(folder)
    below = folder / "below"
    below.mkdir(mode=0o700)
    assert bool(program_cache.fault_of(below)) == bool(mode & 0o002)


def test_links_files_and_folders_of_others_are_refused(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()
    faults = {program_cache.fault_of(tmp_path / name) for name in ("link", "file")}
    assert program_cache.fault_of(tmp_path / "real") == ""
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    faults |= {program_cache.fault_of(tmp_path / "real")}
    assert len(faults - {""}) == 3


def test_what_was_used_longest_ago_is_removed(tmp_path):
    for number in range(5):
        path = tmp_path / f"{number}-cache"
        path.write_bytes(bytes(100))
        os.utime(path, (1000 + number, 1000 + number))
    os.utime(tmp_path / "0-cache", (2000, 1000))
    program_cache.remove_oldest(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-cache", "4-cache"]


def test_a_refused_folder_is_told_and_left_alone(tmp_path, monkeypatch):
    jax = pytest.importorskip("jax")
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    before = jax.config.jax_compilation_cache_dir
    told: list[str] = []
    monkeypatch.setenv(program_cache.VARIABLE, str(folder))
    assert program_cache.keep_programs(told.append) is None
    assert str(folder) in told[0]
    assert "TLCLI_JAX_CACHE=off" in told[0]
    monkeypatch.setenv(program_cache.VARIABLE, "off")
    assert program_cache.keep_programs(told.append) is None
    assert len(told) == 1
    assert jax.config.jax_compilation_cache_dir == before
    assert not list(folder.iterdir())


def test_programs_are_kept_in_a_folder_made_for_the_user_alone(tmp_path, monkeypatch):
    jax = pytest.importorskip("jax")
    names = [f"jax_persistent_cache_min_{name}" for name in ("compile_time_secs", "entry_size_bytes")]
    before = {name: getattr(jax.config, name) for name in ("jax_compilation_cache_dir", *names)}
    told: list[str] = []
    monkeypatch.delenv(program_cache.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "tlcli" / "jax"
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        programs = program_cache.keep_programs(told.append)
        assert programs == folder / program_cache.processor()
        assert jax.config.jax_compilation_cache_dir == str(programs)
        assert {path.stat().st_mode & 0o777 for path in (folder, programs)} == {0o700}
        assert len(told) == 1
        assert str(folder) in told[0]
        programs.chmod(0o777)
        jax.config.update("jax_compilation_cache_dir", None)
        assert program_cache.keep_programs(told.append) is None
        assert str(programs) in told[1]
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def test_processors_that_run_other_machine_code_have_programs_of_their_own(tmp_path, monkeypatch):
    def named(text):
        monkeypatch.setattr(program_cache, "CPUINFO", tmp_path / "cpuinfo")
        (tmp_path / "cpuinfo").write_text(text)
        return program_cache.processor()

    old, new, arm = (
        named(f"cpu\t: 0\n{line}\n") for line in ("flags : a avx2", "flags : avx2 f a", "Features : a")
    )
    assert len({old, new, arm}) == 3
    assert named("cpu : 1\nMHz : 7\nflags : avx2 a\n\nflags : avx2 a\n") == old, (
        "what else is told does not matter"
    )
    (tmp_path / "cpuinfo").unlink()
    assert program_cache.processor()


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    set_environment()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    set_environment()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    set_environment()
    assert "TF_ENABLE_ONEDNN_OPTS" not in os.environ


def test_plugins_for_gpus_are_asked_of_the_installed_packages(monkeypatch):
    class Installed:
        def __init__(self, name):
            self.metadata = {"Name": name}

    names = ["jax", "jax-cuda13-plugin", "jax_cuda12_plugin", "jax-cuda13-pjrt", "nvidia-cudnn-cu13"]
    monkeypatch.setattr("tlcli.environment.distributions", lambda: map(Installed, names))
    assert jax_gpu_plugins() == ["jax-cuda12-plugin", "jax-cuda13-plugin"]
