"""A decoded picture that is to be turned is looked at upright, and answered for as it is stored."""

from __future__ import annotations

import av
import numpy as np
import pytest

from stream import Segmenter
from stream.inference.contract import Resize
from stream.inference.upright import quarter_turns, turned_back
from stream.instances import Instances
from tests import tiny_models
from tests.media import make_clip
from tests.tiny_models import metadata


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_what_is_found_lies_where_it_is_in_the_stored_picture(tmp_path, rotation):
    # Bright at the top left, as it is stored, of an upright picture's corner elsewhere.
    clip = make_clip(
        tmp_path / "in.mp4", size=(64, 48), frames=1, rotation=rotation, pixel_format="gray"
    )
    with av.open(str(clip)) as container:
        picture = next(container.decode(video=0))
    assert quarter_turns(picture) == -rotation // 90 % 4
    path = tiny_models.bright(tmp_path / "bright.onnx", 238, metadata(Resize("native")))
    found = Segmenter.load(path, provider="cpu")(picture)
    assert found.picture_size == (48, 64)
    assert len(found) == 1
    assert found.boxes[0] == pytest.approx([0, 0, 16, 12], abs=2)
    plain = picture.to_ndarray(format="gray") > 220
    mask = found.full_masks()[0]
    assert (mask & plain).sum() / (mask | plain).sum() > 0.7


@pytest.mark.parametrize("turns", range(4))
def test_boxes_and_masks_turn_with_the_picture(turns):
    masks = np.zeros((1, 8, 8), np.float32)
    masks[0, :2, :5] = 1
    stored = Instances(
        boxes=np.array([[10, 20, 26, 28]], np.float32),
        scores=np.ones(1, np.float32),
        labels=np.zeros(1, np.int64),
        masks=masks,
        class_names=("person",),
        picture_size=(60, 100),
        mask_boxes=np.array([[8, 16, 40, 32]], np.float32),
    )
    # Three more turns make it whole; what it looks like is turned by numpy.
    once = turned_back(stored, turns)
    assert turned_back(once, (4 - turns) % 4) == stored
    assert np.array_equal(once.full_masks()[0], np.rot90(stored.full_masks()[0], turns))
