"""Painting from records: the same picture as with the model, to the last bit."""

import json
import re
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import stream
from stream import sources
from stream.errors import StreamError, UsageError
from stream.objects import soft
from stream.records.entries import Entry
from stream.run.figures import Counts
from stream.run.recorded_photos import Photos
from stream.run.replay import Replay
from stream.settings.options import CutOptions, InputOptions, ModelOptions
from tests import tiny_models


def samples(path):
    with av.open(str(path)) as container:
        return [
            (picture.pts, picture.to_ndarray().tobytes()) for picture in container.decode(video=0)
        ]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny_models.bright(tmp_path_factory.mktemp("model") / "bright.onnx"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A bright oval that moves and grows over a textured ground, 20 frames at 25 a second."""
    path = tmp_path_factory.mktemp("clip") / "in.mkv"
    ground = np.random.default_rng(4).integers(0, 150, (120, 160, 3), np.uint8)
    with stream.VideoWriter(path, rate=25, codec="ffv1") as writer:
        for index in range(20):
            picture = cv2.GaussianBlur(ground, (0, 0), 2)
            cv2.ellipse(picture, (40 + 4 * index, 60), (20, 15 + index), 0, 0, 360, (255,) * 3, -1)
            writer.write(picture)
    return path


FFV1 = {"codec": "ffv1", "timing": False}


@pytest.mark.parametrize(
    ("look", "every", "select"),
    [
        ("blur", None, "largest"),
        ("overlay+trails", None, "all"),
        ("hide", 3, "all"),
        ("replace", 4, "id1"),
    ],
)
def test_the_picture_is_the_same_to_the_last_bit(look, every, select, clip, model, tmp_path):
    at_once, later, soft = (tmp_path / name for name in ("a.mkv", "b.mkv", "soft.ndjson"))
    painted = {"look": look, "select": select, **FFV1}
    stream.process(clip, at_once, model=model, every=every, **painted)
    stream.process(clip, records=soft, records_masks="soft", model=model, every=every)
    report = stream.process(clip, later, from_records=soft, **painted)
    assert samples(at_once) == samples(later)
    assert "infer" not in report.stages
    assert report.provider == "none, read from soft.ndjson"
    assert (report.model, report.precision) == (model, "")
    assert '"unsure":[' in soft.read_text()
    assert not any("soft.ndjson" in one for one in report.remarks)


@pytest.mark.parametrize("look", ["fill", "hide"])
def test_masks_end_where_the_threshold_says_as_with_the_model(look, clip, model, tmp_path):
    at_once, later, soft = (tmp_path / name for name in ("a.mkv", "b.mkv", "soft.ndjson"))
    stream.process(clip, records=soft, records_masks="soft", model=model, limit=6)
    painted = {"look": look, "mask_threshold": 0.8, "limit": 6, **FFV1}
    stream.process(clip, at_once, model=model, **painted)
    stream.process(clip, later, from_records=soft, **painted)
    assert samples(at_once) == samples(later)
    stream.process(
        clip, later, from_records=soft, overwrite=True, **{**painted, "mask_threshold": 0.5}
    )
    assert samples(at_once) != samples(later)


def test_covers_of_the_unsure_end_where_the_threshold_says_too(clip, tmp_path):
    ramp = np.tile(np.linspace(0, 1, 28, dtype=np.float32), (28, 1))
    mask = {"cells": 28, "data": soft.encode(ramp)}
    one = {"class": "person", "score": 0.4, "box": [20, 20, 140, 100], "soft": mask}
    records = tmp_path / "found.ndjson"
    head = {"stream": 1, "size": [120, 160], "classes": ["person"]}
    line = {"frame": 0, "time": 0, "objects": [], "unsure": [one]}
    records.write_text("\n".join(map(json.dumps, [head, line])))
    covered = []
    for threshold in (0.2, 0.5, 0.8):
        out = tmp_path / f"{threshold}.mkv"
        how = {"look": "hide", "mask_threshold": threshold, "limit": 1, **FFV1}
        stream.process(clip, out, from_records=records, **how)
        (_, before), (_, after) = samples(clip)[0], samples(out)[0]
        covered.append(sum(a != b for a, b in zip(before, after, strict=True)))
    assert covered[0] - 1000 > covered[1] > covered[2] + 1000


@pytest.fixture
def recorded(clip, model, tmp_path):
    path = tmp_path / "found.ndjson"
    stream.process(clip, records=path, model=model)
    return path


def masks(clip, records, tmp_path, **how):
    """How many white pixels each frame has in the look `binary`."""
    out = tmp_path / "binary.mkv"
    report = stream.process(
        clip, out, look="binary", from_records=records, codec="ffv1", overwrite=True, **how
    )
    with av.open(str(out)) as container:
        return report, [
            int((picture.to_ndarray(format="gray") > 127).sum())
            for picture in container.decode(video=0)
        ]


def test_run_lengths_are_the_hard_mask_and_that_is_said(clip, recorded, tmp_path):
    report, white = masks(clip, recorded, tmp_path)
    areas = [
        line["objects"][0]["area"]
        for line in map(json.loads, recorded.read_text().splitlines())
        if "objects" in line
    ]
    assert white == areas
    assert "so their edges are hard" in report.remarks[0]
    hidden = stream.process(clip, tmp_path / "h.mkv", look="hide", from_records=recorded)
    assert any("does not hold what the model doubted" in one for one in hidden.remarks)


def test_what_a_hand_changed_is_painted(clip, recorded, tmp_path):
    head, *lines = map(json.loads, recorded.read_text().splitlines())
    lines = [line for line in lines if "objects" in line]
    lines[3]["objects"] = []
    del lines[5]
    for one in lines[6]["objects"]:
        one["class"] = "dog"
        del one["mask"]
        one["box"] = [10, 10, 30, 20]
    lines[7]["objects"][0].update(polygons=[[0, 0, 9, 0, 9, 9, 0, 9]], mask=None)
    hand = tmp_path / "hand.ndjson"
    hand.write_text("\n".join(map(json.dumps, [head, *lines])))
    report, white = masks(clip, hand, tmp_path)
    assert [white[place] for place in (3, 5, 7, 8)] == [0, 0, 200, 100]
    assert all(white[place] for place in range(20) if place not in (3, 5))
    assert report.found["dog"].frames == 1
    assert any(
        "1 of 20 frames has no line in hand.ndjson: nothing is painted on it" in one
        for one in report.remarks
    )
    assert any("painted as their whole boxes" in one for one in report.remarks)
    _, dogs = masks(clip, hand, tmp_path, classes="dog")
    assert [place for place in range(20) if dogs[place]] == [7]


def test_a_part_of_the_footage_takes_its_own_lines(clip, recorded, model, tmp_path):
    _, white = masks(clip, recorded, tmp_path)
    report, part = masks(clip, recorded, tmp_path, start=0.2, end=0.6)
    assert part == white[5:15]
    assert not any("fit no frame" in one for one in report.remarks)
    own = tmp_path / "part.ndjson"
    stream.process(clip, records=own, model=model, start=0.2)
    assert masks(clip, own, tmp_path, start=0.2)[1] == white[5:]
    report, late = masks(clip, own, tmp_path)
    assert late == [0] * 5 + white[5:]
    assert "5 of 20 frames have no line" in report.remarks[0]


def test_a_time_that_a_hand_changed_beside_its_ticks_is_named(clip, recorded, tmp_path):
    """Nothing moved, without a word; once the ticks are out, it does."""
    head, *lines = map(json.loads, recorded.read_text().splitlines())
    lines = [line for line in lines if "objects" in line]
    for one in lines[3:]:
        one["time"] = round(one["time"] + 0.08, 3)
    hand = tmp_path / "hand.ndjson"
    hand.write_text("\n".join(map(json.dumps, [head, *lines])))
    report, white = masks(clip, hand, tmp_path)
    assert white == masks(clip, recorded, tmp_path)[1]
    said = "17 lines of hand.ndjson have times that are not what their pts say, which count"
    assert any(said in one for one in report.remarks)
    for one in lines:
        del one["pts"]
    hand.write_text("\n".join(map(json.dumps, [head, *lines])))
    report, moved = masks(clip, hand, tmp_path)
    assert moved == [*white[:3], 0, 0, *white[3:-2]]
    assert not any("pts" in one for one in report.remarks)


def test_what_was_made_of_another_video_is_refused_or_said(clip, recorded, model, tmp_path):
    other = tmp_path / "other.mkv"
    with stream.VideoWriter(other, rate=10, codec="ffv1") as writer:
        for _ in range(3):
            writer.write(np.full((120, 160, 3), 90, np.uint8))
    report, _ = masks(other, recorded, tmp_path)
    said = " ".join(report.remarks)
    assert said.count("found.ndjson was made of in.mkv, not of other.mkv") == 1
    assert "lines of found.ndjson fit no frame" in said
    with pytest.raises(UsageError, match=r"made of pictures of 160x120, but small\.mkv has 64x48"):
        stream.process(small(tmp_path), tmp_path / "x.mkv", from_records=recorded)


@pytest.fixture
def photos(tmp_path):
    """Three photos of a size, with a bright square in a place of its own each."""
    folder = tmp_path / "photos"
    for name, left in {"a.png": 20, "sub/b.png": 60, "c.png": 100}.items():
        picture = np.full((120, 160, 3), 40, np.uint8)
        picture[40:80, left : left + 40] = 255
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        cv2.imwrite(str(folder / name), picture)
    return folder


def lefts(folder):
    """Where each mask begins; -1 where it is empty."""
    found = {}
    for path in folder.glob("*.png"):
        columns = np.flatnonzero(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).any(axis=0))
        found[path.name] = int(columns[0]) if len(columns) else -1
    return found


@pytest.mark.parametrize("ending", ["ndjson", "json"])
def test_photos_take_what_was_recorded_of_their_own_files(photos, model, tmp_path, ending):
    """By their place among others they took what was recorded of another photo."""
    found = tmp_path / f"found.{ending}"
    names = ["a.png", "sub/b.png", "c.png"]
    stream.process([str(photos / one) for one in names], records=found, model=model)
    cv2.imwrite(str(photos / "new.png"), np.full((120, 160, 3), 40, np.uint8))
    for asked, said in {
        ("a.png", "sub/b.png", "c.png"): "",
        ("a.png", "c.png"): "1 line of found.* fits no frame",
        ("c.png", "sub/b.png", "new.png", "a.png"): "1 of 4 frames has no line",
    }.items():
        out = tmp_path / "-".join(asked).replace("/", "-")
        given = [str(photos / one) for one in asked]
        report = stream.process(given, f"{out}/", look="binary", from_records=found)
        known = {"a.png": 20, "b.png": 60, "c.png": 100, "new.png": -1}
        assert lefts(out) == pytest.approx(
            {one.rpartition("/")[2]: known[one.rpartition("/")[2]] for one in asked}, abs=4
        )
        assert re.search(said, " ".join(report.remarks))


def test_entries_of_later_photos_are_held_up_to_a_bound():
    paths = [Path(f"folder/{place}.jpg") for place in range(6)]
    entries = [Entry(f"line {place}", file=f"{place}.jpg") for place in (5, 4, 3, 2, 0, 1)]
    for most, bare in ((None, []), (2, [0, 1, 2, 3])):
        photos, left = Photos(paths), iter(entries)
        found = [photos.entry(one, left, most) for one in paths]
        assert [at for at, one in enumerate(found) if one is None] == bare
        assert all(
            one is None or one.file == path.name for one, path in zip(found, paths, strict=True)
        )
        assert photos.unread + sum(1 for _ in left) == len(bare)
    alike = Photos([Path("one/a.jpg"), Path("two/a.jpg")])
    for name, found in (("a.jpg", None), ("two/a.jpg", "two/a.jpg"), ("three/a.jpg", None)):
        assert (
            getattr(alike.entry(Path("two/a.jpg"), iter([Entry("", file=name)]), 9), "file", None)
            == found
        )
        assert Photos([Path("/x/a.jpg")]).entry(Path("/x/a.jpg"), iter([Entry("")]), 9) is None


def test_lines_behind_the_last_frame_are_said(clip, recorded, tmp_path):
    shorter = tmp_path / "in.mkv"
    stream.process(clip, shorter, look="fill", opacity=0, limit=12, from_records=recorded)
    said = [masks(shorter, recorded, tmp_path, **how)[0].remarks for how in ({}, {"limit": 12})]
    assert [
        any("8 lines of found.ndjson fit no frame" in one for one in told) for told in said
    ] == [
        True,
        False,
    ]
    broken = tmp_path / "broken.ndjson"
    broken.write_text(recorded.read_text() + "{nonsense}\n")
    assert any("9 lines" in one for one in masks(shorter, broken, tmp_path)[0].remarks)


def test_where_a_run_is_stopped_the_rest_is_not_missed(clip, recorded):
    with sources.open(str(clip), InputOptions()) as source:
        info = source.info
    for stopped, said in ((True, 0), (False, 1)):
        replay = Replay(recorded, info, ModelOptions(), CutOptions())
        replay.watch(Counts, stopped=lambda stopped=stopped: stopped)
        assert list(replay.settle([])) == []
        assert len(replay.remarks) == said
        replay.close()


def test_classes_may_be_those_that_a_hand_gave(clip, recorded, tmp_path):
    head, *lines = map(json.loads, recorded.read_text().splitlines())
    lines = [line for line in lines if "objects" in line]
    lines[3]["objects"][0]["class"] = "Größe"
    for about in ([head], []):
        hand = tmp_path / "hand.ndjson"
        hand.write_text("\n".join(map(json.dumps, [*about, *lines])))
        _, white = masks(clip, hand, tmp_path, classes="größe")
        assert [place for place in range(20) if white[place]] == [3]
        with pytest.raises(UsageError, match=r"has no class 'zebra'; it has .*person.*Größe"):
            masks(clip, hand, tmp_path, classes="größe,zebra")


def small(tmp_path):
    path = tmp_path / "small.mkv"
    with stream.VideoWriter(path, rate=10) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
    return path


def test_what_makes_no_sense_is_one_sentence(clip, recorded, model, tmp_path):
    out = tmp_path / "x.mkv"
    for how, sentence in (
        ({"model": model}, "leave out model"),
        ({"views": 2}, "leave out views"),
        ({"input_size": 512}, "leave out input_size"),
        ({"every": 2}, "leave out every"),
        ({"provider": "cpu"}, "leave out provider"),
        ({"classes": "zebra"}, "has no class 'zebra'; it has person"),
        ({"from_records": tmp_path / "none.ndjson"}, "there are no records"),
    ):
        with pytest.raises(UsageError, match=sentence):
            stream.process(clip, out, **({"from_records": recorded} | how))
    with pytest.raises(UsageError, match="a live source has no records"):
        stream.process("pattern", out, from_records=recorded)
    text = recorded.read_text().splitlines()
    broken = tmp_path / "broken.ndjson"
    broken.write_text("\n".join([*text[:6], text[6][:50]]))
    with pytest.raises(StreamError, match=r"broken.ndjson, line 7: the line is cut off"):
        stream.process(clip, out, from_records=broken)
    with pytest.raises(UsageError, match="is an input"):
        stream.process(clip, records=recorded, from_records=recorded, overwrite=True)


def test_lines_in_another_order_are_refused_and_painted_once_they_are_sorted(
    clip, recorded, tmp_path
):
    head, *lines, summary = recorded.read_text().splitlines()
    moved, out = tmp_path / "moved.ndjson", tmp_path / "out.mkv"
    others = {
        ".time": [*lines[:5], lines[9], *lines[5:9], *lines[10:]],
        ".frame": [
            json.dumps({"frame": json.loads(one)["frame"], "objects": []}) for one in lines[::-1]
        ],
    }
    for key, order in others.items():
        moved.write_text("\n".join((head, *order, summary)))
        with pytest.raises(UsageError, match="it is of an earlier frame") as said:
            stream.process(clip, out, from_records=moved, overwrite=True, **FFV1)
        assert f"sort_by({key})[]' moved.ndjson" in str(said.value)
        line = int(str(said.value).partition(", line ")[2].partition(":")[0])
        assert line == (8 if key == ".time" else 3)
    # As jq does it: what has no time is first.
    moved.write_text("\n".join((head, summary, *lines)))
    stream.process(clip, out, from_records=moved, overwrite=True, **FFV1)
    stream.process(clip, tmp_path / "right.mkv", from_records=recorded, **FFV1)
    assert samples(out) == samples(tmp_path / "right.mkv")


def test_a_challenge_and_a_data_set_are_painted_too(clip, model, tmp_path):
    names = [tmp_path / name for name in ("f.json", "f.txt")]
    stream.process(clip, records=names, model=model)
    exact, boxes = (masks(clip, one, tmp_path)[1] for one in names)
    assert all(0 < one <= other for one, other in zip(exact, boxes, strict=True))
    lines = names[1].read_text().splitlines()
    (tmp_path / "few.txt").write_text("\n".join(lines[:7]))
    report, few = masks(clip, tmp_path / "few.txt", tmp_path)
    assert few == boxes[:7] + [0] * 13
    assert not any("no line" in one for one in report.remarks), "it tells nothing of such frames"
    with pytest.raises(UsageError, match="has no times, so that start"):
        masks(clip, names[1], tmp_path, start=0.2)


@pytest.mark.slow
def test_real_footage_is_the_same_to_the_last_bit(shared_media, tmp_path):
    footage = shared_media / "intel_asl_book.mkv"
    outputs = [tmp_path / name for name in ("a.mkv", "b.mkv")]
    soft = tmp_path / "soft.ndjson"
    # People's edges are drawn by the network that the bundled model comes with.
    for every, look in ((1, "blur+contour+labels"), (3, "hide+labels")):
        how = {"look": look, "select": "largest", "limit": 40, "overwrite": True, **FFV1}
        stream.process(footage, outputs[0], every=every, **how)
        stream.process(
            footage, records=soft, records_masks="soft", every=every, limit=40, overwrite=True
        )
        stream.process(footage, outputs[1], from_records=soft, **how)
        assert samples(outputs[0]) == samples(outputs[1])


def test_who_was_followed_below_the_threshold_stays_where_it_is_asked_for_again(clip, tmp_path):
    """Else they were missing in single frames, when options of the first run were written again."""
    scores = (0.9, 0.3, 0.2)
    objects = [
        {"class": "person", "score": score, "box": [left, 20, left + 12, 80]}
        for left, score in zip((5, 35, 65), scores, strict=True)
    ]
    head = {"stream": 1, "size": [120, 160], "classes": ["person"]}
    line = {"frame": 0, "time": 0, "objects": objects}
    records, shown = tmp_path / "found.ndjson", {}
    for made in (0.6, None):
        options = {} if made is None else {"options": {"threshold": made}}
        records.write_text("\n".join(map(json.dumps, [head | options, line])))
        for asked in (None, 0.5, 0.6, 0.61):
            _, sizes = masks(clip, records, tmp_path, threshold=asked, limit=1)
            shown[made, asked] = sizes[0] / (12 * 60)
    assert shown == {
        (0.6, None): 3, (0.6, 0.5): 3, (0.6, 0.6): 2, (0.6, 0.61): 1,
        (None, None): 3, (None, 0.5): 1, (None, 0.6): 1, (None, 0.61): 1,
    }  # fmt: skip
    for key, wrong, said in (("threshold", "high", "is a number"), ("tracker", 3, "is")):
        records.write_text(json.dumps(head | {"options": {key: wrong}}))
        with pytest.raises(UsageError, match=f"line 1: {key} {said}"):
            masks(clip, records, tmp_path)


def test_who_was_followed_is_who_the_tracker_of_the_records_shows(clip, tmp_path):
    objects = [
        {"class": "person", "score": score, "box": [left, 20, left + 12, 80]}
        for left, score in zip((5, 35, 65, 95), (0.9, 0.5, 0.3, 0.2), strict=True)
    ]
    head = {"stream": 1, "size": [120, 160], "classes": ["person"]}
    line = {"frame": 0, "time": 0, "objects": objects}
    records, shown = tmp_path / "found.ndjson", {}
    for tracker in ("motion", "steady", "none", "of nobody here", ""):
        options = {"options": {"threshold": 0.6, "tracker": tracker}}
        records.write_text("\n".join(map(json.dumps, [head | options, line])))
        _, sizes = masks(clip, records, tmp_path, threshold=0.6, limit=1)
        shown[tracker] = sizes[0] / (12 * 60)
    assert shown == {"motion": 3, "steady": 2, "none": 1, "of nobody here": 3, "": 3}


def test_covers_go_by_class_and_threshold_as_where_the_model_looks(clip, tmp_path):
    """Who is below the threshold is doubted then, and of other classes nothing is covered."""

    def at(column, name, score):
        box = [column, 20, column + 12, 80]
        mask = {"cells": 28, "data": soft.encode(np.ones((28, 28), np.float32))}
        return {"class": name, "score": score, "box": box, "soft": mask}

    sure = [at(5, "person", 0.9), at(35, "person", 0.6), at(65, "dog", 0.9)]
    unsure = [at(95, "person", 0.4), at(115, "dog", 0.6), at(140, "person", 0.1)]
    records, out = tmp_path / "found.ndjson", tmp_path / "out.mkv"
    lines = [
        {"frame": index, "time": index / 25, "objects": sure, "unsure": unsure}
        for index in range(20)
    ]
    head = {"stream": 1, "size": [120, 160], "classes": ["person", "dog"]}
    records.write_text("\n".join(map(json.dumps, [head, *lines])))
    stream.process(
        clip, out, look="hide", from_records=records, classes="person", threshold=0.7, **FFV1
    )
    changed = []
    with av.open(str(clip)) as before, av.open(str(out)) as after:
        for one, other in zip(before.decode(video=0), after.decode(video=0), strict=True):
            apart = one.to_ndarray(format="gray") != other.to_ndarray(format="gray")
            columns = [slice(left + 2, left + 10) for left in (5, 35, 65, 95, 115, 140)]
            changed.append([bool(apart[25:75, part].mean() > 0.8) for part in columns])
    assert changed == [[True, True, False, True, False, False]] * 20
    # Who just reaches the threshold is there.
    _, both = masks(clip, records, tmp_path, classes="person", threshold=0.6, limit=1)
    _, one = masks(clip, records, tmp_path, classes="person", threshold=0.61, limit=1)
    assert both[0] == 2 * one[0] > 0
