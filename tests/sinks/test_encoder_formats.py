"""Encoders get the format that keeps the most."""

from __future__ import annotations

import pytest

from stream.sinks._encoder_formats import choose_format, format_remark
from stream.sinks._encoders import choose_encoder

EVEN = (False, False)


@pytest.mark.parametrize(
    ("encoder", "wanted", "used"),
    [
        ("libx264", "yuv420p", "yuv420p"),
        ("libx264", "yuvj420p", "yuvj420p"),
        ("libx264", "yuv420p10le", "yuv420p10le"),
        ("libx264", "yuv420p12le", "yuv420p10le"),
        ("libx264", "yuv444p16le", "yuv444p10le"),
        ("libx264", "gray12le", "gray10le"),
        ("libx264", "yuv411p", "yuv422p"),
        ("libx264", "yuv440p", "yuv444p"),
        ("libx265", "yuv422p12le", "yuv422p12le"),
        ("libvpx-vp9", "yuvj420p", "yuv420p"),
        ("libvpx-vp9", "gray", "yuv420p"),
        ("libvpx-vp9", "yuv422p10le", "yuv422p"),
        ("libsvtav1", "yuv444p", "yuv420p"),
        ("libsvtav1", "yuv420p10le", "yuv420p10le"),
        ("mpeg4", "yuv444p10le", "yuv420p"),
        ("ffv1", "yuv444p12le", "yuv444p12le"),
        ("ffv1", "yuv440p", "yuv440p"),
        ("prores_ks", "yuv420p", "yuv422p10le"),
        ("h264_nvenc", "yuv420p10le", "p010le"),
    ],
)
def test_the_format_that_keeps_the_most_is_chosen(encoder, wanted, used):
    choice = choose_encoder(encoder, None, None)
    assert choose_format(wanted, choice, odd=EVEN) == used


@pytest.mark.parametrize(
    ("odd", "used"),
    [
        ((True, False), "yuv444p"),
        ((False, True), "yuv422p"),
        ((True, True), "yuv444p"),
    ],
)
def test_odd_sizes_get_more_chroma_where_the_encoder_needs_it(odd, used):
    assert choose_format("yuv420p", choose_encoder("libx264", None, None), odd=odd) == used
    vp9 = choose_encoder("libvpx-vp9", None, None)
    assert choose_format("yuv420p", vp9, odd=odd) == "yuv420p"


def test_full_range_in_another_name_is_no_loss():
    assert format_remark("yuvj420p", "yuv420p", "libvpx-vp9", odd=False) is None


def test_what_an_encoder_does_not_take_is_named_with_its_transparency():
    said = format_remark("yuv444p12le", "yuva444p10le", "prores_ks", odd=False)
    assert said == (
        "prores_ks does not take yuv444p12le with transparency, so the output is yuva444p10le"
    )
    plain = format_remark("yuv444p12le", "yuv444p10le", "prores_ks", odd=False)
    assert plain == "prores_ks does not take yuv444p12le, so the output is yuv444p10le"
