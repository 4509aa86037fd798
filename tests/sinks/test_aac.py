"""What containers are told of AAC once for a track."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from stream.sinks._aac import track_header


@pytest.mark.parametrize(
    ("profile", "rate", "channels", "header"),
    [
        # As FFmpeg and fdk-aac write them.
        ("LC", 44100, 2, "1210"),
        ("LC", 48000, 2, "1190"),
        ("LC", 22050, 1, "1388"),
        ("LC", 48000, 6, "11b0"),
        ("LC", 48000, 8, "11b8"),
        # Of HE-AAC the core is told: half the rate, and of version 2 one channel.
        ("HE-AAC", 48000, 2, "1310"),
        ("HE-AACv2", 44100, 2, "1388"),
        (None, 48000, 2, "1190"),
        ("LC", 12345, 1, "1780181c88"),
        ("LC", 48000, 7, None),
        ("xHE-AAC", 48000, 2, None),
        ("LC", 0, 2, None),
    ],
)
def test_a_track_s_header(profile, rate, channels, header):
    context = SimpleNamespace(
        profile=profile, sample_rate=rate, layout=SimpleNamespace(nb_channels=channels)
    )
    found = track_header(SimpleNamespace(codec_context=context))
    assert (None if found is None else found.hex()) == header
