"""Recording what is shown, beside the display."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import av.filter

from stream.errors import SinkError, StreamError
from stream.frame import Frame, Item, Passthrough, VideoInfo
from stream.mailbox import Closed, Mailbox
from stream.sinks.base import Sink

_EARLY = 500
"""Packets of sound kept until the first picture is there: some ten seconds."""

_WAITING = 30
"""Frames that may wait for the encoder: a second of hiccup. More would only be memory."""


@dataclass(slots=True)
class Recorded:
    """What went into a recording."""

    path: Path
    frames: int = 0
    dropped: int = 0


class Recorder:
    """Writes frames and sound into one file, in a thread of its own.

    Frames are let go only where the encoder cannot keep up; `recorded.dropped` counts them.

    Args:
        path: of the file.
        info: of the frames, as they are shown.
        open_sink: makes the sink.

    Raises:
        StreamError: the file cannot be written.
    """

    def __init__(
        self, path: Path, info: VideoInfo, open_sink: Callable[[Path, VideoInfo], Sink]
    ) -> None:
        self.recorded = Recorded(path)
        self.error: BaseException | None = None
        self._sink = open_sink(path, info)
        self._fit = Fit(info.width, info.height, info.pixel_format)
        self._origin: Fraction | None = None
        self._early: deque[Passthrough] = deque(maxlen=_EARLY)
        self._aborting = False
        self._items: Mailbox[Item] = Mailbox(
            "recording", _WAITING, droppable=lambda item: isinstance(item, Frame)
        )
        self._thread = threading.Thread(target=self._run, name="stream-encode", daemon=True)
        self._thread.start()

    @property
    def queue(self) -> Mailbox[Item]:
        """What waits for the encoder."""
        return self._items

    @property
    def remarks(self) -> list[str]:
        """What the file could not keep, a sentence each."""
        found = self._sink.remarks
        if self.recorded.dropped:
            found = [
                *found,
                f"{self.recorded.dropped} frames are missing in {self.recorded.path}: the encoder "
                "could not keep up; choose a faster --preset",
            ]
        return found

    def put(self, item: Item) -> None:
        """Takes a frame or packets; never waits."""
        self._items.put(item)
        self.recorded.dropped = self._items.dropped

    def close(self, *, abort: bool = False) -> None:
        """Writes what waits and finishes the file; where `abort`, lets go at once."""
        self._aborting = abort
        self._items.close(clear=abort)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._write_all()
            if not self._aborting:
                self._sink.close()
        except BaseException as error:  # noqa: BLE001 - reported by who owns the recorder
            self.error = error
            self._items.close(clear=True)
        finally:
            if self._aborting or self.error is not None:
                self._let_go()

    def _let_go(self) -> None:
        try:
            self._sink.abort()
        except StreamError as error:
            self.error = self.error or error

    def _write_all(self) -> None:
        while True:
            try:
                item = self._items.take()
            except Closed:
                return
            if isinstance(item, Frame):
                self._write_frame(item)
            elif item is not None and self._origin is not None:
                self._write_packets(item, self._origin)
            elif item is not None:
                self._early.append(item)

    def _write_frame(self, frame: Frame) -> None:
        if self._origin is None:
            self._origin = frame.pts * frame.time_base
            # Sound is quicker than pictures, which are looked at first.
            for item in self._early:
                self._write_packets(item, self._origin)
            self._early.clear()
        start = round(self._origin / frame.time_base)
        picture = self._fit(frame.picture)
        self._sink.write(replace(frame, picture=picture, pts=frame.pts - start))
        self.recorded.frames += 1

    def _write_packets(self, item: Passthrough, origin: Fraction) -> None:
        """Sound, on the recording's own time line, which begins with its first picture."""
        kept = []
        for packet in item.packets:
            ticks = round(origin / packet.time_base)
            if packet.pts is None or packet.pts < ticks:
                continue
            packet.pts -= ticks
            packet.dts = packet.pts if packet.dts is None else packet.dts - ticks
            kept.append(packet)
        if kept:
            self._sink.write(Passthrough(kept))


class Fit:
    """Brings pictures of any size to one, with black bars where the shapes differ.

    Args:
        width: wanted, in pixels.
        height: wanted, in pixels.
        pixel_format: wanted.
    """

    def __init__(self, width: int, height: int, pixel_format: str) -> None:
        self._wanted = (width, height, pixel_format)
        self._graph: av.filter.Graph | None = None
        self._graph_for: tuple[int, int, str] | None = None

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The picture itself where it fits already, else a new one."""
        kind = (picture.width, picture.height, picture.format.name)
        if kind == self._wanted:
            return picture
        if self._graph is None or kind != self._graph_for:
            self._graph, self._graph_for = self._build(picture), kind
        self._graph.push(picture)
        fitted = self._graph.pull()
        if not isinstance(fitted, av.VideoFrame):
            raise SinkError("a picture of another size could not be brought to the recording's")
        return fitted

    def _build(self, picture: av.VideoFrame) -> av.filter.Graph:
        width, height, pixel_format = self._wanted
        graph = av.filter.Graph()
        steps = [
            graph.add_buffer(
                width=picture.width,
                height=picture.height,
                format=picture.format,
                time_base=picture.time_base or Fraction(1, 90_000),
            ),
            graph.add("scale", f"{width}:{height}:force_original_aspect_ratio=decrease"),
            graph.add("pad", f"{width}:{height}:(ow-iw)/2:(oh-ih)/2"),
            graph.add("format", pixel_format),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*steps).configure()
        return graph
