"""Clocks that start over, jump, or begin late: the film is as long as it is."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import pytest

from stream.frame import Frame, Passthrough
from stream.sources.file import FileSource
from tests.media import make_clip, planes
from tests.sources.reading import frames_of, seconds_of

CODECS = {".mkv": ("libx264", "aac"), ".webm": ("libvpx-vp9", "libopus"), ".ts": ("libx264", "aac"),
          ".mpg": ("mpeg2video", "mp2"), ".flv": ("libx264", "aac"),
          ".avi": ("mpeg4", "mp3"), ".mp4": ("libx264", "aac"), ".asf": ("wmv2", "mp3"),
          ".ogv": ("libvpx", "libopus"), ".mxf": ("mpeg2video", "pcm_s16le"),
          ".nut": ("mpeg4", "mp3")}  # fmt: skip
FRAME = Fraction(1, 25)


def read(path: Path) -> tuple[list[Fraction], list[float], list[str]]:
    """Times of pictures and of packets of sound, in seconds, and what is said of the file."""
    with FileSource(path) as source:
        seen, heard = [], []
        for item in source:
            if isinstance(item, Frame):
                seen.append(item.pts * item.time_base)
            elif isinstance(item, Passthrough):
                heard += [float(one.pts * one.time_base) for one in item.packets if one.pts]
        return seen, heard, source.remarks


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def made(folder: Path, name: str, **how) -> Path:
    ending = Path(name).suffix
    codec, audio = CODECS.get(ending, ("libx264", "aac"))
    options = {"deadline": "realtime"} if ending == ".webm" else {"g": "25"}
    return make_clip(
        folder / name, **{"codec": codec, "audio": audio, "options": options, "frames": 50, **how}
    )


@pytest.mark.parametrize("ending", sorted(CODECS))
def test_joined_recordings_follow_one_another(tmp_path, ending):
    count = 3
    parts = [made(tmp_path, f"0{ending}")] * count
    seen, heard, remarks = read(joined(tmp_path / f"all{ending}", *parts))
    # A decoder may give up a picture or two where one recording meets the next.
    assert abs(len(seen) - 50 * count) <= 2 * count
    gaps = [b - a for a, b in itertools.pairwise(seen)]
    assert all(gap > 0 for gap in gaps)
    assert sum(abs(gap - FRAME) < Fraction(1, 100) for gap in gaps) >= len(gaps) - 3 * count
    assert abs(seen[-1] - 2 * count) < Fraction(1, 4)
    assert abs(heard[-1] - float(seen[-1])) < 0.25, "sound and picture went apart"
    assert any("starts over" in remark for remark in remarks)
    assert not any("cut short" in remark for remark in remarks)


@pytest.mark.parametrize("ending", sorted(set(CODECS) - {".webm"}))
def test_a_cut_may_lie_in_the_second_recording(tmp_path, ending):
    parts = [made(tmp_path, f"{number}{ending}") for number in range(2)]
    path = joined(tmp_path / f"all{ending}", *parts)
    frames = frames_of(path, start=3.0, end=3.5)
    assert len(frames) in {12, 13} and seconds_of(frames)[0] <= Fraction(1, 25)
    # Its clock says that it ends with the first one, or that this moment is in it and in both.
    left = [len(frames_of(path, start=start)) for start in (1.0, 3.0)]
    assert 73 <= left[0] <= 76 and 23 <= left[1] <= 27


def test_recordings_that_differ_go_on_in_the_first_one_s_streams(tmp_path):
    one = made(tmp_path, "one.mkv")
    other = made(tmp_path, "other.mkv", codec="mpeg4", audio=None, size=(128, 96), options={})
    seen, heard, remarks = read(joined(tmp_path / "all.mkv", one, other))
    assert len(seen) == 100 and 1.9 < max(heard) < 2.1
    assert [remark.split(" ", 1)[1] for remark in remarks] == [
        "file's clock starts over in the middle; it was made continuous",
        "pictures of another size or shape are fitted into the first one's",
    ]
    loud = made(tmp_path, "loud.mkv", audio="mp3")
    seen, heard, remarks = read(joined(tmp_path / "loud.mkv", one, loud))
    assert len(seen) == 100 and 1.9 < max(heard) < 2.1  # MP3 would be called AAC
    assert any("(aac at 48000 Hz, 2 channels) ends where" in one for one in remarks)
    damaged = tmp_path / "damaged.mkv"
    damaged.write_bytes(one.read_bytes() + other.read_bytes()[:300])
    assert len(read(damaged)[0]) == 50


@pytest.mark.parametrize(("ending", "hours"), [(".ts", 10), (".ts", 0.02), (".mpg", 3)])
def test_a_clock_that_jumps_ahead_with_all_streams_is_closed(tmp_path, ending, hours):
    start = round(hours * 3600)
    one = made(tmp_path, f"one{ending}")
    other = made(tmp_path, f"other{ending}", start=25 * start, audio_start=start)
    seen, heard, remarks = read(joined(tmp_path / f"all{ending}", one, other))
    assert len(seen) >= 96 and seen[-1] < 5 and heard[-1] < 5
    assert abs(heard[-1] - float(seen[-1])) < 0.3
    assert any("jumps ahead" in remark for remark in remarks)


@pytest.mark.parametrize(("ending", "pause"), [(".mkv", 1000), (".mp4", 1000), (".ts", 5)])
def test_a_pause_is_a_pause(tmp_path, ending, pause):
    times = [*range(0, 1000, 40), *range(1000 * pause, 1000 * pause + 1000, 40)]
    path = make_clip(tmp_path / f"in{ending}", times=times, time_base=Fraction(1, 1000))
    seen, _, remarks = read(path)
    assert len(seen) == 50 and remarks == []
    assert [round(1000 * (at - seen[0])) for at in seen] == times


def test_sound_that_goes_on_makes_a_long_pause_no_jump(tmp_path):
    times = [0, 40, 80, 20_000, 20_040]
    path = make_clip(tmp_path / "in.ts", times=times, time_base=Fraction(1, 1000), audio="mp2")
    seen, _, remarks = read(path)
    assert round(seen[-1] - seen[0], 3) == Fraction(20_040, 1000) and remarks == []


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".mov", ".webm"])
@pytest.mark.parametrize("hours", [0.02, 1, 30])
def test_a_film_is_not_as_long_as_its_clock_is_late(tmp_path, ending, hours):
    start = round(hours * 3600)
    path = made(tmp_path, f"in{ending}", start=25 * start, audio_start=start)
    with FileSource(path) as source:
        assert abs(source.info.duration - 2) < Fraction(1, 5)
        assert abs(source.info.frames - 50) <= 3
    seen, heard, remarks = read(path)
    assert len(seen) == 50 and 0 <= seen[0] < Fraction(1, 10)
    assert abs(seen[-1] - seen[0] - 49 * FRAME) < Fraction(1, 500)
    assert abs(heard[-1] - float(seen[-1])) < 0.2
    assert [remark for remark in remarks if "clock begins at" in remark] == remarks != []


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".webm"])
@pytest.mark.parametrize("start", [10, 40])
def test_a_film_that_begins_a_little_late_keeps_its_times_and_is_whole(tmp_path, ending, start):
    path = made(tmp_path, f"in{ending}", start=25 * start, audio_start=start)
    seen, _, remarks = read(path)
    assert abs(seen[0] - start) < Fraction(1, 10) and len(seen) == 50
    assert remarks == []
    with FileSource(path) as source:
        assert abs(source.info.duration - 2) < Fraction(1, 5)


def test_a_late_film_that_is_cut_off_is_still_said_to_be(tmp_path):
    whole = made(tmp_path, "whole.mkv", frames=200, start=250, audio_start=10)
    path = tmp_path / "in.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    seen, _, remarks = read(path)
    assert 40 < len(seen) < 160
    assert any("cut short: it declares 8.0 seconds and ends after" in one for one in remarks)


def test_what_an_edit_list_leaves_out_is_not_missing(tmp_path):
    whole = make_clip(tmp_path / "whole.mp4", frames=100, b_frames=0, options={"g": "50"})
    path = tmp_path / "in.mp4"
    with av.open(str(whole)) as given, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                # As programs cut at any picture without encoding again: the pictures from the key
                # frame on are there, with times before the beginning.
                packet.pts -= 40 * 512
                packet.dts -= 40 * 512
                packet.stream = stream
                container.mux(packet)
    with av.open(str(path)) as container:
        stored = container.streams.video[0].frames
    seen, _, remarks = read(path)
    assert stored == 100 and len(seen) == 60
    assert remarks == []


@pytest.mark.parametrize(
    ("codec", "ending"),
    [
        ("libx264", ".avi"),
        ("mpeg4", ".avi"),
        ("libx264", ".wmv"),
        ("mpeg2video", ".wmv"),
        ("libx264", ".mxf"),
    ],
)
def test_pictures_of_which_the_decoding_times_are_stored_are_shown_evenly(tmp_path, codec, ending):
    options = {"g": "12", "bf": "2", "profile": "high"} if codec == "libx264" else {"g": "12"}
    path = make_clip(tmp_path / f"in{ending}", codec=codec, frames=60, b_frames=2, options=options)
    frames = frames_of(path)
    begin = FRAME if ending == ".wmv" else 0  # whose writer counts from the first decoding time
    assert seconds_of(frames) == [begin + number * FRAME for number in range(60)]
    assert all(frame.duration * frame.time_base == FRAME for frame in frames)
    later = frames_of(path, start=1.0)
    assert seconds_of(later) == [number * FRAME for number in range(len(later))]
    # Where the cut lies is known by the times of decoding alone.
    assert 33 <= len(later) <= 36


@pytest.mark.parametrize(
    ("codec", "ending"),
    [
        ("mpeg4", ".avi"),
        ("mpeg2video", ".avi"),
        ("libx264", ".avi"),
        ("mpeg2video", ".wmv"),
    ],
)
def test_a_part_has_its_pictures_where_groups_of_pictures_are_open(tmp_path, codec, ending):
    """The first that are shown of a group need the one before, from which nothing is read."""
    path = make_clip(
        tmp_path / f"in{ending}",
        codec=codec,
        frames=40,
        b_frames=2,
        options={"g": "9", "crf": "10"},
    )
    with FileSource(path) as source:
        frames = [one for one in source if isinstance(one, Frame)]
    whole = [planes(one.image)[0].tobytes() for one in frames]
    assert len(set(whole)) == len(whole) == 40
    for first in range(1, 40, 2):
        with FileSource(path, start=frames[first].pts * frames[first].time_base) as source:
            part = [planes(one.image)[0].tobytes() for one in source if isinstance(one, Frame)]
        assert part == whole[first:], first
