"""What is installed twice, broken or missing, in folders of packages that are made here."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from stream.cli import _main
from stream.doctor import machine
from stream.system import installation
from stream.system.installation import (
    ONNX_RUNTIME,
    OPENCV,
    Family,
    defect,
    explain,
    installed,
    twins,
    unloadable,
)

ROOT = Path(__file__).resolve().parents[2]


def distribution(folder: Path, name: str, version: str = "9.9", requires: str = "") -> None:
    """What pip leaves of a distribution for `importlib.metadata`."""
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
    )


def module(folder: Path, name: str, text: str | None) -> None:
    """A package; without text an empty folder, as uninstalling leaves it."""
    (folder / name).mkdir(parents=True)
    if text is not None:
        (folder / name / "__init__.py").write_text(text)


def family(
    *members: str, module: str = "stream_made_up", needs: tuple[str, ...] = ("run",)
) -> Family:
    return Family("Made up", module, members, needs)


def test_two_of_a_family_are_seen_with_what_helps(tmp_path, monkeypatch):
    made = family("made-up-gpu", "made-up", "made-up-dml")
    monkeypatch.syspath_prepend(str(tmp_path))
    distribution(tmp_path, "made-up", "1.0")
    assert twins(made) is None
    distribution(tmp_path, "made-up-gpu", "1.2")
    cause, advice = twins(made)
    assert (
        cause == "made-up-gpu and made-up are installed together, and write over each other's files"
    )
    assert advice == (
        "pip uninstall -y made-up && pip install --force-reinstall --no-deps made-up-gpu==1.2"
    )
    distribution(tmp_path, "made-up-dml")
    assert twins(made)[0].startswith("made-up-gpu, made-up and made-up-dml are")
    assert "uninstall -y made-up made-up-dml &&" in twins(made)[1]


@pytest.mark.parametrize("extra", ["opencv-python-headless", "opencv-contrib-python"])
def test_doctor_sees_two_opencvs(tmp_path, monkeypatch, extra):
    if "opencv-python" not in installed(OPENCV):
        pytest.skip("another OpenCV is installed here")
    monkeypatch.syspath_prepend(str(tmp_path))
    distribution(tmp_path, extra)
    (found,) = [one for one in machine.packages() if one.state == "missing"]
    assert found.name == "OpenCV" and f"opencv-python and {extra} are installed" in found.detail
    assert found.advice.startswith(f"pip uninstall -y {extra} && pip install --force-reinstall")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "is not whole: it has no run, though made-up 1.0 is installed"),
        ("", "it has no run"),
        ("import stream_made_up.gone", "No module named 'stream_made_up.gone'"),
        (
            "raise ImportError('libfoo-0a1b2c3d.so.3: cannot open shared object file: No such')",
            "libfoo-0a1b2c3d.so.3",
        ),
        ("raise RuntimeError('built for another\\nmore')", "built for another"),
    ],
)
def test_a_broken_package_is_to_be_installed_again(tmp_path, monkeypatch, text, words):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "stream_made_up", raising=False)
    distribution(tmp_path, "made-up", "1.0")
    module(tmp_path, "stream_made_up", text)
    cause, advice = defect(family("made-up", "made-up-gpu"))
    assert words in cause and "\n" not in cause
    assert advice == "pip install --force-reinstall --no-deps made-up==1.0"
    sys.modules.pop("stream_made_up", None)


@pytest.mark.parametrize("library", ["libGL.so.1", "libxcb.so.1", "libstdc++.so.6"])
@pytest.mark.parametrize("windows", [True, False])
def test_a_library_of_the_system_is_not_mended_by_pip(tmp_path, monkeypatch, library, windows):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "stream_made_up", raising=False)
    distribution(tmp_path, "made-up", "1.0")
    text = f"raise ImportError('{library}: cannot open shared object file: No such file')"
    module(tmp_path, "stream_made_up", text)
    of_it = family("made-up")
    if windows:
        monkeypatch.setattr(installation, "OPENCV", of_it)
    cause, advice = defect(of_it)
    assert cause.endswith(f"this system lacks {library}")
    assert "system's package" in advice
    assert ("apt-get install libgl1" in advice) == windows


def test_what_is_not_there_is_to_be_installed():
    assert defect(family("made-up")) == ("Made up is not installed", "pip install made-up")


def test_whole_packages_explain_nothing():
    assert [defect(one) for one in installation.FAMILIES] == [None] * 4
    assert explain(AttributeError("module 'cv2' has no attribute 'x'")) is None
    assert explain(ValueError("x")) is None


@pytest.mark.parametrize(
    ("left", "needed", "label"),
    [("cv2", "stream.draw", "OpenCV"), ("onnxruntime", "stream.Segmenter.load()", "ONNX Runtime")],
)
def test_an_empty_module_is_one_sentence(tmp_path, left, needed, label):
    # What is left where one of two distributions with the same files was uninstalled.
    module(tmp_path, left, "")
    code = (
        f"import stream\ntry:\n    {needed}\nexcept stream.StreamError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}:{ROOT / 'models'}:{ROOT / 'export'}"},
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.stderr == "" and f"{label} is not whole" in done.stdout
    assert "pip install --force-reinstall --no-deps" in done.stdout


BROKEN = {
    "version": (
        "raise RuntimeError('operator nms does not exist')",
        "RuntimeError: operator nms does not exist",
    ),
    "abi": (
        "raise ValueError('numpy.dtype size changed')",
        "ValueError: numpy.dtype size changed",
    ),
    "library": (
        "raise OSError('libcudart.so.12: cannot open shared object file')",
        "libcudart.so.12",
    ),
    "name": ("import numpy; numpy.no_such_name", "has no attribute 'no_such_name'"),
    "package": ("import no_such_package", "No module named 'no_such_package'"),
    "symbol": ("raise ImportError('x.so: undefined symbol: y')", "undefined symbol: y"),
}


def test_what_an_extra_brings_and_cannot_be_loaded_is_no_fault_of_the_program(
    tmp_path, monkeypatch
):
    for kind, (text, _) in BROKEN.items():
        name = f"stream_broken_{kind}"
        module(tmp_path, name, text)
        distribution(tmp_path, name, "1.2")
        (tmp_path / f"{name}-1.2.dist-info" / "top_level.txt").write_text(name)
    monkeypatch.syspath_prepend(str(tmp_path))
    # Whose package is whose is read from the lists of all files that are installed.
    known = metadata.packages_distributions()
    monkeypatch.setattr(metadata, "packages_distributions", lambda: known)
    for kind, (_, words) in BROKEN.items():
        name = f"stream_broken_{kind}"
        with pytest.raises(Exception) as raised:
            importlib.import_module(name)
        assert unloadable(raised.value) is None, f"{kind}: nothing of ours asks for it"
        with monkeypatch.context() as patched:
            asked = {name: (f"{name}>=1", True)}
            patched.setattr(installation, "_requirements", lambda asked=asked: asked)
            said = str(unloadable(raised.value))
        assert said.startswith(f"{name} 1.2 is installed and cannot be loaded: "), kind
        assert words in said, kind
        assert said.endswith(f"pip install --upgrade --force-reinstall '{name}>=1'"), kind


def test_a_library_of_the_system_that_an_extra_lacks_is_named(tmp_path, monkeypatch):
    module(tmp_path, "stream_lacks", "raise ImportError('libGL.so.1: cannot open shared object')")
    distribution(tmp_path, "stream_lacks", "1.2")
    (next(tmp_path.glob("*.dist-info")) / "top_level.txt").write_text("stream_lacks")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(installation, "_requirements", lambda: {"stream_lacks": ("x", True)})
    with pytest.raises(ImportError) as raised:
        importlib.import_module("stream_lacks")
    assert str(unloadable(raised.value)).endswith(
        "this system lacks libGL.so.1; install the system's package of it"
    )


def test_an_error_after_an_import_is_another():
    with pytest.raises(ValueError, match="seven") as raised:
        int("seven")
    assert unloadable(raised.value) is None


STAND_IN = """
import sys, types
class Anything(types.ModuleType):
    __path__ = []
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = sys.modules[f"{self.__name__}.{name}"] = Anything(f"{self.__name__}.{name}")
        return made
sys.modules[__name__] = Anything(__name__)
"""
"""A package that has whatever is asked of it, in place of PyTorch, which takes a second to load."""


def test_training_with_a_torchvision_that_does_not_fit_says_what_helps(tmp_path):
    module(tmp_path, "torch", STAND_IN)
    module(tmp_path, "torchvision", "raise RuntimeError('operator nms does not exist')")
    folders = (tmp_path, ROOT, ROOT / "models", ROOT / "export")
    done = subprocess.run(
        [sys.executable, "-m", "stream", "train", "--data", tmp_path, "--out", tmp_path / "out"],
        env={"PYTHONPATH": ":".join(map(str, folders)), "COLUMNS": "300"},
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1 and "fault" not in done.stderr
    assert "is installed and cannot be loaded: RuntimeError: operator nms" in done.stderr
    assert "pip install --upgrade --force-reinstall 'torchvision>=" in done.stderr


def test_the_command_line_says_the_same(monkeypatch, capsys):
    broken = ("OpenCV is not whole", "pip install it")

    def fail(*arguments, **options):
        raise AttributeError("module 'cv2' has no attribute 'ROTATE_90_CLOCKWISE'")

    monkeypatch.setattr(_main, "get_command", lambda app: fail)
    monkeypatch.setattr(installation, "defect", lambda one: broken if one is OPENCV else None)
    assert _main._run(["demo"]) == 1
    assert "OpenCV is not whole; pip install it" in capsys.readouterr().err.replace("\n", " ")


def test_versions_that_do_not_suit_are_named(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    distribution(tmp_path, "stream-segmentation", requires="made-up >=2,<3")
    assert list(installation.unmet()) == [
        ("made-up", "is not installed", "pip install 'made-up<3,>=2'")
    ]
    distribution(tmp_path, "made-up", "1.5")
    assert list(installation.unmet()) == [
        ("made-up", "1.5 is not <3,>=2", "pip install 'made-up<3,>=2'")
    ]


def test_onnx_runtimes_gpu_build_is_kept_where_there_is_one():
    assert ONNX_RUNTIME.members[0] == (
        "onnxruntime-gpu" if installation.has_gpu_build() else "onnxruntime"
    )
