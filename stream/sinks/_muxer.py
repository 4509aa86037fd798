"""A container being written into a file, so that an error never costs more than what is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from fractions import Fraction

import av
from av.container import OutputContainer
from av.stream import Stream

from stream.sinks._containers import ContainerKind, muxer_options
from stream.sinks._destination import Destination
from stream.types import AnyPacket

FAILURES = (av.FFmpegError, OSError, ValueError)
"""What writing into a container may raise: FFmpeg's errors, the system's, and PyAV's own."""


class Muxer:
    """Puts packets into a container in a file.

    Attributes:
        container: for adding streams; packets go through `mux`.
        destination: the file.
        tick: seconds per tick of the pictures' clock.
    """

    def __init__(
        self,
        destination: Destination,
        kind: ContainerKind,
        tick: Fraction,
        copied: Sequence[Stream],
        metadata: dict[str, str],
    ) -> None:
        """Opens the container.

        Args:
            destination: the file.
            kind: what kind of container it is.
            tick: seconds per tick of the pictures' clock.
            copied: the streams that go with the pictures.
            metadata: the file's tags.
        """
        self.destination = destination
        self.tick = tick
        self._used = False
        self.container: OutputContainer = av.open(
            destination,
            "w",
            format=kind.format,
            container_options=muxer_options(kind, tick, copied, metadata),
            buffer_size=1 << 18,
        )
        self.container.metadata.update(metadata)

    def mux(self, packet: AnyPacket) -> bool:
        """Hands a packet on; whether that made something go to the file."""
        before = self.destination.written
        self._used = True
        # FFmpeg writes all it has within the call, so between calls the file is whole.
        self.destination.checkpoint()
        self.container.mux_one(packet)
        return self.destination.written > before

    def finish(self) -> None:
        """Completes the file."""
        self.destination.checkpoint()
        self.container.close()
        self.destination.commit()

    def let_go(self) -> None:
        """Closes the file as it is; removes one that holds no packet."""
        if self.destination.error is None and self._used:
            # An index makes what is there a normal file; without it the fragments still play.
            with contextlib.suppress(*FAILURES):
                self.container.close()
        self.destination.abandon(keep=self._used)
