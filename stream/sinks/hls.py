"""HLS: a playlist and short pieces of video in a folder, for a web server to hand out."""

from __future__ import annotations

import errno
import glob
import os
import re
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Self

from stream.disk.files import create_beside, remove_left_beside, target_of, write_whole
from stream.errors import SinkError
from stream.frame import Item, VideoInfo
from stream.settings.options import OutputOptions
from stream.sinks._destination import check_destination
from stream.sinks._transmission import (
    Transmission,
    Way,
    choose_for_sending,
    for_receivers,
)
from stream.sinks.base import Sink
from stream.wording.words import counted

_SECONDS = 2
_LIVE_SECONDS = 1
"""Of video in a piece: the time between two key frames. Players are some pieces behind, so that
those of a live source are shorter; parts of pieces, which FFmpeg does not write, would be more so.
"""
_ENDS = "#EXT-X-ENDLIST\n"
_LENGTHS = re.compile(r"#EXTINF:([0-9.]+)")
_KEPT = 20
"""Pieces that a live playlist offers; some more stay for players that are behind."""


class HlsSink(Sink):
    """Writes an HLS playlist with its pieces beside it, in fragmented MP4 with the source's sound.

    Of a file all pieces stay, and the playlist names those that are complete; one that is replaced
    stays until the new one, NAME.partial.m3u8 beside it, is. Of a live source the newest twenty
    seconds are offered; older pieces go. Pieces are called as the playlist is, with the time
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
        self._film = not info.live
        self._working = self.path
        self._pieces = _pieces_of(self.path, time.strftime("%Y%m%dT%H%M%S"))
        if self._film and self.path.exists():
            try:
                self._working, file = create_beside(target_of(self.path))
            except OSError as error:
                raise SinkError(f"{self.path} cannot be written: {error.strerror}") from error
            os.close(file)
        sent, self._said = for_receivers(info, f"in {self.path}")
        self._sent = Transmission(
            str(self._working),
            sent,
            options,
            way=Way(
                "hls",
                frozenset({"aac"}),
                _options(self._pieces, live=info.live),
                keyframe_every=Fraction(_LIVE_SECONDS if info.live else _SECONDS),
            ),
            now=info.live,
        )
        self._closed = False

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
        if self._closed:
            return
        self._closed = True
        try:
            self._sent.close()
            self._end(self.path)
        except (SinkError, OSError) as error:
            raise self._failed(error) from error

    def abort(self) -> None:
        """Lets go at once; the pieces that are complete stay, and a film's playlist names them."""
        if self._closed:
            return
        self._closed = True
        self._sent.abort()
        self._leave()

    def _failed(self, error: SinkError | OSError) -> SinkError:
        self._closed = True
        self._sent.abort()
        reason = self._sent.pipe.reason or getattr(error, "strerror", None) or str(error)
        full = reason == os.strerror(errno.ENOSPC)
        what = f"{self.path} could not be written to the end"
        what = f"the disk is full, so {what}" if full else f"{what}: {reason}"
        seconds = self._leave()
        saved = f"the first {seconds:.1f} s can be played from {self._working}"
        return SinkError(what, saved if seconds else "nothing was saved", by_place=full)

    def _leave(self) -> float:
        """Lets a film that was not written to the end be one of what is there: so many seconds."""
        if not self._film:
            return 0.0
        text = self._text()
        for piece in self.path.parent.glob(f"{glob.escape(self._pieces)}-*"):
            if piece.name not in text:
                with suppress(OSError):  # it only takes room
                    piece.unlink()
        with suppress(OSError):  # without room even for a line, it plays as one that goes on
            self._end(self._working)
        return sum(map(float, _LENGTHS.findall(text)))

    def _end(self, place: Path) -> None:
        """Makes a film's playlist the result: one that is complete."""
        if not self._film:
            return
        text = self._text()
        if text:
            text = text.replace("PLAYLIST-TYPE:EVENT", "PLAYLIST-TYPE:VOD").removesuffix(_ENDS)
            write_whole(place, (text + _ENDS).encode(), overwrite=True)
        if self._working != place or not text:
            self._working.unlink(missing_ok=True)
            remove_left_beside(target_of(place))

    def _text(self) -> str:
        """What the playlist says so far; "" where there is none."""
        try:
            return self._working.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    @property
    def quicker(self) -> str:
        """Another preset, which all encoders that receivers take have."""
        return "choose a faster --preset"

    @property
    def remarks(self) -> list[str]:
        """What could not be kept of the source, a sentence each."""
        lost, reason = self._sent.pipe.lost, self._sent.pipe.reason
        gone = [f"{counted(lost, 'file')} of {self.path} could not be written ({reason})"]
        return [*self._said, *self._sent.remarks, *(gone if lost else ())]


def _pieces_of(path: Path, begun: str) -> str:
    """How the names of a playlist's pieces begin.

    They stand in it as addresses do, a line each: FFmpeg writes them as they are, and players take
    `a#1` for a place in `a`, `%41` for `A`, and a line's end for the next line.
    """
    plain = re.sub(r"[^\w.~-]", "_", path.stem)
    if plain != path.stem:  # not as those of another that would be called so
        plain += f"-{zlib.crc32(path.stem.encode('utf-8', 'surrogateescape')):08x}"
    return f"{plain}-{begun}"


def _options(name: str, *, live: bool) -> dict[str, str]:
    flags = ["independent_segments"]
    if live:
        flags += ["delete_segments", "program_date_time"]
    # What grows is named as it comes, so that there is something to play whatever happens.
    kind = {} if live else {"hls_playlist_type": "event"}
    return kind | {
        "hls_time": str(_LIVE_SECONDS if live else _SECONDS),
        "hls_list_size": str(_KEPT if live else 0),
        "hls_segment_type": "fmp4",
        "hls_fmp4_init_filename": f"{name}-head.mp4",
        "hls_segment_filename": f"{name}-%05d.m4s",
        "hls_flags": "+".join(flags),
    }
