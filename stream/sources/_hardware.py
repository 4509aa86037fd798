"""Decoders of graphics cards, where FFmpeg has them: which there are, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass

import av
from av.codec.hwaccel import HWAccel

from stream.errors import UsageError

NONE, AUTO = "none", "auto"
_CODECS = ("h264", "hevc", "vp9", "mpeg2video", "mpeg4")
"""Decoders by which a device shows what it can do, the usual one first."""
_TRANSFERRED = ("nv12", "nv16", "nv24", "p0", "p2", "p4")
"""How the names of formats begin in which devices hand pictures over."""


def devices() -> tuple[str, ...]:
    """Kinds of devices that FFmpeg's own decoders work with here, such as cuda or videotoolbox.

    Whether this machine has such a device is another question: see `Hardware.asked`.
    """
    found: dict[str, None] = {}
    for name in _CODECS:
        for config in av.Codec(name, "r").hardware_configs:
            if config.is_supported:
                found[config.device_type.name] = None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Hardware:
    """What decodes: a device, or the CPU where `name` is `NONE`.

    Attributes:
        name: the kind of device, as FFmpeg names it.
        remarks: why it is not what was asked for, or what was chosen, a sentence each.
    """

    name: str = NONE
    remarks: tuple[str, ...] = ()

    @classmethod
    def asked(cls, name: str) -> Hardware:
        """The device that was asked for where it can be opened, else the CPU and why.

        Args:
            name: a kind of device, `AUTO` for the first one that opens, `NONE` for the CPU.

        Raises:
            UsageError: FFmpeg has no decoders for such a device here.
        """
        if name == NONE:
            return cls()
        known = devices()
        if name != AUTO and name not in known:
            raise UsageError(
                f"--hwaccel: FFmpeg has no decoders for {name!r} here; it has "
                f"{', '.join(known) or 'none for any device'} (or none, auto)"
            )
        refused: list[str] = []
        for kind in known if name == AUTO else (name,):
            why = _refusal(kind)
            if why is None:
                said = f"auto decodes on the device {kind}"
                return cls(kind, (said,) if name == AUTO else ())
            refused.append(f"{kind} ({why})")
        what = ", ".join(refused) or "FFmpeg has no decoders for any device here"
        return cls(NONE, (f"pictures are decoded on the CPU; not on a device: {what}",))

    @property
    def accelerator(self) -> HWAccel | None:
        """What `av.open` takes; None for the CPU."""
        return None if self.name == NONE else HWAccel(self.name, allow_software_fallback=True)

    def handed(self, codec: str, pixel_format: str) -> Hardware:
        """What decoded a picture: FFmpeg leaves to the CPU what a device cannot do.

        Args:
            codec: of the stream, for the sentence.
            pixel_format: in which the picture came from the decoder.
        """
        # Full chroma comes in planes from devices as well as from the CPU.
        if self.name == NONE or pixel_format.startswith((*_TRANSFERRED, "yuv444")):
            return self
        return self.given_up(f"it does not decode {codec} in {pixel_format}")

    def given_up(self, why: str) -> Hardware:
        """The CPU in its place, and why."""
        return Hardware(
            NONE, (f"pictures are decoded on the CPU; not on a device: {self.name} ({why})",)
        )


def _refusal(kind: str) -> str | None:
    """Why a device cannot be opened; None where it can."""
    said = "it decodes nothing"
    for name in _CODECS:
        codec = av.Codec(name, "r")
        configs = codec.hardware_configs
        if not any(one.is_supported and one.device_type.name == kind for one in configs):
            continue
        try:
            HWAccel(kind).create(codec)
        except (av.FFmpegError, OSError, RuntimeError, ValueError) as error:
            said = getattr(error, "strerror", None) or str(error)
        else:
            return None
    return said
