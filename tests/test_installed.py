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
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, ROOT])
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


def run(command, cwd=None):
    # Where a checkout is on the path, that would be found before what is installed.
    around = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
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
    names = zipfile.ZipFile(wheel).namelist()
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


@pytest.mark.parametrize(
    "code", ["import stream.inference.contract", "from stream import Segmenter"]
)
def test_it_is_imported_in_a_crowded_folder(environment, crowded_folder, code):
    where = run(
        [environment, "-c", f"{code}; import stream; print(stream.__file__)"], crowded_folder
    )
    assert Path(where.strip()).is_relative_to(Path(environment).parents[1])


def test_its_commands_run_in_a_crowded_folder(environment, crowded_folder):
    program = Path(environment).with_name("stream")
    assert "overlay" in run([program, "file", "--help"], crowded_folder)
    assert "default" in run([program, "models"], crowded_folder)
    run([environment, "-m", "stream", "export", "--help"], crowded_folder)


@pytest.mark.slow
def test_its_demo_runs_in_a_crowded_folder(environment, crowded_folder):
    run([Path(environment).with_name("stream"), "demo", "--quiet"], crowded_folder)
    assert (crowded_folder / "stream-demo.mp4").stat().st_size > 100_000
