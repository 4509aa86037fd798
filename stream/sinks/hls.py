"""HLS: a playlist and short pieces of video in a folder, for a web server to hand out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path, PurePath
from typing import ClassVar, Self

from stream.errors import SinkError
from stream.frame import Item, VideoInfo
from stream.options import OutputOptions
from stream.sinks._destination import check_destination
from stream.sinks._transmission import (
    Transmission,
    Way,
    choose_for_sending,
    for_receivers,
)
from stream.sinks.base import Sink

_SECONDS = 2
_LIVE_SECONDS = 1
"""Of video in a piece: the time between two key frames. Players are some pieces behind, so that
those of a live source are shorter; parts of pieces, which FFmpeg does not write, would be more so.
"""
_KEPT = 20
"""Pieces that a live playlist offers; some more stay for players that are behind."""


class HlsSink(Sink):
    """Writes an HLS playlist with its pieces beside it, in fragmented MP4 with the source's sound.

    Of a file all pieces stay, and the playlist is written at the end. Of a live source the newest
    twenty seconds are offered; older pieces go. Pieces are called as the playlist is, with the time
    of the run's start, so that those of another run are never touched.

    Args:
        path: the playlist; its ending is .m3u8.
        info: what the source says of its video.
        options: codec, crf, preset and overwrite.

    Raises:
        UsageError: the encoder is not possible, or the playlist exists.
        SinkError: the folder cannot be written to.
    """

    takes_packets: ClassVar[bool] = True

    @classmethod
    def accepts(cls, target: str) -> bool:
        """Paths that end with .m3u8."""
        return "://" not in target and target.lower().endswith(".m3u8")

    @classmethod
    def check(cls, target: str, options: OutputOptions, inputs: Sequence[Path] = ()) -> None:
        """Refuses a playlist that exists, a folder that does not, and encoders of other kinds."""
        check_destination(target, overwrite=options.overwrite, inputs=inputs)
        choose_for_sending(options)

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """Begins a playlist."""
        return cls(target, info, options)

    def __init__(self, path: str, info: VideoInfo, options: OutputOptions) -> None:
        self.path = check_destination(path, overwrite=options.overwrite)
        sent, self._said = for_receivers(info, f"in {self.path}")
        self._sent = Transmission(
            _address(self.path),
            sent,
            options,
            way=Way(
                "hls",
                frozenset({"aac"}),
                _options(self.path, live=info.live),
                keyframe_every=Fraction(_LIVE_SECONDS if info.live else _SECONDS),
            ),
            now=info.live,
        )

    def write(self, item: Item) -> None:
        """Encodes a frame, or writes sound.

        Raises:
            SinkError: the folder cannot be written to any further.
        """
        try:
            self._sent.write(item)
        except SinkError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Finishes the last piece and the playlist; safe to call twice.

        Raises:
            SinkError: they could not be written.
        """
        try:
            self._sent.close()
        except SinkError as error:
            raise self._failed(error) from error

    def abort(self) -> None:
        """Lets go at once; the pieces that are complete stay."""
        self._sent.abort()

    def _failed(self, error: SinkError) -> SinkError:
        reason = self._sent.pipe.reason
        return SinkError(f"{self.path} could not be written to the end: {reason or error}")

    @property
    def quicker(self) -> str:
        """Another preset, which all encoders that receivers take have."""
        return "choose a faster --preset"

    @property
    def remarks(self) -> list[str]:
        """What could not be kept of the source, a sentence each."""
        return [*self._said, *self._sent.remarks]


def _address(path: PurePath) -> str:
    """A path as FFmpeg takes it here: it looks for the folder before the last `/` alone.

    Where Windows' own paths have none, it would put the head of the pieces elsewhere.
    """
    return path.as_posix()


def _options(path: PurePath, *, live: bool) -> dict[str, str]:
    begun = time.strftime("%Y%m%dT%H%M%S")
    name = f"{path.stem}-{begun}".replace("%", "%%")
    pieces = _address(path.with_name(f"{name}-%05d.m4s"))
    flags = ["independent_segments", "temp_file"]
    if live:
        flags += ["delete_segments", "program_date_time"]
    kind = {} if live else {"hls_playlist_type": "vod"}
    return kind | {
        "hls_time": str(_LIVE_SECONDS if live else _SECONDS),
        "hls_list_size": str(_KEPT if live else 0),
        "hls_segment_type": "fmp4",
        "hls_fmp4_init_filename": f"{path.stem}-{begun}-head.mp4",
        "hls_segment_filename": pieces,
        "hls_flags": "+".join(flags),
    }
