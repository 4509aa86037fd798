"""An output: its own time line, any picture size, and what it could not keep is said."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from stream import records
from stream.frame import Frame
from stream.instances import Instances
from stream.pictures.colour_tags import ColourTags
from stream.pictures.pixels import plane_view
from stream.queues import WhenFull
from stream.run.figures import Figures
from stream.run.fit import Fit
from stream.run.output import Output, Painted
from stream.run.outputs import open_output
from stream.run.plan import OutputPlan
from stream.settings.options import PictureOptions
from stream.sinks.video import VideoSink
from stream.timing import END_TO_END, Clock
from tests.live.helpers import RATE, Scene
from tests.run.parts import Kept


def frames(count: int) -> list[Frame]:
    return list(itertools.islice(Scene(), count))


def put_all(output: Output, given: list[Frame]) -> None:
    figures = Figures(Clock(), END_TO_END)
    output.start(Clock(), lambda output: None)
    for frame in given:
        output.put(Painted(figures.enter(frame), frame))
    output.close()
    assert output.join(60)


def recorder(path: Path, **how) -> Output:
    info = Scene().info
    sink = VideoSink(path, info, preset="ultrafast")
    return Output(sink, str(path), from_first=True, info=info, **how)


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def test_times_begin_with_the_recording_and_are_true(tmp_path):
    output = recorder(tmp_path / "out.mkv")
    put_all(output, [replace(frame, pts=frame.pts * 2 + 300) for frame in frames(10)])
    assert output.error is None and output.remarks == []
    assert output.figures.frames == 10
    assert times_of(tmp_path / "out.mkv") == pytest.approx(
        [2 * n / RATE for n in range(10)], abs=2e-3
    )


def test_an_encoder_that_cannot_keep_up_loses_frames_and_says_so():
    sink = Kept()
    output = Output(sink, "x.mkv", when_full=WhenFull.DROP_OLDEST, capacity=3)
    figures = Figures(Clock(), END_TO_END)
    # It is not running yet: as if it took for ever over the first.
    for frame in frames(100):
        output.put(Painted(figures.enter(frame), frame))
    output.close()
    output.start(Clock(), lambda output: None)
    assert output.join(60)
    assert sink.frames == [97, 98, 99]
    assert output.figures.dropped == 97
    assert output.remarks[0].endswith("it could not keep up; what it writes to is too slow")


def test_pictures_of_another_size_are_fitted_in(tmp_path):
    output = recorder(tmp_path / "out.mkv")
    given = frames(4)
    for frame in given[2:]:
        frame.image = frame.image.reformat(width=640, height=300, format="yuv444p")
    put_all(output, given)
    assert output.error is None
    said = f"2 pictures of another size were fitted between black bars in {tmp_path / 'out.mkv'}"
    assert output.remarks == [said]
    with av.open(str(tmp_path / "out.mkv")) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert [picture.shape for picture in pictures] == [(240, 320)] * 4
    assert pictures[1][:30].mean() > 50 and pictures[3][:40].max() < 25, "no bars above"
    assert np.abs(pictures[3][90:150].astype(int).mean() - pictures[1].mean()) < 40


def test_what_fits_is_not_touched():
    picture = frames(1)[0].image
    assert Fit(320, 240, "yuv420p")(picture) is picture


def test_packets_go_only_to_sinks_that_want_them():
    sink = Kept()
    sink.takes_packets = False
    output = Output(sink, "x")
    figures = Figures(Clock(), END_TO_END)
    from tests.run.parts import Grey

    output.start(Clock(), lambda output: None)
    for item in Grey(3):
        output.put(Painted(figures.enter(item), item) if isinstance(item, Frame) else item)
    output.close()
    assert output.join(60)
    assert sink.order == ["frame"] * 3


class AtOnce(Kept):
    at_once = True


def test_what_takes_no_time_is_written_where_frames_come_from_without_a_thread():
    here = threading.get_ident()
    sink = AtOnce(on_frame=lambda frame: seen.append(threading.get_ident()))
    seen: list[int] = []
    output = Output(sink, "x", when_full=WhenFull.LATEST, capacity=1)
    threads = threading.active_count()
    put_all(output, frames(20))
    assert sink.frames == list(range(20)), "none is lost"
    assert set(seen) == {here} and threading.active_count() == threads
    assert output.figures.frames == 20 and sink.closed == 1
    output.close()
    output.abort()
    assert (sink.closed, sink.aborted) == (1, 0), "it ends once"


def test_what_is_written_at_once_ends_as_others_do():
    ended = []
    failing, stopped = Output(AtOnce(fails_at=2), "x"), Output(AtOnce(), "y")
    figures = Figures(Clock(), END_TO_END)
    for output in (failing, stopped):
        output.start(Clock(), ended.append)
    for frame in frames(5):
        failing.put(Painted(figures.enter(frame), frame))
    assert str(failing.error) == "the disk is full" and not failing.alive
    assert failing.sink.frames == [0, 1] and failing.sink.aborted == 1
    assert failing.figures.dropped == 3
    stopped.abort()
    assert not stopped.alive and stopped.sink.aborted == 1 and stopped.join(0)
    assert ended == [failing, stopped]


def _ramp(full: bool | None, matrix: int = 2, name: str = "yuv420p") -> av.VideoFrame:
    """Grey from dark to light, whose samples use all values or those of film; with some colour."""
    luma = np.linspace(0, 255, 64) if full else np.linspace(16, 235, 64)
    planes = np.full((72, 64), 128, np.uint8)
    planes[:48] = np.round(luma)
    planes[48:60] = 150
    made = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    made = made if name == "yuv420p" else made.reformat(format=name)
    made.color_range = 0 if full is None else 1 + full
    made.colorspace = matrix
    return made


def test_a_source_that_changes_what_its_values_mean_looks_the_same():
    """As cameras do with their settings, and a camera in another's place."""
    for info_full, full in itertools.product((None, False, True), (False, True)):
        fit = Fit(64, 48, "yuv420p", ColourTags(full_range=info_full))
        wanted = plane_view(_ramp(bool(info_full)).planes[0])
        for name in ("yuv420p", "yuv444p"):
            made = fit(_ramp(full, name=name))
            found = plane_view(made.planes[0])
            assert made.format.name == "yuv420p", (info_full, full, name)
            assert np.abs(found.astype(int) - wanted).max() <= 2, (info_full, full, name)
    # What does not say is what it was told to be.
    same = _ramp(None)
    assert Fit(64, 48, "yuv420p", ColourTags(full_range=True))(same) is same
    turned = Fit(64, 48, "yuv420p", ColourTags(matrix=1))(_ramp(False, 6))
    assert turned.colorspace == 1 and not (plane_view(turned.planes[1]) == 150).all()
    alike = _ramp(False, 5)
    assert Fit(64, 48, "yuv420p", ColourTags(matrix=6))(alike) is alike


def test_numbers_of_objects_are_not_mixed_where_the_size_changes():
    numbers = np.zeros((24, 32), np.uint16)
    numbers[:, 16:] = 700
    picture = av.VideoFrame.from_ndarray(numbers, format="gray16le")
    wanted = replace(Scene().info, width=64, height=48, pixel_format="gray16le", exact=True)
    made = Fit.to(wanted)(picture)
    assert set(np.unique(plane_view(made.planes[0], 16))) == {0, 700}


def test_a_live_recording_keeps_numbers_of_objects(tmp_path):
    """They are of 16 bits, whatever the camera's pictures are of."""
    plan = OutputPlan(str(tmp_path / "out.mkv"), PictureOptions(look="instances", identities=True))
    output = open_output(plan, replace(Scene().info, live=True))
    given = frames(3)
    for frame in given:
        numbers = np.full((frame.image.height, frame.image.width), 300, np.uint16)
        frame.image = av.VideoFrame.from_ndarray(numbers, format="gray16le")
    put_all(output, given)
    with av.open(plan.target) as container:
        assert [int(one.to_ndarray().max()) for one in container.decode(video=0)] == [300] * 3


def test_records_of_a_live_source_hold_the_size_of_each_frame(tmp_path):
    """What was found is in pixels of its own frame, whatever size the source began with."""
    info = replace(Scene().info, live=True)
    for ending in (".ndjson", ".json", ".csv"):
        given = frames(3)
        for frame, (width, height) in zip(given, [(320, 240), (120, 90), (90, 160)], strict=True):
            frame.image = frame.image.reformat(width=width, height=height)
            frame.instances = Instances(
                boxes=np.array([[10, 20, 60, 80]], np.float32),
                scores=np.ones(1, np.float32),
                labels=np.zeros(1, np.int64),
                masks=np.ones((1, 4, 4), np.float32),
                class_names=("person",),
                picture_size=(height, width),
            )
        output = open_output(OutputPlan(str(tmp_path / f"found{ending}")), info)
        put_all(output, given)
        assert output.error is None, ending
        if ending == ".csv":
            assert "2 frames in found.csv had another size" in output.remarks[0]
            continue
        sizes = [found.picture_size for *_, found in records.read(tmp_path / f"found{ending}")]
        assert sizes == [(240, 320), (90, 120), (160, 90)] and not output.remarks, ending
