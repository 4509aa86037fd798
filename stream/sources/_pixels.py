"""Pictures as the rest of the program wants them: upright, in planar YUV."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from stream.pictures.mastering import mastering_of
from stream.pictures.pixels import paintable, plane_view, tagged
from stream.pictures.references import has_captions, side_data
from stream.pictures.scaler import Scaler
from stream.sources._changes import Changes
from stream.sources._cropping import Crop
from stream.sources._transparency import Opacity
from stream.wording.words import counted

# What FFmpeg's encoders are not told through PyAV.
_LOST = {
    "MASTERING_DISPLAY_METADATA": "HDR10 mastering",
    "CONTENT_LIGHT_LEVEL": "HDR10 light level",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "AMBIENT_VIEWING_ENVIRONMENT": "viewing environment",
    "S12M_TIMECODE": "timecode (within pictures)",
    "AFD": "active format",
    "ICC_PROFILE": "colour profile (ICC)",
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DOVI_METADATA": "Dolby Vision",
    "SPHERICAL": "360-degree",
    "STEREO3D": "stereoscopic",
}
_BT709, _BT601 = 1, 6
# How many pictures are asked for captions.
_ASKED = 4
_DEEP = re.compile(r"(9|10|12|14)le$")
_CLOCKWISE = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}


def nearest_native(name: str) -> str:
    """The planar YUV or grey format that keeps the most of a pixel format."""
    if paintable(name):
        return name
    # A size at which every subsampling shows as a ratio.
    picture = VideoFormat(name, 16, 16)
    depth = max(component.bits for component in picture.components)
    # Float samples (32 bits) keep the most in 16.
    deep = "" if depth <= 8 else f"{next((d for d in (9, 10, 12, 14) if d >= depth), 16)}le"
    if picture.is_rgb or picture.has_palette or picture.is_bayer or name.startswith("xyz"):
        return f"yuv444p{deep}"
    if len([c for c in picture.components if not c.is_alpha]) < 3:
        return f"gray{deep}"
    across, down = 16 // picture.chroma_width(16), 16 // picture.chroma_height(16)
    layout = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411"}
    return f"yuv{layout.get((across, down), '410')}p{deep}"


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a picture is turned to stand upright: mirrored left to right first, then turned.

    Attributes:
        turns: quarter turns clockwise, 0..3.
        mirrored: whether left and right are exchanged before turning.
    """

    turns: int = 0
    mirrored: bool = False

    @property
    def upright(self) -> bool:
        """Whether there is nothing to do."""
        return not self.turns and not self.mirrored

    @property
    def sideways(self) -> bool:
        """Whether width and height change places."""
        return self.turns % 2 == 1


def orientation_of(picture: av.VideoFrame) -> Orientation:
    """The orientation that a picture's display matrix asks for, to the nearest quarter turn.

    The matrix maps stored to shown coordinates, y downwards, in 16.16 fixed point (ISO 14496-12,
    6.2.2; FFmpeg's libavutil/display.h).
    """
    try:
        data = side_data(picture)
    except ValueError:
        # PyAV refuses to list side data of which one kind is new to it (multi-view HEVC's), but
        # knows the angle, counterclockwise.
        return Orientation(round(-picture.rotation / 90) % 4)
    matrix = data.get(SideDataType.DISPLAYMATRIX)
    if matrix is None:
        return Orientation()
    a, b, _, c, d = struct.unpack("=9i", bytes(matrix))[:5]
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    return Orientation(round(math.degrees(math.atan2(b, a)) / 90) % 4, mirrored)


def lost_with(picture: av.VideoFrame, track: Mapping[str, str]) -> list[str]:
    """What a picture carries that goes no further, a sentence each.

    Args:
        picture: the first one, as it came from the decoder.
        track: the words that its track has, which go as far as an output takes them.
    """
    sentences = []
    if picture.interlaced_frame:
        sentences.append("the pictures are interlaced and are taken as if they were progressive")
    try:
        data = side_data(picture)
        kinds = {one.type.name for one in data}
    except ValueError:  # see orientation_of
        kinds = set()
    kept = mastering_of(picture)
    kinds -= {"MASTERING_DISPLAY_METADATA"} if kept.display else set()
    kinds -= {"CONTENT_LIGHT_LEVEL"} if kept.light else set()
    kinds -= {"STEREO3D"} if "stereo_mode" in track else set()
    lost = [words for kind, words in _LOST.items() if kind in kinds]
    if lost:
        sentences.append(f"the {' and '.join(lost)} data is not kept, the colour tags are")
    return sentences


def within_depth(picture: av.VideoFrame) -> av.VideoFrame:
    """The picture with no sample above what its depth allows; itself where none is.

    Decoders of damaged video hand out such samples, and encoders stop the process at them.
    """
    match = _DEEP.search(picture.format.name)
    if match is None:
        return picture
    most = (1 << int(match[1])) - 1
    if all(int(plane_view(plane, 16).max()) <= most for plane in picture.planes):
        return picture
    whole = av.VideoFrame(picture.width, picture.height, picture.format.name)
    for stored, target in zip(picture.planes, whole.planes, strict=True):
        np.minimum(plane_view(stored, 16), most, out=plane_view(target, 16))
    return tagged(whole, picture)


class Upright:
    """Turns decoded pictures into upright pictures of one size, one shape and one native format.

    Pictures that are so already pass through untouched and uncopied. One of another shape than the
    first is fitted between black bars, never stretched.

    Attributes:
        pixel_format: of the pictures that come out.
        width: of the pictures that come out, in pixels.
        height: of the pictures that come out, in pixels.
        orientation: how the first picture is turned.
        remarks: what the conversion does not keep, a sentence each.
        fitted: how many pictures had another shape than the first.
        mended: how many had samples beyond their depth, and were not known to be corrupt.
    """

    def __init__(
        self, first: av.VideoFrame, crop: Crop | None = None, aspect: Fraction | None = None
    ) -> None:
        """Takes the first picture as the measure for all.

        Args:
            first: as it came from the decoder.
            crop: what the container cuts off pictures of the first one's size.
            aspect: width over height of a sample, as the decoder says with the first picture.
        """
        self.orientation = orientation_of(first)
        self._rotation = first.rotation
        self.remarks: list[str] = []
        self.fitted = self.mended = 0
        self._asked, self._captions_lost = 0, False
        self._aspect = aspect
        self._stored = (first.width, first.height)
        self._crop = crop if crop and crop.fits(*self._stored) else Crop()
        self._format = self._turnable(nearest_native(first.format.name))
        self._scale = Scaler()
        self._opacity = Opacity()
        self._changes = Changes(first)
        self.pixel_format = self._format
        self.width = first.width - self._crop.left - self._crop.right
        self.height = first.height - self._crop.top - self._crop.bottom
        if self.orientation.sideways:
            self.width, self.height = self.height, self.width
        self._remark(first.format)

    def __call__(self, picture: av.VideoFrame, aspect: Fraction | None = None) -> av.VideoFrame:
        """The picture upright and native; the same object where nothing was to do.

        Args:
            picture: as it came from the decoder.
            aspect: of its samples, as the decoder says with it; None where that is not known.
        """
        given, corrupt = picture, picture.is_corrupt
        orientation, crop, stretch = self._geometry(picture, aspect)
        picture = self._changes(picture)
        if picture.format.name != self._format:
            picture = self._reformat(picture, picture.width, picture.height)
        if crop or not orientation.upright:
            picture = self._turn(picture, orientation, crop)
        if stretch != 1 or (picture.width, picture.height) != (self.width, self.height):
            picture = self._fit(picture, stretch)
        sound = within_depth(picture)
        self.mended += sound is not picture and not corrupt
        if sound is not given and self._asked < _ASKED:
            self._asked += 1
            self._captions_lost |= has_captions(given) and not has_captions(sound)
        return sound

    def opacity(
        self,
        picture: av.VideoFrame,
        aspect: Fraction | None = None,
        own: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8] | None:
        """How opaque each pixel of the upright picture is.

        Args:
            picture: as it came from the decoder.
            aspect: of its samples, as the decoder says with it; None where that is not known.
            own: of the picture as it is stored, uint8 [H, W]; None for what its format tells.

        Returns:
            uint8 [H, W], 0 (not at all) to 255, of the size of what comes out; bars beside a
            picture of another shape are clear. None where the picture's format does not tell.
        """
        found = self._opacity(picture) if own is None else own
        if found is None:
            return None
        orientation, crop, stretch = self._geometry(picture, aspect)
        height, width = found.shape
        found = found[crop.top : height - crop.bottom, crop.left : width - crop.right]
        if orientation.mirrored:
            found = found[:, ::-1]
        found = np.ascontiguousarray(np.rot90(found, -orientation.turns))
        if stretch == 1 and found.shape == (self.height, self.width):
            return found
        wide, high, left, top = self._place(found.shape[1], found.shape[0], stretch)
        whole = np.zeros((self.height, self.width), np.uint8)
        whole[top : top + high, left : left + wide] = cv2.resize(
            found, (wide, high), interpolation=cv2.INTER_AREA
        )
        return whole

    def _geometry(
        self, picture: av.VideoFrame, aspect: Fraction | None
    ) -> tuple[Orientation, Crop, Fraction]:
        """How a picture stands, what is cut off, and by how much wider its samples are."""
        # The angle is there without asking for the picture's side data, which takes longer.
        turned = picture.rotation != self._rotation
        orientation = orientation_of(picture) if turned else self.orientation
        same_size = (picture.width, picture.height) == self._stored
        stretch = Fraction(1)
        if aspect is not None and self._aspect is not None:
            stretch = aspect / self._aspect
        return (
            orientation,
            self._crop if same_size else Crop(),
            1 / stretch if orientation.sideways else stretch,
        )

    def siting(self, across: float, down: float) -> tuple[float, float]:
        """Where chroma samples come to lie, in luma samples, 0 to 1, with the first picture's turn.

        Args:
            across: how far right of the first luma sample they lie as they are stored.
            down: how far below it.
        """
        across, down = (across - self._crop.left) % 2, (down - self._crop.top) % 2
        if self.orientation.mirrored:
            across = 1 - across
        for _ in range(self.orientation.turns):
            across, down = 1 - down, across
        return across, down

    @property
    def later_remarks(self) -> list[str]:
        """What became of pictures on the way, a sentence each."""
        remarks = []
        if self.fitted:
            remarks.append(
                f"{counted(self.fitted, 'picture', 'pictures')} of another size or shape "
                f"{'is' if self.fitted == 1 else 'are'} fitted into the first one's"
            )
        remarks += self._changes.remarks
        if self._captions_lost:
            remarks.append("the closed captions are lost with turning or converting the pictures")
        return remarks

    def _turnable(self, name: str) -> str:
        if not self.orientation.sideways:
            return name
        # Turned on its side, chroma that is halved in one direction only is halved in the
        # other, which few encoders take.
        return re.sub("4(22|40|11)", "444", name)

    def _remark(self, stored: VideoFormat) -> None:
        if stored.is_rgb or stored.has_palette:
            self.remarks.append(
                f"the pictures are RGB ({stored.name}) and are converted to YUV "
                f"({self.pixel_format})"
            )
        elif self._format != nearest_native(stored.name):
            self.remarks.append(
                f"turning the pictures upright changes their pixel format from {stored.name} to "
                f"{self.pixel_format}"
            )

    def _reformat(self, picture: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        if not picture.format.is_rgb and not picture.format.has_palette:
            return self._scale(picture, width, height, self._format)
        high = self._stored[1] >= 720
        converted = self._scale(
            picture,
            width,
            height,
            self._format,
            dst_colorspace=Colorspace.ITU709 if high else Colorspace.ITU601,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        converted.colorspace = _BT709 if high else _BT601
        return converted

    def _depth(self) -> int:
        return 16 if self._format.endswith("le") else 8

    def _turn(self, picture: av.VideoFrame, how: Orientation, crop: Crop) -> av.VideoFrame:
        """What is left of a picture when its edges are cut off, mirrored and turned."""
        width = picture.width - crop.left - crop.right
        height = picture.height - crop.top - crop.bottom
        size = (height, width) if how.sideways else (width, height)
        turned = av.VideoFrame(*size, self._format)
        for stored, shown in zip(picture.planes, turned.planes, strict=True):
            source = plane_view(stored, self._depth())
            target = plane_view(shown, self._depth())
            if crop:
                high, wide = target.shape[::-1] if how.sideways else target.shape
                # Where chroma is coarser than luma its edge is the nearest one.
                top = min(crop.top * stored.height // picture.height, stored.height - high)
                left = min(crop.left * stored.width // picture.width, stored.width - wide)
                source = source[top : top + high, left : left + wide]
            if how.mirrored:
                source = cv2.flip(source, 1)
            code = _CLOCKWISE.get(how.turns)
            np.copyto(target, source if code is None else cv2.rotate(source, code))
        return tagged(turned, picture)

    def _fit(self, picture: av.VideoFrame, stretch: Fraction) -> av.VideoFrame:
        """A picture of another shape, as large as it can be, in the middle of a black one.

        Args:
            picture: upright and native.
            stretch: by how much wider than the first picture's its samples are.
        """
        self.fitted += 1
        width, height, left, top = self._place(picture.width, picture.height, stretch)
        inner = picture
        if (width, height) != (picture.width, picture.height):
            inner = self._reformat(picture, width, height)
        if (width, height) == (self.width, self.height):
            return inner if inner is picture else tagged(inner, picture)
        whole = av.VideoFrame(self.width, self.height, self._format)
        bits = max(component.bits for component in whole.format.components)
        full = picture.color_range == ColorRange.JPEG or self._format.startswith("yuvj")
        for place, (stored, target) in enumerate(zip(inner.planes, whole.planes, strict=True)):
            view = plane_view(target, self._depth())
            luma_black = 0 if full else 16 << (bits - 8)
            view[:] = luma_black if place == 0 else 128 << (bits - 8)
            source = plane_view(stored, self._depth())
            row = top * target.height // self.height
            column = left * target.width // self.width
            part = view[row : row + stored.height, column : column + stored.width]
            part[:] = source[: part.shape[0], : part.shape[1]]
        return tagged(whole, picture)

    def _place(self, width: int, height: int, stretch: Fraction) -> tuple[int, int, int, int]:
        """Width, height, left and top of a picture of another shape in the first one's."""
        shown = width * stretch
        scale = min(self.width / shown, Fraction(self.height, height))
        wide = min(self.width, max(2, round(shown * scale / 2) * 2))
        high = min(self.height, max(2, round(height * scale / 2) * 2))
        return wide, high, (self.width - wide) // 4 * 2, (self.height - high) // 4 * 2
