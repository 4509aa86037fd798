import contextlib
import csv
import io
import json
from fractions import Fraction

import av
import numpy as np
import pytest

import stream
from stream import rle
from stream.errors import SinkError
from stream.frame import Frame, Passthrough, VideoInfo
from stream.sinks.coco import CocoSink
from stream.sinks.ndjson import NdjsonSink
from stream.sinks.table import COLUMNS, CsvSink
from tests.test_instances import three

INFO = VideoInfo("clip.mp4", 120, 100, "yuv420p", Fraction(1, 30000), Fraction(30000, 1001))
ABOUT = {"model": "default", "classes": ["car", "person"], "options": {"threshold": None}}
TRACKED = three().with_tracks(np.array([4, 7, 9]))


def frames(*found):
    for index, instances in enumerate(found):
        picture = av.VideoFrame(120, 100, "yuv420p")
        yield Frame(picture, index, 1001 * index, Fraction(1, 30000), instances=instances)


def written(kind, path, *found):
    sink = kind(path, INFO)
    sink.describe(ABOUT)
    for frame in frames(*found):
        sink.write(Passthrough([]))
        sink.write(frame)
    sink.close()
    return path.read_text(encoding="utf-8")


def test_lines_of_json_say_all_and_the_masks_come_back(tmp_path):
    text = written(NdjsonSink, tmp_path / "out.ndjson", TRACKED, None, three()[:0], three())
    head, *lines = [json.loads(line) for line in text.splitlines()]
    assert head["stream"] == 1
    assert head["source"] == "clip.mp4"
    assert (head["size"], head["rate"]) == ([100, 120], "30000/1001")
    assert (head["model"], head["options"]) == ("default", {"threshold": None})
    assert [line["frame"] for line in lines] == [0, 1, 2, 3]
    assert not any("stream" in line for line in lines)
    assert [line["time"] for line in lines] == [0, 0.033367, 0.066733, 0.1001]
    assert Fraction(head["time_base"]) * lines[3]["pts"] == Fraction(1001, 10000)
    assert [len(line["objects"]) for line in lines] == [3, 0, 0, 3]
    assert lines[3]["objects"][0]["track"] is None
    for one, known, mask in zip(lines[0]["objects"], TRACKED, TRACKED.full_masks(), strict=True):
        assert (one["track"], one["class"], one["area"]) == (known.track_id, known.name, mask.sum())
        assert np.float32(one["score"]) == np.float32(known.score)
        assert (np.array(one["box"], np.float32) == known.box).all()
        np.testing.assert_array_equal(rle.decode(one["mask"]), mask)
    assert lines[0]["objects"][0]["centroid"] == [38.0, 38.0]


def test_the_file_is_whole_while_it_grows(tmp_path):
    path = tmp_path / "out.ndjson"
    sink = NdjsonSink(path, INFO)
    for count, frame in enumerate(frames(TRACKED, TRACKED), start=2):
        sink.write(frame)
        assert len([json.loads(line) for line in path.read_text().splitlines()]) == count
    sink.abort()
    assert len(path.read_text().splitlines()) == 3


def test_a_table_has_a_row_for_each_object(tmp_path):
    text = written(CsvSink, tmp_path / "out.csv", TRACKED, None, three())
    first, *rows = list(csv.reader(io.StringIO(text)))
    assert tuple(first) == COLUMNS
    assert [row[0] for row in rows] == ["0"] * 3 + ["2"] * 3
    named = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    assert [row["track"] for row in named] == ["4", "7", "9", "", "", ""]
    assert [float(row["x2"]) for row in named[:3]] == TRACKED.boxes[:, 2].tolist()
    assert [int(row["area"]) for row in named[:3]] == TRACKED.areas.tolist()


def test_cocos_own_reader_takes_the_data_set(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    path = tmp_path / "out.json"
    written(CocoSink, path, TRACKED, None, three())
    with contextlib.redirect_stdout(io.StringIO()):
        data = coco.COCO(str(path))
        results = data.loadRes(data.dataset["annotations"])
    assert [data.imgs[one]["file_name"] for one in sorted(data.imgs)] == [
        "clip_000000.png",
        "clip_000001.png",
        "clip_000002.png",
    ]
    assert {one["name"] for one in data.loadCats(data.getCatIds())} == {"car", "person"}
    annotations = data.loadAnns(data.getAnnIds(imgIds=[1]))
    assert [data.cats[one["category_id"]]["name"] for one in annotations] == TRACKED.names
    assert [one["track_id"] for one in annotations] == [4, 7, 9]
    for one, mask in zip(annotations, TRACKED.full_masks(), strict=True):
        np.testing.assert_array_equal(data.annToMask(one).astype(bool), mask)
    assert len(results.anns) == 6


def test_a_run_without_a_frame_leaves_a_readable_file(tmp_path):
    assert json.loads(written(CocoSink, tmp_path / "out.json"))["images"] == []
    assert len(written(NdjsonSink, tmp_path / "out.ndjson").splitlines()) == 1
    assert written(CsvSink, tmp_path / "out.csv").splitlines() == [",".join(COLUMNS)]


@pytest.mark.parametrize("kind", [NdjsonSink, CsvSink, CocoSink])
def test_a_full_disk_is_a_sentence(kind, tmp_path, monkeypatch):
    sink = kind(tmp_path / "out.x", INFO)
    (frame,) = frames(TRACKED)
    sink.write(frame)

    def full(data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sink._destination, "write", full)
    with pytest.raises(SinkError, match=r"the disk is full.*1 frames are in"):
        sink.write(frame)
    sink.close()
    sink.abort()


def test_records_are_an_output_like_any_other(tmp_path):
    picture = np.full((48, 64, 3), 90, np.uint8)
    outputs = [tmp_path / name for name in ("out.mkv", "out.ndjson", "out.csv")]
    stream.process([picture] * 5, outputs, fps=25)
    head, *lines = [json.loads(line) for line in outputs[1].read_text().splitlines()]
    assert head["model"] == "default"
    assert head["options"]["tracker"] == "motion"
    assert [line["frame"] for line in lines] == [0, 1, 2, 3, 4]
    assert [line["time"] for line in lines] == [0, 0.04, 0.08, 0.12, 0.16]
