"""Why an encoder does not open, in a sentence."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from fractions import Fraction

import av
import av.logging
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext

from stream.sinks._encoders import EncoderChoice, format_options
from stream.system.scarcity import scarce_threads

_WORDS = 300
"""How many letters of what FFmpeg says are told."""


def why_refused(
    name: str,
    options: Mapping[str, str],
    width: int,
    height: int,
    pixel_format: str,
    tick: Fraction,
) -> str:
    """In FFmpeg's words, why an encoder does not open; "" where it does.

    Args:
        name: of the encoder.
        options: what to open it with.
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.
        pixel_format: of the pictures.
        tick: seconds per tick of their clock.
    """
    again = CodecContext.create(name, "w")
    assert isinstance(again, VideoCodecContext)
    again.width, again.height, again.pix_fmt = width, height, pixel_format
    again.time_base, again.framerate = tick, Fraction(25)
    again.options = dict(options)
    # PyAV keeps FFmpeg quiet, and says nothing twice; it has to be listened to for a moment.
    level, once = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as said:
            again.open()
    except (av.FFmpegError, ValueError) as error:
        words = [" ".join(text.split()).rstrip(".") for _, _, text in said if text.strip()]
        told = "; ".join(dict.fromkeys(words)) or getattr(error, "strerror", None) or str(error)
        # Some list all sizes that they take.
        return textwrap.shorten(told, _WORDS, placeholder=" …")
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(once)
    return ""


_WITHOUT_HARDWARE = {
    "unsupported device": "this card has no video encoder, as most that are made for computing",
    "cannot load libcuda": "there is no NVIDIA driver here",
    "cannot load nvcuda": "there is no NVIDIA driver here",
    "cannot load libnvidia-encode": "NVIDIA's driver is here without its video part",
    "cannot load nvencodeapi": "NVIDIA's driver is here without its video part",
    "no capable devices": "no card here can encode with it",
}
"""What FFmpeg says, in small letters, of encoders of hardware that is not there."""
_IN_SOFTWARE = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}


def without_hardware(name: str, said: str) -> str:
    """What an encoder of a card's lacks, and the one to ask for instead; "" where nothing.

    Args:
        name: of the encoder.
        said: why it does not open, of `why_refused`.
    """
    words = said.lower()
    cause = next((cause for sign, cause in _WITHOUT_HARDWARE.items() if sign in words), "")
    instead = _IN_SOFTWARE.get(name.partition("_")[0], "libx264")
    return f"{cause} ({said}); use {instead}" if cause else ""


def refusal(choice: EncoderChoice, size: tuple[int, int], pixel_format: str, tick: Fraction) -> str:
    """That an encoder did not open, and why, as the rest of a sentence.

    Args:
        choice: the encoder and what it was opened with.
        size: width and height of the pictures, in pixels.
        pixel_format: of the pictures.
        tick: seconds per tick of their clock.
    """
    width, height = size
    options = {**choice.options, **format_options(choice.name, pixel_format)}
    said = why_refused(choice.name, options, width, height, pixel_format, tick)
    if cause := without_hardware(choice.name, said):
        return f"{choice.name} does not work here: {cause}"
    if short := scarce_threads():
        return "; ".join(short)
    return (
        f"{choice.name} refuses pictures of {width}x{height} in {pixel_format} or its settings "
        f"({said or 'for a reason that it does not say'})"
    )
