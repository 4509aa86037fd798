"""What compiles the loops of painting while a wheel is built."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from stream import kernels
from stream.kernels import convolve

ROOT = Path(__file__).resolve().parents[1]
X86 = pytest.mark.skipif(
    platform.machine().lower() not in {"x86_64", "amd64"}, reason="not a processor of Intel's kind"
)


@pytest.fixture
def hook(monkeypatch):
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # What is compiled for speed takes many times as long to compile.
    monkeypatch.setattr(module, "_FLAGS", [one.replace("-O3", "-O0") for one in module._FLAGS])
    return module


@pytest.fixture
def folder(tmp_path):
    """A copy of the C files."""
    for path in kernels.FOLDER.glob("*.[ch]"):
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture
def short(tmp_path):
    """A C file that is compiled in no time, for what does not depend on what is in them."""
    (tmp_path / "short.c").write_text("int stream_source(void) { return SOURCE; }\n")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("-DPLAIN",)], ids=["all", "plain"])
def test_what_is_compiled_is_what_the_program_takes(hook, folder, monkeypatch, more):
    if not hook.compilers():
        pytest.skip("no C compiler")
    monkeypatch.setattr(hook, "_FLAGS", (*hook._FLAGS, *more))
    library = folder / kernels.LIBRARY.name
    assert hook.compile_kernels(folder, library) is None
    assert kernels.Kernels(library).source == kernels.source()
    quick = library.with_name(kernels.QUICK.name)
    assert not quick.exists() or kernels.Kernels(quick).source == kernels.source()


def test_what_is_there_is_not_compiled_again(hook, short, monkeypatch):
    if not hook.compilers():
        pytest.skip("no C compiler")
    library = short / kernels.LIBRARY.name
    assert hook.compile_kernels(short, library) is None
    assert hook._known(library) == zlib.crc32((short / "short.c").read_bytes()) & 0x7FFFFFFF
    assert hook.LIBRARY == kernels.LIBRARY
    assert [path.name for path in short.iterdir() if path.is_dir()] == []
    before = library.stat().st_mtime_ns
    monkeypatch.setenv("CC", "false")
    assert hook.compile_kernels(short, library) is None
    assert library.stat().st_mtime_ns == before
    # Where a library is that was loaded, another one is loaded from elsewhere only.
    (short / "short.c").write_text("/* another */\n")
    assert hook.compile_kernels(short, library) is not None


def test_processors_that_have_no_layers_of_ours_have_the_loops_of_painting(
    hook, folder, monkeypatch
):
    if not hook.compilers():
        pytest.skip("no C compiler")
    # As on ARM: what Python calls must be there all the same.
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(hook, "_FLAGS", (*hook._FLAGS, "-DCONVOLVES=0"))
    library = folder / kernels.LIBRARY.name
    assert hook.compile_kernels(folder, library) is None
    found = kernels.Kernels(library)
    assert found.source == kernels.source()
    assert found.ways() == ()
    pairs = found.of_all(np.ones((8, 8, 1, 1), np.int8), convolve.Way.PAIRED)
    assert len(pairs.blocks) == 1


@X86
def test_for_processors_of_today_they_are_compiled_once_more(hook, short, monkeypatch):
    if not hook.compilers():
        pytest.skip("no C compiler")
    library, quick = short / kernels.LIBRARY.name, short / kernels.QUICK.name
    assert hook.QUICK == kernels.QUICK
    # What was made of other files is not left beside what this compiler makes.
    real = hook.compilers()[0][0]
    script = short / "cc"
    script.write_text(
        f'#!/bin/sh\nfor a in "$@"; do [ "$a" = -mavx2 ] && exit 1; done\nexec {real} "$@"\n'
    )
    script.chmod(0o755)
    quick.write_bytes(b"before")
    with monkeypatch.context() as patched:
        patched.setenv("CC", str(script))
        assert hook.compile_kernels(short, library) is None
    assert library.exists()
    assert not quick.exists()
    assert hook.compile_kernels(short, library) is None
    made = zlib.crc32((short / "short.c").read_bytes()) & 0x7FFFFFFF
    assert hook._known(library) == hook._known(quick) == made


# Between them is all that is compiled without either.
@pytest.mark.parametrize(
    ("compiler", "more"),
    [
        pytest.param("gcc", ["-mavx2"], marks=X86),
        ("clang", ["-DPLAIN"]),
        pytest.param("clang", ["-mavx2"], marks=[X86, pytest.mark.slow]),
        pytest.param("gcc", ["-DPLAIN"], marks=pytest.mark.slow),
    ],
)
def test_no_compiler_finds_fault_with_the_loops(compiler, more):
    # What one refuses is compiled by the next in silence, and may be slower.
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not here")
    sources = sorted(kernels.FOLDER.glob("*.c"))
    command = [compiler, "-std=gnu11", *more, "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    done = subprocess.run([*command, *sources], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("plain", [True, False])
def test_a_compiler_that_knows_less_compiles_them_too(hook, short, monkeypatch, plain):
    if not hook.compilers():
        pytest.skip("no C compiler")
    real = hook.compilers()[0][0]
    wanted = "$a" if plain else "no"
    script = short / "cc"
    script.write_text(
        f'#!/bin/sh\nfor a in "$@"; do [ "{wanted}" = -DPLAIN ] && exec {real} "$@"; done\n'
        "echo this compiler knows too little >&2\nexit 1\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    monkeypatch.setattr(platform, "machine", lambda: "any")
    library = short / "kernels.so"
    reason = hook.compile_kernels(short, library)
    if plain:
        assert reason is None
        assert hook._known(library) == zlib.crc32((short / "short.c").read_bytes()) & 0x7FFFFFFF
    else:
        assert reason == f"{script}: this compiler knows too little"
        assert not library.exists()


def test_what_was_there_stays_where_nothing_can_be_compiled(hook, folder, monkeypatch):
    library = folder / "kernels.so"
    library.write_bytes(b"before")
    monkeypatch.setenv("CC", str(folder / "nothing"))
    assert "nothing" in hook.compile_kernels(folder, library)
    monkeypatch.delenv("CC")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "no C compiler" in hook.compile_kernels(folder, library)
    assert library.read_bytes() == b"before"


@pytest.mark.parametrize("there", [True, False])
def test_a_mac_is_asked_for_its_tools_before_a_compiler_would_open_a_window(
    hook, monkeypatch, there
):
    asked = []

    def run(command, **how):
        asked.append(command)
        return subprocess.CompletedProcess(command, 0 if there else 2)

    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", run)
    assert bool(hook.compilers()) == there
    assert asked == [["xcode-select", "-p"]]


def test_a_folder_that_cannot_be_written_to_is_a_reason_too(hook, folder):
    if not hook.compilers():
        pytest.skip("no C compiler")
    reason = hook.compile_kernels(folder, folder / "nowhere" / "kernels.so")
    assert "nowhere" in reason


def test_as_a_program_it_says_why_it_failed(tmp_path):
    checkout = tmp_path / "stream" / "kernels"
    shutil.copytree(kernels.FOLDER, checkout, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(ROOT / "hatch_build.py", tmp_path)
    done = subprocess.run(
        [sys.executable, tmp_path / "hatch_build.py"],
        env={"CC": str(tmp_path / "nothing"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "nothing" in done.stderr
    assert not (checkout / kernels.LIBRARY.name).exists()


@pytest.mark.skipif(os.name != "posix", reason="a script for a shell")
def test_a_compiler_that_does_not_end_is_not_followed_by_others(hook, folder, monkeypatch):
    """They would take as long, and a wheel without the loops is slower for good."""
    assert hook._SECONDS >= 600, "a small computer needs minutes"
    begun = folder / "begun"
    slow = folder / "slow"
    slow.write_text(f"#!/bin/sh\necho once >> {begun}\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(hook, "compilers", lambda: [[str(slow)], [str(slow)]])
    monkeypatch.setattr(hook, "_SECONDS", 3.0)
    library = folder / kernels.LIBRARY.name
    assert hook.compile_kernels(folder, library) == f"{slow} had not done after 0 minutes"
    assert begun.read_text().split() == ["once"]
