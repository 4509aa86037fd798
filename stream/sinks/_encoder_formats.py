"""Which of the pixel formats that an encoder takes keeps the most of a picture."""

from __future__ import annotations

import re
from dataclasses import replace

from av.video.format import VideoFormat

from stream.errors import UsageError
from stream.pictures.pixels import has_alpha
from stream.sinks._alpha import holds
from stream.sinks._encoders import EncoderChoice

_PLAYED = (".mp4", ".m4v", ".mov")
_USUAL = ("yuv420p", "yuvj420p", "nv12", "gray")


def _traits(name: str) -> tuple[int, float, float, bool]:
    """Bits per sample, chroma samples per luma sample across and down, whether there is colour."""
    picture = VideoFormat(name, 16, 16)
    colour = len([c for c in picture.components if not c.is_alpha]) >= 3
    across, down = (picture.chroma_width(16) / 16, picture.chroma_height(16) / 16)
    depth = max(component.bits for component in picture.components)
    return depth, across if colour else 0.0, down if colour else 0.0, colour


def choose_format(
    wanted: str, choice: EncoderChoice, *, odd: tuple[bool, bool], alpha: bool = False
) -> str:
    """The pixel format that an encoder takes and that keeps the most of the wanted one.

    Args:
        wanted: FFmpeg's name of the pictures' format.
        choice: the encoder.
        odd: whether width and height are odd; some encoders then need full chroma.
        alpha: whether it is to hold transparency; else it must not.

    Raises:
        UsageError: the encoder takes no format that pictures can be converted to.
    """
    if choice.formats is None:
        return wanted
    if alpha and "yuva420p" in choice.formats and choice.name.startswith("libvpx"):
        return "yuva420p"  # the one that browsers know
    depth, across, down, colour = _traits(wanted)

    def usable(name: str) -> bool:
        offered = VideoFormat(name)
        if not offered.components:  # pictures in a graphics card's memory
            return False
        if offered.has_palette or offered.is_bayer:
            return False
        if has_alpha(offered) != alpha or (alpha and not holds(name)):
            return False
        _, c_across, c_down, _ = _traits(name)
        return not (
            choice.rules.even and ((odd[0] and 0 < c_across < 1) or (odd[1] and 0 < c_down < 1))
        )

    def cost(name: str) -> tuple[bool, bool, int, float, int, float, bool, bool]:
        c_depth, c_across, c_down, c_colour = _traits(name)
        lost = max(0.0, across - c_across) + max(0.0, down - c_down)
        extra = max(0.0, c_across - across) + max(0.0, c_down - down)
        semi_planar = not name.startswith(("yuv", "gray"))
        return (
            colour and not c_colour,
            # Better than grey: PNG, GIF and other animations know nothing else.
            VideoFormat(name).is_rgb,
            max(0, depth - c_depth),
            lost,
            max(0, c_depth - depth),
            extra,
            semi_planar,
            name.startswith("yuvj") != wanted.startswith("yuvj"),
        )

    candidates = [name for name in choice.formats if usable(name)]
    if not candidates and alpha:
        raise UsageError(f"the encoder {choice.name} keeps no transparency")
    if not candidates:
        told = f" in {choice.formats[0]}" if len(choice.formats) == 1 else ""
        if choice.asked and any(odd):
            told += ", as a width or height is odd; libvpx-vp9 does (.webm)"
        raise UsageError(f"the encoder {choice.name} takes no pictures of this size{told}")
    if wanted in candidates:
        return wanted
    return min(candidates, key=cost)


def in_format(choice: EncoderChoice, asked: str | None, *, alpha: bool = False) -> EncoderChoice:
    """An encoder that is given pictures of one pixel format only.

    Args:
        choice: the encoder.
        asked: FFmpeg's name of the pixel format; None for any that it takes.
        alpha: whether it is to hold transparency.

    Raises:
        UsageError: there is none of this name, or the encoder does not take it.
    """
    if asked is None:
        return choice
    taken = choice.formats
    try:
        components = VideoFormat(asked).components
    except ValueError:
        components = ()
    if not components or (taken is not None and asked not in taken):
        known = "" if taken is None else f"; {choice.name} takes {', '.join(map(str, taken))}"
        what = f"is not what {choice.name} takes" if components else "is no pixel format"
        raise UsageError(f"{asked!r} {what}{known}")
    if alpha and not holds(asked):
        raise UsageError(f"{asked} keeps no transparency; leave --pixel-format away")
    return replace(choice, formats=(asked,), asked=True)


def unusual(encoder: str, used: str, ending: str, *, odd: bool = False) -> list[str]:
    """What is to be said of pictures that many players do not show.

    Args:
        encoder: FFmpeg's name of it.
        used: the pixel format that it is given.
        ending: of the file.
        odd: whether a width or height is odd, as H.264 has none in yuv420p.
    """
    if not encoder.startswith(("libx264", "h264_")) or ending not in _PLAYED:
        return []
    if used in _USUAL or VideoFormat(used).is_rgb:
        return []
    way = ".webm with --pixel-format yuv420p, as a width or height is odd," if odd else ""
    return [
        f"the film is H.264 in {used}, which many players and browsers do not show: "
        f"{way or '--pixel-format yuv420p'} is shown by all"
    ]


def format_remark(wanted: str, used: str, choice: EncoderChoice, *, odd: bool) -> str | None:
    """One sentence where the pixel format had to change, None where no sample is touched."""
    encoder = choice.name
    if choice.asked or re.sub("yuv[aj]", "yuv", used) == wanted.replace("yuvj", "yuv"):
        return None
    taken = choice.formats is None or wanted in choice.formats
    if odd and taken and _traits(wanted)[0] == _traits(used)[0]:
        return (
            f"{encoder} cannot encode an odd width or height in {wanted}, so the output is {used}; "
            "libvpx-vp9 could"
        )
    who = "Y4M" if encoder == "wrapped_avframe" else encoder
    # What is wanted names no transparency: that comes with the look or the film.
    asked = f"{wanted} with transparency" if has_alpha(VideoFormat(used)) else wanted
    return f"{who} does not take {asked}, so the output is {used}"
