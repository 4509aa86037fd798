"""What changes within a film of which an output is told once, by its first picture."""

from __future__ import annotations

import av

from stream.pictures.colour_tags import ColourTags
from stream.pictures.meaning import Meaning, plain
from stream.wording.words import counted

_UNSAID = 2
_FULL_RANGE = {1: False, 2: True}


def colour_of(picture: av.VideoFrame) -> ColourTags:
    """How a picture's samples mean colours, as it says."""
    full = _FULL_RANGE.get(picture.color_range)
    if full is None and picture.format.name.startswith("yuvj"):
        full = True
    return ColourTags(picture.color_primaries, picture.color_trc, picture.colorspace, full)


class Changes:
    """Brings later pictures' colours to the first one's way, and counts what else changes."""

    def __init__(self, first: av.VideoFrame) -> None:
        """Takes the first picture as the measure for all."""
        self._format = first.format.name
        self._interlaced = first.interlaced_frame
        self._tags = first.color_primaries, first.color_trc
        self._meaning = Meaning(self._format, colour_of(first))
        self._turned = self._tagged = self._woven = 0
        self._formats: dict[str, int] = {}

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The picture, whose samples mean colours as the first one's do; itself if they did."""
        self._woven += picture.interlaced_frame
        tags = zip((picture.color_primaries, picture.color_trc), self._tags, strict=True)
        self._tagged += any(one not in (_UNSAID, first) for one, first in tags)
        name = picture.format.name
        if plain(name) != plain(self._format):
            self._formats[name] = self._formats.get(name, 0) + 1
        made = self._meaning(picture)
        self._turned += made is not picture
        return made

    @property
    def remarks(self) -> list[str]:
        """What changed, a sentence each."""
        said = []
        if self._turned:
            said.append(
                f"{counted(self._turned, 'picture stores', 'pictures store')} colours in another "
                "way than the first (range or matrix) and were converted to that one's"
            )
        if self._tagged:
            said.append(
                f"{counted(self._tagged, 'picture has', 'pictures have')} other colour tags "
                "(primaries or transfer) than the first, whose the output has throughout"
            )
        for name, count in self._formats.items():
            said.append(
                f"{counted(count, 'picture of the pixel format', 'pictures of the pixel format')} "
                f"{name} were converted to the first one's, {self._format}"
            )
        if self._woven and not self._interlaced:
            said.append(
                f"{counted(self._woven, 'picture is', 'pictures are')} interlaced and taken as if "
                "progressive"
            )
        return said
