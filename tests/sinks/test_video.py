"""What goes into a video file comes out of it: pictures, times, sound, words and tags."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import SinkError, StreamError, UsageError
from stream.frame import ColourTags, Frame, VideoInfo
from stream.sinks.video import VideoSink, check_output
from tests import media
from tests.media import make_clip
from tests.sinks.running import run

LOSSLESS = {"codec": "libx264", "crf": 0}


def info(**changes) -> VideoInfo:
    given = {"name": "x", "width": 64, "height": 48, "pixel_format": "yuv420p"}
    return VideoInfo(**{**given, "time_base": Fraction(1, 25), "rate": Fraction(25), **changes})


# Pictures.


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


# Times.


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


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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


# What goes with the pictures.


@pytest.mark.parametrize(
    ("audio", "source", "ending"),
    [
        ("aac", ".mp4", ".mp4"),
        ("aac", ".mp4", ".mkv"),
        ("aac", ".mkv", ".mp4"),
        ("aac", ".mov", ".ts"),
        ("libopus", ".webm", ".mkv"),
        ("libopus", ".mkv", ".mp4"),
        ("mp3", ".mp4", ".avi"),
        ("ac3", ".mkv", ".mov"),
        ("pcm_s16le", ".mov", ".mov"),
        ("flac", ".mkv", ".mp4"),
    ],
)
def test_sound_is_copied_byte_for_byte(tmp_path, audio, source, ending):
    codec = "libvpx-vp9" if source == ".webm" else "libx264"
    original = make_clip(tmp_path / f"in{source}", codec=codec, audio=audio, options={})
    done = run(original, tmp_path / f"out{ending}")

    before = media.packets(original, "audio")
    after = media.packets(tmp_path / f"out{ending}", "audio")
    strip = 7 if ending == ".ts" else 0  # MPEG-TS puts a header before each packet of AAC
    if audio.startswith("pcm"):  # whose packets are whatever the reader makes of them
        before, after = ([(0, b"".join(data for _, data in made))] for made in (before, after))
    assert [data for _, data in before] == [data[strip:] for _, data in after]
    assert done.remarks == []


def test_sound_out_of_a_transport_stream_loses_its_headers_only(tmp_path):
    original = make_clip(tmp_path / "in.ts", audio="aac")
    done = run(original, tmp_path / "out.mp4")
    before = media.packets(original, "audio")
    after = media.packets(tmp_path / "out.mp4", "audio")
    assert [data[7:] for _, data in before] == [data for _, data in after]
    assert done.remarks == []


@pytest.mark.parametrize("delay", [0.0, 0.4])
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_sound_and_picture_stay_together(tmp_path, delay, ending):
    original = make_clip(tmp_path / "in.mp4", audio="aac", audio_start=delay, start=5, frames=50)
    run(original, tmp_path / f"out{ending}")

    def lead(path):
        return media.decode(path).pts[0] - media.packets(path, "audio")[0][0]

    assert abs(lead(original) - lead(tmp_path / f"out{ending}")) <= Fraction(1, 1000)


def test_sound_that_does_not_fit_is_reencoded_and_remarked(tmp_path):
    original = make_clip(tmp_path / "in.mp4", audio="aac", frames=50)
    done = run(original, tmp_path / "out.webm")
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.audio[0].codec_context.name == "opus"
        seconds = sum(frame.samples for frame in container.decode(audio=0)) / 48000
    assert seconds == pytest.approx(2, abs=0.1)
    assert done.remarks == [
        "stream 1, sound (aac), is re-encoded with libopus: webm does not hold it as it is"
    ]


@pytest.mark.parametrize(
    ("source", "ending", "converted"),
    [
        (".mp4", ".mp4", False),
        (".mkv", ".mkv", False),
        (".mkv", ".mp4", True),
        (".mp4", ".mkv", True),
        (".mp4", ".webm", True),
    ],
)
def test_subtitles_come_along(tmp_path, source, ending, converted):
    original = make_clip(tmp_path / f"in{source}", subtitles=[(0.2, 0.6, "hello there")])
    done = run(original, tmp_path / f"out{ending}")
    told = [
        (float(at), data)
        for at, data in media.packets(tmp_path / f"out{ending}", "subtitle")
        if b"hello there" in data
    ]
    assert [at for at, _ in told] == [pytest.approx(0.2, abs=0.001)]
    assert any("converted" in remark for remark in done.remarks) == converted


def test_what_a_container_cannot_hold_is_left_out_and_remarked(tmp_path):
    original = make_clip(tmp_path / "in.mp4", subtitles=[(0.2, 0.6, "hello there")])
    done = run(original, tmp_path / "out.avi")
    assert media.stream_types(tmp_path / "out.avi") == ["video"]
    assert done.remarks == ["stream 1, subtitles (mov_text), is left out: avi does not hold it"]


def test_colours_aspect_and_title_are_kept(tmp_path):
    original = make_clip(
        tmp_path / "in.mp4",
        colour=(9, 16, 9, 1),
        aspect=Fraction(4, 3),
        metadata={"title": "A day", "comment": "no rain"},
        pixel_format="yuv420p10le",
    )
    for ending in (".mp4", ".mkv"):
        output = tmp_path / f"out{ending}"
        run(original, output)
        with av.open(str(output)) as container:
            stream = container.streams.video[0]
            frame = next(container.decode(stream))
            assert (frame.color_primaries, frame.color_trc, frame.colorspace) == (9, 16, 9)
            assert frame.color_range == 1
            assert stream.sample_aspect_ratio == Fraction(4, 3)
            assert {k.lower(): v for k, v in container.metadata.items()}["title"] == "A day"


def test_full_range_stays_full_range_in_another_format(tmp_path):
    # VP9 takes no yuvj420p; the samples and the tag must stay.
    original = make_clip(tmp_path / "in.mkv", pixel_format="yuvj420p", frames=4)
    run(original, tmp_path / "out.mkv", codec="ffv1")
    before, after = media.decode(original), media.decode(tmp_path / "out.mkv")
    assert media.same_picture(before.pictures[0], after.pictures[0])
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert next(container.decode(video=0)).color_range == 2


# Refusals.


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("out.xyz", {}, "ending .xyz is not known"),
        ("out", {}, "has no ending"),
        ("out.mp4", {"codec": "nonsense"}, "no encoder 'nonsense'"),
        ("out.mp4", {"codec": "aac"}, "does not encode video"),
        ("out.webm", {"codec": "libx264"}, "do not hold what libx264 encodes"),
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
        with pytest.raises(UsageError, match="is the input itself"):
            check_output(tmp_path / name, source=original, overwrite=True)


def test_an_unwritable_folder_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(SinkError, match="permission denied"):
        check_output(tmp_path / "out.mp4")


def test_settings_that_the_encoder_refuses_leave_nothing_behind(tmp_path):
    with pytest.raises(SinkError, match="does not take these pictures"):
        VideoSink(tmp_path / "out.mp4", info(width=100_000, height=100_000))
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


def chaptered(path: Path) -> Path:
    """A clip of two seconds in two chapters."""
    plain = make_clip(path.with_suffix(".mkv"), frames=50)
    with av.open(str(plain)) as given, av.open(str(path), "w") as container:
        video = container.add_stream_from_template(given.streams.video[0])
        milli = Fraction(1, 1000)
        container.set_chapters(
            [
                {"id": 1, "start": 0, "end": 800, "time_base": milli, "metadata": {"title": "A"}},
                {
                    "id": 2,
                    "start": 800,
                    "end": 2000,
                    "time_base": milli,
                    "metadata": {"title": "B"},
                },
            ]
        )
        for packet in given.demux():
            if packet.size:
                packet.stream = video
                container.mux(packet)
    return path


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        ({}, [(0, 0.8, "A"), (0.8, 2, "B")]),
        ({"start": 0.4, "end": 1.0}, [(0, 0.4, "A"), (0.4, 0.6, "B")]),
        ({"start": 1.0}, [(0, 1, "B")]),
    ],
)
def test_chapters_are_kept_and_cut(tmp_path, ending, cut, expected):
    original = chaptered(tmp_path / "in.mp4")
    done = run(original, tmp_path / f"out{ending}", cut=cut)
    with av.open(str(tmp_path / f"out{ending}")) as container:
        found = [
            (
                float(chapter["start"] * chapter["time_base"]),
                float(chapter["end"] * chapter["time_base"]),
                chapter["metadata"]["title"],
            )
            for chapter in container.chapters()
        ]
    for one, other in zip(found, expected, strict=True):
        assert one[:2] == pytest.approx(other[:2], abs=0.002)
        assert one[2] == other[2]
    assert done.remarks == []


@pytest.mark.parametrize("ending", [".mov", ".mp4", ".mkv"])
def test_the_tags_of_a_phone_are_kept(tmp_path, ending):
    tags = {
        "title": "A day",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.location.ISO6709": "+51.5334-000.1255+026.756/",
    }
    original = make_clip(
        tmp_path / "in.mov", metadata=tags, muxer={"movflags": "use_metadata_tags"}
    )
    run(original, tmp_path / f"out{ending}")
    with av.open(str(tmp_path / f"out{ending}")) as container:
        kept = {name.lower(): value for name, value in container.metadata.items()}
    assert {name.lower(): value for name, value in tags.items()}.items() <= kept.items()
