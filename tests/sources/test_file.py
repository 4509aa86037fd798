"""A video file comes in whole: every picture upright, at its time, with all that goes with it."""

from __future__ import annotations

import itertools
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import SourceError, UsageError
from stream.frame import Frame, Passthrough
from stream.sources.file import FileSource, probe
from tests import media
from tests.media import make_clip


def frames_of(path: Path, **cut) -> list[Frame]:
    with FileSource(path, **cut) as source:
        return [item for item in source if isinstance(item, Frame)]


def seconds_of(frames: list[Frame]) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames]


# Choosing the stream, refusing the rest.


def test_the_picture_is_chosen_by_type_not_by_place(tmp_path):
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=48000)
        video = container.add_stream("libx264", rate=25, width=64, height=48)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), "s16", "stereo")
        frame.sample_rate = 48000
        container.mux(sound.encode(frame))
        container.mux(video.encode(media.make_picture(0, 64, 48, "yuv420p")))
        container.mux(sound.encode(None))
        container.mux(video.encode(None))
    with FileSource(path) as source:
        assert source.info.codec == "h264"
        assert [stream.type for stream in source.info.copied] == ["audio"]


def test_a_cover_picture_is_not_the_video(tmp_path):
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1, width=256, height=256, pix_fmt="yuvj420p")
        cover.disposition = av.stream.Disposition.attached_pic
        video = container.add_stream("libx264", rate=25, width=64, height=48)
        container.mux(cover.encode(media.make_picture(0, 256, 256, "yuvj420p")))
        container.mux(cover.encode(None))
        for index in range(3):
            container.mux(video.encode(media.make_picture(index, 64, 48, "yuv420p")))
        container.mux(video.encode(None))
    with FileSource(path) as source:
        assert (source.info.width, source.info.height) == (64, 48)
        assert sum(isinstance(item, Frame) for item in source) == 3


def damaged(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "in.mp4"
    if kind == "missing":
        return path
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("This is not a video at all.\n" * 200)
    elif kind == "ansi text":
        path = tmp_path / "in.txt"
        path.write_text("This is not a video at all.\n" * 200)
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(100_000))
    elif kind == "sound":
        make_clip(path, codec=None, audio="aac")
    elif kind == "headless":
        path.write_bytes(make_clip(tmp_path / "whole.mp4").read_bytes()[:3000])
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "does not exist"),
        ("folder", "is a folder"),
        ("empty", "is empty (0 bytes)"),
        ("text", "not a video that can be read"),
        ("ansi text", "text file"),
        ("noise", "not a video that can be read"),
        ("sound", "has sound but no video stream"),
        ("headless", "not a video that can be read"),
    ],
)
def test_what_is_no_video_is_refused_in_one_sentence(tmp_path, kind, words):
    path = damaged(tmp_path, kind)
    with pytest.raises(SourceError) as told:
        FileSource(path)
    assert words in str(told.value)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    path = make_clip(tmp_path / "in.mp4", frames=2)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SourceError, match="may not be read"):
        FileSource(path)


@pytest.mark.parametrize(
    "cut", [{"start": 5, "end": 5}, {"end": 0}, {"limit": 0}, {"start": -1}, {"start": 100}]
)
def test_a_cut_that_selects_nothing_is_refused(tmp_path, cut):
    path = make_clip(tmp_path / "in.mp4")
    with pytest.raises(UsageError):
        FileSource(path, **cut)


def test_a_name_may_look_like_an_address(tmp_path):
    path = make_clip(tmp_path / "plain.mp4", frames=3).rename(tmp_path / "http:a %d.mp4")
    assert len(frames_of(path)) == 3


# Times.


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".avi", ".webm"])
def test_times_are_those_of_the_file(tmp_path, ending):
    codec = {".avi": "mpeg4", ".webm": "libvpx-vp9"}.get(ending, "libx264")
    path = make_clip(tmp_path / f"in{ending}", codec=codec, rate=Fraction(30000, 1001), options={})
    frames = frames_of(path)
    assert seconds_of(frames) == media.decode(path).pts
    assert [frame.index for frame in frames] == list(range(25))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    times=st.lists(st.integers(0, 60_000), min_size=1, max_size=30, unique=True).map(sorted),
    b_frames=st.booleans(),
)
def test_any_variable_rate_is_carried_exactly(tmp_path, times, b_frames):
    preset = "veryfast" if b_frames else "ultrafast"
    path = make_clip(
        tmp_path / "in.mp4",
        times=times,
        time_base=Fraction(1, 1000),
        options={"preset": preset},
    )
    frames = frames_of(path)
    assert seconds_of(frames) == [Fraction(pts, 1000) for pts in times]
    # Each lasts until the next.
    for frame, after in itertools.pairwise(frames):
        assert frame.pts + frame.duration == after.pts


def test_the_last_picture_lasts_until_the_declared_end(tmp_path):
    path = make_clip(tmp_path / "in.mp4", rate=Fraction(30000, 1001), frames=10)
    last = frames_of(path)[-1]
    assert (last.pts + last.duration) * last.time_base == 10 * Fraction(1001, 30000)


def test_matroska_that_looks_like_1000_fps_has_no_rate_but_times(tmp_path):
    path = make_clip(
        tmp_path / "in.mkv", rate=1000, times=[0, 33, 67, 100, 133], time_base=Fraction(1, 1000)
    )
    with FileSource(path) as source:
        assert source.info.rate is None or source.info.rate < 1000
        frames = [item for item in source if isinstance(item, Frame)]
    assert [frame.pts for frame in frames] == [0, 33, 67, 100, 133]
    assert frames[-1].duration == pytest.approx(33, abs=2)


def test_a_transport_stream_starts_at_zero_with_its_sound(tmp_path):
    path = make_clip(tmp_path / "in.ts", audio="aac", audio_start=9.9, start=250)
    heard, seen = [], []
    with FileSource(path) as source:
        for item in source:
            if isinstance(item, Passthrough):
                heard += [packet.pts * packet.time_base for packet in item.packets]
            else:
                seen.append(item.pts * item.time_base)
    assert min(heard[0], seen[0]) == pytest.approx(0, abs=0.001)
    lead = media.decode(path).pts[0] - media.packets(path, "audio")[0][0]
    assert seen[0] - heard[0] == pytest.approx(lead, abs=1 / 90000)


def test_a_clock_that_starts_over_goes_on(tmp_path):
    one = make_clip(tmp_path / "one.ts", audio="aac", audio_start=40, frames=50, start=1000)
    other = make_clip(tmp_path / "other.ts", audio="aac", frames=50)
    path = tmp_path / "both.ts"
    path.write_bytes(one.read_bytes() + other.read_bytes())
    with FileSource(path) as source:
        items = list(source)
        assert any("starts over" in remark for remark in source.remarks)
    times = seconds_of([item for item in items if isinstance(item, Frame)])
    assert len(times) >= 98
    assert all(a < b for a, b in itertools.pairwise(times))
    assert times[-1] == pytest.approx(4, abs=0.2)
    heard = [
        packet.pts * packet.time_base
        for item in items
        if isinstance(item, Passthrough)
        for packet in item.packets
    ]
    assert heard[-1] == pytest.approx(4, abs=0.2)


# Cutting.


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(1, 3999), b_frames=st.booleans())
def test_two_parts_of_a_cut_are_the_whole(tmp_path, at, b_frames):
    preset = "veryfast" if b_frames else "ultrafast"
    path = tmp_path / f"{preset}.mp4"
    if not path.exists():
        make_clip(path, frames=100, options={"preset": preset, "g": "13"}, audio="aac", start=5)
    whole = frames_of(path)
    moment = Fraction(at, 1000)
    first = frames_of(path, end=float(moment))
    second = frames_of(path, start=float(moment)) if moment < Fraction(42, 10) else []
    assert len(first) + len(second) == len(whole)
    with av.open(str(path)) as container:
        began = Fraction(container.start_time, av.time_base)
    for frame, original in zip(second, whole[len(first) :], strict=True):
        moved = original.pts * original.time_base - began - moment
        assert frame.pts * frame.time_base == pytest.approx(moved, abs=float(frame.time_base))
        assert media.same_picture(media.planes(frame.picture), media.planes(original.picture))


def heard(path: Path, **cut) -> list[tuple[Fraction, Fraction]]:
    with FileSource(path, **cut) as source:
        return [
            (packet.pts * packet.time_base, (packet.pts + packet.duration) * packet.time_base)
            for item in source
            if isinstance(item, Passthrough)
            for packet in item.packets
        ]


@pytest.mark.parametrize("cut", [{"start": 1.0}, {"end": 2.0}, {"start": 1.0, "end": 2.0}])
def test_sound_is_cut_with_the_picture(tmp_path, cut):
    path = make_clip(tmp_path / "in.mp4", audio="aac", frames=100)
    times = heard(path, **cut)
    seconds = cut.get("end", 4.0) - cut.get("start", 0.0)
    assert -0.03 < times[0][0] <= 0
    assert seconds - 0.03 <= times[-1][1] <= seconds + 0.05


def test_a_limit_cuts_the_sound_too(tmp_path):
    path = make_clip(tmp_path / "in.mp4", audio="aac", frames=100)
    assert len(frames_of(path, limit=30)) == 30
    assert heard(path, limit=30)[-1][1] == pytest.approx(1.2, abs=0.03)


def test_a_limit_beyond_the_end_is_the_whole(tmp_path):
    path = make_clip(tmp_path / "in.mp4", audio="aac", frames=10)
    assert len(frames_of(path, limit=1000)) == 10
    assert heard(path, limit=1000) == heard(path)


def test_sound_that_lies_behind_all_pictures_is_cut_as_well(tmp_path):
    # All pictures first, then all sound, as some programs write files.
    source = make_clip(tmp_path / "in.mp4", audio="aac", frames=100)
    path = tmp_path / "apart.mkv"
    with av.open(str(source)) as given, av.open(str(path), "w") as container:
        made = {s.index: container.add_stream_from_template(s) for s in given.streams}
        packets = [packet for packet in given.demux() if packet.size]
        for packet in sorted(packets, key=lambda packet: packet.stream_index):
            packet.stream = made[packet.stream_index]
            container.mux(packet)
    assert heard(path, limit=25)[-1][1] == pytest.approx(1, abs=0.05)


# Upright.


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le", "yuv444p"])
def test_every_orientation_is_turned_upright(tmp_path, rotation, mirrored, pixel_format):
    path = make_clip(
        tmp_path / "in.mp4",
        rotation=rotation,
        mirrored=mirrored,
        size=(64, 32),
        frames=2,
        pixel_format=pixel_format,
    )
    stored = media.decode(path).pictures[0]
    with FileSource(path) as source:
        frame = next(item for item in source if isinstance(item, Frame))
        info = source.info
    expected = []
    for plane in stored:
        # FFmpeg turns counterclockwise, then mirrors what is shown left to right.
        turned = np.rot90(plane, rotation // 90)
        expected.append(turned[:, ::-1] if mirrored else turned)
    assert media.same_picture(media.planes(frame.picture), expected)
    size = (32, 64) if rotation % 180 else (64, 32)
    assert (info.width, info.height) == size
    assert (frame.picture.width, frame.picture.height) == size


def test_turning_sideways_turns_the_sample_aspect_too(tmp_path):
    path = make_clip(tmp_path / "in.mp4", rotation=90, aspect=Fraction(4, 3))
    info = probe(path)
    assert info.sample_aspect_ratio == Fraction(3, 4)
    assert info.rotation == 270
    assert info.copied == ()


def test_4_2_2_sideways_becomes_4_4_4_and_says_so(tmp_path):
    path = make_clip(tmp_path / "in.mp4", rotation=90, pixel_format="yuv422p", frames=2)
    with FileSource(path) as source:
        frame = next(item for item in source if isinstance(item, Frame))
        assert source.info.pixel_format == frame.picture.format.name == "yuv444p"
        assert source.remarks == [
            "turning the pictures upright changes their pixel format from yuv422p to yuv444p"
        ]
    stored = media.decode(path).pictures[0][0]
    assert np.array_equal(media.planes(frame.picture)[0], np.rot90(stored))


# Pixel formats and colours.


@pytest.mark.parametrize(
    ("codec", "given", "expected", "remarks"),
    [
        ("rawvideo", "nv12", "yuv420p", 0),
        ("rawvideo", "yuyv422", "yuv422p", 0),
        ("rawvideo", "uyvy422", "yuv422p", 0),
        ("rawvideo", "bgr24", "yuv444p", 1),
        ("ffv1", "bgra", "yuv444p", 2),
        ("ffv1", "gbrp10le", "yuv444p10le", 1),
        ("ffv1", "yuva420p", "yuv420p", 1),
        ("ffv1", "yuva444p10le", "yuv444p10le", 1),
        ("ffv1", "gray10le", "gray10le", 0),
        ("ffv1", "yuv420p16le", "yuv420p16le", 0),
        ("png", "pal8", "yuv444p", 1),
        ("png", "gray16be", "gray16le", 0),
    ],
)
def test_every_pixel_format_comes_as_planar_yuv(tmp_path, codec, given, expected, remarks):
    ending = ".mkv" if codec == "ffv1" or given == "nv12" else ".mov"
    ending = ".avi" if given == "bgr24" else ending
    path = tmp_path / f"in{ending}"
    if given == "pal8":
        palette_clip(path)
    else:
        make_clip(path, codec=codec, pixel_format=given, frames=2, options={})
    with FileSource(path) as source:
        frame = next(item for item in source if isinstance(item, Frame))
        assert source.info.pixel_format == frame.picture.format.name == expected
        assert len(source.remarks) == remarks
    # The bright corner is where it was.
    luma = media.planes(frame.picture)[0].astype(int)
    assert luma.shape == (48, 64)


def palette_clip(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("png", rate=25, width=64, height=48, pix_fmt="pal8")
        pixels = np.indices((48, 64)).sum(0).astype(np.uint8) % 16
        palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, 1)
        palette[:, 3] = 255
        frame = av.VideoFrame.from_ndarray((pixels, palette), format="pal8")
        container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def test_untouched_pictures_are_not_copied(tmp_path, monkeypatch):
    path = make_clip(tmp_path / "in.mp4", frames=3)
    made = []
    given = av.VideoFrame
    monkeypatch.setattr(av, "VideoFrame", lambda *size: made.append(size) or given(*size))
    frames_of(path)
    assert made == []


def test_colours_come_as_tagged(tmp_path):
    path = make_clip(tmp_path / "in.mp4", colour=(9, 16, 9, 1), pixel_format="yuv420p10le")
    colour = probe(path).colour
    assert (colour.primaries, colour.transfer, colour.matrix) == (9, 16, 9)
    assert colour.full_range is False


def test_full_range_is_told(tmp_path):
    path = make_clip(tmp_path / "in.mp4", pixel_format="yuvj420p")
    assert probe(path).colour.full_range is True


def test_rgb_becomes_the_colour_it_was(tmp_path):
    path = make_clip(tmp_path / "in.mkv", codec="ffv1", pixel_format="bgra", options={})
    with FileSource(path) as source:
        frame = next(item for item in source if isinstance(item, Frame))
        colour = source.info.colour
    red = frame.picture.to_ndarray(format="rgb24")[2, 2].astype(int)
    assert np.abs(red - (255, 40, 40)).max() <= 3
    assert (colour.matrix, colour.full_range) == (6, False)


# Damage.


def test_damage_in_the_middle_costs_only_what_is_damaged(tmp_path):
    whole = make_clip(
        tmp_path / "whole.mkv",
        frames=100,
        size=(320, 240),
        options={"preset": "ultrafast", "g": "10"},
    )
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(1).bytes(3000)
    path = tmp_path / "in.mkv"
    path.write_bytes(data)
    with FileSource(path) as source:
        frames = [item for item in source if isinstance(item, Frame)]
        assert source.corrupt > 0
    assert 80 <= len(frames) <= 100
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))


def test_a_file_that_is_cut_off_gives_what_it_has_and_says_so(tmp_path):
    whole = make_clip(
        tmp_path / "whole.mp4", frames=100, muxer={"movflags": "faststart"}, size=(320, 240)
    )
    path = tmp_path / "in.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with FileSource(path) as source:
        frames = [item for item in source if isinstance(item, Frame)]
        assert 20 <= len(frames) < 90
        assert any("is cut short" in remark for remark in source.remarks)
    assert frames[-1].duration == frames[0].duration


@pytest.mark.parametrize("ending", [".mkv", ".webm"])
def test_a_cut_off_file_without_a_count_says_so_by_its_length(tmp_path, ending):
    codec = "libvpx-vp9" if ending == ".webm" else "libx264"
    audio = "libopus" if ending == ".webm" else "aac"
    whole = make_clip(tmp_path / f"whole{ending}", codec=codec, audio=audio, frames=100, options={})
    path = tmp_path / f"in{ending}"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with FileSource(path) as source:
        assert sum(isinstance(item, Frame) for item in source) < 80
        assert ["cut short: it declares 4.0 seconds" in remark for remark in source.remarks] == [
            True
        ]


def test_sound_that_outlasts_the_pictures_is_no_damage(tmp_path):
    path = make_clip(tmp_path / "in.mkv", audio="aac", audio_seconds=5)
    with FileSource(path) as source:
        assert sum(isinstance(item, Frame) for item in source) == 25
        assert source.remarks == []


def test_damage_in_the_last_packets_keeps_the_pictures_before(tmp_path):
    path = tmp_path / "in.mkv"
    source = make_clip(tmp_path / "whole.mkv", frames=60, b_frames=0)
    with av.open(str(source)) as given, av.open(str(path), "w") as container:
        made = container.add_stream_from_template(given.streams.video[0])
        for index, packet in enumerate(p for p in given.demux() if p.size):
            if index == 57:
                bad = av.Packet(b"\x00\x00\x00\x20" + bytes(range(100, 132)))
                bad.pts, bad.dts, bad.time_base = packet.pts, packet.dts, packet.time_base
            else:
                bad = packet
            bad.stream = made
            container.mux(bad)
    frames = frames_of(path)
    assert len(frames) >= 58


def test_a_size_that_changes_is_fitted(tmp_path):
    one = make_clip(tmp_path / "one.ts", frames=20)
    other = make_clip(tmp_path / "other.ts", frames=20, size=(128, 96), start=25)
    path = tmp_path / "both.ts"
    path.write_bytes(one.read_bytes() + other.read_bytes())
    frames = frames_of(path)
    assert len(frames) >= 38
    assert {(f.picture.width, f.picture.height) for f in frames} == {(64, 48)}


# Living with others.


def test_close_from_another_thread_ends_the_iteration(tmp_path):
    path = make_clip(tmp_path / "in.mp4", frames=500)
    source = FileSource(path)
    seen: list[Frame] = []
    started = threading.Event()

    def read() -> None:
        for item in source:
            seen.append(item)
            started.set()
            time.sleep(0.01)

    reader = threading.Thread(target=read)
    reader.start()
    assert started.wait(5)
    began = time.perf_counter()
    source.close()
    reader.join(5)
    assert not reader.is_alive()
    assert time.perf_counter() - began < 0.5
    assert len(seen) < 400
    source.close()


def test_a_source_that_is_never_read_lets_its_file_go(tmp_path):
    FileSource(make_clip(tmp_path / "in.mp4", frames=3)).close()


def test_an_iteration_that_is_dropped_lets_its_file_go(tmp_path):
    source = FileSource(make_clip(tmp_path / "in.mp4", frames=30))
    next(iter(source))


def test_frames_say_how_long_decoding_took(tmp_path):
    frames = frames_of(make_clip(tmp_path / "in.mp4", frames=10))
    assert all(0 <= frame.stages["decode"] < 1 for frame in frames)


def test_what_is_known_before_the_first_picture(tmp_path):
    path = make_clip(tmp_path / "in.mp4", frames=50, metadata={"title": "A day"})
    info = probe(path)
    assert (info.name, info.frames, info.rate, info.duration) == ("in.mp4", 50, 25, 2)
    assert info.metadata["title"] == "A day"
    with FileSource(path, start=0.5, end=1.5) as source:
        assert (source.info.frames, source.info.duration) == (25, 1)
    with FileSource(path, limit=7) as source:
        assert source.info.frames == 7


def test_interlaced_pictures_are_remarked(tmp_path):
    path = make_clip(
        tmp_path / "in.ts",
        codec="mpeg2video",
        size=(64, 64),
        options={"flags": "+ildct+ilme", "top": "1"},
    )
    with FileSource(path) as source:
        assert "the pictures are interlaced and are taken as if they were progressive" in (
            source.remarks
        )
