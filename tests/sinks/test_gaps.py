"""Pauses that are longer than a container can hold."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.frame import Frame, Passthrough, VideoInfo
from stream.sinks._containers import choose_container
from stream.sinks._gaps import Gaps
from stream.sinks.video import VideoSink
from tests.sinks.running import info

TICK = Fraction(1, 90_000)
HOUR = 3600 * 90_000


def live(**changes) -> VideoInfo:
    return info(time_base=TICK, live=True, **changes)


def frame(at: int, luma: int) -> Frame:
    picture = av.VideoFrame.from_ndarray(np.full((72, 64), luma, np.uint8), format="yuv420p")
    return Frame(picture, at, at, TICK)


def before_and_after(pause: int) -> list[int]:
    first = [place * 3600 for place in range(20)]
    return first + [first[-1] + pause + at for at in first[1:]]


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".ts"])
@pytest.mark.parametrize("preset", [None, "ultrafast"])
@pytest.mark.parametrize("hours", [0.3, 1, 7, 24])
def test_a_night_without_a_picture_is_as_long_as_it_was(tmp_path, ending, preset, hours):
    times = before_and_after(round(hours * HOUR))
    path = tmp_path / f"out{ending}"
    with VideoSink(path, live(), preset=preset) as sink:
        for index, at in enumerate(times):
            sink.write(frame(at, 20 + 5 * index))
    with av.open(str(path)) as container:
        began = container.start_time or 0
        shown = [
            (round((one.time - began / av.time_base) / TICK), int(one.to_ndarray()[10, 10]))
            for one in container.decode(video=0)
        ]
    found = dict(shown)
    assert len(found) == len(shown) and [at for at, _ in shown] == sorted(found)
    assert set(times) <= found.keys()
    assert all(abs(found[at] - 20 - 5 * index) < 4 for index, at in enumerate(times))
    # In the pause there is what was last there before it.
    assert all(abs(found[at] - 20 - 5 * 19) < 4 for at in found.keys() - set(times))
    assert all("pictures before a long pause" in said for said in sink.remarks)


def test_a_pause_of_minutes_in_avi_is_as_long_as_it_was(tmp_path):
    times = before_and_after(300 * 90_000)
    path = tmp_path / "out.avi"
    # Of a rate that varies, for which its grid is fine.
    with VideoSink(path, live(rate=Fraction(1), fastest=Fraction(25))) as sink:
        for index, at in enumerate(times):
            sink.write(frame(at, 20 + 5 * index))
    with av.open(str(path)) as container:
        shown = {
            round(one.pts * one.time_base / TICK): int(one.to_ndarray()[10, 10])
            for one in container.decode(video=0)
        }
    assert set(times) <= shown.keys()
    assert all(abs(shown[at] - 20 - 5 * index) < 4 for index, at in enumerate(times))
    assert any("no pause of more than 200 s" in said for said in sink.remarks)


def test_sound_goes_on_after_a_night(tmp_path, sound_of):
    """As pictures do: 48,000 ticks a second are too many in half a day."""
    packets, template = sound_of
    path = tmp_path / "out.mp4"
    pause = 13
    with VideoSink(path, live(copied=(template,))) as sink:
        for at in before_and_after(pause * HOUR):
            sink.write(frame(at, 50))
        for later in (0, pause * 3600):
            for packet in packets:
                sink.write(Passthrough([packet], Fraction(-later)))
    with av.open(str(path)) as container:
        times = [float(one.pts * one.time_base) for one in container.demux(audio=0) if one.size]
    assert times == sorted(times)
    # What the container does not hold is encoded anew, in a packet or two more or less.
    for there in (sum(at < 10 for at in times), sum(at > pause * 3600 - 1 for at in times)):
        assert abs(there - len(packets)) <= 2
    assert times[-1] - times[0] > pause * 3600


@pytest.fixture(params=["aac", "pcm_mulaw"])
def sound_of(tmp_path: Path, request):
    path = tmp_path / "sound.mov"
    with av.open(str(path), "w") as made:
        rate = 48_000 if request.param == "aac" else 8000
        stream = made.add_stream(request.param, rate=rate, layout="mono")
        for place in range(10):
            piece = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), "s16", "mono")
            piece.sample_rate, piece.pts = rate, 1024 * place
            piece.time_base = Fraction(1, rate)
            made.mux(stream.encode(piece))
        made.mux(stream.encode(None))
    with av.open(str(path)) as container:
        yield [one for one in container.demux(audio=0) if one.size], container.streams.audio[0]


def test_what_is_said_of_many_pauses_is_one_sentence():
    """A run of weeks has thousands of them."""
    gaps = Gaps(choose_container(Path("x.y4m")), Fraction(1, 25))
    for _ in range(1000):
        assert gaps.between(0, 501) == ((), 500)
    assert gaps.between(7, 9) == ([8], 0)
    said = gaps.remarks(".y4m")
    assert said[0] == "1000 pauses of 20000.0 s together are left out" and len(said) == 2


def test_a_pause_of_some_seconds_is_filled_and_a_longer_one_left_out():
    gaps = Gaps(choose_container(Path("x.y4m")), Fraction(1, 25))
    assert gaps.remarks(".y4m") == [] and gaps.any
    places, left_out = gaps.between(100, 351)  # ten seconds between them
    assert (list(places), left_out) == ([*range(101, 351)], 0)
    assert gaps.between(351, 602 + 25) == ((), 275)
    left, twice = gaps.remarks(".y4m")
    assert left == "a pause of 11.0 s is left out"
    assert twice.startswith("250 pictures are there twice, since .y4m holds a constant frame rate")


def test_before_a_picture_after_a_long_pause_the_last_one_is_shown_close_to_it():
    """FFmpeg takes a film to end with a key frame that is decoded too long before what follows."""
    gaps = Gaps(choose_container(Path("x.mp4")), TICK)
    longest = 1 << 25
    assert gaps.between(7, 7 + longest) == ([], 0) and gaps.remarks(".mp4") == []
    first = 7 + longest
    for later, close in ((1, 0), (2, 1), (9, 4), (longest, 4)):
        wanted = [first, *range(first + later - close, first + later)]
        assert gaps.between(7, first + later) == (wanted, 0), later
    wanted = [first, first + longest, *range(first + longest + 5, first + longest + 9)]
    assert gaps.between(7, first + longest + 9) == (wanted, 0)
    (said,) = gaps.remarks(".mp4")
    assert "are there 19 times more" in said and "no pause of more than 373 s" in said
    assert not Gaps(choose_container(Path("x.mkv")), TICK).remarks(".mkv")
