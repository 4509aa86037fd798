"""Video of a broadcast that goes on in another track than it began in, as its PID is another."""

from __future__ import annotations

from collections.abc import Collection

from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from stream.sources._services import BROADCAST
from stream.types import AnyPacket
from stream.wording.words import counted


class Later:
    """The tracks of which nothing is known where the film begins; counts what is in them.

    Where FFmpeg goes on with such tracks in the same streams, it hands out the last picture before
    only once the file ends, as a picture's end is where its track's next one begins. That one is
    counted too: to be decoded behind those that follow it, it came too late.

    Attributes:
        streams: which they are.
    """

    def __init__(self, container: InputContainer, taken: Collection[Stream]) -> None:
        """Looks through an open file.

        Args:
            container: the file.
            taken: its streams that are decoded or copied.
        """
        asked = container.format.name == BROADCAST
        self.streams: list[VideoStream] = [
            one
            for one in container.streams.video
            if asked and one not in taken and not one.average_rate
        ]
        self._counts = [0] * len(self.streams)
        self._asked = asked
        self._late = 0
        self._reached: dict[int, int] = {}

    def seek(self) -> None:
        """Reading goes on from another place."""
        self._counts, self._late = [0] * len(self.streams), 0
        self._reached.clear()

    def has(self, packet: AnyPacket) -> bool:
        """Whether a packet is of such a track, or too late, which it then counts for."""
        if self._is_late(packet):
            self._late += packet.stream.type == "video"
            return True
        for place, stream in enumerate(self.streams):
            if packet.stream is stream:
                self._counts[place] += packet.size > 0
                return True
        return False

    def _is_late(self, packet: AnyPacket) -> bool:
        if not self._asked or not packet.size or packet.pos is None or packet.pos < 0:
            return False
        reached = self._reached.get(packet.stream_index, 0)
        self._reached[packet.stream_index] = max(reached, packet.pos)
        return packet.pos < reached

    @property
    def remarks(self) -> list[str]:
        """What was in them so far, a sentence each."""
        said = []
        if self._late:
            several = counted(self._late, "picture is", "pictures are")
            said.append(
                f"{several} left out where the broadcast's tracks change, the last of those before"
            )
        for stream, count in zip(self.streams, self._counts, strict=True):
            if count:
                several = counted(count, "picture", "pictures")
                context = stream.codec_context
                name = "unknown codec" if context is None else context.name
                said.append(
                    f"{several} of the video track {stream.index} ({name}), which begins later, "
                    f"{'is' if count == 1 else 'are'} left out; a program that repairs broadcasts "
                    "can make one track of them"
                )
        return said
