"""The picture of where a frame's time goes is made by the script that says so."""

import json

import cv2
import pytest

from stream.bench.material import make_clip
from tests.scripts import DOCS, script


@pytest.fixture
def frame_time():
    with script("frame_time") as module:
        yield module


def test_the_picture_shown_is_drawn_from_the_records_beside_it(frame_time, tmp_path):
    records = json.loads((DOCS / "frame-time.json").read_text())
    names = {record["name"] for record in records}
    assert {name.rpartition(", ")[2] for name in names} == {"before", "after"}
    assert all(set(record["parts"]) == set(frame_time.PARTS) for record in records)
    frame_time.draw(records, tmp_path / "drawn.png")
    drawn, shown = (
        cv2.imread(str(path)) for path in (tmp_path / "drawn.png", DOCS / "images/frame-time.png")
    )
    assert drawn.shape == shown.shape


@pytest.mark.slow
def test_the_parts_are_those_of_a_run(frame_time, tmp_path):
    clip = tmp_path / "clip.mp4"
    make_clip(clip, 320, 240, 130)
    parts = frame_time.measure(clip, "cpu")
    assert set(parts) == set(frame_time.PARTS)
    assert all(cost >= 0 for cost in parts.values())
    assert parts["inference"] > parts["painting"] > 0
