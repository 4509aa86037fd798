"""Still edges lie still, moving ones do not lag, and nothing outlives its cause."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from stream.compositing.soft import EDGE, Soft, codes
from stream.compositing.steady import Steady, SteadyTogether
from tests import photos
from tests.compositing.pictures import astronaut, figure, people, portrait

SIZE = (240, 320)
BOX = (90.0, 40.0, 230.0, 220.0)


def grey(noise=0.0, seed=0):
    """The astronaut, with a camera's noise."""
    picture = cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY)
    part = picture[100 : 100 + SIZE[0], 60 : 60 + SIZE[1]]
    rng = np.random.default_rng(seed)
    return np.clip(part + rng.normal(0, noise, SIZE), 0, 255).astype(np.uint8)


def walking(box, index):
    """The astronaut's texture in the shape of somebody at a box, before another real picture."""
    behind = cv2.cvtColor(photos.coffee(), cv2.COLOR_RGB2GRAY)[: SIZE[0], : SIZE[1]]
    front = cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY)[: SIZE[0], : SIZE[1]]
    front = np.roll(front, int(box[0]), axis=1)
    inside = soft(box).values >= EDGE
    noise = np.random.default_rng(index).normal(0, 2, SIZE)
    return np.clip(np.where(inside, front, behind) + noise, 0, 255).astype(np.uint8)


def found(*boxes, tracks=(7,)):
    return people(astronaut(SIZE[1], SIZE[0]), *boxes, tracks=tracks)


def soft(box):
    window = (0, SIZE[0], 0, SIZE[1])
    return Soft(window, codes(figure(56), np.float32(box), window), 2.5, 3.0)


def jittered(index):
    rng = np.random.default_rng(index)
    return tuple(np.float32(BOX) + rng.uniform(-2, 2, 4).astype(np.float32))


def change(values):
    return np.mean([cv2.absdiff(one, other).mean() for one, other in pairwise(values)])


@pytest.mark.parametrize("noise", [0.0, 2.0, 4.0])
def test_a_still_edge_shimmers_less_than_half_as_much(noise):
    steady, before, after = Steady(), [], []
    for index in range(12):
        box = jittered(index)
        own = soft(box)
        (one,) = steady(grey(noise, index), found(box), [own], index / 25)
        before.append(own.values)
        after.append(one.values)
    assert change(after[2:]) < 0.4 * change(before[2:])
    # And it is not somewhere else.
    mean = np.mean(before, axis=0) >= EDGE
    assert np.count_nonzero((after[-1] >= EDGE) != mean) < 0.05 * mean.sum()


def test_a_picture_that_is_painted_on_afterwards_was_seen_as_it_came():
    # So small and without padding, all of its pixels are looked at where they lie.
    window, luma = (0, 144, 0, 176), grey()[:144, :176]
    masks = [
        Soft(window, codes(figure(56), np.float32(box), window), 2.5, 3.0)
        for box in ((40, 20, 130, 140), (42, 21, 131, 139))
    ]
    seen = []
    for painted in (False, True):
        steady, first = Steady(), luma.copy()
        steady(first, found(BOX), masks[:1], 0.0)
        if painted:
            first[:] = first[::-1, ::-1].copy()
        (one,) = steady(luma.copy(), found(BOX), masks[1:], 0.04)
        seen.append(one.values)
    assert np.array_equal(*seen)
    assert not np.array_equal(seen[0], masks[1].values)


@pytest.mark.parametrize("gained", [True, False])
@pytest.mark.parametrize("level", [255, 246, 200])
def test_a_part_that_a_mask_gains_or_loses_comes_and_goes_at_once(gained, level):
    """As when a detector takes two people for one: no mask that is sure is wholly 0 or 255."""
    alone = soft(BOX)
    larger = alone.values.copy()
    larger[60:200, 10:80] = np.maximum(larger[60:200, 10:80], level)
    both = alone._replace(values=np.maximum(larger, 4))
    first, second = (alone, both) if gained else (both, alone)
    steady, luma = Steady(), grey()
    steady(luma, found(BOX), [first], 0.0)
    (one,) = steady(luma, found(BOX), [second], 0.04)
    # Within what the mask may be off the rim may stay.
    inside = (slice(66, 194), slice(16, 74))
    assert cv2.absdiff(one.values[inside], second.values[inside]).max() <= 8
    together = SteadyTogether()
    together(luma, found(BOX), [first], 0.0)
    (one,) = together(luma, found(BOX), [second], 0.04)
    assert cv2.absdiff(one.values[inside], second.values[inside]).max() <= 8


def test_while_a_part_comes_the_other_edges_lie_still():
    plain = soft(MOVED)
    grown = plain.values.copy()
    grown[100:200, 10:50] = 255
    after = []
    for second in (plain, plain._replace(values=grown)):
        steady = Steady()
        steady(grey(), found(BOX), [soft(BOX)], 0.0)
        (one,) = steady(grey(), found(MOVED), [second], 0.04)
        after.append(one.values)
    right = (slice(None), slice(180, None))
    assert np.array_equal(after[0][right], after[1][right])
    assert cv2.absdiff(after[1][right], plain.values[right]).max() > 60


def test_hair_that_comes_and_goes_lies_still():
    """A lock beside a small picture's head, which the model sees in every other frame."""
    window, luma = (0, 144, 0, 176), grey()[:144, :176]
    head = np.zeros((144, 176), np.uint8)
    cv2.ellipse(head, (88, 80), (40, 55), 0, 0, 360, 255, -1)
    hair = head.copy()
    hair[60:76, 36:60] = 255
    masks = [Soft(window, cv2.blur(one, (7, 7)), 3.0, 3.0) for one in (head, hair)]
    steady, after = Steady(), []
    for index in range(6):
        (one,) = steady(luma, found(BOX), [masks[index % 2]], index / 25)
        after.append(one.values)
    lock = (slice(62, 74), slice(44, 49))
    plain = cv2.absdiff(masks[0].values[lock], masks[1].values[lock]).mean()
    assert change([one[lock] for one in after[1:]]) < 0.4 * plain


@pytest.mark.parametrize("speed", [2, 5, 12])
def test_a_moving_edge_does_not_lag(speed):
    steady, shared, joined = Steady(), 0, 0
    for index in range(8):
        box = np.float32(BOX) + np.float32([1, 0, 1, 0]) * (speed * index - 40)
        own = soft(box)
        (one,) = steady(walking(box, index), found(tuple(box)), [own], index / 25)
        shared += np.count_nonzero((one.values >= EDGE) & (own.values >= EDGE))
        joined += np.count_nonzero((one.values >= EDGE) | (own.values >= EDGE))
    assert shared / joined > 0.99


def test_the_less_the_picture_stayed_the_less_of_the_last_mask_does():
    """Of somebody who stands out by four codes nothing lags, where there is no noise."""
    kept = []
    for codes_off in range(5):
        luma = np.full(SIZE, 100, np.uint8)
        first, second = soft(BOX), soft(MOVED)
        steady = Steady()
        steady(luma, found(BOX), [first], 0.0)
        luma[:, 60:160] += codes_off
        (one,) = steady(luma, found(MOVED), [second], 0.04)
        part = (slice(10, 230), slice(70, 150))
        last, own, mixed = (
            each[part].astype(float) for each in (first.values, second.values, one.values)
        )
        there = np.abs(last - own) > 60
        assert np.count_nonzero(there) > 100
        kept.append(((own - mixed)[there] / (own - last)[there]).mean())
    assert kept[0] == pytest.approx(0.85, abs=0.03) and kept[1] == pytest.approx(kept[0])
    assert kept[1] > kept[2] + 0.1 and kept[2] > kept[3] + 0.1
    assert kept[4] == 0


def after_two(luma, second, tracks=(7,), seconds=0.04, first_tracks=(7,), begin=0.0):
    steady = Steady()
    steady(grey(), found(BOX, tracks=first_tracks), [soft(BOX)], begin)
    own = soft(second)
    (one,) = steady(luma, found(second, tracks=tracks), [own], begin + seconds)
    return one, own


MOVED = (94.0, 42.0, 234.0, 222.0)


@pytest.mark.parametrize("seconds", [0.04, 1.0])
def test_the_last_mask_stays_where_nothing_moves(seconds):
    one, own = after_two(grey(), MOVED, seconds=seconds, begin=7.0)
    assert not np.array_equal(one.values, own.values)


def cut_out(one, window):
    rows, columns = slice(*window[:2]), slice(*window[2:])
    return one._replace(window=window, values=np.ascontiguousarray(one.values[rows, columns]))


@pytest.mark.parametrize("kind", [Steady, SteadyTogether])
def test_a_mask_in_a_window_of_its_own_is_as_in_the_whole_picture(kind):
    """Also what two objects far apart need is looked at in one piece."""
    other = (20.0, 120.0, 60.0, 200.0)
    alone = kind()
    alone(grey(), found(BOX), [soft(BOX)], 0.0)
    (whole,) = alone(grey(2, 1), found(MOVED), [soft(MOVED)], 0.04)
    assert cv2.absdiff(whole.values, soft(MOVED).values).max() > 60
    for first, second in (
        ((30, 230, 70, 250), (22, 228, 74, 246)),
        ((31, 229, 71, 251), (22, 228, 74, 246)),
        ((30, 230, 70, 250), (21, 230, 73, 250)),
        ((31, 229, 71, 251), (23, 229, 75, 247)),
        ((31, 229, 71, 251), (22, 229, 74, 247)),
    ):
        steady, beside = kind(), cut_out(soft(other), (101, 221, 9, 71))
        steady(grey(), found(BOX, other, tracks=(7, 8)), [cut_out(soft(BOX), first), beside], 0.0)
        one, _ = steady(
            grey(2, 1),
            found(MOVED, other, tracks=(7, 8)),
            [cut_out(soft(MOVED), second), beside],
            0.04,
        )
        assert one.window == second
        differs = cv2.absdiff(one.values, cut_out(whole, second).values)
        assert not differs.any(), (first, second)


@pytest.mark.parametrize("kind", [Steady, SteadyTogether])
def test_somebody_whom_the_picture_cuts_off_lies_still_up_to_its_edges(kind):
    whole = np.full(SIZE, 200, np.uint8)
    first = Soft((0, SIZE[0], 0, SIZE[1]), whole, 2.5, 3.0)
    whole = whole.copy()
    whole[:] = 160
    steady = kind()
    steady(grey(), found(BOX), [first], 0.0)
    (one,) = steady(grey(), found(BOX), [first._replace(values=whole)], 0.04)
    assert cv2.absdiff(one.values, np.full_like(whole, 194)).max() <= 1


def test_a_cut_begins_anew():
    picture = cv2.flip(255 - grey(), 0)
    one, own = after_two(picture, MOVED)
    assert one is own


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 1.04])
def test_so_do_a_jump_in_time_and_a_clip_from_the_start(seconds):
    one, own = after_two(grey(), MOVED, seconds=seconds)
    assert one is own


def test_another_object_in_the_same_place_has_its_own_edge():
    one, own = after_two(grey(), MOVED, tracks=(8,))
    assert one is own


def test_without_numbers_the_same_place_is_the_same_object():
    one, own = after_two(grey(), MOVED, tracks=None, first_tracks=None)
    assert not np.array_equal(one.values, own.values)
    far = (10.0, 10.0, 60.0, 60.0)
    one, own = after_two(grey(), far, tracks=None, first_tracks=None)
    assert one is own
    for tracks, first_tracks in (((7,), None), (None, (7,))):
        one, own = after_two(grey(), MOVED, tracks=tracks, first_tracks=first_tracks)
        assert not np.array_equal(one.values, own.values)
        one, own = after_two(grey(), far, tracks=tracks, first_tracks=first_tracks)
        assert one is own


def test_who_has_no_mask_now_or_had_none_has_the_frames_own():
    other = (10.0, 60.0, 80.0, 200.0)
    for before, now in (([True, False], [True, True]), ([True, True], [True, False])):
        steady = Steady()
        both = [soft(box) for box in (BOX, other)]
        given = [one if there else None for one, there in zip(both, before, strict=True)]
        steady(grey(), found(BOX, other, tracks=(7, 8)), given, 0.0)
        both = [soft(box) for box in (MOVED, other)]
        given = [one if there else None for one, there in zip(both, now, strict=True)]
        one, two = steady(grey(), found(MOVED, other, tracks=(7, 8)), given, 0.04)
        assert not np.array_equal(one.values, both[0].values)
        assert two is given[1]


def test_what_has_gone_leaves_nothing():
    for tracks, nobody in (((7,), ()), (None, None)):
        steady = Steady()
        steady(grey(), found(BOX, tracks=tracks), [soft(BOX)], 0.0)
        assert steady(grey(), found(tracks=nobody), [], 0.04) == []
        own = soft(MOVED)
        (one,) = steady(grey(), found(MOVED, tracks=tracks), [own], 0.08)
        assert one is own


def test_another_size_begins_anew():
    steady = Steady()
    half = cv2.resize(grey(), (160, 120), interpolation=cv2.INTER_AREA)  # the same scene
    steady(half, found(BOX), [soft(BOX)], 0.0)
    own = soft(MOVED)
    (one,) = steady(grey(), found(MOVED), [own], 0.04)
    assert one is own


def together(steady, boxes, tracks, seconds, luma=None):
    softs = [soft(box) for box in boxes]
    after = steady(grey() if luma is None else luma, found(*boxes, tracks=tracks), softs, seconds)
    return [one.values for one in after], [one.values for one in softs]


def test_what_is_steadied_together_is_what_each_alone_is():
    steady, alone = SteadyTogether(), Steady()
    for index in range(4):
        box = jittered(index)
        (after,), (own,) = together(steady, [box], (7,), index / 25, grey(2, index))
        (one,) = alone(grey(2, index), found(box), [soft(box)], index / 25)
        assert np.array_equal(after, one.values), index
        assert index == 0 or not np.array_equal(after, own)


def test_together_a_cut_begins_anew():
    steady = SteadyTogether()
    together(steady, [BOX], (7,), 0.0)
    (after,), (own,) = together(steady, [MOVED], (7,), 0.04, cv2.flip(255 - grey(), 0))
    assert np.array_equal(after, own)


def test_together_who_comes_or_goes_has_no_part_in_what_is_held():
    other = (10.0, 60.0, 80.0, 200.0)
    for before, tracks_before, now, tracks_now in (
        ([BOX], (7,), [BOX, other], (7, 8)),
        ([BOX, other], (7, 8), [BOX], (7,)),
        ([BOX, other], (7, 8), [BOX, other], (7, 9)),
        ([BOX, other], None, [BOX], None),
    ):
        steady = SteadyTogether()
        together(steady, before, tracks_before, 0.0)
        after, own = together(steady, now, tracks_now, 0.04)
        for one, plain in zip(after, own, strict=True):
            # Where the other is or was, it is the frame's own.
            assert np.array_equal(one[:, :80], plain[:, :80]), now


def test_together_who_comes_elsewhere_or_nowhere_changes_nothing():
    window, other = (30, 230, 70, 250), (30, 230, 260, 310)
    after = []
    for coming in (None, (265.0, 5.0, 300.0, 20.0), (1.0, 100.0, 40.0, 200.0), (np.nan,) * 4):
        steady = SteadyTogether()
        steady(grey(), found(BOX), [cut_out(soft(BOX), window)], 0.0)
        boxes = [MOVED] if coming is None else [MOVED, coming]
        masks = [cut_out(soft(MOVED), window), cut_out(soft(MOVED), other)]
        (one, _) = steady(grey(), found(*boxes, tracks=(7, 8)[: len(boxes)]), masks, 0.04)
        assert not np.array_equal(one.values, masks[0].values)
        after.append(one.values)
    assert all(np.array_equal(after[0], one) for one in after[1:])


def test_together_who_comes_in_front_is_the_frames_own_and_nothing_around_him():
    window = (60, 230, 120, 250)  # which cuts him off
    for coming in (
        (125.0, 70.0, 150.0, 120.0),
        (60.0, 20.0, 145.0, 100.0),
        (200.0, 150.0, 270.0, 239.0),
    ):
        after = []
        for boxes in ([MOVED], [MOVED, coming]):
            steady = SteadyTogether()
            steady(grey(), found(BOX), [cut_out(soft(BOX), window)], 0.0)
            own = cut_out(soft(MOVED), window)
            (one,) = steady(grey(), found(*boxes, tracks=(7, 8)[: len(boxes)]), [own], 0.04)
            after.append(one.values)
        alone, with_him = after
        around = np.zeros(SIZE, bool)
        left, top, right, bottom = map(int, coming)
        around[max(0, top - 3) : bottom + 3, max(0, left - 3) : right + 3] = True
        around = around[60:230, 120:250]
        assert np.array_equal(with_him[around], own.values[around]), coming
        assert np.array_equal(with_him[~around], alone[~around]), coming
        assert not np.array_equal(alone[around], own.values[around]), coming


def test_together_parts_that_are_cut_otherwise_are_the_same_picture():
    left, right = (0, SIZE[0], 0, 160), (0, SIZE[0], 160, 320)

    def halves(one):
        return [
            one._replace(window=where, values=one.values[:, where[2] : where[3]])
            for where in (left, right)
        ]

    whole, parts = SteadyTogether(), SteadyTogether()
    whole(grey(), found(BOX), [soft(BOX)], 0.0)
    parts(grey(), found(BOX), halves(soft(BOX)), 0.0)
    (one,) = whole(grey(), found(MOVED), [soft(MOVED)], 0.04)
    (other,) = parts(grey(), found(MOVED), [soft(MOVED)], 0.04)
    assert np.array_equal(one.values, other.values)


@pytest.mark.parametrize("least", [0, 4, 20])
def test_who_leaves_what_looks_like_him_leaves_nothing_of_himself_there(least):
    """A dark figure before the dark: the picture stays, and no mask is wholly 0 beside it."""
    luma = np.full(SIZE, 20, np.uint8)
    steady, together = Steady(), SteadyTogether()
    for index in range(10):
        box = np.float32(BOX) + np.float32([1, 0, 1, 0]) * (8 * index - 60)
        own = soft(box)
        own = own._replace(values=np.clip(own.values, least, 255 - least).astype(np.uint8))
        far = cv2.dilate(own.values, np.ones((13, 13), np.uint8)) < 40
        for each in (steady, together):
            (one,) = each(luma, found(tuple(box)), [own], index / 25)
            assert cv2.absdiff(one.values, own.values)[far].max() <= 1, (each, index)
