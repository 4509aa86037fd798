"""Which encoders and decoders there are, and whether those of hardware open."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction

from stream.doctor.finding import Finding, State

_ENCODERS = {
    "libx264": "H.264",
    "libx265": "HEVC",
    "libsvtav1": "AV1",
    "libvpx-vp9": "VP9",
    "ffv1": "FFV1, lossless",
    "prores_ks": "ProRes",
    "aac": "AAC sound",
    "h264_nvenc": "H.264 on NVIDIA",
    "hevc_nvenc": "HEVC on NVIDIA",
    "h264_qsv": "H.264 on Intel graphics",
    "h264_videotoolbox": "H.264 on Apple",
}
_DECODERS = {"h264": "H.264", "hevc": "HEVC", "libdav1d": "AV1", "vp9": "VP9", "vvc": "VVC"}
# Present in FFmpeg says little about these, so they are opened; elsewhere they are no loss.
_HARDWARE = ("_nvenc", "_qsv", "_videotoolbox")


def codecs() -> Iterator[Finding]:
    """Each encoder and decoder that somebody may want."""
    import av

    quiet = logging.getLogger("libav")
    before, quiet.disabled = quiet.disabled, True
    try:
        for name, label in _ENCODERS.items():
            hardware = name.endswith(_HARDWARE)
            problem = "" if name in av.codecs_available else "not in this FFmpeg"
            if hardware and not problem:
                problem = _try_encoder(name)
            lack: State = "note" if hardware else "missing"
            detail = f"{label}: {problem or 'there'}"
            yield Finding("codecs", f"encoder {name}", lack if problem else "works", detail)
    finally:
        quiet.disabled = before
    for name, label in _DECODERS.items():
        present = name in av.codecs_available
        detail = f"{label}: {'there' if present else 'not in this FFmpeg'}"
        yield Finding("codecs", f"decoder {name}", "works" if present else "missing", detail)


def _try_encoder(name: str) -> str:
    """Why a hardware encoder cannot be opened here; "" where it can."""
    import av

    from stream.sinks._encoder_refusals import why_refused, without_hardware

    formats = [form.name for form in av.Codec(name, "w").video_formats or ()]
    pixels = "yuv420p" if "yuv420p" in formats else "nv12"
    said = why_refused(name, {}, 320, 240, pixels, Fraction(1, 25))
    if not said:
        return ""
    return without_hardware(name, said).partition("; use ")[0] or f"does not open here ({said})"
