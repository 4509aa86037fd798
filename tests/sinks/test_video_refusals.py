"""What cannot be written is refused before any work."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from stream.errors import SinkError, StreamError, UsageError
from stream.frame import Frame
from stream.inference import nvidia
from stream.pictures.colour_tags import ColourTags
from stream.sinks.video import VideoSink
from tests import media
from tests.media import make_clip
from tests.sinks.running import check_output, info, run


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("out.xyz", {}, "ending .xyz is not known"),
        ("out", {}, "has no ending"),
        ("out.mp4", {"codec": "nonsense"}, "no encoder 'nonsense'"),
        ("out.mp4", {"codec": "aac"}, "does not encode video"),
        ("out.webm", {"codec": "libx264"}, "do not hold what libx264 encodes"),
        ("out.mov", {"codec": "libsvtav1"}, "do not hold what libsvtav1 encodes"),
        ("out.y4m", {"codec": "libx264"}, "do not hold what libx264 encodes"),
        ("out.mkv", {"codec": "huffyuv"}, "another codec or an ending that does (.avi)"),
        ("out.ts", {"codec": "dnxhd"}, "another codec or an ending that does (.mov)"),
        ("out.mov", {"codec": "libvpx"}, "do not hold what libvpx encodes"),
        ("out.mov", {"codec": "libvpx-vp9"}, "do not hold what libvpx-vp9 encodes"),
        ("out.mp4", {"codec": "ffv1", "preset": "fast"}, "has no presets; leave --preset away"),
        ("out.mp4", {"crf": 99}, "goes from 0 to 51"),
        ("out.mkv", {"codec": "ffv1", "crf": 5}, "no quality setting"),
        ("out.mp4", {"preset": "warp"}, "goes by the presets ultrafast"),
        ("nowhere/out.mp4", {}, "does not exist"),
        ("there.mp4", {}, "exists already"),
        (".", {}, "cannot be written"),
    ],
)
def test_an_impossible_output_is_refused_before_any_work(tmp_path, name, options, words):
    (tmp_path / "there.mp4").write_bytes(b"precious")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StreamError) as told:
        check_output(tmp_path / name, **options)
    assert words in str(told.value)
    with pytest.raises(StreamError) as told_again:
        VideoSink(tmp_path / name, info(), **options)
    assert str(told_again.value) == str(told.value)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.mp4").read_bytes() == b"precious"


def test_the_input_is_never_the_output(tmp_path):
    original = make_clip(tmp_path / "in.mp4")
    (tmp_path / "link.mp4").symlink_to(original)
    for name in ("in.mp4", "link.mp4"):
        with pytest.raises(UsageError, match="is an input"):
            check_output(tmp_path / name, source=original, overwrite=True)


def test_an_unwritable_folder_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(SinkError, match="permission denied"):
        check_output(tmp_path / "out.mp4")


def test_settings_that_the_encoder_refuses_leave_nothing_behind(tmp_path):
    with pytest.raises(
        SinkError,
        match=r"libx264 refuses pictures of 100000x100000 in yuv420p or its settings \(.*100000",
    ):
        VideoSink(tmp_path / "out.mp4", info(width=100_000, height=100_000))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    "h264_nvenc" not in av.codecs_available or nvidia.obstacle() == nvidia.NONE,
    reason="FFmpeg without NVENC, or a card that may have one",
)
def test_an_encoder_of_a_card_that_is_not_there_names_the_one_to_use(tmp_path):
    with pytest.raises(
        SinkError,
        match=r"out.mp4 cannot be written: h264_nvenc does not work here: .*\(.+\); use libx264$",
    ):
        VideoSink(tmp_path / "out.mp4", info(), codec="h264_nvenc")
    assert list(tmp_path.iterdir()) == []


def test_colour_tags_that_nobody_knows_stay_unknown(tmp_path):
    with VideoSink(tmp_path / "out.mp4", info(colour=ColourTags())) as sink:
        sink.write(Frame(media.make_picture(0, 64, 48, "yuv420p"), 0, 0, Fraction(1, 25), 1))
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.color_primaries, frame.color_trc, frame.colorspace) == (2, 2, 2)


def test_a_closed_sink_closes_again_and_a_file_name_may_look_like_an_address(tmp_path):
    path = Path(tmp_path / "a:b %d.mp4")
    sink = VideoSink(path, info())
    sink.write(Frame(media.make_picture(0, 64, 48, "yuv420p"), 0, 0, Fraction(1, 25), 1))
    sink.close()
    sink.close()
    sink.abort()
    assert path.stat().st_size > 0


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts"])
def test_what_is_not_refused_can_be_written(tmp_path, ending):
    quick = (
        "libx264",
        "libvpx",
        "libvpx-vp9",
        "mpeg4",
        "ffv1",
        "prores_ks",
        "mjpeg",
        "png",
        "qtrle",
    )
    film = make_clip(tmp_path / "in.mp4", frames=2)
    for codec in quick:
        path = tmp_path / f"{codec}{ending}"
        try:
            check_output(path, codec=codec)
        except StreamError:
            continue
        run(film, path, codec=codec)
        assert len(media.decode(path).pts) == 2, codec
