import contextlib
import csv
import io
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import stream
from stream.errors import SinkError, UsageError
from stream.frame import Frame, Passthrough, VideoInfo
from stream.instances import Instances
from stream.objects import rle, soft
from stream.settings.options import OutputOptions
from stream.sinks import coco
from stream.sinks.base import Gone
from stream.sinks.coco import CocoSink
from stream.sinks.mot import MotSink
from stream.sinks.ndjson import NdjsonSink
from stream.sinks.parquet import ParquetSink
from stream.sinks.table import COLUMNS, CsvSink
from tests.held import memory_held
from tests.test_instances import three

INFO = VideoInfo("clip.mp4", 120, 100, "yuv420p", Fraction(1, 30000), Fraction(30000, 1001))
ABOUT = {"model": "default", "classes": ["car", "person"], "options": {"threshold": None}}
TRACKED = three().with_tracks(np.array([4, 7, 9]))


def frames(*found):
    for index, instances in enumerate(found):
        picture = av.VideoFrame(120, 100, "yuv420p")
        yield Frame(picture, index, 1001 * index, Fraction(1, 30000), instances=instances)


def written(kind, path, *found):
    fill(kind(path, INFO), *found)
    return path.read_text(encoding="utf-8")


def fill(sink, *found):
    sink.describe(ABOUT)
    for frame in frames(*found):
        sink.write(Passthrough([]))
        sink.write(frame)
    sink.close()


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
        "frame_000000.png",
        "frame_000001.png",
        "frame_000002.png",
    ]
    assert {one["name"] for one in data.loadCats(data.getCatIds())} == {"car", "person"}
    annotations = data.loadAnns(data.getAnnIds(imgIds=[1]))
    assert [data.cats[one["category_id"]]["name"] for one in annotations] == TRACKED.names
    assert [one["track_id"] for one in annotations] == [4, 7, 9]
    for one, mask in zip(annotations, TRACKED.full_masks(), strict=True):
        np.testing.assert_array_equal(data.annToMask(one).astype(bool), mask)
    assert len(results.anns) == 6


@pytest.mark.parametrize("masks", ["rle", "polygon", "none"])
def test_importers_get_tracks_of_what_they_can_follow_and_categories_that_stand_for_themselves(
    tmp_path, masks
):
    sink = CocoSink(tmp_path / "out.json", INFO, masks=masks)
    ring = np.zeros((1, 28, 28), np.float32)  # An object in two pieces.
    ring[0, :8], ring[0, 20:] = 1, 1
    apart = replace(TRACKED[:1], masks=ring)
    fill(sink, TRACKED, apart, three())
    data = json.loads((tmp_path / "out.json").read_text())
    followed = [one.get("attributes") for one in data["annotations"]]
    first, second, third = ({"track_id": track, "keyframe": True} for track in (4, 7, 9))
    assert (
        followed
        == {
            "rle": [None] * 7,
            "polygon": [first, second, *[None] * 5],  # The third has no pixel, so no outline.
            "none": [first, second, third, first, None, None, None],
        }[masks]
    )
    assert all(one["supercategory"] == one["name"] for one in data["categories"])


def test_a_run_without_a_frame_leaves_a_readable_file(tmp_path):
    assert json.loads(written(CocoSink, tmp_path / "out.json"))["images"] == []
    assert len(written(NdjsonSink, tmp_path / "out.ndjson").splitlines()) == 1
    assert written(CsvSink, tmp_path / "out.csv").splitlines() == [",".join(COLUMNS)]


@pytest.mark.parametrize("kind", [NdjsonSink, CsvSink, CocoSink, MotSink])
def test_a_full_disk_is_a_sentence(kind, tmp_path, monkeypatch):
    sink = kind(tmp_path / "out.x", INFO)
    (frame,) = frames(TRACKED)
    sink.write(frame)

    def full(data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sink._destination, "write", full)
    known = "1 frame is in" if kind.lasting else "can be read only once it is whole"
    with pytest.raises(SinkError, match=rf"the disk is full.*{known}") as told:
        sink.write(frame)
    assert told.value.by_place
    sink.close()
    sink.abort()


def test_a_full_disk_ends_parquet_too(tmp_path, monkeypatch):
    sink = ParquetSink(tmp_path / "out.parquet", INFO)
    (frame,) = frames(TRACKED)
    sink.write(frame)

    def full(data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sink._destination, "write", full)
    with pytest.raises(
        SinkError, match=r"the disk is full.*can be read only once it is whole"
    ) as told:
        sink.close()
    assert told.value.frames == 0
    sink.abort()


def test_a_full_temporary_folder_is_a_sentence(tmp_path, monkeypatch):
    def full(*given, **how):
        raise OSError(28, "No space left on device")

    (frame,) = frames(TRACKED)
    for step in ("write", "seek"):
        sink = CocoSink(tmp_path / f"{step}.json", INFO)
        if step == "seek":
            sink.write(frame)
        with monkeypatch.context() as patch:
            patch.setattr(sink._images, step, full)
            with pytest.raises(SinkError, match=r"the temporary folder.*TMPDIR names another"):
                sink.write(frame) if step == "write" else sink.close()
            with contextlib.suppress(SinkError):
                sink.abort()
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", full)
        with pytest.raises(SinkError, match="the temporary folder"):
            CocoSink(tmp_path / "none.json", INFO)
    assert not (tmp_path / "none.json").exists()


def test_records_are_an_output_like_any_other(tmp_path):
    picture = np.full((48, 64, 3), 90, np.uint8)
    outputs = [tmp_path / name for name in ("out.mkv", "out.ndjson", "out.csv")]
    stream.process([picture] * 5, outputs, fps=25)
    head, *lines, last = [json.loads(line) for line in outputs[1].read_text().splitlines()]
    assert last["summary"]["frames"] == 5
    assert head["model"] == "default"
    assert head["options"]["tracker"] == "motion"
    assert [line["frame"] for line in lines] == [0, 1, 2, 3, 4]
    assert [line["time"] for line in lines] == [0, 0.04, 0.08, 0.12, 0.16]


def test_a_table_in_columns_is_read_by_pandas(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("stream.sinks.parquet._GROUP", 4)
    path = tmp_path / "out.parquet"
    fill(ParquetSink(path, INFO), TRACKED, None, three(), TRACKED[:1])
    table = pandas.read_parquet(path)
    assert table["frame"].tolist() == [0, 0, 0, 2, 2, 2, 3]
    assert table["pts"].tolist() == [0, 0, 0, 2002, 2002, 2002, 3003]
    assert table["class"].tolist() == ["person", "car", "person"] * 2 + ["person"]
    assert table["track"].tolist()[:3] == [4, 7, 9]
    assert table["track"].isna().tolist() == [False] * 3 + [True] * 3 + [False]
    assert (table["x2"].to_numpy()[:3] == TRACKED.boxes[:, 2]).all()
    assert table["area"].tolist()[:3] == TRACKED.areas.tolist()
    size = json.loads(parquet.read_schema(path).metadata[b"stream"])["size"]
    for counts, mask in zip(table["mask"][:3], TRACKED.full_masks(), strict=True):
        np.testing.assert_array_equal(rle.decode({"size": size, "counts": counts}), mask)
    assert parquet.ParquetFile(path).num_row_groups == 2, "it is written as it goes"


def photos(*names):
    """What is known of pictures of so many names, of which none is as large as another."""
    info = replace(INFO, pictures=[Path(name) for name in names])
    for index in range(len(names)):
        picture = av.VideoFrame(120 + 2 * index, 100, "yuv420p")
        there = replace(TRACKED[:1], picture_size=(100, 120 + 2 * index))
        yield info, Frame(picture, index, index, Fraction(1), instances=there)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["in/1.png", "in/2.png"], ["1.png", "2.png"]),
        (["/a/b/1.png", "/a/c/d/1.png"], ["b/1.png", "c/d/1.png"]),
        (["1.png", "more/1.png"], ["1.png", "more/1.png"]),
        (["/a/1.png", "elsewhere/1.png"], None),
    ],
)
def test_photos_have_their_names_in_all_records_and_those_of_several_folders_the_way_to_them(
    tmp_path, paths, names
):
    pandas = pytest.importorskip("pandas")
    told = {}
    for kind, name in ((CocoSink, "json"), (NdjsonSink, "ndjson"), (CsvSink, "csv")):
        path = tmp_path / f"out.{name}"
        sink = None
        for info, frame in photos(*paths):
            sink = sink or kind(path, info)
            sink.write(frame)
        sink.close()
        text = path.read_text(encoding="utf-8")
        if name == "json":
            told[name] = [one["file_name"] for one in json.loads(text)["images"]]
        elif name == "ndjson":
            told[name] = [
                one["file"] for one in map(json.loads, text.splitlines()) if "file" in one
            ]
        else:
            told[name] = pandas.read_csv(path)["file"].tolist()
    if names is None:  # The root alone is above both.
        assert len(set(told["json"])) == 2
        names = told["json"]
    assert told == dict.fromkeys(told, names)


def test_columns_say_which_photo_and_how_large_it_is(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    (info, first), (_, second) = photos("in/1.png", "in/2.png")
    with ParquetSink(tmp_path / "out.parquet", info) as sink:
        sink.write(first)
        sink.write(second)
    table = pandas.read_parquet(tmp_path / "out.parquet")
    assert table["file"].tolist() == ["1.png", "2.png"]
    assert table[["height", "width"]].to_numpy().tolist() == [[100, 120], [100, 122]]
    for row in table.itertuples():
        decoded = rle.decode({"size": [row.height, row.width], "counts": row.mask})
        assert decoded.sum() == row.area


@pytest.mark.parametrize(("kind", "name"), [(ParquetSink, "out.parquet"), (CocoSink, "out.json")])
def test_what_is_let_go_of_can_be_read(kind, name, tmp_path):
    if kind is ParquetSink:
        pandas = pytest.importorskip("pandas")
    sink = kind(tmp_path / name, INFO)
    for frame in frames(TRACKED, TRACKED):
        sink.write(frame)
    sink.abort()
    if kind is ParquetSink:
        assert len(pandas.read_parquet(tmp_path / name)) == 6
    else:
        found = json.loads((tmp_path / name).read_text())
        assert (len(found["images"]), len(found["annotations"])) == (2, 6)


def test_a_challenge_counts_from_one(tmp_path):
    sink = MotSink(tmp_path / "out.txt", INFO)
    fill(sink, TRACKED, None, three())
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert lines[0] == "1,4,11.00,11.00,56.00,56.00,0.9,-1,-1,-1"
    assert [line.split(",")[:2] for line in lines] == [
        *(["1", "4"], ["1", "7"], ["1", "9"]),
        *[["3", "-1"]] * 3,
    ]
    assert "no classes, but objects of 2" in sink.remarks[0]


def entries(path, kind, masks):
    sink = kind.from_target(str(path), INFO, OutputOptions(records_masks=masks))
    fill(sink, TRACKED)
    return json.loads(path.read_text().splitlines()[1])["objects"]


def test_masks_are_written_as_asked_for(tmp_path):
    (whole,) = entries(tmp_path / "rle.ndjson", NdjsonSink, "rle")[:1]
    assert "mask" in whole
    (bare,) = entries(tmp_path / "none.ndjson", NdjsonSink, "none")[:1]
    assert set(bare) == set(whole) - {"mask"}
    for one, mask in zip(
        entries(tmp_path / "polygon.ndjson", NdjsonSink, "polygon"),
        TRACKED.full_masks(),
        strict=True,
    ):
        drawn = np.zeros(mask.shape, np.uint8)
        for ring in one["polygons"]:
            cv2.fillPoly(drawn, [np.array(ring, np.int32).reshape(-1, 2)], 1)
        np.testing.assert_array_equal(drawn.astype(bool), mask)
    for one, known in zip(
        entries(tmp_path / "soft.ndjson", NdjsonSink, "soft"), TRACKED, strict=True
    ):
        assert set(one["soft"]) == {"cells", "data"}
        assert (soft.decode(one["soft"]["data"], 28) == known.mask).all()


def test_coco_polygons_cover_what_the_masks_do(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    path = tmp_path / "out.json"
    fill(CocoSink(path, INFO, masks="polygon"), TRACKED)
    with contextlib.redirect_stdout(io.StringIO()):
        data = coco.COCO(str(path))
    for one, mask in zip(data.loadAnns(data.getAnnIds()), TRACKED.full_masks(), strict=True):
        drawn = data.annToMask(one).astype(bool)
        assert (drawn & mask).sum() >= 0.97 * (drawn | mask).sum()
    bare = tmp_path / "bare.json"
    fill(CocoSink(bare, INFO, masks="none"), TRACKED)
    assert json.loads(bare.read_text())["annotations"][0]["segmentation"] == []


def test_a_speck_or_a_thin_line_has_an_outline_that_importers_take(tmp_path):
    full = np.zeros((4, 60, 80), np.bool_)
    full[0, 20, 30] = full[1, 10, 5:40] = full[2, 5:50, 12] = True
    full[3, np.arange(10, 40), np.arange(10, 40)] = True
    full[3, 50, 70] = True
    found = Instances.from_full_masks(full, class_names=("person",), picture_size=(60, 80))
    path = tmp_path / "out.json"
    fill(CocoSink(path, INFO, masks="polygon"), found)
    shapes = [one["segmentation"] for one in json.loads(path.read_text())["annotations"]]
    assert [len(one) for one in shapes] == [1, 1, 1, 2]
    for ring in (np.array(ring).reshape(-1, 2) for one in shapes for ring in one):
        assert len(ring) >= 3
        assert cv2.contourArea(ring.astype(np.float32)) > 0


@given(arrays(np.float32, (9, 9), elements=st.floats(0, 1, width=32)))
def test_soft_masks_come_back_to_the_last_bit(mask):
    again = soft.decode(soft.encode(mask), 9)
    assert again.tobytes() == mask.tobytes()


@pytest.mark.parametrize(
    ("text", "cells"),
    [("", 9), ("%%%", 9), ("AAAA", 9), (soft.encode(np.zeros((9, 9), np.float32)), 8), (None, 9)],
)
def test_what_is_no_soft_mask_is_refused(text, cells):
    with pytest.raises(UsageError, match="soft mask"):
        soft.decode(text, cells)
    with pytest.raises(UsageError, match="beyond 0 to 1"):
        soft.decode(soft.encode(np.full((2, 2), np.nan, np.float32)), 2)


def test_lines_go_to_standard_output_and_end_with_their_reader(capfd, monkeypatch):
    sink = NdjsonSink("-", INFO)
    first, second = frames(TRACKED, TRACKED)
    sink.write(first)
    assert len(capfd.readouterr().out.splitlines()) == 2

    def closed(number, data):
        raise BrokenPipeError

    monkeypatch.setattr("stream.sinks._standard.os.write", closed)
    with pytest.raises(Gone):
        sink.write(second)
    sink.abort()
    sink.close()


def test_an_hour_of_coco_costs_no_more_memory_than_a_minute(tmp_path, monkeypatch):
    monkeypatch.setattr(coco, "_PIECE", 2048)
    sink = CocoSink(tmp_path / "out.json", INFO)
    (frame,) = frames(None)
    most = []
    with memory_held("stream/sinks/") as held:
        for _ in range(2000):
            sink.write(frame)
            frame.index += 1
        most.append(held())
        pieces = sink._copied()

        def looked_at():
            for piece in pieces:
                most.append(held())
                yield piece

        monkeypatch.setattr(sink, "_copied", looked_at)
        sink.close()
    size = (tmp_path / "out.json").stat().st_size
    assert len(most) > 40 and size > 150_000
    assert max(most) < size / 6
    assert len(json.loads((tmp_path / "out.json").read_text())["images"]) == 2000


def test_records_alone_need_no_video(tmp_path):
    picture = np.full((48, 64, 3), 90, np.uint8)
    report = stream.process([picture] * 3, records=tmp_path / "out.csv", fps=25)
    assert report.frames_out == 3
    assert [one.name for one in tmp_path.iterdir()] == ["out.csv"]
    with pytest.raises(UsageError, match=r"there are \.csv, \.json, .*\.parquet, \.txt, and - for"):
        stream.process([picture], records=tmp_path / "out.doc")
