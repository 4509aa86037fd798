"""Encoders get the format that keeps the most."""

from __future__ import annotations

import re

import pytest

from stream.errors import UsageError
from stream.sinks._encoder_formats import choose_format, format_remark, in_format, unusual
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
    assert (
        format_remark("yuvj420p", "yuv420p", choose_encoder("libvpx-vp9", None, None), odd=False)
        is None
    )


def test_what_an_encoder_does_not_take_is_named_with_its_transparency():
    said = format_remark(
        "yuv444p12le", "yuva444p10le", choose_encoder("prores_ks", None, None), odd=False
    )
    assert said == (
        "prores_ks does not take yuv444p12le with transparency, so the output is yuva444p10le"
    )
    plain = format_remark(
        "yuv444p12le", "yuv444p10le", choose_encoder("prores_ks", None, None), odd=False
    )
    assert plain == "prores_ks does not take yuv444p12le, so the output is yuv444p10le"
    # Nor would it in an even size.
    odd = format_remark("yuv444p", "yuv420p", choose_encoder("mpeg4", None, None), odd=True)
    assert odd == "mpeg4 does not take yuv444p, so the output is yuv420p"


def test_what_is_asked_for_is_taken_without_a_word() -> None:
    choice = in_format(choose_encoder("libx264", None, None), "yuv420p")
    used = choose_format("yuv444p10le", choice, odd=EVEN)
    assert used == "yuv420p"
    assert format_remark("yuv444p10le", used, choice, odd=False) is None
    assert in_format(choice, None) is choice


@pytest.mark.parametrize(
    ("encoder", "asked", "said"),
    [
        ("libx264", "yuv420", "is no pixel format; libx264 takes yuv420p, "),
        ("libx264", "rgb24", "'rgb24' is not what libx264 takes; libx264 takes yuv420p, "),
        ("libx264", "cuda", "is no pixel format"),
        ("prores_ks", "yuv420p", "is not what prores_ks takes; prores_ks takes yuv422p10le, "),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(encoder: str, asked: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        in_format(choose_encoder(encoder, None, None), asked)


def test_transparency_needs_a_format_that_has_it() -> None:
    choice = choose_encoder("ffv1", None, None)
    assert in_format(choice, "yuva420p", alpha=True).formats == ("yuva420p",)
    with pytest.raises(UsageError, match="yuv420p keeps no transparency"):
        in_format(choice, "yuv420p", alpha=True)


def test_odd_sizes_are_refused_by_the_format_that_has_none() -> None:
    choice = in_format(choose_encoder("libx264", None, None), "yuv420p")
    with pytest.raises(
        UsageError, match=r"no pictures of this size in yuv420p, .* odd; libvpx-vp9"
    ):
        choose_format("yuv444p", choice, odd=(True, False))


@pytest.mark.parametrize(
    ("encoder", "used", "ending", "said"),
    [
        ("libx264", "yuv444p", ".mp4", True),
        ("libx264", "yuv420p10le", ".mov", True),
        ("libx264", "yuv420p", ".mp4", False),
        ("libx264", "yuvj420p", ".mp4", False),
        ("libx264", "yuv444p", ".mkv", False),
        ("libx265", "yuv420p10le", ".mp4", False),
        ("libx264rgb", "rgb24", ".mp4", False),
    ],
)
def test_what_few_players_show_is_said(encoder: str, used: str, ending: str, said: bool) -> None:
    assert bool(unusual(encoder, used, ending)) == said
    assert all(".webm" in one for one in unusual(encoder, used, ending, odd=True))
