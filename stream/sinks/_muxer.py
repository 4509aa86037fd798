"""A container being written into a file, so that an error never costs more than what is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
from av.container import OutputContainer
from av.stream import Stream

from stream.frame import VideoInfo
from stream.pictures.references import packet_copy
from stream.sinks._containers import ContainerKind, muxer_options
from stream.sinks._destination import Destination
from stream.sinks._matroska import ShapedTracks
from stream.sinks._scratch import Scratch
from stream.types import AnyPacket

FAILURES = (av.FFmpegError, OSError, ValueError)
"""What writing into a container may raise: FFmpeg's errors, the system's, and PyAV's own."""


def words_of(error: BaseException) -> str:
    """What went wrong in FFmpeg's or the system's words, without a sentence of PyAV's around it."""
    log: tuple[int, str, str] | None = getattr(error, "log", None)
    if log is not None and log[2].strip():
        return " ".join(log[2].split()).rstrip(".")
    return str(getattr(error, "strerror", None) or error)


class _ToldOnce:
    """A file that tells FFmpeg once that it cannot be written.

    FFmpeg may try again within the same call. An error that comes while PyAV still holds another
    for its caller is printed on the terminal, traceback and all.
    """

    def __init__(self, file: Destination | ShapedTracks) -> None:
        self._file = file
        self.error: BaseException | None = None
        """What went wrong, if something did."""
        self.deaf = False
        """Whether nothing is written any more, as after a failure."""

    def write(self, data: bytes) -> int:
        """Writes all of `data`; after a failure nothing."""
        if self.deaf or self.error is not None:
            return len(data)
        try:
            return self._file.write(data)
        except BaseException as error:
            self.error = error
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves the place of the next write; after a failure nothing."""
        if self.deaf or self.error is not None:
            return self.tell()
        try:
            return self._file.seek(offset, whence)
        except BaseException as error:
            self.error = error
            raise

    def tell(self) -> int:
        """The place of the next write."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Whether places can be revisited."""
        return self._file.seekable()

    def check(self) -> None:
        """Raises what went wrong, where FFmpeg took no notice of it."""
        if self.error is not None:
            raise self.error


class Muxer:
    """Puts packets into a container in a file.

    Attributes:
        container: for adding streams; packets go through `mux`.
        destination: the file.
        tick: seconds per tick of the pictures' clock.
        options: what the container was opened with.
        shape: width over height of a sample, as the container itself says it, whatever the
            encoder; None where it does not.
    """

    def __init__(
        self,
        destination: Destination,
        kind: ContainerKind,
        tick: Fraction,
        info: VideoInfo,
        metadata: dict[str, str],
    ) -> None:
        """Opens the container.

        Args:
            destination: the file.
            kind: what kind of container it is.
            tick: seconds per tick of the pictures' clock.
            info: what the source says of its video.
            metadata: the file's tags.
        """
        self.destination = destination
        self.tick = tick
        self._used = False
        self._longest = kind.longest
        self._heard: dict[int, int] = {}
        # NUT has no times before its beginning, where sound encoders put what warms decoders up.
        self._from_zero = kind.format == "nut"
        self.options = muxer_options(kind, tick, info.copied, metadata)
        self._trying: list[Scratch] = []
        self._shaped: ShapedTracks | None = None
        if kind.format in ShapedTracks.FORMATS and info.sample_aspect_ratio != 1:
            self._shaped = ShapedTracks(
                destination,
                info.width,
                info.height,
                info.sample_aspect_ratio,
                ratios=kind.format == "matroska",  # not all that play WebM know them
            )
            self.options |= ShapedTracks.OPTIONS
        self.shape = None if self._shaped is None else self._shaped.shape
        self._told = _ToldOnce(destination if self._shaped is None else self._shaped)
        self.container: OutputContainer = av.open(
            self._told,
            "w",
            format=kind.format,
            container_options=self.options,
            buffer_size=1 << 18,
        )
        self.container.metadata.update(metadata)

    def track_tags(self, tags: dict[str, str]) -> dict[str, str]:
        """The tags to give to the pictures' track, for it to have these."""
        return tags if self._shaped is None else self._shaped.marked(tags)

    def trying(self, add: Callable[[OutputContainer], Stream], kind: ContainerKind) -> Scratch:
        """A muxer for a stream alone, which says what packets would be refused.

        Args:
            add: adds the stream.
            kind: the container.
        """
        scratch = Scratch(kind, add)
        self._trying.append(scratch)
        return scratch

    def mux(self, packet: AnyPacket) -> bool:
        """Hands a packet on; whether that made something go to the file."""
        if self._from_zero and packet.dts is not None and packet.dts < 0:
            return False
        before = self.destination.written
        self._used = True
        for copy in self._within_pause(packet):
            self.container.mux_one(copy)
        # FFmpeg writes all it has within the call, so between calls the file is whole.
        self.destination.checkpoint()
        self.container.mux_one(packet)
        self._told.check()
        return self.destination.written > before

    def _within_pause(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        """Copies of a packet of sound in the pause before it, where that is too long to be held.

        Each is heard for some hundredths of a second. Of pictures `Gaps` takes care.
        """
        stream = packet.stream
        if self._longest is None or stream.type != "audio" or packet.dts is None:
            return
        step = int(self._longest * (stream.time_base or packet.time_base) / packet.time_base)
        last, self._heard[stream.index] = self._heard.get(stream.index), packet.dts
        for at in range((packet.dts if last is None else last) + step, packet.dts, step):
            copy = packet_copy(packet, (packet.dts - at) * packet.time_base)
            copy.stream = stream
            yield copy

    def finish(self, last: Callable[[Destination], None]) -> None:
        """Completes the file.

        Args:
            last: what is to be done to the complete file before it takes its place.
        """
        self._let_go_of_trials()
        self.destination.checkpoint()
        self.container.close()
        self._told.check()
        self.destination.checkpoint()
        last(self.destination)
        self.destination.commit()

    def let_go(self, *, keep: bool = True) -> None:
        """Closes the file as it is; removes one that holds no packet, or is not to be kept."""
        self._let_go_of_trials()
        keep = keep and self._used
        # An index makes what is there a normal file; without it the fragments still play.
        self._told.deaf = self.destination.error is not None or not keep
        # Before it is closed, PyAV's container and its streams hold each other.
        with contextlib.suppress(*FAILURES):
            self.container.close()
        self.destination.abandon(keep=keep)
        for error in (self._told.error, self.destination.error):
            if error is not None:
                # Its traceback holds who wrote, and who wrote holds it: a ring, in which an encoder
                # with its threads and pictures waits for Python's collector, for hours.
                error.__traceback__ = None

    def _let_go_of_trials(self) -> None:
        for scratch in self._trying:
            scratch.close()
        self._trying.clear()
