"""Programs that use the package: what they may give, and what they are told where it is wrong."""

from __future__ import annotations

import gc
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import stream
from stream import sources
from stream.errors import StreamError, UsageError
from stream.frame import Cover
from stream.plans.config import loads
from stream.sources.base import Source, delivered
from stream.wording.words import kinds
from tests import tiny_models
from tests.cli.conftest import environment
from tests.media import make_clip


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    """A model that finds the bounding box of bright pixels as a person."""
    return stream.Segmenter.load(
        tiny_models.bright(tmp_path_factory.mktemp("model") / "b.onnx"), "cpu"
    )


def pictures(count=3):
    made = [np.full((48, 64, 3), 30, np.uint8) for _ in range(count)]
    for index, one in enumerate(made):
        one[10:30, 10 + index : 30 + index] = 255
    return made


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"threshold": 40}, "threshold is 0 to 1, not 40"),
        ({"threshold": "much"}, "threshold: it is a number, not 'much'"),
        ({"limit": 1.5}, "limit: it is a whole number, not 1.5"),
        ({"limit": 0}, "limit is at least 1, not 0"),
        ({"fps": 0}, "fps is 1 to 1000, not 0"),
        ({"classes": [0]}, "classes: it is a list of texts, not [0]"),
        ({"every": "fast"}, "every: it is a number from 1 on, or auto, not 'fast'"),
        ({"provider": "gpu"}, "did you mean cuda?"),
        ({"thresold": 0.4}, "there is no option 'thresold'; did you mean threshold?"),
        ({"tracker": "steady"}, "there is no option 'tracker'; did you mean track?"),
        ({"steady": False}, "there is no option 'steady'; did you mean track?"),
        ({"trak": False}, "there is no option 'trak'; did you mean track?"),
        ({"look": "blur"}, "look is of stream.process"),
        ({"crf": 20}, "crf is of stream.process"),
        ({"track": None}, "track is True, False or a tracker's name, not None"),
        ({"track": 2}, "track is True, False or a tracker's name, not 2"),
        ({"track": "bytetrak"}, "there is no tracker 'bytetrak'; did you mean bytetrack?"),
    ],
    ids=lambda one: json.dumps(one) if isinstance(one, dict) else "",
)
def test_wrong_options_are_said_in_one_sentence(given, words, bright):
    with pytest.raises(stream.StreamError) as caught:
        stream.open(pictures(), segmenter=bright, **given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"crf": "high"}, "crf: it is a number, not 'high'"),
        ({"opacity": 3}, "opacity is 0 to 1, not 3"),
        ({"lok": "blur"}, "there is no option 'lok'; did you mean look?"),
        ({"look": "overly"}, "there is no layer 'overly'; did you mean overlay?"),
        ({"codec": "libx264x"}, "there is no encoder 'libx264x'; did you mean libx264?"),
    ],
    ids=lambda one: json.dumps(one) if isinstance(one, dict) else "",
)
def test_wrong_options_of_outputs_leave_no_file(given, words, bright, tmp_path):
    with pytest.raises(stream.StreamError) as caught:
        stream.process(pictures(), tmp_path / "out.mp4", segmenter=bright, **given)
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_options_are_taken_as_numpy_texts_paths_and_fractions(bright, tmp_path):
    report = stream.process(
        pictures(),
        tmp_path / "out.mp4",
        segmenter=bright,
        threshold=np.float32(0.5),
        limit=np.int64(2),
        fps=Fraction(30000, 1001),
        classes=("person",),
        crf=None,
        opacity="0.5",
        overwrite=True,
    )
    assert report.frames_out == 2
    assert 29.9 < 1 / (report.media_seconds / (report.frames_out - 1)) < 30


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ({"limit": 2}, [0, 1]),
        ({"start": 0.03}, [1, 2]),
        ({"start": "0:00.04"}, [1, 2]),
        ({"end": 0.08}, [0, 1]),
        ({"start": 0.04, "end": 0.11, "limit": 1}, [1]),
    ],
)
def test_a_part_of_arrays_is_taken_as_of_a_file(bright, part, wanted):
    taken = []

    def given():
        for index, one in enumerate(pictures()):
            taken.append(index)
            yield one + np.uint8(index)

    with stream.open(given(), segmenter=bright, **part) as video:
        found = list(video)
    assert [int(frame.rgb()[0, 0, 0]) - 30 for frame in found] == wanted
    assert [round(frame.pts_seconds * 25) for frame in found] == list(range(len(wanted)))
    assert taken == list(range(wanted[-1] + 1))
    with stream.open(pictures(), segmenter=bright, **part) as video:
        assert video.info.frames == len(wanted)
    with pytest.raises(UsageError, match="ends before the start that was asked for"):
        stream.open(pictures(), segmenter=bright, start=9)


@pytest.mark.parametrize(("target", "given"), [("pattern", {"limit": 2}), ("a.png", {"start": 1})])
def test_a_part_of_what_has_none_is_refused(bright, target, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"{next(iter(given))} takes a part of a file, which a "):
        stream.open(target, segmenter=bright, **given)


def test_masks_lie_beside_what_is_written(bright, tmp_path):
    stream.process(pictures(2), tmp_path / "out.mp4", masks=tmp_path / "masks", segmenter=bright)
    stream.process(pictures(2), None, masks=str(tmp_path / "alone"), segmenter=bright)
    for folder in ("masks", "alone"):
        assert sorted(one.name for one in (tmp_path / folder).iterdir()) == [
            "000000.png",
            "000001.png",
        ]
    assert (tmp_path / "out.mp4").stat().st_size > 500


def test_one_array_is_no_video_and_a_batch_is_one(bright):
    for wrong in (pictures()[0], pictures()[0][0]):
        with pytest.raises(UsageError, match=r"is no video.*stream\.Segmenter"):
            stream.open(wrong, segmenter=bright)
    with stream.open(np.stack(pictures()), segmenter=bright) as video:
        assert [len(frame.instances) for frame in video] == [1, 1, 1]
    mixed = [*pictures(1), pictures()[0] / 255]
    for kind in (StreamError, ValueError):
        with pytest.raises(kind, match=r"picture 0 is float64 \[48, 64, 3\]"):
            stream.open(mixed[1:], segmenter=bright)
        with pytest.raises(kind, match="picture 1 is float64"):
            stream.process(mixed, segmenter=bright)


def test_what_is_drawn_is_checked(bright):
    picture = pictures()[0]
    found = bright(picture)
    with stream.open(pictures(1), segmenter=bright) as video:
        frame = next(iter(video))
    for wrong, words in [
        ((frame, found), "not Frame"),
        ((picture / 255, found), "not float64"),
        ((picture, None), "not NoneType"),
        ((picture[::2], found), "found in one of 48 and 64"),
    ]:
        with pytest.raises(ValueError, match=words):
            stream.draw(*wrong)


def test_frames_without_a_line_in_the_records_have_no_instances(bright, tmp_path):
    records = tmp_path / "found.ndjson"
    stream.process(pictures(), records=records, segmenter=bright)
    lines = records.read_text().splitlines(keepends=True)
    records.write_text("".join([*lines[:2], *lines[3:]]))  # the second frame's is taken out
    with stream.open(pictures(), from_records=records) as video:
        names = video.segmenter.names
        found = [frame.instances for frame in video]
    assert [len(one) for one in found] == [1, 0, 1]
    assert {one.class_names for one in found} == {names}
    assert [one.track_ids.tolist() for one in found] == [[1], [], [1]]

    counts = []
    stream.process(
        pictures(),
        tmp_path / "again.ndjson",
        from_records=records,
        on_frame=lambda frame: counts.append(frame.instances.track_ids.size),
    )
    assert counts == [1, 0, 1]
    again = (tmp_path / "again.ndjson").read_text().splitlines()
    assert [len(json.loads(line)["objects"]) for line in again[1:4]] == [1, 0, 1]


def test_what_was_found_travels_to_other_processes(bright):
    found = bright(pictures()[0])
    assert pickle.loads(pickle.dumps(found)) == found
    assert pickle.loads(pickle.dumps(found[0])).name == "person"
    assert repr(bright).startswith("Segmenter('") and "classes)" in repr(bright)
    report = stream.process(pictures(1), segmenter=bright)
    assert pickle.loads(pickle.dumps(report)).frames_out == 1


def test_a_segmenter_that_is_loaded_obeys_the_call_and_stays_as_it_was(bright, tmp_path):
    def found(**given):
        with stream.open(pictures(2), segmenter=bright, **given) as video:
            return [len(frame.instances) for frame in video]

    score = float(bright(pictures()[0]).scores[0])
    other = next(name for name in bright.names if name != "person")
    assert found() == [1, 1]
    assert found(threshold=(1 + score) / 2) == found(classes=other) == [0, 0]
    assert found(classes="person", mask_threshold=0.9) == [1, 1]
    report = stream.process(pictures(2), segmenter=bright, classes=[other])
    assert report.found_frames == 0
    assert bright.threshold < score and bright.classes is None
    for given in ({"model": "default"}, {"provider": "cpu"}):
        with pytest.raises(UsageError, match="the segmenter is loaded already"):
            found(**given)
    with pytest.raises(UsageError, match=r"is a stream\.Segmenter, not 'default'"):
        stream.open(pictures(), segmenter="default")
    with pytest.raises(UsageError, match="no class 'persn'"):
        found(classes="persn")


def test_leaving_in_any_way_leaves_nothing_behind(bright):
    """That no thread is left is what tests/conftest.py looks at."""
    for _ in stream.open(pictures(), segmenter=bright):
        break
    stream.open(pictures(), segmenter=bright)
    with (
        pytest.raises(KeyError, match="mine"),
        stream.open(pictures(), segmenter=bright) as video,
    ):
        for _ in video:
            raise KeyError("mine")
    video = stream.open(pictures(), segmenter=bright)
    frames = iter(video)
    next(frames)
    video.close()
    assert next(frames, None) is None
    with pytest.raises(UsageError, match="iterated once"):
        next(iter(video))
    assert Path(video.info.name)
    unused = stream.open(pictures(), segmenter=bright)
    unused.close()
    with pytest.raises(UsageError, match="is closed; open it again"):
        list(unused)


def test_several_threads_take_from_one_video(bright):
    given = [np.full((64, 96, 3), place, np.uint8) for place in range(40)]
    taken, together = [], threading.Barrier(4)
    with stream.open(given, segmenter=bright, track=False) as video:
        frames = iter(video)

        def take():
            together.wait()
            for frame in frames:
                taken.append(frame.index)

        with ThreadPoolExecutor(4) as pool:
            for one in [pool.submit(take) for _ in range(4)]:
                one.result()
    assert sorted(taken) == list(range(40))
    frames = iter(stream.open(given, segmenter=bright))
    next(frames)
    frames.close()
    assert next(frames, None) is None


def test_frames_and_reports_say_in_a_few_lines_what_they_are(bright, tmp_path):
    with stream.open(pictures(), segmenter=bright, fps=25) as video:
        _, frame, *_ = video
    what = kinds(frame.instances.names)
    size = f"{frame.image.width}x{frame.image.height} {frame.image.format.name}"
    assert repr(frame) == f"Frame(1, at 0.040 s, {size}, {what})"
    frame.instances = None
    assert repr(frame) == f"Frame(1, at 0.040 s, {size})"
    report = stream.process(pictures(), tmp_path / "out.mp4", segmenter=bright)
    first, figures, *rest = repr(report).splitlines()
    assert first.startswith("RunReport: ") and first.endswith("out.mp4")
    assert f"{report.frames_out} out, 0 dropped" in figures
    assert any(line.startswith("  model ") for line in rest) and "stages" not in repr(report)
    assert "error: no disk" in repr(replace(report, error="no disk"))
    assert "data" not in repr(Cover("mjpeg", b"0" * 100))


def test_what_a_function_of_the_caller_s_puts_into_frames_is_checked(bright, tmp_path):
    def put(found):
        def on_frame(frame):
            frame.instances = found(frame.instances)

        out = tmp_path / "out.mp4"
        stream.process(pictures(), out, segmenter=bright, on_frame=on_frame, overwrite=True)

    put(lambda found: found[:0])
    put(lambda found: None)

    async def later(frame):
        raise AssertionError

    for wrong, words in ((later, "nobody awaits"), (3, "takes a frame, not 3")):
        with pytest.raises(UsageError, match=words):
            stream.process(pictures(), tmp_path / "a.mp4", segmenter=bright, on_frame=wrong)
    assert not (tmp_path / "a.mp4").exists()
    with pytest.raises(UsageError, match=r"on_frame put a list into .*; found\[\[one"):
        put(list)
    with pytest.raises(UsageError, match=r"instances of a picture of \(5, 7\) .* into a frame of"):
        put(lambda found: replace(found, picture_size=(5, 7)))

    def rgb_of(frame):
        return av.VideoFrame.from_ndarray(frame.rgb(), format="rgb24")

    for made, words in (
        (lambda frame: frame.rgb(), "an? ndarray into frame.image, which takes an av.VideoFrame"),
        (rgb_of, "in rgb24 into frame.image, which takes planar YUV"),
    ):
        with pytest.raises(UsageError, match=words):
            stream.process(
                pictures(),
                tmp_path / "b.mp4",
                segmenter=bright,
                on_frame=lambda frame, made=made: setattr(frame, "image", made(frame)),
            )

    def spoilt(found):
        found.scores[...] = np.inf
        return found

    def nowhere(found):
        found.boxes[...] = np.nan
        return found

    with pytest.raises(UsageError, match="on_frame put scores"):
        put(spoilt)
    with pytest.raises(UsageError, match=r"on_frame put boxes .* are no numbers"):
        put(nowhere)
    for field, value in {
        "track_ids": np.array([-1]),
        "boxes into frame.instances that end": np.array([[5, 1, 4, 2]]),
    }.items():
        with pytest.raises(UsageError, match=f"on_frame put {field}"):
            changed = {field.split()[0]: value}
            put(lambda found, changed=changed: replace(found, **changed))


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_an_interrupt_of_footage_reaches_the_caller_and_ends_a_camera(bright, tmp_path):
    def stop_at(last):
        def on_frame(frame):
            if frame.index == last:
                os.kill(os.getpid(), signal.SIGINT)

        return on_frame

    def endless():
        while True:
            yield from pictures(3)

    done = []
    with pytest.raises(KeyboardInterrupt, match="was interrupted after"):
        for name in ("a.mp4", "b.mp4"):
            stream.process(
                endless(), tmp_path / name, segmenter=bright, track=False, on_frame=stop_at(3)
            )
            done.append(name)
    assert done == [] and not (tmp_path / "b.mp4").exists()
    with av.open(str(tmp_path / "a.mp4")) as written:
        assert len(list(written.decode(video=0))) >= 4
    film = make_clip(tmp_path / "in.mp4", frames=50)
    report = stream.process(
        film, tmp_path / "c.mp4", segmenter=bright, as_camera=True, on_frame=stop_at(1)
    )
    assert report.interrupted and report.frames_out


def test_frames_of_somebody_s_own_have_times(bright, tmp_path):
    (given,) = stream.open(pictures(1), segmenter=bright)

    class Theirs(list):
        """A source that does not tell times, as PyAV's frames may have none."""

    for wrong in ({"pts": None}, {"time_base": None}):
        frame = replace(given, **wrong)
        with pytest.raises(UsageError, match="this is a frame without a time"):
            stream.VideoWriter(tmp_path / "a.mp4").write(frame)
        with pytest.raises(UsageError, match="the source Theirs gave a frame without a time"):
            list(delivered(Theirs([given, frame])))
    assert not (tmp_path / "a.mp4").exists()


def test_a_threshold_stays_a_share_whoever_sets_it(bright):
    own = bright.sharing()
    for name in ("threshold", "mask_threshold"):
        for wrong in (5, -1, "half", None, float("nan")):
            with pytest.raises(UsageError, match="threshold must be between 0 and 1"):
                setattr(own, name, wrong)
        setattr(own, name, 1)
        assert getattr(own, name) == 1.0
    assert bright.threshold < 1


def test_what_a_segmenter_is_loaded_with_is_checked_in_a_sentence(bright, tmp_path):
    for given, words in (
        ({"views": "2"}, "1 to 6 views, not '2'"),
        ({"views": None}, "1 to 6 views, not None"),
        ({"input_size": "512"}, "pixels, not '512'"),
        ({"input_size": 512.5}, "pixels, not 512.5"),
        ({"threads": "2"}, "at least 1, not '2'"),
        ({"threads": 1.5}, "at least 1, not 1.5"),
        ({"provider": None}, "there is no provider 'None'"),
    ):
        with pytest.raises(UsageError, match=words):
            stream.Segmenter.load(bright.path, **given)
    own = bright.sharing()
    for name in ("views", "input_size"):
        with pytest.raises(UsageError, match="not 'x'"):
            setattr(own, name, "x")
    with pytest.raises(UsageError, match="leave out segmenter"):
        stream.open(pictures(), from_records=tmp_path / "a.ndjson", segmenter=bright)


def test_a_result_that_is_no_path_is_refused_and_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in (3, True, b"out.mp4", ["out.mp4", None], [["out.mp4"]], "", [""]):
        with pytest.raises(UsageError, match=r"the output: .* path is"):
            stream.process([np.zeros((48, 64, 3), np.uint8)], wrong)
        with pytest.raises(UsageError, match=r"records: .* path is"):
            stream.process([np.zeros((48, 64, 3), np.uint8)], records=wrong)
        with pytest.raises(UsageError, match=r"masks: .* path is"):
            stream.process([np.zeros((48, 64, 3), np.uint8)], masks=wrong)
    assert not list(tmp_path.iterdir())


def test_two_results_have_two_names(bright, tmp_path):
    one = tmp_path / "a.mp4"
    with pytest.raises(UsageError, match=r"two results would be written to .*a\.mp4"):
        stream.process(pictures(), [one, str(one)], segmenter=bright)
    assert not one.exists()


def test_what_is_over_is_let_go_of_at_once(bright, tmp_path, monkeypatch):
    """A decoder and an encoder have threads of their own, which end when nobody holds them."""
    film = make_clip(tmp_path / "in.mp4", frames=6)
    opened: list[weakref.ref[Source]] = []
    open_source = sources.open

    def watched(*given):
        source = open_source(*given)
        opened.append(weakref.ref(source))
        return source

    monkeypatch.setattr(sources, "open", watched)
    gc.collect()
    gc.disable()
    try:
        for _ in stream.open(film, segmenter=bright):
            break
        with stream.open(film, segmenter=bright) as video:
            assert len(list(video)) == 6
        del video
        stream.process(film, tmp_path / "out.mp4", segmenter=bright)
        assert [one() for one in opened] == [None] * 3
    finally:
        gc.enable()


def test_errors_name_keywords_and_no_flags(tmp_path):
    (tmp_path / "there.mp4").write_bytes(b"precious")
    film = make_clip(tmp_path / "in.mp4", frames=2)
    for call, words in {
        lambda: stream.process(film, tmp_path / "there.mp4"): "add overwrite=True to replace it",
        lambda: stream.VideoWriter(tmp_path / "there.mp4"): "add overwrite=True to replace it",
        lambda: stream.open(film, start=2, end=1): "end 1 must be later than start 2",
        lambda: stream.open(film, line="1,2,3"): "line is x1,y1,x2,y2",
        lambda: stream.open(film, from_records="no.ndjson", every=2): "from_records paints without",
        lambda: stream.VideoWriter(
            tmp_path / "out.mp4", rate="25"
        ): "the rate is pictures per second",
        lambda: stream.VideoWriter(tmp_path / "out.mp4", rate=None): "or more, not None",
    }.items():
        with pytest.raises(StreamError) as told:
            call()
        assert words in str(told.value) and "--" not in str(told.value), str(told.value)


def test_what_is_for_another_kind_of_source_is_told_to_the_log(bright, tmp_path, caplog):
    film = make_clip(tmp_path / "in.mp4", frames=2)
    with stream.open(film, segmenter=bright, fps=5, transport="udp"):
        assert caplog.messages == [
            "fps changed nothing, as it is for cameras and numbered pictures",
            "transport changed nothing, as it is for network sources",
        ]
    out = tmp_path / "out.mp4"
    report = stream.process(film, out, segmenter=bright, device="cuda", feather=2)
    assert report.remarks == [
        "device changed nothing, as it is for cameras; where the model runs is provider",
        "feather changed nothing, as it is for the looks blur, grey, dim, replace, cutout and "
        'spotlight: look="blur"',
    ]


def test_a_folder_of_numbered_pictures_with_a_rate_is_one_film(bright, tmp_path):
    for number, picture in enumerate(pictures(4), start=7):
        cv2.imwrite(str(tmp_path / f"{number:04d}.png"), picture)
    for target in (tmp_path, str(tmp_path), tmp_path / "%04d.png"):
        with stream.open(target, fps=10, segmenter=bright) as video:
            times = [frame.pts_seconds for frame in video]
        assert video.info.rate == 10 and times == [0, 0.1, 0.2, 0.3], target
    with stream.open(tmp_path, segmenter=bright) as video:
        assert [frame.pts_seconds for frame in video] == [0, 1, 2, 3], "without it they are photos"
    config = f'[[source]]\ntarget = "{tmp_path.as_posix()}"\nfps = 10\n[[output]]\nto = "window"\n'
    (plan,) = loads(config)
    assert plan.source.target == str(tmp_path / "%04d.png")
    (tmp_path / "b0001.png").write_bytes((tmp_path / "0007.png").read_bytes())
    with pytest.raises(UsageError, match="several films of numbered pictures"):
        stream.open(tmp_path, fps=10, segmenter=bright)


LEFT = """
import sys, threading, stream
film, model = sys.argv[1:]

def go_through():
    threading.main_thread().join()
    with stream.open(film, model=model) as video:
        print(sum(1 for frame in video), flush=True)

threading.Thread(target=go_through).start()
left_open = stream.open(film, model=model)
frames = iter(left_open)
next(frames)
"""


def test_films_are_gone_through_where_the_main_thread_has_ended_and_one_left_open_is_closed(
    tmp_path,
):
    film = make_clip(tmp_path / "in.mp4", frames=40)
    model = str(tiny_models.bright(tmp_path / "bright.onnx"))
    done = subprocess.run(
        [sys.executable, "-c", LEFT, str(film), model],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("40\n", "", 0)
