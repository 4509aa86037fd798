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
from stream.options import OutputOptions
from stream.sinks.video import VideoSink
from tests.sinks.running import info

width, height, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
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
    bits = b"".join(bytes(packet) for packet in container.demux(video=0) if packet.size)
print(hashlib.sha256(bits).hexdigest())
"""


def _bits(tmp_path: Path, size: tuple[int, int], filled: int) -> str:
    """What comes out where memory that was never written holds a certain byte (with glibc)."""
    paths = os.pathsep.join(str(_ROOT / one) for one in (".", "models", "export"))
    target = tmp_path / f"{filled}.mp4"
    return subprocess.run(
        [sys.executable, "-c", _ENCODES, *map(str, size), str(target)],
        env={**os.environ, "PYTHONPATH": paths, "MALLOC_PERTURB_": str(filled)},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout


@pytest.mark.parametrize("size", [(176, 144), (320, 240)])
def test_h264_does_not_depend_on_what_memory_held(tmp_path: Path, size: tuple[int, int]) -> None:
    assert _bits(tmp_path, size, 85) == _bits(tmp_path, size, 255)


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
    from stream.cpu import Processor

    this = Processor("a processor", 2, frozenset(features))
    monkeypatch.setattr(_plan, "processor", lambda: this)
    assert _plan._same_each_time(width) == same
