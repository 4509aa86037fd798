"""Video on standard output: raw frames, or a container that needs no way back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from stream.errors import UsageError
from stream.frame import Item, VideoInfo
from stream.settings.options import OutputOptions
from stream.sinks._containers import ContainerKind
from stream.sinks._encoder_formats import in_format
from stream.sinks._encoders import EncoderChoice, choose_encoder
from stream.sinks._plan import check_identities, choose, refusal
from stream.sinks._standard import StandardOutput
from stream.sinks.base import Gone
from stream.sinks.video import VideoSink

_RAW = {
    "rawvideo": ContainerKind("rawvideo", "rawvideo", timestamps=False, fills=True, alone=True),
    "nut": ContainerKind("nut", "rawvideo", "pcm_s16le", holds_anything=True),
}
"""What has no file ending of its own here."""


class StandardSink(VideoSink):
    """Writes video to standard output, for another program to read from a pipe.

    A reader that has seen enough and closes the pipe ends the run, which is no error. `y4m` and
    `rawvideo` have no times: where a frame is late the one before is there twice, so that what a
    camera gives takes as long as it took.

    Args:
        info: what the source says of its video.
        options: format, codec, crf and preset.

    Raises:
        UsageError: codec, crf or preset are not possible.
        SinkError: there is no standard output, or it cannot be written to.
    """

    @classmethod
    def accepts(cls, target: str) -> bool:
        """None: `-` is records unless a format is asked for, which `find` knows."""
        return False

    @classmethod
    def check(cls, target: str, options: OutputOptions, inputs: Sequence[Path] = ()) -> None:
        """Refuses settings that are not possible."""
        _, choice = _choose(options)
        in_format(choice, options.pixel_format)

    @classmethod
    def check_alpha(cls, target: str, options: OutputOptions) -> None:
        """Only Matroska holds transparency.

        Raises:
            UsageError: it is to be something else.
        """
        if options.format != "mkv":
            raise UsageError(refusal(_path(options)))

    @classmethod
    def check_identities(cls, target: str, options: OutputOptions) -> None:
        """Only Matroska keeps their values."""
        check_identities(_path(options), options)

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """Begins to write."""
        return cls(info, options)

    def __init__(self, info: VideoInfo, options: OutputOptions) -> None:
        self._options = options
        self._unread = False
        try:
            super().__init__(
                _path(options),
                info,
                codec=options.codec,
                crf=options.crf,
                preset=options.preset,
                pixel_format=options.pixel_format,
            )
        except Gone:
            self._unread = True  # already; its first frame says so where runs listen
            return
        if options.format == "rawvideo":
            rate = info.rate or 25
            self._remarks.append(
                f"standard output is frames of {info.width}x{info.height} samples in "
                f"{self._format}, {rate} a second"
            )

    def write(self, item: Item) -> None:
        """Writes a frame or a packet.

        Raises:
            Gone: the reader has closed the pipe.
            SinkError: it cannot be written.
        """
        if self._unread:
            raise Gone
        super().write(item)

    def _choose(
        self, info: VideoInfo, codec: str | None, crf: float | None, preset: str | None
    ) -> tuple[ContainerKind, EncoderChoice]:
        if self._options.format in _RAW:
            return _choose(self._options)
        return super()._choose(info, codec, crf, preset)

    def _open_destination(self, *, overwrite: bool) -> StandardOutput:
        return StandardOutput("video")


def _path(options: OutputOptions) -> Path:
    """What stands for standard output in sentences; its ending says the container."""
    return Path(f"standard output as .{options.format}")


def _choose(options: OutputOptions) -> tuple[ContainerKind, EncoderChoice]:
    kind = _RAW.get(str(options.format))
    if kind is None:
        return choose(_path(options), options.codec, options.crf, options.preset)
    if options.codec not in (None, kind.video):
        raise UsageError(
            f"--format {options.format} is raw frames, so --codec {options.codec} has no place in "
            "it; --format mkv and ts hold encoded ones"
        )
    return kind, choose_encoder(kind.video, options.crf, options.preset)
