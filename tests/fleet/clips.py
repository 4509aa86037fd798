"""Clips of moving bright squares, which the tests' tiny models find."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def make_clips(folder: Path, count: int, frames: int = 6, keys: int = 250) -> Path:
    """Makes a folder with so many clips, each another.

    Args:
        folder: is made.
        count: how many; they are called 000.mp4 and so on.
        frames: in each.
        keys: frames from one key frame to the next.
    """
    folder.mkdir()
    noise = np.random.default_rng(3)
    for number in range(count):
        with av.open(str(folder / f"{number:03}.mp4"), "w") as out:
            video = out.add_stream(
                "libx264", rate=25, options={"preset": "ultrafast", "g": str(keys)}
            )
            video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
            at = noise.integers(0, 40, 2)
            for index in range(frames):
                planes = np.full((96, 96), 128, np.uint8)
                planes[:64] = 30 + number % 60
                planes[at[0] % 30 :][:20, at[1] + index % 30 :][:, :20] = 230
                frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
    return folder


def make_files(folder: Path, *names: str) -> None:
    """Makes files that hold their own names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode(errors="surrogateescape"))
