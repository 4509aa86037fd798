"""Runs a file through source and sink, as the pipeline does, with nothing in between."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from stream.frame import Frame, VideoInfo
from stream.run.opening import without_lost
from stream.settings.options import OutputOptions
from stream.sinks.video import VideoSink
from stream.sources.file import FileSource


@dataclass
class Run:
    """What went from source to sink.

    Attributes:
        times: of the frames, in seconds.
        end: when the last frame ends, in seconds.
        remarks: of source and sink.
        corrupt: what the source could not decode.
    """

    times: list[Fraction]
    end: Fraction
    remarks: list[str]
    corrupt: int


def run(source_path: Path, output: Path, *, cut: dict[str, Any] | None = None, **sink: Any) -> Run:
    """Reads a file (or the part of it that `cut` says) and writes it; sound comes along."""
    times: list[Fraction] = []
    end = Fraction(0)
    with FileSource(source_path, **(cut or {})) as source:
        options = OutputOptions(codec=sink.get("codec"))
        told, said = without_lost(VideoSink, str(output), source.info, options)
        with VideoSink(output, told, **sink) as target:
            for item in source:
                if isinstance(item, Frame):
                    times.append(item.pts * item.time_base)
                    end = times[-1] + (item.duration or 0) * item.time_base
                target.write(item)
        return Run(times, end, [*said, *source.remarks, *target.remarks], source.corrupt)


def fastest(ending: str) -> str | None:
    """The preset for tests that are not about the picture."""
    return {".webm": "8", ".avi": None}.get(ending, "ultrafast")


def info(**changes: Any) -> VideoInfo:
    """What a source of small pictures at 25 per second says, but for `changes`."""
    given = {"name": "x", "width": 64, "height": 48, "pixel_format": "yuv420p"}
    return VideoInfo(**{**given, "time_base": Fraction(1, 25), "rate": Fraction(25), **changes})


def check_output(path: Path, source: Path | None = None, **options: Any) -> None:
    """Asks whether a video file can be written, before any work is done for it."""
    inputs = () if source is None else (source,)
    VideoSink.check(str(path), OutputOptions(**options), inputs)
