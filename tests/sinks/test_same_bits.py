"""The same pictures come out in the same bits, whatever memory held before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream.sinks import _plan

_ROOT = Path(__file__).resolve().parents[2]
_ENCODES = """
import hashlib, sys
import av, numpy as np
from stream.frame import Frame
from stream.settings.options import OutputOptions
from stream.sinks.video import VideoSink
from tests.sinks.running import info

def bits(width, height, path):
    noise = np.random.default_rng(5).integers(0, 255, (height // 8 + 20, width // 8 + 20), np.uint8)
    scene = np.kron(noise, np.ones((8, 8), np.uint8))
    about = info(width=width, height=height)
    sink = VideoSink.from_target(path, about, OutputOptions(codec="libx264"))
    for index in range(24):
        planes = np.full((height * 3 // 2, width), 128, np.uint8)
        planes[:height] = scene[40 + index :, 30 + 2 * index :][:height, :width]
        image = av.VideoFrame.from_ndarray(planes, "yuv420p")
        sink.write(Frame(image, index, index, about.time_base, 1))
    sink.close()
    with av.open(path) as container:
        return b"".join(bytes(packet) for packet in container.demux(video=0) if packet.size)

for size in (176, 144), (320, 240):
    path = f"{sys.argv[1]}-{size[0]}.mp4"
    print(*size, hashlib.sha256(bits(*size, path)).hexdigest())
"""


def _bits(tmp_path: Path, filled: int) -> list[str]:
    """What comes out where memory that was never written holds a certain byte (with glibc)."""
    paths = os.pathsep.join(str(_ROOT / one) for one in (".", "models", "export"))
    done = subprocess.run(
        [sys.executable, "-c", _ENCODES, str(tmp_path / str(filled))],
        env={**os.environ, "PYTHONPATH": paths, "MALLOC_PERTURB_": str(filled)},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.splitlines()


def test_h264_does_not_depend_on_what_memory_held(tmp_path: Path) -> None:
    one = _bits(tmp_path, 85)
    assert len(one) == 2 and one == _bits(tmp_path, 255)


@pytest.mark.parametrize(
    ("width", "features", "same"),
    [
        (1920, {"avx2", "avx512"}, True),
        (854, {"avx2", "avx512"}, False),
        (854, {"avx2"}, True),
        (854, {"dotprod"}, True),
    ],
)
def test_only_where_rows_end_within_a_register_is_anything_else_asked_for(
    monkeypatch: pytest.MonkeyPatch, width: int, features: set[str], same: bool
) -> None:
    from stream.system.cpu import Processor

    this = Processor("a processor", 2, frozenset(features))
    monkeypatch.setattr(_plan, "processor", lambda: this)
    assert _plan._same_each_time(width) == same
