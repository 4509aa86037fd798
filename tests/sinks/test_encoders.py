"""Encoders get the format that keeps the most, and settings that they know."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest

from stream.errors import UsageError
from stream.sinks._encoders import (
    choose_encoder,
    choose_format,
    encoder_names,
    format_remark,
    why_refused,
    without_hardware,
)
from stream.sinks.video import VideoSink
from tests.sinks.running import info

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


def test_every_encoder_opens_with_its_defaults():
    for name in encoder_names():
        if name.endswith("nvenc"):
            continue
        choice = choose_encoder(name, None, None)
        context = av.codec.CodecContext.create(choice.name, "w")
        context.width, context.height, context.framerate = 320, 240, 25
        context.pix_fmt = choose_format("yuv420p", choice, odd=EVEN)
        context.options = dict(choice.options)
        context.open()
        left = set(context.options)
        assert not left, f"{name} does not know {left}"


@pytest.mark.parametrize(
    ("name", "found"), [("h264", "libx264"), ("HEVC", "libx265"), ("vp9", "libvpx-vp9")]
)
def test_codecs_are_known_by_their_usual_names(name, found):
    assert choose_encoder(name, None, None).name == found


def test_who_asks_for_a_speed_gets_that_and_nothing_else():
    assert choose_encoder("libx264", None, None).options["subq"] == "1"
    for preset in ("veryfast", "slow"):
        assert "subq" not in choose_encoder("libx264", None, preset).options


def test_quality_and_speed_go_by_the_encoders_own_names():
    assert choose_encoder("libx264", 17.5, "slow").options["crf"] == "17.5"
    assert choose_encoder("libx264", None, "slow").options["preset"] == "slow"
    assert choose_encoder("libvpx-vp9", 40, "3").options["cpu-used"] == "3"
    assert choose_encoder("mpeg4", 5, None).qscale == 5


@pytest.mark.parametrize(
    ("name", "crf", "preset"),
    [
        ("libx264", 60, None),
        ("libx264", -1, None),
        ("mpeg4", None, "fast"),
        ("nothing", None, None),
    ],
)
def test_what_an_encoder_does_not_know_is_refused(name, crf, preset):
    with pytest.raises(UsageError):
        choose_encoder(name, crf, preset)


@pytest.mark.parametrize(("codec", "asked", "threads"), [("libvpx", None, 1), ("libvpx", 2, 2)])
def test_vp8_has_no_thread_that_would_only_wait(tmp_path, codec, asked, threads):
    sink = VideoSink(tmp_path / "out.webm", info(), codec=codec, threads=asked)
    assert sink._stream.codec_context.thread_count == threads
    sink.abort()


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
