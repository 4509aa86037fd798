"""When pictures are shown: at their own times where the container's clock has room for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from stream.frame import Frame
from stream.sinks._containers import choose_container
from stream.sinks._picture_times import PictureTimes

MILLI = Fraction(1, 1000)
PICTURE = av.VideoFrame.from_ndarray(np.zeros((3, 2), np.uint8), format="yuv420p")


@dataclass
class Packet:
    pts: int
    dts: int
    duration: int = 0


def frame(pts: int, duration: int = 0, clock: Fraction = MILLI) -> Frame:
    return Frame(PICTURE, 0, pts, clock, duration=duration)


def times_of(ending: str, tick: Fraction) -> PictureTimes:
    return PictureTimes(choose_container(Path(f"out{ending}")), tick)


def placed(times: PictureTimes, *frames: Frame) -> list[int]:
    found = []
    for one in frames:
        again, at = times.place(one)
        found += [*again, at]
    return found


def test_pictures_are_at_the_tick_that_is_nearest_to_their_own_time():
    times = times_of(".mkv", MILLI)
    assert not times.begun and not times.repeats
    thirds = [frame(at, clock=Fraction(1, 3000)) for at in (0, 100, 202, 299)]
    assert placed(times, *thirds) == [0, 33, 67, 100]
    assert times.begun and times.shuffled == 0
    assert times.remarks(".mkv") == []


def test_a_picture_whose_tick_is_taken_is_shown_at_the_next_and_counted():
    times = times_of(".mkv", MILLI)
    # Half a tick is rounding.
    halves = Fraction(1, 2000)
    assert placed(times, *(frame(at, clock=halves) for at in (0, 1, 2, 10))) == [0, 1, 2, 5]
    assert times.shuffled == 1


def test_on_a_grid_of_frames_a_tenth_is_rounding_and_the_first_picture_is_at_0():
    times = times_of(".avi", Fraction(1, 25))
    assert placed(times, *(frame(at) for at in (1000, 1040, 1084, 1125, 1160))) == [0, 1, 2, 3, 4]
    assert times.shuffled == 1  # five milliseconds are more than a tenth of 40, four are not
    placed(times, frame(1200, 80))
    (packet,) = packets = [Packet(5, 5)]
    times.assign(packets, final=False)
    assert packet.duration == 2


def test_durations_end_where_the_picture_does_and_last_a_tick_at_least():
    times = times_of(".mkv", MILLI)
    thirds = Fraction(1, 3000)
    # 33.3 to 66.7 ms is 33 to 67; a sixth of a tick is one.
    placed(times, frame(100, 100, thirds), frame(202, 0, thirds), frame(300, 1, Fraction(1, 3000)))
    packets = [Packet(33, 33), Packet(67, 67), Packet(100, 100)]
    times.assign(packets, final=False)
    assert [one.duration for one in packets] == [34, 0, 1]
    again = Packet(33, 33)
    times.assign([again], final=False)
    assert again.duration == 0, "each is said once"


def test_the_last_packet_of_an_mp4_reaches_the_end_of_the_last_picture():
    # The track begins 10 before the pictures, as the encoder has it, and lasts as long as they do.
    for duration, last in ((40, 120 - 10 - 10), (0, 70)):
        times = times_of(".mp4", MILLI)
        assert times.repeats
        placed(times, frame(0, 10), frame(10, 70), frame(80, duration))
        packets = [Packet(0, -10), Packet(80, 0), Packet(10, 10)]
        times.assign(packets, final=True)
        assert [one.dts for one in packets] == [-10, 0, 10]
        assert [one.duration for one in packets] == [10, duration, last]


def test_only_an_mp4_counts_its_length_in_decoding_times():
    for ending, dts in ((".mp4", [-10, 0, 70]), (".mkv", [-10, 0, 75])):
        times = times_of(ending, MILLI)
        placed(times, frame(0, 10), frame(10, 70), frame(80, 40))
        packets = [Packet(0, -10), Packet(10, 0), Packet(80, 75)]
        times.assign(packets, final=False)
        assert [one.dts for one in packets] == dts
        assert [one.duration for one in packets] == [10, 70, 40]


def test_what_is_left_out_of_a_pause_moves_all_that_follows():
    times = times_of(".y4m", Fraction(1, 25))
    far = 60_000
    assert placed(times, frame(0), frame(40), frame(far), frame(far + 40)) == [0, 1, 2, 3]
    assert times.remarks(".y4m") == ["a pause of 59.9 s is left out"]
    assert times.shuffled == 0, "what is left out is said, and moves nothing besides"


def test_pictures_that_are_shown_again_have_decoding_times_too():
    kind = choose_container(Path("out.mp4"))
    times = PictureTimes(replace(kind, longest=100), MILLI)
    found = placed(times, frame(0, 40), frame(250, 40))
    assert found[0] == 0 and found[-1] == 250 and len(found) > 3
    packets = [Packet(at, at) for at in found]
    times.assign(packets, final=True)
    assert [one.dts for one in packets] == found
    assert packets[0].duration == packets[-1].duration == 40


def test_that_the_clock_of_mpeg_ts_begins_again_is_said():
    """After more than a day, of files that somebody is to play."""
    for ending, hours, said in ((".ts", 27, 1), (".ts", 26, 0), (".mkv", 60, 0), ("", 60, 0)):
        times = times_of(ending or ".ts", MILLI)
        placed(times, frame(0), frame(hours * 3_600_000))
        assert len(times.remarks(ending)) == said, (ending, hours)


def test_decoding_times_that_an_encoder_made_up_are_not_taken() -> None:
    """As x265 does of films of one picture or two: what lies in memory, mostly 0."""
    for ending in (".mkv", ".mp4"):
        for wild in (371_087_785_666_454_432, -371_087_785_666_454_432, 0):
            for count in (1, 2):
                times = times_of(ending, MILLI)
                placed(times, *(frame(40 * place, 40) for place in range(1, count + 1)))
                packets = [Packet(40 * place, wild) for place in range(1, count + 1)]
                times.assign(packets, final=True)
                assert [one.dts for one in packets] == [one.pts for one in packets]
                assert [one.duration for one in packets] == [40] * count
    # Of what came before the end, and of more, they are the encoder's.
    times, packets = times_of(".mkv", MILLI), [Packet(0, -80), Packet(80, -40), Packet(40, 0)]
    times.assign(packets[:1], final=False)
    times.assign(packets[1:], final=True)
    assert [one.dts for one in packets] == [-80, -40, 0]
