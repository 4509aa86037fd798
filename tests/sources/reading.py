"""Reads a file through `FileSource`."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from stream.frame import Frame, VideoInfo
from stream.sources.file import FileSource


def frames_of(path: Path, **cut) -> list[Frame]:
    with FileSource(path, **cut) as source:
        return [item for item in source if isinstance(item, Frame)]


def seconds_of(frames: list[Frame]) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames]


def probe(path: Path) -> VideoInfo:
    with FileSource(path) as source:
        return source.info
