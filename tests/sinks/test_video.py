"""Pictures come out of a video file as they went in, at their times."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.frame import Frame
from stream.sinks.video import VideoSink
from tests import media
from tests.media import make_clip
from tests.sinks.running import info, run


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "gray", "yuvj420p"])
@pytest.mark.parametrize(("codec", "ending"), [("ffv1", ".mkv"), ("libx264", ".mp4")])
def test_untouched_pictures_reach_the_file_bit_for_bit(tmp_path, pixel_format, codec, ending):
    original = make_clip(tmp_path / "in.mkv", pixel_format=pixel_format, frames=8)
    crf = 0 if codec == "libx264" else None
    run(original, tmp_path / f"out{ending}", codec=codec, crf=crf)

    before, after = media.decode(original), media.decode(tmp_path / f"out{ending}")
    assert len(after.pictures) == 8
    for one, other in zip(before.pictures, after.pictures, strict=True):
        assert media.same_picture(one, other)


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p10le", "yuv444p10le"])
def test_untouched_10_bit_pictures_reach_the_file_bit_for_bit(tmp_path, pixel_format):
    original = make_clip(tmp_path / "in.mkv", pixel_format=pixel_format, frames=8)
    done = run(original, tmp_path / "out.mkv", codec="ffv1")

    before, after = media.decode(original), media.decode(tmp_path / "out.mkv")
    assert after.format == pixel_format
    assert all(map(media.same_picture, before.pictures, after.pictures))
    assert done.remarks == []


def test_a_semiplanar_picture_keeps_every_sample(tmp_path):
    original = make_clip(
        tmp_path / "in.mkv", codec="rawvideo", pixel_format="nv12", frames=4, options={}
    )
    run(original, tmp_path / "out.mkv", codec="ffv1")

    after = media.decode(tmp_path / "out.mkv")
    assert after.format == "yuv420p"
    with av.open(str(original)) as container:
        for picture, other in zip(container.decode(video=0), after.pictures, strict=True):
            # Luma, then chroma with its two kinds of samples in turn.
            luma, chroma = np.split(picture.to_ndarray(), [48])
            one = [luma, chroma[:, 0::2], chroma[:, 1::2]]
            assert media.same_picture(one, other)


@pytest.mark.parametrize("size", [(63, 48), (64, 47), (63, 47)])
def test_an_odd_size_is_kept_and_what_it_costs_is_said(tmp_path, size):
    original = make_clip(tmp_path / "in.mkv", codec="ffv1", size=size, frames=4, options={})
    done = run(original, tmp_path / "out.mp4")

    after = media.decode(tmp_path / "out.mp4")
    assert after.pictures[0][0].shape == (size[1], size[0])
    assert after.format in {"yuv444p", "yuv422p"}
    assert [r for r in done.remarks if "odd" in r]


def test_an_odd_size_stays_4_2_0_where_the_encoder_can(tmp_path):
    original = make_clip(tmp_path / "in.mkv", codec="ffv1", size=(63, 47), frames=4, options={})
    done = run(original, tmp_path / "out.webm")

    assert media.decode(tmp_path / "out.webm").format == "yuv420p"
    assert done.remarks == []


def test_bits_that_an_encoder_cannot_keep_are_remarked(tmp_path):
    original = make_clip(tmp_path / "in.mkv", pixel_format="yuv420p10le", frames=4)
    done = run(original, tmp_path / "out.avi")

    assert media.decode(tmp_path / "out.avi").format == "yuv420p"
    assert done.remarks == ["mpeg4 does not take yuv420p10le, so the output is yuv420p"]


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize(
    ("rate", "start"), [(Fraction(30000, 1001), 0), (Fraction(25), 7), (Fraction(60), 0)]
)
def test_a_constant_rate_and_a_delayed_start_are_kept(tmp_path, ending, rate, start):
    original = make_clip(tmp_path / "in.mp4", rate=rate, start=start, frames=40)
    done = run(original, tmp_path / f"out{ending}")

    before, after = media.decode(original), media.decode(tmp_path / f"out{ending}")
    assert len(after.pts) == 40
    tick = after.tick
    assert all(abs(a - b) <= tick for a, b in zip(before.pts, after.pts, strict=True))
    if after.duration is not None:
        assert abs(after.start + after.duration - done.end) <= tick


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    gaps=st.lists(st.integers(1, 5000), min_size=1, max_size=40),
    start=st.integers(0, 3000),
    last=st.integers(1, 2000),
    b_frames=st.booleans(),
)
def test_any_times_come_out_as_they_went_in(tmp_path, gaps, start, last, b_frames):
    times = [start]
    for gap in gaps:
        times.append(times[-1] + gap)
    tick = Fraction(1, 1000)
    path = tmp_path / "out.mp4"
    preset = "veryfast" if b_frames else "ultrafast"
    with VideoSink(path, info(time_base=tick), preset=preset, overwrite=True) as sink:
        for index, pts in enumerate(times):
            picture = media.make_picture(index, 64, 48, "yuv420p")
            duration = last if index == len(times) - 1 else times[index + 1] - pts
            sink.write(Frame(picture, index, pts, tick, duration))

    after = media.decode(path)
    assert after.pts == [pts * tick for pts in times]
    with av.open(str(path)) as container:
        whole = Fraction(container.duration, av.time_base)
        began = Fraction(container.start_time, av.time_base)
        assert abs(began + whole - (times[-1] + last) * tick) <= tick


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.integers(0, 10**6), min_size=1, max_size=30, unique=True).map(sorted),
    tick=st.sampled_from([Fraction(1, 90000), Fraction(1, 10**9), Fraction(1001, 30000)]),
    ending=st.sampled_from([".mkv", ".mp4", ".webm"]),
)
def test_any_clock_comes_within_a_tick_of_the_file(tmp_path, times, tick, ending):
    path = tmp_path / f"out{ending}"
    with VideoSink(path, info(time_base=tick), overwrite=True) as sink:
        for index, pts in enumerate(times):
            picture = media.make_picture(index, 64, 48, "yuv420p")
            sink.write(Frame(picture, index, pts, tick, 1))
    after = media.decode(path)
    remarked = bool(sink.remarks)
    assert len(after.pts) == len(times)
    if not remarked:
        for before, now in zip(times, after.pts, strict=True):
            assert abs(before * tick - now) <= after.tick


def test_pictures_closer_than_a_tick_are_all_kept_and_remarked(tmp_path):
    tick = Fraction(1, 10**9)
    with VideoSink(tmp_path / "out.mp4", info(time_base=tick)) as sink:
        for index in range(5):
            picture = media.make_picture(index, 64, 48, "yuv420p")
            sink.write(Frame(picture, index, index * 10, tick, 10))
    assert len(media.decode(tmp_path / "out.mp4").pts) == 5
    assert "4 pictures came closer together" in sink.remarks[0]


def test_avi_holds_a_constant_rate_and_says_so(tmp_path):
    original = make_clip(
        tmp_path / "in.mp4", times=[0, 40, 95, 120, 160], time_base=Fraction(1, 1000)
    )
    done = run(original, tmp_path / "out.avi")
    assert len(media.decode(tmp_path / "out.avi").pts) == 5
    assert any("constant frame rate only" in remark for remark in done.remarks)


def test_one_picture_is_a_video_too(tmp_path):
    original = make_clip(tmp_path / "in.mp4", frames=1)
    run(original, tmp_path / "out.mp4")
    after = media.decode(tmp_path / "out.mp4")
    assert (after.pts, after.duration) == ([0], Fraction(1, 25))


@pytest.mark.parametrize("rate", [None, Fraction(25)])
@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        (".webm", None),
        (".webm", "libvpx"),
        (".mp4", None),
        (".mp4", "libsvtav1"),
        (".mp4", "libx265"),
        (".mkv", "mpeg4"),
    ],
)
def test_a_clock_slower_than_the_rate_is_kept(tmp_path, ending, codec, rate):
    path = tmp_path / f"out{ending}"
    sink = VideoSink(path, info(time_base=Fraction(1), rate=rate), codec=codec)
    for index in range(3):
        picture = media.make_picture(index, 64, 48, "yuv420p")
        picture.pts, picture.time_base = index, Fraction(1)
        sink.write(Frame(picture, index, index, Fraction(1), 1))
    sink.close()
    assert [float(at) for at in media.decode(path).pts] == [0, 1, 2]


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".ts"])
def test_a_film_may_have_fewer_pictures_than_its_encoder_delays(tmp_path, ending):
    """Those of one or two had, of x265, decoding times of whatever lay in memory."""
    clip, path = make_clip(tmp_path / "in.mp4"), tmp_path / f"out{ending}"
    for codec in ("libx264", "libx265"):
        for count in (1, 2, 3):
            shown = run(clip, path, cut={"limit": count}, codec=codec, preset="ultrafast").times
            assert len(shown) == count
            with av.open(str(path)) as container:
                packets = [one for one in container.demux(video=0) if one.pts is not None]
            assert all(one.dts is None or one.dts <= one.pts for one in packets), (codec, count)
            times = sorted(one.pts * one.time_base for one in packets)
            steps = [[one - first for one in many] for many in (times, shown) for first in many[:1]]
            assert np.allclose(*np.array(steps, float), atol=0.001), (codec, count)
            path.unlink()
