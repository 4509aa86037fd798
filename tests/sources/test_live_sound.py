"""Sound stays with the pictures, whatever becomes of the source's clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction

import av
import pytest

from stream.sources._opened import Templates
from stream.sources.live_sound import LiveSound
from stream.sources.live_timeline import TICKS, Timeline
from stream.sources.stream_reader import Sound
from stream.types import AnyPacket
from tests.sources.serving import make_clip

RATE = 48_000
Clock = Callable[[float], float]


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    path = make_clip(tmp_path_factory.mktemp("sound") / "clip.mp4", 1)
    with av.open(str(path)) as clip:
        yield Templates([clip.streams.audio[0]])


def _packet(at: float) -> AnyPacket:
    packet: AnyPacket = av.Packet(b"sound")
    packet.pts = packet.dts = round(at * RATE)
    packet.time_base = Fraction(1, RATE)
    return packet


def played(
    templates: Templates, seconds: int, pictures: Clock, sounds: Clock
) -> list[tuple[float, float]]:
    """When each packet came, and where it was put, in seconds since the first picture.

    Args:
        pictures: the source's clock, in seconds after so many, as its pictures have it.
        sounds: as its sound has it.
    """
    line = Timeline()
    sound = LiveSound("x", line, templates.streams)
    placed = []
    for at in (step / 25 for step in range(25 * seconds)):
        found = sound.place(Sound(0, _packet(sounds(at)), at), templates)
        for packet in [] if found is None else found.packets:
            placed.append((at, float(packet.dts * packet.time_base)))
        line.place(round(pictures(at) / TICKS), TICKS, at)
    times = [time for _, time in placed]
    assert times == sorted(set(times))
    return placed


@pytest.mark.parametrize("first", ["sound", "pictures"])
def test_a_clock_that_is_set_costs_sound_for_a_moment(templates, first):
    """By a time server, for the summer, or as a counter of 33 bits begins again."""
    for jump, later in itertools.product((3600, -3600, 1.5e9, -95_443.7, 4, -4), (0, 0.5, 4)):

        def early(at: float, jump: float = jump) -> float:
            return at + jump * (at >= 10)

        def late(at: float, jump: float = jump, later: float = later) -> float:
            return at + jump * (at >= 10 + later)

        clocks = (late, early) if first == "sound" else (early, late)
        placed = played(templates, 22, *clocks)
        case = (jump, later)
        assert all(abs(at - time) <= 5.1 for at, time in placed), case
        # Once all have heard of it sound is where its pictures are.
        settled = [(at, time) for at, time in placed if at >= 20]
        assert len(settled) == 2 * 25, case
        offsets = {round(time - at, 2) for at, time in settled}
        assert len(offsets) == 1 and abs(offsets.pop()) <= (4.1 if abs(jump) == 4 else 0.1), case


def test_sound_with_a_clock_of_its_own_is_where_it_came(templates):
    placed = played(templates, 60, lambda at: at, lambda at: at + 7000 * (at >= 10))
    assert all(abs(at - time) < 0.1 for at, time in placed)
    assert len(placed) > 53 * 25


def test_damaged_times_cost_no_sound_but_their_own(templates):
    """They had left no place for what came next, for as long as they were ahead."""
    for wrong, many in itertools.product((0.3, 1, 4.9, 3600, -0.3, -4, -3600), (1, 2, 5)):

        def claimed(at: float, wrong: float = wrong, many: int = many) -> float:
            return at + wrong * (10 <= at < 10 + many / 25)

        placed = played(templates, 20, lambda at: at, claimed)
        assert all(abs(at - time) < 1e-6 for at, time in placed), (wrong, many)
        assert len(placed) >= 20 * 25 - many - 1, (wrong, many)


def test_sound_that_pauses_and_comes_in_bursts_is_all_there(templates):
    """Of a source that sends two seconds at once, in which the sound has a gap of a second."""
    line = Timeline()
    sound = LiveSound("x", line, templates.streams)
    times = []
    for burst in range(0, 20, 2):
        for own in (burst + step / 25 for step in range(50)):
            line.place(round(own / TICKS), TICKS, float(burst))
            if own % 2 < 0.5 or own % 2 >= 1.5:
                found = sound.place(Sound(0, _packet(own), float(burst)), templates)
                times += [] if found is None else [one.dts / RATE for one in found.packets]
    assert times == sorted(set(times)) and len(times) >= 10 * 25 - 1


def test_of_a_sender_that_hung_all_sound_is_there_and_where_it_was_taken(templates):
    """It comes before the pictures say that they go on too; and sound that drifts is not let go."""
    for stall in (3.0, 6.7, 30.0, 100.0):
        line = Timeline()
        sound = LiveSound("x", line, templates.streams)
        placed = []
        end = max(60, round(stall) + 20)
        for step in range(25 * end):
            at = step / 25
            came = 10 + stall if 10 <= at < 10 + stall else at
            for index in range(2):
                packet = _packet(7 + at + index / 50)
                found = sound.place(Sound(0, packet, 300 + came), templates)
                placed += [] if found is None else found.packets
            if not 10 <= at < 10.3:  # as their decoding takes longer
                line.place(round((7 + at) / TICKS), TICKS, 300 + came)
        times = [float(packet.dts * packet.time_base) for packet in placed]
        steps = {round(after - before, 3) for before, after in itertools.pairwise(times)}
        assert steps == {0.02} and abs(times[-1] - end + 0.02) < 0.001, stall
    slow = played(templates, 60, lambda at: at, lambda at: at / 2)
    assert max(abs(at - time) for at, time in slow) < 8


def test_behind_a_pause_in_which_the_clock_stood_sound_is_where_its_pictures_are(templates):
    line = Timeline()
    sound = LiveSound("x", line, templates.streams)
    placed, shown = {}, {}
    for step in range(25 * 50):
        own = step / 25
        came = own + 100 * (own >= 20)
        shown[own] = float(line.place(round(own / TICKS), TICKS, came) * TICKS)
        found = sound.place(Sound(0, _packet(own + 0.01), came), templates)
        for packet in [] if found is None else found.packets:
            placed[float(packet.dts * packet.time_base)] = came
    assert abs(shown[own] - came) < 0.01 and len(placed) == 25 * 50
    beside = [min(abs(at - there) for at in placed) for there in shown.values()]
    assert max(beside) < 0.02


def test_long_packets_may_come_two_at_a_time(templates):
    line = Timeline()
    sound = LiveSound("x", line, templates.streams)
    line.place(0, TICKS, 0.0)
    came = [sound.place(Sound(0, _packet(at), at - at % 2), templates) for at in range(0, 20)]
    assert sum(len(one.packets) for one in came if one is not None) >= 19


def _other(templates: Templates) -> Templates:
    """Of another format."""
    changed = Templates(templates.streams)
    changed.kinds = (("aac", 22_050, 2),)
    return changed


@pytest.mark.parametrize("within", [False, True])
def test_another_format_is_taken_once_it_has_come_for_minutes(templates, within):
    """Of another connection, or of one that began with the first and is opened anew for it."""
    line, others = Timeline(), _other(templates)
    sound = LiveSound("the door", line, templates.streams)
    taken, begun, asked = [], [], []
    for step in range(0, 4 * 700):
        at = step / 4
        line.place(round(at / TICKS), TICKS, at)
        other = 100 <= at < 110 or at >= 200
        opened = others if other and (not within or asked) else templates
        mark = b"other" if other else b"first"
        event = Sound(0, _packet(at), at, mark, not other or opened is others)
        found = sound.place(event, opened)
        asked += [at] if sound.is_outdated() else []
        if found is not None:
            taken.append(at)
            begun += [(at, found.begun)] if found.begun else []
    taken_again = begun[0][0]
    assert 500 <= taken_again <= 500.25 and len(begun) == 1 and begun[0][1] == others.streams
    gone = [step / 4 for step in range(4 * 700) if step / 4 not in taken]
    meant = [step / 4 for step in [*range(400, 440), *range(800, round(4 * taken_again))]]
    assert gone == meant
    assert asked == ([500.0] if within else [])
    assert any("went on in another file" in one for one in sound.remarks)


def test_before_the_first_picture_there_is_no_sound(templates):
    sound = LiveSound("x", Timeline(), templates.streams)
    assert sound.place(Sound(0, _packet(0), 0.0), templates) is None
    assert sound.remarks == []
