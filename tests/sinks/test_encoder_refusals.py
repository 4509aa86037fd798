"""Why an encoder does not open: the card, or what was asked of it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from stream.sinks._encoder_refusals import refusal, why_refused, without_hardware
from stream.sinks._encoders import choose_encoder, format_options


@pytest.mark.parametrize(
    ("name", "said", "sentence"),
    [
        (
            "h264_nvenc",  # of an H100
            "OpenEncodeSessionEx failed: unsupported device (2): (no details); No capable devices "
            "found",
            "this card has no video encoder, as most that are made for computing (OpenEncode",
        ),
        ("hevc_nvenc", "Cannot load libcuda.so.1", "there is no NVIDIA driver here (Cannot load"),
        ("av1_nvenc", "Cannot load libnvidia-encode.so.1", "NVIDIA's driver is here without its"),
    ],
)
def test_a_card_without_an_encoder_is_told_from_wrong_settings(name, said, sentence):
    told = without_hardware(name, said)
    instead = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}[name.split("_")[0]]
    assert told.startswith(sentence)
    assert told.endswith(f"; use {instead}")


def test_settings_that_are_refused_are_not_taken_for_missing_hardware():
    said = why_refused("libx264", {}, 100_000, 100_000, "yuv420p", Fraction(1, 25))
    assert "100000" in said and without_hardware("libx264", said) == ""
    assert why_refused("libx264", {}, 100_000, 100_000, "yuv420p", Fraction(1, 25)) == said
    assert why_refused("libx264", {}, 64, 48, "yuv420p", Fraction(1, 25)) == ""


def test_what_is_said_of_a_size_is_short_and_about_the_pixels_that_were_meant():
    """Where an encoder lists all that it takes, or goes by the pixels' format."""
    said = why_refused("dvvideo", {}, 64, 48, "yuv420p", Fraction(1, 25))
    assert said.startswith("Found no DV profile for 64x48") and len(said) <= 300
    for pixel_format in ("yuv422p", "yuv422p10le", "yuv444p10le"):
        choice = choose_encoder("dnxhd", None, None)
        said = refusal(choice, (64, 48), pixel_format, Fraction(1, 25))
        assert "must be at least 256x120" in said, said
        options = {**choice.options, **format_options("dnxhd", pixel_format)}
        assert why_refused("dnxhd", options, 640, 480, pixel_format, Fraction(1, 25)) == ""
