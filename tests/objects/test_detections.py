import sys

import numpy as np
import pytest

from stream import Instances
from stream.errors import UsageError
from tests.export.lazily import lazily
from tests.test_instances import three

supervision = lazily("supervision")


@pytest.fixture(autouse=True)
def there() -> None:
    pytest.importorskip("supervision")


def test_there_and_back_is_the_same_picture():
    found = three().with_tracks(np.array([4, 7, 9]))
    detections = found.to_supervision()
    assert isinstance(detections, supervision.Detections)
    np.testing.assert_array_equal(detections.mask, found.full_masks())
    assert detections.data["class_name"].tolist() == found.names
    back = Instances.from_supervision(detections, class_names=found.class_names)
    np.testing.assert_array_equal(back.full_masks(), found.full_masks())
    for name in ("boxes", "scores", "labels", "track_ids"):
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name), err_msg=name)
    assert back.picture_size == found.picture_size


def test_names_come_from_the_detections_and_the_best_is_first():
    detections = three().to_supervision()[::-1]
    back = Instances.from_supervision(detections)
    assert back.names == ["person", "car", "person"]
    assert back.class_names == ("car", "person")
    assert back.scores.tolist() == three().scores.tolist()


def test_boxes_alone_are_wholly_the_object():
    detections = supervision.Detections(xyxy=np.array([[10.0, 20.0, 30.0, 50.0]]))
    with pytest.raises(ValueError, match=r"picture's size: give picture_size=\(height, width\)"):
        Instances.from_supervision(detections)
    found = Instances.from_supervision(detections, picture_size=(100, 120))
    assert found.areas.tolist() == [20 * 30]
    assert found.names == ["class 0"]
    assert found.track_ids is None


def test_nothing_is_nothing_on_both_sides():
    none = Instances.empty(("person",), (48, 64))
    assert len(none.to_supervision()) == 0
    back = Instances.from_supervision(none.to_supervision(), picture_size=(48, 64))
    assert len(back) == 0


def test_a_frame_in_which_nothing_was_found_tells_its_size():
    found = three()
    kept = found.to_supervision()
    compact = supervision.CompactMask.from_dense(
        np.zeros((0, *found.picture_size), np.bool_), np.zeros((0, 4)), found.picture_size
    )
    for mask in (kept.mask, compact):
        detections = kept[kept.confidence > 1]
        detections.mask = mask[:0]
        back = Instances.from_supervision(detections)
        assert (len(back), back.picture_size) == (0, found.picture_size)
        assert back.full_masks().shape == (0, *found.picture_size)


def test_its_compact_masks_are_read_as_well():
    found = three()
    full = found.to_supervision()
    compact = supervision.CompactMask.from_dense(full.mask, full.xyxy, found.picture_size)
    full.mask = compact
    back = Instances.from_supervision(full)
    inside = np.stack([np.asarray(compact[index]) for index in range(3)])
    np.testing.assert_array_equal(back.full_masks(), inside)


def test_without_the_library_a_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(UsageError, match="pip install supervision"):
        three().to_supervision()


def test_masks_of_another_size_than_the_picture_are_refused():
    pytest.importorskip("supervision")
    made = Instances.from_full_masks(
        np.ones((1, 30, 40), np.bool_), class_names=("a",), picture_size=(30, 40)
    ).to_supervision()
    with pytest.raises(ValueError, match=r"\(30, 40\) does not fit a picture of \(10, 10\)"):
        Instances.from_supervision(made, picture_size=(10, 10))
