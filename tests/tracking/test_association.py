from dataclasses import replace

import numpy as np

from stream.instances import box_iou
from stream.tracking.association import (
    best_pairs,
    buffered_iou,
    covered_by,
    mask_cover,
    united,
)
from tests.tracking.objects import found


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


def test_boxes_that_do_not_touch_are_near_when_they_are_enlarged():
    one, near, far = boxes((0, 0, 10, 10)), boxes((12, 0, 22, 10)), boxes((200, 0, 210, 10))
    both = np.concatenate([near, far])
    np.testing.assert_array_equal(buffered_iou(one, both, 0.0), box_iou(one, both))
    # Enlarged by three pixels on each side they share 4 of 16 columns.
    np.testing.assert_allclose(buffered_iou(one, both, 0.3), [[4 / 28, 0]], rtol=1e-5)
    each = buffered_iou(one, both, np.array([0.3, 10], np.float32))
    np.testing.assert_allclose(each[:, :1], buffered_iou(one, near, 0.3))
    assert each[0, 1] > 0
    # However small they are.
    tiny = buffered_iou(one / 1000, both / 1000, 0.3)
    np.testing.assert_allclose(tiny, buffered_iou(one, both, 0.3), rtol=1e-5)
    assert buffered_iou(one, both[:0], 0.3).shape == (1, 0)
    assert buffered_iou(one[:0], both, 0.3).shape == (0, 2)


def test_the_best_pairs_come_first_and_everything_is_in_one_at_most():
    similarity = np.array([[0.9, 0.8, 0.0], [0.85, 0.1, 0.3]], np.float32)
    assert list(best_pairs(similarity, 0.25)) == [(0, 0), (1, 2)]
    assert list(best_pairs(similarity, 0.5)) == [(0, 0)]
    assert list(best_pairs(similarity, float(similarity.max()))) == []
    assert list(best_pairs(similarity[:, :0], 0.5)) == []
    assert similarity[0, 0] == np.float32(0.9)


def test_masks_cover_each_other_by_their_pixels():
    instances = found(((0, 0, 100, 100), 0.9), ((20, 20, 70, 70), 0.8), ((105, 0, 150, 50), 0.7))
    covered, overlap = mask_cover(instances, 1, 0)
    assert covered == 1
    assert abs(overlap - 0.25) < 0.01
    covered, overlap = mask_cover(instances, 0, 1)
    assert abs(covered - 0.25) < 0.01
    assert abs(overlap - 0.25) < 0.01
    assert mask_cover(instances, 2, 0) == (0, 0)
    # Whose mask reaches the threshold nowhere covers nobody and is covered by nobody.
    instances.masks[1] = 0.1
    assert mask_cover(instances, 1, 0) == mask_cover(instances, 0, 1) == (0, 0)


def test_a_part_is_added_to_a_mask_where_it_lies():
    instances = found(((0, 0, 100, 100), 0.9), ((50, 60, 70, 100), 0.8), ((90, 0, 140, 50), 0.7))
    instances.masks[0] = 0

    def joined(part):
        mask, box = united(instances, 0, part)
        one = replace(instances[:1], masks=mask[None], boxes=box[None], mask_boxes=None)
        return one.full_masks()[0]

    inside = joined(1)
    assert inside[64:98, 53:68].all()
    assert np.count_nonzero(inside) <= 1.4 * 20 * 40
    # What lies outside the first one's frame is there as well.
    beside = joined(2)
    assert beside[5:45, 95:135].all()
    assert np.count_nonzero(beside) <= 1.2 * 50 * 50
    assert not instances.masks[0].any()


def test_an_own_mask_is_the_same_in_a_larger_frame():
    around = (10, 15, 130, 110)
    for part, union in (((90, 25, 140, 75), (20, 25, 140, 105)), (around, around)):
        instances = found(((20, 25, 100, 105), 0.9), (part, 0.8))
        instances.masks[0, :, 14:] = instances.masks[1] = 0
        before = instances.full_masks()[0]
        mask, box = united(instances, 0, 1)
        assert tuple(box.tolist()) == union
        after = replace(instances[:1], masks=mask[None], boxes=box[None]).full_masks()[0]
        assert np.count_nonzero(before ^ after) < 0.08 * np.count_nonzero(before), part


def test_what_a_mask_elsewhere_covers_is_told_by_pixels():
    instances = found(((20, 20, 70, 70), 0.9))
    half = np.ones((14, 14), np.float32), np.array([20, 20, 45, 70], np.float32)
    assert abs(covered_by(instances, 0, half) - 0.5) < 0.03
    assert covered_by(instances, 0, (half[0], half[1] + 100)) == 0
    for nowhere in ((0, 0, 0, 0), (45, 20, 45, 70), (20, 45, 70, 45), (45, 20, 44, 70)):
        assert covered_by(instances, 0, (half[0], np.array(nowhere, np.float32))) == 0, nowhere
