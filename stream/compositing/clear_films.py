"""Films that are clear in parts, on black, also where a track of its own says in which.

So it is with animations in AVIF.
"""

from __future__ import annotations

from collections.abc import Iterator

from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.photo_files.heif import SEQUENCES
from stream.pictures.on_black import mixed_with_black
from stream.pictures.pixels import paintable, plane_view

_MOST_WAITING = 64
"""Pictures for whose opacity is waited, or the other way round."""


def opacity_for(container: InputContainer, film: VideoStream) -> VideoStream | None:
    """The track that says how opaque a film's pictures are; None where there is none.

    Args:
        container: an open file.
        film: the stream of its pictures.
    """
    if container.metadata.get("major_brand") not in SEQUENCES:
        return None
    for one in container.streams.video:
        context: VideoCodecContext | None = one.codec_context
        grey = context is not None and (context.pix_fmt or "").startswith("gray")
        if one is not film and grey and one.time_base != 1 and one.frames == film.frames:
            return one
    return None


def pictures_of(
    container: InputContainer, film: VideoStream, opacity: VideoStream | None
) -> Iterator[VideoFrame]:
    """A film's pictures as they are to be seen on black.

    Args:
        container: the open file, from where it is on.
        film: the stream of its pictures.
        opacity: the stream of their opacity.

    Raises:
        av.FFmpegError: it is damaged.
    """
    if opacity is None:
        yield from map(on_black, container.decode(film))
        return
    pictures: dict[float | None, VideoFrame] = {}
    opacities: dict[float | None, VideoFrame] = {}
    for packet in container.demux([film, opacity]):
        for frame in packet.decode():
            if isinstance(frame, VideoFrame):
                (pictures if packet.stream is film else opacities)[frame.time] = frame
        while pictures:
            time = next(iter(pictures))
            if time not in opacities and len(pictures) < _MOST_WAITING:
                break
            found = opacities.pop(time, None)
            picture = pictures.pop(time)
            yield picture if found is None else _clear(picture, found)
        while len(opacities) > _MOST_WAITING:
            del opacities[next(iter(opacities))]
    yield from pictures.values()


def on_black(picture: VideoFrame) -> VideoFrame:
    """A picture in planar YUV with opacity as it is to be seen; itself where it is none such.

    Args:
        picture: as it was decoded.
    """
    plain = picture.format.name.replace("yuva", "yuv", 1)
    if plain == picture.format.name or not paintable(plain):
        return picture
    depth = picture.format.components[0].bits
    return mixed_with_black(picture, plain, plane_view(picture.planes[3], depth), (1 << depth) - 1)


def _clear(picture: VideoFrame, opacity: VideoFrame) -> VideoFrame:
    """A picture on black by the picture that says how opaque it is; itself where that cannot be."""
    name, depth = picture.format.name, picture.format.components[0].bits
    same = (opacity.width, opacity.height) == (picture.width, picture.height)
    if not (same and paintable(name) and opacity.format.components[0].bits == depth):
        return picture
    return mixed_with_black(picture, name, plane_view(opacity.planes[0], depth), (1 << depth) - 1)
