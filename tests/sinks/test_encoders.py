"""Encoders get settings that they know."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest
from av.codec.context import CodecContext, ThreadType

from stream.errors import UsageError
from stream.settings.options import OutputOptions
from stream.sinks._containers import choose_container
from stream.sinks._encoder_formats import choose_format
from stream.sinks._encoders import choose_encoder, encoder_names
from stream.sinks._plan import configure
from stream.sinks._transmission import choose_for_sending
from stream.sinks.video import VideoSink
from tests.media import make_clip
from tests.sinks.running import info, run


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
    assert choose_encoder("libx264", 17.5, "slow").options["crf"] == "35/2"
    assert choose_encoder("libx264", None, "slow").options["preset"] == "slow"
    assert choose_encoder("libvpx-vp9", 40, "3").options["cpu-used"] == "3"
    assert choose_encoder("mpeg4", 5, None).qscale == 5


def test_quality_is_read_alike_where_decimals_have_a_comma(tmp_path):
    """FFmpeg reads numbers as the process's locale writes them, and sums in any."""
    for crf in (0.1, 20, 20.5, 33.3):
        given = choose_encoder("libx264", crf, None).options["crf"]
        assert "." not in given and float(Fraction(given)) == crf
    film = tmp_path / "out.mp4"
    run(make_clip(tmp_path / "in.mp4", frames=3), film, crf=20.5)
    assert b"crf=20.5" in film.read_bytes(), "x264 writes down what it was told"


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


def test_h264s_threads_take_whole_pictures_but_where_each_is_sent_at_once(tmp_path):
    film = tmp_path / "out.mp4"
    run(make_clip(tmp_path / "in.mp4", frames=3), film)
    # x264 writes down what it was told.
    assert b"sliced_threads=0" in film.read_bytes()
    for now, parts in ((True, ThreadType.SLICE), (False, ThreadType.FRAME)):
        context = CodecContext.create("libx264", "w")
        choice = choose_for_sending(OutputOptions(), now=now)
        configure(context, info(), choose_container(film), choice, "yuv420p", None)
        assert context.thread_type == parts


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
