"""Pictures without a usable time lie where their neighbours leave room, and the others stay."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.frame import Frame
from stream.sinks.video import VideoSink
from stream.sources._cropping import elements
from stream.sources._decoded import Decoded
from stream.sources._spread import Spread, _room
from stream.sources.file import FileSource
from tests.media import make_clip

SEGMENT, CLUSTER, TIMESTAMP, BLOCK, VOID = 0x18538067, 0x1F43B675, 0xE7, 0xA3, 0xEC
EVERY = list(range(0, 2400, 40))
"""Milliseconds of sixty pictures."""


def film(path, codec="libx264", **how):
    how = {"audio": "libopus", "frames": 60, "b_frames": 0, "options": {"g": "10"}, **how}
    return make_clip(path, codec=codec, **how)


def clusters(path):
    """What is in each of a file's clusters: kind, where it begins, and where it ends."""
    with path.open("rb") as file:
        size = path.stat().st_size
        (segment,) = (one for one in elements(file, 0, size) if one[0] == SEGMENT)
        found = [one for one in elements(file, *segment[1:]) if one[0] == CLUSTER]
        return [list(elements(file, *one[1:])) for one in found]


def earlier(path, by=200, tracks=(1, 2)):
    """Has what is in the first cluster begin before the clock does; FFmpeg takes no such time."""
    data = bytearray(path.read_bytes())
    for kind, at, _ in clusters(path)[0]:
        if kind == BLOCK and data[at] & 0x7F in tracks:
            (stored,) = struct.unpack_from(">h", data, at + 1)
            struct.pack_into(">h", data, at + 1, stored - by)
    path.write_bytes(data)
    return path


def without_beginnings(path, *places):
    """Takes out what the times of some clusters are counted from."""
    data = bytearray(path.read_bytes())
    found = clusters(path)
    for place in places:
        (at,) = (begin for kind, begin, _ in found[place] if kind == TIMESTAMP)
        assert data[at - 2] == TIMESTAMP
        data[at - 2] = VOID
    path.write_bytes(data)
    return path


def taken(path, **cut):
    """Times of pictures and of sound in milliseconds, and what is said."""
    seen, heard = [], []
    with FileSource(path, **cut) as source:
        for item in source:
            if isinstance(item, Frame):
                assert item.pts == item.image.pts
                seen.append(round(item.pts * item.time_base * 1000))
            else:
                heard += [one.pts for one in item.packets]
    return seen, heard, source.remarks


def test_those_before_the_clock_begins_begin_the_film(tmp_path):
    path = earlier(film(tmp_path / "in.mkv"))
    with av.open(str(path)) as container:
        assert [one.pts for one in container.decode(video=0)][:6] == [None] * 5 + [0]
    seen, heard, said = taken(path)
    first = [one for one in EVERY if one < 400]  # what the first cluster holds
    assert seen[: len(first)] == first
    assert seen[len(first) :] == [one + 200 for one in EVERY if one >= 400]
    assert heard[0] == -6  # as far before them as it was
    assert said == [
        "the first 5 pictures have no time of their own, and lie before the first that has one, at "
        "the film's rate"
    ]
    assert taken(path, limit=7)[0] == EVERY[:7]
    assert taken(path, start=0.1, limit=4)[0][0] >= 0
    with FileSource(path) as source, VideoSink(tmp_path / "out.mp4", source.info) as sink:
        for item in source:
            sink.write(item)
    with av.open(str(tmp_path / "out.mp4")) as container:
        made = [round(one.time * 1000) for one in container.decode(video=0)]
    assert made == seen


def test_those_of_a_clock_that_begins_later_lie_before_it(tmp_path):
    path = earlier(film(tmp_path / "in.mkv", start=3), by=200, tracks=(1,))
    seen, _, _ = taken(path)
    assert seen[:8] == EVERY[:8]


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_a_cluster_that_lost_its_beginning_lies_between_its_neighbours(tmp_path, codec):
    how = {"b_frames": 2, "muxer": {"cluster_time_limit": "700"}}
    path = without_beginnings(film(tmp_path / "in.mkv", codec, **how), 1)
    seen, _, said = taken(path)
    assert seen == EVERY
    assert len(said) == 1 and "had no usable time of their own and were spread between" in said[0]


def test_neither_does_one_later_on_add_what_lies_before_it(tmp_path):
    how = {"frames": 250, "muxer": {"cluster_time_limit": "700"}}
    whole = film(tmp_path / "in.mkv", **how)
    expected = taken(whole)
    path = without_beginnings(whole, 4, 8)
    seen, heard, said = taken(path)
    assert seen == expected[0]
    assert max(abs(a - b) for a, b in zip(heard, expected[1], strict=True)) <= 40
    assert said[-1] == (
        "the file's clock is another one for a while in the middle; it was made continuous"
    )


def spread(times, rate=25):
    picture = av.VideoFrame(16, 16, "yuv420p")
    with av.open("testsrc=size=16x16", format="lavfi") as container:
        made = Spread(container, Fraction(1, 1000), None if rate is None else Fraction(rate))
    pieces = iter([Decoded(picture, 0.0, one, None) for one in times])
    return [one.stored for one in made(pieces)], made


def test_times_that_can_be_used_stay_as_they_are():
    for times in (EVERY, [0, 40, 45, 3000, 3001, 9000], [0, 40, 20000, 0, 40, 80], [5000, 5040]):
        assert spread(times)[0] == times
    # Two at one time: the second lies before the next.
    assert spread([0, 40, 40, 80])[0] == [0, 40, 60, 80]
    # No room: as they are.
    assert spread([0, 40, 40, 40, 40, 45, 50])[0] == [0, 40, 40, 40, 40, 45, 50]
    assert spread([0, 40, 40, 40, 80, 120])[0] == [0, 40, 40, 40, 80, 120]


def test_between_neighbours_far_apart_they_follow_the_first():
    assert spread([0, 40, None, None, 9000])[0] == [0, 40, 80, 120, 9000]
    assert spread([None, None, 9000, 9040])[0] == [8920, 8960, 9000, 9040]


def test_where_none_has_a_time_nothing_waits_for_one():
    times, made = spread([None] * 200)
    assert times == [None] * 200 and not made.remarks
    assert spread([None, None, 80], rate=None)[0] == [None, None, 80]


def test_one_is_told_of_in_the_singular():
    assert spread([None, 40, 80])[1].remarks == [
        "the first picture has no time of its own, and lies before the first that has one, at "
        "the film's rate"
    ]
    assert spread([0, 40, None, 120])[1].remarks == [
        "1 picture had no usable time of its own and was spread between those around"
    ]


@given(st.lists(st.one_of(st.none(), st.integers(-1000, 3000)), max_size=90))
def test_whatever_is_stored_each_comes_once_in_its_order(stored):
    times, made = spread(stored)
    assert len(times) == len(stored)
    # Only what had no usable time of its own has got another.
    changed = [place for place, one in enumerate(times) if one != stored[place]]
    assert len(changed) <= made.leading + made.count
    for place in changed:
        assert times[place] is not None
        assert place == 0 or times[place - 1] is None or times[place - 1] <= times[place]


@given(st.lists(st.integers(0, 10**6), unique=True).map(sorted))
def test_times_that_grow_are_never_touched(stored):
    assert spread(stored)[0] == stored


def test_fewer_large_pictures_wait_than_small_ones():
    assert _room(av.VideoFrame(64, 48, "yuv420p")) == 64
    assert _room(av.VideoFrame(3840, 2160, "yuv420p")) == 10
