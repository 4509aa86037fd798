"""Who was there, for how long, and where they went."""

import json
import math
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream
from stream.errors import StreamError, UsageError
from stream.frame import Frame, VideoInfo
from stream.instances import Instances
from stream.run.counting import _LISTED, Counting, anchor
from stream.run.figures import _Classes
from stream.run.series import _MOST, Series
from stream.settings.options import CountOptions
from tests import tiny_models

INFO = VideoInfo("clip", 200, 100, "yuv420p", Fraction(1, 1000), Fraction(25))
PICTURE = av.VideoFrame(200, 100, "gray")
CENTRE = "middle=50%,0,50%,100%"
"""Down the middle of the picture: in is from right to left, as seen by who looks down it."""


def frame(index, *objects, milliseconds=40, duration=40):
    """Objects are (track, x, y) of boxes of 20x20, perhaps with a class."""
    count = len(objects)
    centres = np.array([one[1:3] for one in objects], np.float32).reshape(-1, 2)
    tracks = [one[0] for one in objects]
    found = Instances(
        boxes=np.concatenate([centres - 10, centres + 10], axis=1),
        scores=np.full(count, 0.9, np.float32),
        labels=np.array([0 if len(one) < 4 else one[3] for one in objects], np.int64),
        masks=np.ones((count, 28, 28), np.float32),
        class_names=("person", "dog"),
        picture_size=(100, 200),
        track_ids=None if tracks and tracks[0] is None else np.array(tracks, np.int64),
    )
    return Frame(PICTURE, index, index * milliseconds, Fraction(1, 1000), duration, instances=found)


def counted(frames, **options):
    counting = Counting(CountOptions(**options), INFO)
    for one in frames:
        counting.see(one)
    return counting, counting.summary()


def walk(track, *places, label=0):
    return [frame(index, (track, x, y, label)) for index, (x, y) in enumerate(places)]


def gate(summary):
    return summary["lines"][0]["in"], summary["lines"][0]["out"]


def test_a_line_is_crossed_in_and_out_by_class():
    across = [(20 + 10 * step, 50) for step in range(17)]
    _, summary = counted(walk(1, *across), line=(CENTRE,))
    assert gate(summary) == ({}, {"person": 1})
    _, summary = counted(walk(1, *across, *reversed(across), label=1), line=(CENTRE,))
    assert gate(summary) == ({"dog": 1}, {"dog": 1})
    _, summary = counted(walk(1, (20, 50), (180, 50)), line=(CENTRE,))
    assert gate(summary) == ({}, {"person": 1}), "however fast"
    gone = [frame(0, (1, 90, 50)), *(frame(step) for step in range(1, 40)), frame(40, (1, 120, 50))]
    _, summary = counted(gone, line=(CENTRE,))
    assert gate(summary) == ({}, {"person": 1}), "hidden behind a pillar"


@given(st.lists(st.floats(-1.9, 1.9), min_size=5, max_size=60))
def test_jitter_on_a_line_is_no_crossing(offsets):
    _, summary = counted(walk(1, *((100 + one, 50) for one in offsets)), line=(CENTRE,))
    assert gate(summary) == ({}, {})
    back = walk(1, (60, 50), *((100 + one, 50) for one in offsets), (60, 50))
    _, summary = counted(back, line=(CENTRE,))
    assert gate(summary) == ({}, {})
    through = walk(1, (60, 50), *((100 + one, 50) for one in offsets), (140, 50))
    _, summary = counted(through, line=(CENTRE,))
    assert gate(summary) == ({}, {"person": 1})


def test_who_walks_round_a_lines_end_does_not_cross_it():
    half = "half=100,0,100,50"
    around = [(80, 30), (80, 80), (120, 80), (120, 30)]
    _, summary = counted(walk(1, *around), line=(half,))
    assert gate(summary) == ({}, {})


def test_an_object_is_at_its_centre_or_at_its_feet():
    low = "floor=0,50,200,50"
    down = walk(1, *((100, 20 + 5 * step) for step in range(6)))
    assert gate(counted(down, line=(low,))[1]) == ({}, {})
    assert gate(counted(down, line=(low,), count_at="bottom")[1])[0] == {"person": 1}


def test_who_wavers_counts_everywhere_as_what_it_was_taken_for_most():
    """A car that is a bus as it crosses would else be no bus that ever was, and a car too many."""
    labels = [0] * 9 + [1] * 8 + [0] * 4
    frames = [frame(at, (7, 10 + 9 * at, 50, label)) for at, label in enumerate(labels)]
    zone = ("band=40%,0,60%,0,60%,100%,40%,100%",)
    _, summary = counted(frames, line=(CENTRE,), zone=zone)
    assert [one["class"] for one in summary["tracks"]] == ["person"]
    assert [one["objects"] for one in summary["classes"].values()] == [1, 0], "one object in all"
    assert [one["frames"] for one in summary["classes"].values()] == [13, 8], "as records say"
    assert gate(summary) == ({}, {"person": 1})
    (band,) = summary["zones"]
    assert band["objects"] == band["in"] == band["out"] == {"person": 1}
    assert frames[12].tally.lines[0].out == {"person": 1}
    # What is long gone is added up as what it was.
    many = [frame(21 + at, (100 + at, 20, 20, 1), milliseconds=900) for at in range(1100)]
    _, summary = counted([*frames, *many], line=(CENTRE,))
    assert summary["tracks_left_out"] and summary["tracks"][0]["class"] == "dog"
    assert gate(summary) == ({}, {"person": 1})


def test_a_zone_knows_who_is_in_it_and_for_how_long():
    zone = ("left=0,0,50%,0,50%,100%,0,100%",)
    places = [(150, 50)] * 5 + [(50, 50)] * 10 + [(99, 50), (101, 50)] * 5 + [(150, 50)] * 3
    frames = walk(1, *places)
    for one in frames[:3]:
        one.instances = frame(0, (1, 150, 50), (2, 50, 50, 1)).instances
    counting, summary = counted(frames, zone=zone)
    (left,) = summary["zones"]
    assert left["objects"] == {"dog": 1, "person": 1}
    assert (left["in"], left["out"], left["most"]) == ({"person": 1}, {"person": 1}, 1)
    assert left["seconds"] == {"dog": pytest.approx(0.12), "person": pytest.approx(0.8)}
    assert frames[0].tally.zones[0].now == {"dog": 1}
    assert frames[8].tally.zones[0].now == {"person": 1}
    assert frames[-1].tally.zones[0].now == {}
    assert counting.remarks == []


def test_time_on_screen_follows_the_frames_own_times():
    times = [0, 40, 80, 1080, 1100, 1500]
    frames = [
        Frame(PICTURE, index, time, Fraction(1, 1000), 500, instances=frame(0, *objects).instances)
        for index, (time, objects) in enumerate(
            zip(times, [[(1, 50, 50)]] * 3 + [[]] + [[(1, 50, 50), (2, 9, 9, 1)]] * 2, strict=True)
        )
    ]
    _, summary = counted(frames)
    assert summary["classes"] == {
        "person": {"objects": 1, "most": 1, "frames": 5, "seconds": 1.98},
        "dog": {"objects": 1, "most": 1, "frames": 2, "seconds": 0.9},
    }
    assert summary["tracks"][0] == {
        "track": 1, "class": "person", "first": 0, "last": 1.5, "seconds": 1.98
    }  # fmt: skip
    assert (summary["frames"], summary["seconds"]) == (6, 2.0)


def test_a_plot_shows_by_class_who_crossed_a_line():
    across = [(20 + 10 * step, 50) for step in range(17)]
    frames = walk(1, *across, *reversed(across), label=1)
    counting = Counting(CountOptions(line=(CENTRE,)), INFO, keep_series=True)
    for one in frames:
        counting.see(one)
    (curves,) = (found for part, found in counting.series.curves().items() if "across" in part)
    assert {name: values[-1] for name, (_, values) in curves.items()} == {"dog in": 1, "dog out": 1}


def test_what_nobody_follows_is_counted_as_far_as_can_be():
    frames = [frame(index, (None, 90 + index, 50), (None, 20, 20)) for index in range(20)]
    counting, summary = counted(frames, line=(CENTRE,), zone=("all=0,0,200,0,200,100,0,100",))
    assert gate(summary) == ({}, {})
    assert summary["classes"]["person"]["objects"] == 2
    assert summary["zones"][0]["most"] == 2
    assert counting.remarks == [
        "lines count objects that are followed, and nothing is followed here"
    ]


def test_memory_does_not_grow_with_days():
    counting = Counting(CountOptions(line=(CENTRE,)), INFO, keep_series=True)
    for index in range(3000):
        counting.see(frame(index, (index, 50, 50), milliseconds=500))
    summary = counting.summary()
    assert len(counting._tracks) <= _LISTED
    assert len(counting._places) < 600
    assert summary["tracks_left_out"] + len(summary["tracks"]) == 3000
    assert summary["classes"]["person"]["objects"] == 3000
    assert len(counting.series._pieces) <= _MOST


def test_a_gap_of_a_live_source_is_nobodys_time():
    live = VideoInfo("camera", 200, 100, "gray", Fraction(1, 1000), live=True)
    counting = Counting(CountOptions(), live)
    for one in (frame(0, (1, 50, 50)), frame(1, (1, 50, 50), milliseconds=60_000)):
        counting.see(one)
    assert counting.summary()["tracks"][0]["seconds"] == pytest.approx(1.04)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5000))
def test_a_series_keeps_the_mean(values):
    series = Series()
    for index, value in enumerate(values):
        series.add(index, {"in view": {"person": float(value)}})
    times, means = series.curves()["in view"]["person"]
    assert len(times) == len(means) <= _MOST
    weights = [piece.frames for piece in series._pieces]
    assert math.isclose(np.average(means, weights=weights), np.mean(values), abs_tol=1e-9)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A bright square that crosses the picture from left to right, 30 frames at 25 a second."""
    path = tmp_path_factory.mktemp("clip") / "in.mkv"
    with stream.VideoWriter(path, rate=25, codec="ffv1") as writer:
        for index in range(30):
            picture = np.full((96, 160, 3), 60, np.uint8)
            cv2.rectangle(picture, (4 + 4 * index, 30), (30 + 4 * index, 60), (255,) * 3, -1)
            writer.write(picture)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny_models.bright(tmp_path_factory.mktemp("model") / "bright.onnx"))


def test_counts_go_to_records_report_picture_and_plot(clip, model, tmp_path):
    pytest.importorskip("matplotlib")
    lines, plot, video = (tmp_path / name for name in ("f.ndjson", "plot.png", "out.mkv"))
    report = stream.process(
        clip, video, records=lines, model=model, look="counts", codec="ffv1",
        line=CENTRE, zone="right=50%,0,100%,0,100%,100%,50%,100%", plot=plot,
    )  # fmt: skip
    _, *frames, last = map(json.loads, lines.read_text().splitlines())
    assert frames[0]["counts"] == {
        "middle": {"in": {}, "out": {}},
        "right": {"now": {}, "in": {}, "out": {}},
    }
    assert frames[-1]["counts"]["middle"]["out"] == {"person": 1}
    assert frames[-1]["counts"]["right"]["now"] == {"person": 1}
    assert last["summary"] == report.counts
    assert last["summary"]["zones"][0]["seconds"]["person"] == pytest.approx(0.52, abs=0.09)
    picture = cv2.imread(str(plot))
    assert picture.shape[0] > 600
    assert (picture != 255).any(axis=2).mean() > 0.01
    again = tmp_path / "again.ndjson"
    counted = stream.process(clip, records=again, from_records=lines, line=CENTRE)
    assert counted.counts["lines"] == report.counts["lines"], "no model is needed to count"
    with pytest.raises(StreamError, match=r"plot\.png exists already"):
        stream.process(clip, records=tmp_path / "y.csv", model=model, plot=plot)
    with pytest.raises(UsageError, match="is an input or an output"):
        stream.process(clip, video.with_suffix(".png"), model=model, plot=video.with_suffix(".png"))
    with pytest.raises(UsageError, match=r"ends with \.png, not"):
        stream.process(clip, records=tmp_path / "x.csv", model=model, plot="plot.svg")


@given(
    st.lists(st.dictionaries(st.integers(1, 9), st.integers(0, 1), max_size=3), max_size=12),
    st.booleans(),
)
def test_the_report_has_as_many_of_each_class_as_the_counts(frames, followed):
    """Where a class wavers, and where a hand has given the numbers in any order."""
    made = [
        frame(index, *[(track if followed else None, 50, 50, one) for track, one in there.items()])
        for index, there in enumerate(frames)
    ]
    _, summary = counted(made)
    told = _Classes()
    for one in made:
        told.add(one.instances)
    found = {name: (one.objects, one.frames) for name, one in told.found().items()}
    assert found == {
        name: (one["objects"], one["frames"]) for name, one in summary["classes"].items()
    }


def test_of_more_identities_than_are_known_those_of_long_ago_are_added_up():
    told = _Classes()
    for index in range(3000):
        told.add(frame(index, (3000 - index, 50, 50, index % 2)).instances)
    assert {name: one.objects for name, one in told.found().items()} == {
        "person": 1500,
        "dog": 1500,
    }


def boxed(index, track, box):
    """One person, in a box of any size."""
    one = frame(index, (track, 0, 0))
    one.instances = replace(one.instances, boxes=np.array([box], np.float32))
    return one


def test_an_object_is_where_the_middle_of_its_mask_is():
    inside = frame(0, (1, 30, 40)).instances
    assert anchor(inside, 0, bottom=False) == pytest.approx((30, 40))
    assert anchor(inside, 0, bottom=True) == (30, 50)
    corner = np.zeros((1, 4, 4), np.float32)
    corner[0, 0, 2:] = 1  # of cells 5 wide and high the upper right two
    assert anchor(replace(inside, masks=corner), 0, bottom=False) == pytest.approx((35, 32.5))
    nothing = np.zeros((1, 4, 4), np.float32)
    assert anchor(replace(inside, masks=nothing), 0, bottom=False) == (30, 40)


def test_what_is_nowhere_is_counted_and_is_at_no_line_and_in_no_zone():
    nowhere = boxed(0, 1, (0, 0, 10, 10))
    nowhere.instances.boxes[0, 0] = math.nan
    zone = "all=0,0,200,0,200,100,0,100"
    _, summary = counted([nowhere], line=(CENTRE,), zone=(zone,))
    assert summary["classes"]["person"]["frames"] == 1 and summary["zones"][0]["most"] == 0


def test_a_large_object_must_be_further_beyond_a_line_and_a_small_zone_asks_for_less():
    # Of 120 by 90 the diagonal is 150, of which a twenty-fifth is 6; the zone is 20 wide.
    def at(x):
        return (x - 60, 5, x + 60, 95)

    for beyond, crossed in ((5.9, {}), (6.1, {"person": 1})):
        _, summary = counted([boxed(0, 1, at(60)), boxed(1, 1, at(100 + beyond))], line=(CENTRE,))
        assert gate(summary) == ({}, crossed)
    small = ("small=90,40,110,40,110,60,90,60",)
    for within, entered in ((1.9, {}), (2.1, {"person": 1})):
        _, summary = counted([boxed(0, 1, at(60)), boxed(1, 1, at(90 + within))], zone=small)
        assert summary["zones"][0]["in"] == entered


def test_who_nobody_follows_is_in_a_zone_from_its_edge_on():
    left = ("left=0,0,50%,0,50%,100%,0,100%",)
    for x, there in ((99.5, {"person": 1}), (100.5, {})):
        one = frame(0, (None, x, 50))
        counted([one], zone=left)
        assert one.tally.zones[0].now == there


def test_nobody_crosses_a_line_while_the_picture_changes_its_size():
    small = frame(1, (1, 60, 50))
    small.image = av.VideoFrame(100, 100, "gray")
    _, summary = counted([frame(0, (1, 90, 50)), small], line=(CENTRE,))
    assert gate(summary) == ({}, {}), "perhaps another camera's picture"


def test_who_stays_is_listed_however_many_have_come_and_gone():
    there = [frame(at, (5000, 20, 20), (at, 50, 50), milliseconds=500) for at in range(1100)]
    _, summary = counted(there)
    assert len(summary["tracks"]) == _LISTED and summary["tracks_left_out"] == 101
    assert summary["tracks"][-1] == {
        "track": 5000, "class": "person", "first": 0, "last": 549.5, "seconds": 549.54
    }  # fmt: skip


def test_where_frames_say_no_duration_the_last_one_adds_nothing():
    _, summary = counted([frame(2, (1, 50, 50), duration=0), frame(5, (1, 50, 50), duration=0)])
    assert summary["seconds"] == summary["tracks"][0]["seconds"] == 0.12


def test_lines_in_pixels_of_pictures_that_change_their_size_are_told_of():
    def remarks(line, *sizes):
        seen = [replace(frame(0), image=av.VideoFrame(*size, "gray")) for size in sizes]
        return counted(seen, line=(line,))[0].remarks

    assert "in percent" in remarks("100,0,100,100", (200, 100), (400, 200))[0]
    assert not remarks("100,0,100,100", (200, 100), (200, 100))
    assert not remarks("50%,0,50%,100%", (200, 100), (400, 200))


def test_lines_and_zones_outside_of_the_picture_are_told_of():
    def remarks(*sizes, **regions):
        seen = [replace(frame(0), image=av.VideoFrame(*size, "gray")) for size in sizes]
        return counted(seen, **regions)[0].remarks

    wide = (200, 100)
    for line in ("0,900,100,900", "-9,0,-5,90", "0,100%,100%,100%", "0,0,0,100"):
        assert "line 1 lies outside of the picture (200x100 " in remarks(wide, line=(line,))[0]
    for line in ("0,-50,50,50", "0,99,200,99", "-50,50,400,60"):
        assert not remarks(wide, line=(line,)), line
    (said,) = remarks(wide, line=("0,900,9,900",), zone=("far=300,0,400,0,400,90", "0,0,9,0,9,9"))
    assert said.startswith("line 1, far lie outside")
    # Where pictures become larger it may be in those.
    assert len(remarks(wide, (400, 1000), line=("0,900,100,900",))) == 1
