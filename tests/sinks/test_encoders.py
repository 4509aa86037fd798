"""Encoders get settings that they know."""

from __future__ import annotations

import av
import pytest

from stream.errors import UsageError
from stream.sinks._encoder_formats import choose_format
from stream.sinks._encoders import choose_encoder, encoder_names
from stream.sinks.video import VideoSink
from tests.sinks.running import info


def test_every_encoder_opens_with_its_defaults():
    for name in encoder_names():
        if name.endswith("nvenc"):
            continue
        choice = choose_encoder(name, None, None)
        context = av.codec.CodecContext.create(choice.name, "w")
        context.width, context.height, context.framerate = 320, 240, 25
        context.pix_fmt = choose_format("yuv420p", choice, odd=(False, False))
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
    own = {"subq", "motion-est", "partitions"}
    assert own <= set(choose_encoder("libx264", None, None).options)
    for preset in ("veryfast", "slow"):
        assert not own & set(choose_encoder("libx264", None, preset).options)


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
    ("name", "codec", "words"),
    [
        ("out.mp4", None, "choose a faster --preset"),
        ("out.mkv", "ffv1", "choose a faster --codec than ffv1"),
        ("out.avi", "mpeg4", "choose a faster --codec than mpeg4"),
    ],
)
def test_a_preset_is_named_only_where_an_encoder_has_any(tmp_path, name, codec, words):
    sink = VideoSink(tmp_path / name, info(), codec=codec)
    sink.abort()
    assert sink.quicker == words
