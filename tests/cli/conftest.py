"""Runs the command line: in this process, or as users do, in one of its own."""

import logging
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from stream.cli import _common, main
from tests import tiny_models


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def stream(tmp_path, monkeypatch, capsys):
    """Runs `stream …` in this process, in a temporary folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    root = logging.getLogger()
    libav = logging.getLogger("libav")
    level, libav_level = root.level, libav.level

    def run(*arguments):
        for console in (_common.errors, _common.results):
            console.cache_clear()
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        printed = capsys.readouterr()
        return Result(ended.value.code, printed.out, printed.err)

    yield run
    root.setLevel(level)
    libav.setLevel(libav_level)
    root.removeHandler(_common._handler)
    _common.verbosity.verbose = False


@pytest.fixture
def program(tmp_path):
    """Runs `stream …` in a process of its own, in a temporary folder."""

    def run(*arguments, timeout=120):
        done = subprocess.run(
            [sys.executable, "-m", "stream", *map(str, arguments)],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


def environment():
    import os

    root = Path(__file__).resolve().parents[2]
    paths = os.pathsep.join(str(root / part) for part in (".", "models", "export"))
    # As many threads as users have.
    ours = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
    given = {key: value for key, value in os.environ.items() if key not in ours}
    return {**given, "PYTHONPATH": paths, "COLUMNS": "200", "NO_COLOR": "1"}


@pytest.fixture
def bright(tmp_path):
    """A model that finds the bounding box of bright pixels as a person."""
    return tiny_models.bright(tmp_path / "bright.onnx")


@pytest.fixture
def nothing(tmp_path):
    """A model that finds nothing."""
    return tiny_models.nothing(tmp_path / "nothing.onnx")


@pytest.fixture
def clip(tmp_path):
    """A white square moving over grey, 24 pictures of 320 x 240, with a tone."""
    path = tmp_path / "in.mp4"
    path.write_bytes(_square_with_tone())
    return path


@cache
def _square_with_tone() -> bytes:
    from fractions import Fraction
    from io import BytesIO

    import av
    import numpy as np

    made = BytesIO()
    with av.open(made, "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=24, options={"crf": "12"})
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for index in range(24):
            picture = np.full((240, 320, 3), 90, np.uint8)
            picture[80:180, 40 + 6 * index : 120 + 6 * index] = 255
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        tone = (0.2 * np.sin(np.arange(48000) * 2 * np.pi * 440 / 48000)).astype(np.float32)
        for start in range(0, 48000, 1024):
            samples = av.AudioFrame.from_ndarray(
                tone[None, start : start + 1024], format="fltp", layout="mono"
            )
            samples.rate, samples.pts, samples.time_base = 48000, start, Fraction(1, 48000)
            container.mux(sound.encode(samples))
        container.mux(sound.encode(None))
    return made.getvalue()
