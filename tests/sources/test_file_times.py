"""Every picture comes at its exact time, whole or cut, and its sound with it."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stream.errors import UsageError
from stream.frame import Frame, Passthrough
from stream.pictures.references import packet_copy
from stream.sources._description import stated_rate
from stream.sources.file import FileSource
from tests import media
from tests.media import make_clip
from tests.sources.edits import edited
from tests.sources.reading import frames_of, seconds_of


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".avi", ".webm"])
def test_times_are_those_of_the_file(tmp_path, ending):
    codec = {".avi": "mpeg4", ".webm": "libvpx-vp9"}.get(ending, "libx264")
    path = make_clip(tmp_path / f"in{ending}", codec=codec, rate=Fraction(30000, 1001), options={})
    frames = frames_of(path)
    assert seconds_of(frames) == media.decode(path).pts
    assert [frame.index for frame in frames] == list(range(25))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def test_the_rate_is_that_of_most_pictures_where_few_are_missing(tmp_path):
    """The average is lower, on whose grid (Y4M, AVI) no picture would be at its time."""
    late = make_clip(tmp_path / "late.mp4", times=[*range(30), *range(31, 41)])
    with FileSource(late) as source:
        assert source.info.rate == 25
    uneven = make_clip(
        tmp_path / "uneven.mp4",
        times=[round(index * 41.2) for index in range(41)],
        time_base=Fraction(1, 1000),
    )
    with FileSource(uneven) as source:
        assert float(source.info.rate) == pytest.approx(1000 / 41.2, rel=0.01)


def test_sound_that_a_list_of_edits_cuts_out_is_left_out(tmp_path):
    whole = make_clip(tmp_path / "whole.mp4", audio="aac", frames=100, options={"g": "25"})
    path = edited(tmp_path / "in.mp4", whole, [(0, 1), (2, 1)])
    heard = []
    with FileSource(path) as source:
        items = list(source)
        assert source.remarks == []
    for item in items:
        if isinstance(item, Passthrough):
            heard += [packet.pts * packet.time_base for packet in item.packets]
    seen = seconds_of([item for item in items if isinstance(item, Frame)])
    assert seen == [Fraction(index, 25) for index in range(50)]
    assert heard == sorted(heard) and len(heard) < 100
    assert heard[-1] == pytest.approx(2, abs=0.05)
    # Behind a jump too.
    with FileSource(path, start=0.5, end=1.5) as source:
        items = list(source)
    assert sum(isinstance(item, Frame) for item in items) == 25
    heard = [item.packets[0] for item in items if isinstance(item, Passthrough)]
    times = [packet.pts * packet.time_base for packet in heard]
    assert times == sorted(times) and times[-1] == pytest.approx(1, abs=0.05)


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


def test_the_last_pictures_of_a_programme_stream_are_reached_though_its_length_is_a_guess(tmp_path):
    path = make_clip(tmp_path / "in.mpg", codec="mpeg1video", b_frames=2, options={"g": "12"})
    whole = seconds_of(frames_of(path))
    assert [len(frames_of(path, start=whole[-n] - whole[0])) for n in (1, 2, 3)] == [1, 2, 3]
    with pytest.raises(UsageError, match=r"begins at 1\.5 s or later: begin earlier$"):
        frames_of(path, start=1.5)
    with pytest.raises(UsageError, match="ends before the start"):
        frames_of(path, start=20)


@cache
def all_of(path):
    return frames_of(path)


def part_of(path, **cut):
    """The pictures that begin in a part; none where it is refused because none does."""
    try:
        return frames_of(path, **cut)
    except UsageError as error:
        assert re.search("no picture of .* begins |ends before the start", str(error))
        return []


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(at=1, b_frames=False)  # the first picture comes later, with the sound before it
@given(at=st.integers(1, 3999), b_frames=st.booleans())
def test_two_parts_of_a_cut_are_the_whole(tmp_path, at, b_frames):
    preset = "veryfast" if b_frames else "ultrafast"
    path = tmp_path / f"{preset}.mp4"
    if not path.exists():
        make_clip(path, frames=100, options={"preset": preset, "g": "13"}, audio="aac", start=5)
    whole = all_of(path)
    moment = Fraction(at, 1000)
    first = part_of(path, end=float(moment))
    second = part_of(path, start=float(moment))
    assert len(first) + len(second) == len(whole)
    with av.open(str(path)) as container:
        began = Fraction(container.start_time, av.time_base)
    for frame, original in zip(second, whole[len(first) :], strict=True):
        moved = original.pts * original.time_base - began - moment
        assert frame.pts * frame.time_base == pytest.approx(moved, abs=float(frame.time_base))
        assert media.same_picture(media.planes(frame.image), media.planes(original.image))


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


@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_a_subtitle_that_a_cut_goes_through_lasts_within_it(tmp_path, ending):
    path = make_clip(tmp_path / f"in{ending}", frames=100, subtitles=((0.5, 3.5, "Hello"),))
    whole = [one for one in heard(path) if one[0] < one[1]]
    assert (Fraction(1, 2), Fraction(7, 2)) in whole
    part = [one for one in heard(path, start=1.0, end=2.0) if one[0] < one[1]]
    assert part == [(0, 1)], "and the film is as long as its pictures"


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


@pytest.mark.parametrize("ending", [".ts", ".mpg", ".h264", ".m2v", ".mkv", ".avi", ".nut", ".flv"])
def test_a_part_that_begins_between_two_key_frames_lacks_no_picture(tmp_path, ending):
    # FFmpeg finds key frames by decoding times, or not at all where there is no index.
    codec = {".mpg": "mpeg2video", ".m2v": "mpeg2video"}.get(ending, "libx264")
    options = {"bf": "3", "g": "20", "x264-params": "scenecut=0"}
    path = make_clip(tmp_path / f"in{ending}", codec=codec, frames=50, options=options)
    with FileSource(path, start=0) as source:
        whole = [one.pts * one.time_base for one in source if isinstance(one, Frame)]
    assert len(whole) == len(frames_of(path))
    for start in (Fraction(1, 10), Fraction(1, 2), Fraction(5, 4)):
        frames = frames_of(path, start=start)
        wanted = [at - start for at in whole if at >= start]
        assert len(frames) == len(wanted), start
        tick = frames[0].time_base
        assert all(abs(a - b) <= tick for a, b in zip(seconds_of(frames), wanted, strict=True))


def test_an_empty_packet_says_that_a_picture_stays_not_that_the_film_ends(tmp_path):
    whole = make_clip(tmp_path / "whole.mkv", codec="libvpx", frames=12, options={})
    path = tmp_path / "in.nut"
    with av.open(str(whole)) as source, av.open(str(path), "w") as container:
        video = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                own = packet_copy(packet) if packet.pts != 200 else av.Packet(0)
                own.pts, own.dts, own.time_base = packet.pts, packet.dts, packet.time_base
                own.stream = video
                container.mux(own)
    with FileSource(path) as read:
        frames = [one for one in read if isinstance(one, Frame)]
        assert (read.remarks, read.corrupt) == ([], 0)
    assert seconds_of(frames) == [Fraction(n, 25) for n in range(12) if n != 5]
    assert frames[4].duration * frames[4].time_base == Fraction(2, 25)


def test_what_is_no_rate_does_not_say_how_long_the_last_picture_lasts():
    """FFmpeg guessed 23,040 pictures a second of five in MPEG-TS."""
    guess = SimpleNamespace(average_rate=None, guessed_rate=Fraction(23_040))
    assert stated_rate(guess) is None
    assert stated_rate(SimpleNamespace(average_rate=Fraction(90), guessed_rate=None)) == 90


def test_a_broadcast_of_one_picture_lasts_as_long_as_one(tmp_path):
    """FFmpeg says of it that it lasts two ticks, and no player showed what came of it."""
    path = make_clip(tmp_path / "in.ts", times=[0], frames=1, time_base=Fraction(1, 15_360))
    with FileSource(path) as source:
        (frame,) = (item for item in source if isinstance(item, Frame))
    assert Fraction(1, 100) < frame.duration * frame.time_base < Fraction(1, 10)
