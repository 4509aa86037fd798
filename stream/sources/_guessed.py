"""Files that store when pictures are decoded as if it were when they are shown."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from stream.errors import SourceError
from stream.sources._container import RAISED, open_container

_log = logging.getLogger(__name__)

# AVI has no other times. Some writers of the others do not know better.
ALWAYS = {"avi"}
_PERHAPS = {"asf", "mxf", "rm", "wtv"}
# Pictures out of order follow each other at once.
_LOOKED_AT = 24


def are_decode_times(path: Path, container: InputContainer, video: VideoStream) -> bool:
    """Whether the n-th picture that is shown has the n-th of a stream's times, not its own.

    Args:
        path: the file, which is looked into once more where its container leaves it open.
        container: the open file.
        video: its stream.
    """
    if container.format.name in ALWAYS:
        return True
    if container.format.name not in _PERHAPS or not video.codec_context.reorder_depth:
        return False
    if not path.is_file():  # to look into a pipe would be to read it
        return False
    read: list[int] = []
    shown: list[int] = []
    try:
        with open_container(path) as again:
            stream = again.streams[video.index]
            assert isinstance(stream, VideoStream)
            for packet in itertools.islice(again.demux(stream), 2 * _LOOKED_AT):
                read += [packet.pts] if packet.pts is not None else []
                shown += [
                    picture.pts for picture in stream.decode(packet) if picture.pts is not None
                ]
                if len(shown) >= _LOOKED_AT:
                    break
    except (SourceError, *RAISED, av.EOFError) as error:
        _log.debug("%s: what its times are cannot be told: %s", path, error)
    return read == sorted(read) and shown != sorted(shown)
