"""What containers are told of AAC once for a whole track (ISO/IEC 14496-3, 1.6.2.1)."""

from __future__ import annotations

from av.audio.stream import AudioStream

_RATES = (
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
)  # fmt: skip
_KINDS = {"Main": 1, "LC": 2, "SSR": 3, "LTP": 4}
DOUBLED = {"HE-AAC", "HE-AACv2"}
"""Whose core is LC at half the rate; decoders find the rest in the packets."""


def track_header(stream: AudioStream) -> bytes | None:
    """The AudioSpecificConfig of a stream whose packets each carry a header instead.

    Returns:
        Two bytes, or five where the rate is none of the usual; None where the stream does not say
        enough of itself.
    """
    context = stream.codec_context
    profile = str(context.profile or "LC")
    doubled = profile in DOUBLED
    kind = 2 if doubled else _KINDS.get(profile)
    rate = (context.sample_rate or 0) // (2 if doubled else 1)
    channels = 1 if profile == "HE-AACv2" else context.layout.nb_channels
    setting = 7 if channels == 8 else channels
    if kind is None or rate <= 0 or channels == 7 or not 1 <= setting <= 7:
        return None
    if rate in _RATES:
        return (kind << 11 | _RATES.index(rate) << 7 | setting << 3).to_bytes(2)
    # 5 bits of kind, 15 to say that the rate follows in 24 bits, 4 bits of channels, 3 of no use.
    return (kind << 35 | 15 << 31 | rate << 7 | setting << 3).to_bytes(5)
