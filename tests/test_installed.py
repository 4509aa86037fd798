"""The built wheel, installed into an environment of its own, is a good guest."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # As `pip` and `build` have it built, without what these take for themselves.
    build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    run([sys.executable, "-c", build, folder], ROOT)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A virtual environment that has the wheel; what it depends on is lent by this one."""
    folder = tmp_path_factory.mktemp("environment")
    run([sys.executable, "-m", "venv", "--without-pip", folder])
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    # What is not imported need not be compiled.
    how = ["--no-deps", "--no-index", "--no-compile"]
    run([sys.executable, "-m", "pip", "--python", python, "install", *how, wheel])
    own = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
    # Lent paths come after the environment's own, so its `stream` is the wheel's.
    (Path(own) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture
def crowded_folder(tmp_path):
    """A user's folder with packages of the same names as ours, which must not be imported."""
    for name in ("models", "export", "tests"):
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text("raise ImportError('a stranger was imported')\n")
    return tmp_path


def run(command, cwd=None, path=None):
    # Where a checkout is on the path, that would be found before what is installed.
    around = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        around["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=around,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_brings_names_of_its_own_and_all_its_parts(wheel):
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        (told,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
        programs = packed.read(told).decode().splitlines()
    assert {"[console_scripts]", "stream = stream.cli:main"} <= set(programs)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "stream",
        "stream_export",
        "stream_models",
    }
    for part in (
        "stream/py.typed",
        "stream/assets/demo.mp4",
        "stream/inference/contract.py",
        "stream_models/default.onnx",
        "stream_export/__init__.py",
        "stream_export/py.typed",
        "stream_models/py.typed",
    ):
        assert part in names
    assert not [name for name in names if "__pycache__" in name]
    # Painting's loops, for this system only, where there is a compiler.
    compiled = any(name.startswith("stream/kernels/kernels.") for name in names)
    assert compiled == any(shutil.which(name) for name in ("cc", "gcc", "clang"))
    assert wheel.name.endswith("-py3-none-any.whl") != compiled
    assert any(name.endswith("licenses/LICENSE") for name in names)


SEGMENTER = "from stream import Segmenter"
WHERE = "import stream; print(stream.__file__)"


def test_it_is_imported_in_a_crowded_folder(wheel, crowded_folder, tmp_path):
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "unpacked")
    for code in ("import stream.inference.contract", SEGMENTER):
        where = run(
            [sys.executable, "-c", f"{code}; {WHERE}"], crowded_folder, tmp_path / "unpacked"
        )
        assert Path(where.strip()).is_relative_to(tmp_path / "unpacked")


@pytest.mark.slow
def test_it_is_imported_where_it_is_installed(environment, crowded_folder):
    where = run([environment, "-c", f"{SEGMENTER}; {WHERE}"], crowded_folder)
    assert Path(where.strip()).is_relative_to(Path(environment).parents[1])


@pytest.mark.slow
def test_its_commands_run_in_a_crowded_folder(environment, crowded_folder):
    program = Path(environment).with_name("stream")
    assert "overlay" in run([program, "file", "--help"], crowded_folder)
    assert "default" in run([program, "models"], crowded_folder)
    run([environment, "-m", "stream", "export", "--help"], crowded_folder)


@pytest.mark.slow
def test_its_demo_runs_in_a_crowded_folder(environment, crowded_folder):
    run([Path(environment).with_name("stream"), "demo", "--quiet"], crowded_folder)
    assert (crowded_folder / "stream-demo.mp4").stat().st_size > 100_000
