"""A live recording in several files: each whole by itself, and on where one cannot go on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import pytest
from av.stream import Stream

from stream import records, sources
from stream.errors import SinkError, UsageError
from stream.frame import Frame, Item, Passthrough
from stream.run.cuts import Cuts
from stream.run.figures import Figures
from stream.run.output import Output, Painted
from stream.run.outputs import is_recorded, open_output
from stream.run.plan import OutputPlan
from stream.run.recording import Recording
from stream.settings.options import OutputOptions
from stream.sinks.base import NotNow
from stream.timing import END_TO_END, Clock
from tests.live.helpers import RATE, Scene
from tests.media import make_clip, packets
from tests.run.parts import RATE as GREY_RATE
from tests.run.parts import Grey, Hands, Kept

FULL = SinkError("the disk is full, so it could not be written", by_place=True)


class Filling(Kept):
    """Keeps what it is given until it has so many frames; then its disk is full."""

    def __init__(self, most: int, error: SinkError = FULL) -> None:
        super().__init__()
        self.most, self.error = most, error

    def write(self, item: Item) -> None:
        if isinstance(item, Frame) and len(self.frames) == self.most:
            raise self.error
        super().write(item)


class Files:
    """What a recording has opened, by name."""

    def __init__(self, make: Callable[[], Kept] = Kept) -> None:
        self.make, self.by_name = make, dict[str, Kept]()
        self.copied: list[tuple[Stream, ...]] = []

    def __call__(self, name: str, copied: Sequence[Stream] = ()) -> Kept:
        self.copied.append(tuple(copied))
        self.by_name[Path(name).name] = self.make()
        return self.by_name[Path(name).name]

    @property
    def all(self) -> list[Kept]:
        return list(self.by_name.values())


def recording(files: Files, cuts: Cuts, target: str = "take.mp4", **how) -> Recording:
    return Recording(target, files, cuts, info=None, copied=(), **how)


def waits_for_room(sink, frames, now, free):
    """Writes all but the first twenty frames, with room from the 140th on; how many of those it
    still lost."""
    now.at += 10
    assert put(sink, frames[20:140]) == 120, "there is no room yet"
    free[0] = True
    now.at += 10
    lost = put(sink, frames[140:])
    assert 0 < lost <= GREY_RATE + 1 and sink.problem is None
    sink.close()
    return lost


def put(sink: Recording, items: list[Item]) -> int:
    """Writes all; returns how many frames were lost."""
    lost = 0
    for item in items:
        try:
            sink.write(item)
        except NotNow:
            lost += 1
    return lost


def numbered() -> Callable[[], str]:
    numbers = iter(range(1, 1000))
    return lambda: f"at-{next(numbers)}"


def minutes(frames: int) -> float:
    return frames / GREY_RATE / 60


def test_a_recording_is_cut_by_time_and_each_file_begins_at_its_own_zero():
    files = Files()
    sink = recording(files, Cuts(minutes(10), numbered()))
    sink.describe({"model": "looker"})
    assert put(sink, list(Grey(25))) == 0
    sink.close()
    assert list(files.by_name) == ["take-at-1.mp4", "take-at-2.mp4", "take-at-3.mp4"]
    assert [one.frames for one in files.all] == [list(range(10)), list(range(10)), list(range(5))]
    for one in files.all:
        assert one.times == [Fraction(n, GREY_RATE) for n in range(len(one.times))]
        assert (one.closed, one.aborted) == (1, 0)
    assert sink.remarks == ["3 files: take-at-1.mp4, take-at-2.mp4, take-at-3.mp4"]


class Damaged(Kept):
    """Says with other numbers each time what it has lost."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def remarks(self) -> list[str]:
        return [f"{self.number} packets were left out"] if self.closed else ["no colours"]


def test_what_many_files_say_alike_is_said_once():
    numbers = iter(range(1000))
    sink = recording(Files(lambda: Damaged(next(numbers))), Cuts(minutes(10), numbered()))
    put(sink, list(Grey(300)))
    sink.close()
    assert sink.remarks[:-1] == ["29 packets were left out (so or alike in 30 files)"]


def test_sound_goes_into_the_file_of_its_time_however_early_it_comes():
    items = list(Grey(30))
    sound = [one for one in items if isinstance(one, Passthrough)]
    frames = [one for one in items if isinstance(one, Frame)]
    # Seven pictures ahead, as pictures are looked at first.
    early: list[Item] = [*sound[:7]]
    for place, frame in enumerate(frames):
        early += [*sound[place + 7 : place + 8], frame]
    files = Files()
    sink = recording(files, Cuts(minutes(10), numbered()))
    put(sink, early)
    sink.close()
    assert [one.packets for one in files.all] == [
        [bytes([n]) for n in range(first, first + 10)] for first in (0, 10, 20)
    ]
    assert [set(one.offsets) for one in files.all] == [
        {Fraction(first, GREY_RATE)} for first in (0, 10, 20)
    ]


def beginning(frames: int, first: int) -> tuple[list[Item], tuple[Stream, ...]]:
    """Pictures, and from one on their sound, which there was none of before."""
    items: list[Item] = []
    streams: tuple[Stream, ...] = ()
    for item in Grey(frames):
        if isinstance(item, Frame):
            items.append(item)
        elif item.packets[0].pts * item.packets[0].time_base >= Fraction(first, GREY_RATE):
            begun = () if streams else (cast("Stream", object()),)
            streams = streams or begun
            items.append(replace(item, begun=begun))
    return items, streams


@pytest.mark.parametrize("first", [100, 10])
def test_with_sound_that_begins_later_begins_another_file(first):
    """At once, or a moment after the one before."""
    items, streams = beginning(300, first)
    cuts = Cuts(None, numbered())
    files, others = Files(), Files()
    sink, noted = (
        recording(files, cuts),
        Recording("take.ndjson", others, cuts, info=None, copied=None),
    )
    for item in items:
        put(sink, [item])
        put(noted, [item])
    sink.close()
    noted.close()
    assert list(files.by_name) == ["take.mp4", "take-at-1.mp4"]
    assert list(others.by_name) == ["take.ndjson", "take-at-1.ndjson"]
    assert files.copied == [(), streams] and others.copied == [(), ()]
    silent, sounding = files.all
    assert silent.frames + sounding.frames == list(range(len(silent.frames))) + list(
        range(len(sounding.frames))
    )
    assert len(silent.frames) + len(sounding.frames) == 300
    assert [one.frames for one in others.all] == [one.frames for one in files.all]
    assert len(sounding.packets) == len(sounding.frames), "each picture has its sound"
    if first == 100:
        assert len(silent.frames) == first, "nothing of the sound is missing"


def test_sound_of_another_format_goes_into_no_file_that_was_begun_with_the_first():
    items, streams = beginning(300, 10)  # too soon behind the first to end it
    files = Files()
    sink = recording(files, Cuts(None, numbered()))
    put(sink, items)
    sink.close()
    first, second = files.all
    assert first.packets == [] and len(second.packets) == len(second.frames)
    assert files.copied == [(), streams]


def shifted(frames: int, later: int) -> list[Item]:
    """Pictures with their sound, which but for the first comes `later` pictures after its own."""
    items = list(Grey(frames))
    sound = [one for one in items if isinstance(one, Passthrough)]
    pictures = [one for one in items if isinstance(one, Frame)]
    mixed: list[Item] = [sound.pop(0)]
    for place in range(frames + later):
        mixed += pictures[place : place + 1]
        mixed += sound[place - later : place - later + 1] if place >= later else []
    return mixed


def test_sound_goes_into_the_file_of_its_time_however_late_it_comes():
    for later in (0, 1, 7, 15, 35, 140):  # over one file, and over several
        files = Files()
        sink = recording(files, Cuts(minutes(10), numbered()))
        put(sink, shifted(60, later))
        sink.close()
        assert [one.packets for one in files.all] == [
            [bytes([n]) for n in range(first, first + 10)] for first in range(0, 60, 10)
        ], later
        assert [set(one.offsets) for one in files.all] == [
            {Fraction(first, GREY_RATE)} for first in range(0, 60, 10)
        ]
        assert {(one.closed, one.aborted) for one in files.all} == {(1, 0)}


def test_a_file_waits_for_its_sound_and_for_none_that_has_ended():
    files = Files()
    sink = recording(files, Cuts(minutes(10), numbered()))
    items = shifted(40, 3)
    put(sink, items[:19])
    assert [len(one.frames) for one in files.all] == [10, 1]
    assert [one.closed for one in files.all] == [0, 0]
    put(sink, items[19:25])
    assert [one.closed for one in files.all] == [1, 0]
    # The microphone is unplugged; for some seconds it may have been late.
    put(sink, [one for one in Grey(400) if isinstance(one, Frame)][15:])
    assert sum(not one.closed for one in files.all) == 1
    sink.close()


class Endless(Kept):
    """Cannot be finished, as its disk is full."""

    def close(self) -> None:
        super().close()
        raise FULL


class Deaf(Kept):
    """Its disk is full once it has all its pictures."""

    def write(self, item: Item) -> None:
        if isinstance(item, Passthrough) and len(self.frames) == 10:
            raise FULL
        super().write(item)


def test_where_a_file_cannot_have_its_last_sound_the_next_one_goes_on():
    for kind in (Endless, Deaf):
        makes = iter([kind, Kept, Kept])
        files = Files(lambda makes=makes: next(makes)())
        sink = recording(files, Cuts(minutes(10), numbered()))
        assert put(sink, shifted(30, 4)) == 0
        sink.close()
        first, *others = files.all
        assert first.aborted == 1 and first.frames == list(range(10))
        assert [one.packets for one in others] == [
            [bytes([n]) for n in range(start, start + 10)] for start in (10, 20)
        ]
        assert any(str(FULL) in one for one in sink.remarks)


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_no_packet_of_sound_is_lost_or_doubled_at_a_cut(tmp_path, ending):
    clip = make_clip(tmp_path / "clip.mkv", frames=200, audio="aac")
    for later in (-0.5, 0.8):
        (folder := tmp_path / f"{later}").mkdir()
        with sources.open(clip) as source:
            reading = iter(source)  # whose end would be the end of the packets' stream
            items = list(itertools.takewhile(lambda one: came(one, 0) < 6, reading))
            there = [
                (one.pts * one.time_base, bytes(one))
                for item in items
                if isinstance(item, Passthrough)
                for one in item.packets
                if one.pts >= 0
            ]
            plan = OutputPlan(str(folder / f"take.{ending}"))
            info = replace(source.info, live=True)
            with open_output(plan, info, Cuts(2 / 60, numbered())).sink as sink:
                for item in sorted(items, key=lambda one: came(one, later)):
                    sink.write(item)
            reading.close()
        made = [packets(folder / f"take-at-{n}.{ending}", "audio") for n in (1, 2, 3)]
        assert [data for one in made for _, data in one] == [data for _, data in there], later
        for number, one in enumerate(made):
            own = [at for at, _ in there if 2 * number <= at < 2 * number + 2]
            off = [
                float(at + 2 * number - told)
                for (at, _), told in itertools.zip_longest(one, own, fillvalue=(0, b""))
            ]
            assert max(map(abs, off)) < 0.002, (later, number)


def came(item: Item, later: float) -> float:
    """When something comes of a source whose sound is late."""
    if isinstance(item, Frame):
        return item.pts_seconds
    return min(float(one.pts * one.time_base) for one in item.packets) + later


def test_sound_without_pictures_is_written_and_takes_no_more_memory():
    sound = [one for one in Grey(2000) if isinstance(one, Passthrough)]
    files = Files()
    sink = recording(files, Cuts(None))
    put(sink, [next(one for one in Grey(1) if isinstance(one, Frame)), *sound])
    assert len(files.all[0].packets) > 1000
    sink.close()
    assert len(files.all[0].packets) == 2000


def test_outputs_of_a_run_begin_with_the_same_picture_whoever_is_ahead():
    cuts = Cuts(minutes(10), numbered())
    video, found = Files(), Files()
    ahead = recording(video, cuts)
    behind = recording(found, cuts, "take.ndjson")
    frames = [one for one in Grey(25) if isinstance(one, Frame)]
    put(ahead, frames[:14])
    put(behind, frames)
    put(ahead, frames[14:])
    assert [one.frames for one in video.all] == [one.frames for one in found.all]
    names = [[Path(name).stem for name in files.by_name] for files in (video, found)]
    assert names[0] == names[1]


def test_after_a_long_silence_one_file_begins_on_the_beat():
    cuts = Cuts(60, numbered())
    assert [cuts.number(Fraction(at)) for at in (5, 3604, 3605)] == [0, 0, 1]
    assert [cuts.number(Fraction(at)) for at in (36004, 36005, 39604)] == [2, 3, 3]


def test_files_never_have_a_name_that_is_taken(tmp_path):
    cuts = Cuts(1, lambda: "now")
    assert [cuts.number(Fraction(60 * at)) for at in range(3)] == [0, 1, 2]
    target = str(tmp_path / "take.mp4")
    (tmp_path / "take-now.mp4").touch()
    assert [cuts.path(target, number).name for number in range(3)] == [
        "take-now-2.mp4",
        "take-now-2.mp4",
        "take-now-3.mp4",
    ]
    assert Cuts().path(target, 0) == Path(target)


def test_many_cuts_take_no_more_memory():
    cuts = Cuts(1, numbered())
    for at in range(0, 60 * 500, 60):
        cuts.number(Fraction(at))
    assert cuts.number(Fraction(60 * 499)) == 499 and len(cuts._files) < 50


def test_where_the_disk_was_full_it_goes_on_in_another_file_once_there_is_room():
    sinks = iter([Filling(8), Kept()])
    files, now, free = Files(lambda: next(sinks)), Hands(), [False]
    sink = recording(files, Cuts(None, numbered()), room=lambda folder: free[0], now=now)
    frames = [one for one in Grey(300) if isinstance(one, Frame)]
    assert sink.problem is None
    assert put(sink, frames[:20]) == 12
    assert sink.problem == str(FULL)
    lost = waits_for_room(sink, frames, now, free)
    assert list(files.by_name) == ["take.mp4", "take-at-1.mp4"]
    first, second = files.all
    assert first.frames == list(range(8)) and (first.closed, first.aborted) == (0, 1)
    assert second.times[0] == 0 and len(second.frames) == 160 - lost and second.closed == 1
    assert any(
        str(FULL) in one and f"{132 + lost} frames are missing in take.mp4" in one
        for one in sink.remarks
    )


def test_where_the_disk_is_full_from_the_start_it_waits_for_room_if_it_is_to():
    now, free = Hands(), [False]

    class OfFull(Files):
        def __call__(self, name: str, copied: Sequence[Stream] = ()) -> Kept:
            if not free[0]:
                raise FULL
            return super().__call__(name, copied)

    files, cuts = OfFull(), Cuts(None, numbered())
    asked = {"room": lambda folder: free[0], "now": now}
    with pytest.raises(SinkError) as told:
        recording(files, cuts, **asked)
    assert told.value is FULL
    sink = recording(files, cuts, patient=True, **asked)
    sink.describe({"model": "looker"})
    frames = [one for one in Grey(300) if isinstance(one, Frame)]
    assert put(sink, frames[:20]) == 20 and sink.problem == str(FULL)
    lost = waits_for_room(sink, frames, now, free)
    (only,) = files.all
    assert only.times[0] == 0 and len(only.frames) == 160 - lost and only.closed == 1
    (said,) = sink.remarks
    assert said == f"{FULL}; {140 + lost} frames are missing in take.mp4"


def test_what_waiting_would_not_mend_is_an_error_from_the_start():
    def refused(name: str, copied: Sequence[Stream]) -> Kept:
        raise SinkError("the encoder does not want it")

    with pytest.raises(SinkError, match="does not want it"):
        Recording("take.mp4", refused, Cuts(), info=None, copied=(), patient=True)


def test_files_in_which_nothing_was_saved_are_not_named_among_those_there(tmp_path):
    class OnDisk(Filling):
        def __init__(self, path: Path, most: int) -> None:
            super().__init__(most)
            if most:
                path.touch()

    most, now = iter([8, 0, 0, 10**6]), Hands()
    sink = Recording(
        str(tmp_path / "take.mp4"),
        lambda name, copied: OnDisk(Path(name), next(most)),
        Cuts(None, numbered()),
        info=None,
        copied=(),
        room=lambda folder: True,
        now=now,
    )
    for frame in Grey(3000):
        now.at += 1 / GREY_RATE if isinstance(frame, Frame) else 0
        put(sink, [frame])
    sink.close()
    there = sorted(tmp_path.iterdir())
    assert len(there) == 2 and next(most, None) is None
    (named,) = (one for one in sink.remarks if " files: " in one)
    assert named == f"2 files: {', '.join(map(str, sorted(there, key=len_of_name)))}"


def len_of_name(path: Path) -> tuple[int, str]:
    return len(path.name), path.name


def test_outputs_that_fail_together_go_on_together():
    cuts, now = Cuts(None, numbered()), Hands()
    made = [Files(lambda: next(first)), Files(lambda: next(second))]
    first, second = iter([Filling(8), Kept()]), iter([Filling(9), Kept()])
    outputs = [recording(one, cuts, room=lambda folder: True, now=now) for one in made]
    for frame in Grey(200):
        now.at += 1 / GREY_RATE if isinstance(frame, Frame) else 0
        for sink in outputs:
            put(sink, [frame])
    assert [list(one.by_name) for one in made] == [["take.mp4", "take-at-1.mp4"]] * 2
    assert made[0].all[1].times == made[1].all[1].times


def test_a_file_that_fails_again_and_again_is_tried_less_and_less_often():
    files, now = Files(lambda: Filling(0)), Hands()
    sink = recording(files, Cuts(None, numbered()), room=lambda folder: True, now=now)
    for frame in Grey(GREY_RATE * 600):
        if isinstance(frame, Frame):
            now.at += 1 / GREY_RATE
            put(sink, [frame])
    assert 15 < len(files.by_name) < 30
    with pytest.raises(SinkError, match="the disk is full"):
        sink.close()
    assert len(sink.remarks) < 5


def test_what_another_file_would_not_mend_ends_the_recording():
    broken = SinkError("the encoder does not want it")
    sink = recording(Files(lambda: Filling(3, broken)), Cuts(), room=lambda folder: True)
    with pytest.raises(SinkError) as told:
        put(sink, list(Grey(10)))
    assert told.value is broken


def test_an_output_counts_what_came_while_nothing_could_be_written():
    sink = recording(Files(lambda: Filling(3)), Cuts(), room=lambda folder: False)
    output = Output(sink, "take.mp4")
    figures = Figures(Clock(), END_TO_END)
    output.start(Clock(), lambda output: None)
    for frame in Grey(10):
        if isinstance(frame, Frame):
            job = figures.enter(frame)
            output.put(Painted(job, frame))
            job.settle(0)
    output.close()
    assert output.join(60)
    assert (output.figures.frames, output.figures.missed, output.figures.dropped) == (3, 7, 0)
    assert output.problem == str(FULL) and figures.counts(0, 0).dropped == 7


def test_videos_and_records_of_each_file_belong_together(tmp_path):
    info = replace(Scene(40).info, live=True)
    cuts = Cuts(minutes=10 / RATE / 60, called=numbered())
    for ending in ("mp4", "ndjson", "json", "csv"):
        plan = OutputPlan(str(tmp_path / f"take.{ending}"), options=OutputOptions())
        assert is_recorded(plan)
        output = open_output(plan, info, cuts)
        output.sink.describe({"model": "scene", "classes": ["person"]})
        with output.sink as sink:
            for frame in Scene(40):
                sink.write(frame)
    for number in range(1, 5):
        with av.open(str(tmp_path / f"take-at-{number}.mp4")) as container:
            times = [frame.time for frame in container.decode(video=0)]
        assert times == pytest.approx([n / RATE for n in range(10)], abs=1e-4)
        found = list(records.read(tmp_path / f"take-at-{number}.ndjson"))
        assert [frame for frame, _, _ in found] == list(range(10))
        assert [seconds for _, seconds, _ in found] == pytest.approx(times, abs=1e-4)
        assert (tmp_path / f"take-at-{number}.json").exists()
    assert not (tmp_path / "take.mp4").exists()


def test_what_is_sent_or_piped_is_no_recording(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    for target in ("-", "rtmp://server/app/key", "list.m3u8", str(tmp_path / "folder.mp4")):
        try:
            assert not is_recorded(OutputPlan(target)), target
        except UsageError:
            continue
