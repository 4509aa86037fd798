"""Objects that are covered, also where they are missed for a while."""

from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from stream.compositing import Painter, Style, cover
from stream.kernels import compiled
from tests.compositing.pictures import FORMATS, astronaut, figure, frame, people, same, samples

BOX = (40, 20, 140, 150)
LOOKS = [("pixelate", {}), ("hide", {}), ("hide", {"cover": "blur"})]
each = pytest.mark.parametrize(("look", "style"), LOOKS)


def shown(painter, found, seconds=0.0, size=(200, 160), pixels="yuv420p"):
    picture = astronaut(*size, pixels)
    instances = None if found is None else people(picture, *found[0], tracks=found[1])
    one = frame(picture, instances)
    one.pts = round(25 * seconds)
    painter.paint(one)
    return samples(one.image)


def inside(boxes=(BOX,), size=(200, 160)):
    return people(astronaut(*size), *boxes).full_masks().any(axis=0)


@each
def test_every_pixel_of_an_object_is_covered_and_far_ones_stay(look, style):
    covered = inside()
    for pixels in FORMATS:
        before = samples(astronaut(200, 160, pixels))
        after = shown(Painter(look, Style(**style)), ((BOX,), None), pixels=pixels)
        # Not one keeps its value but by chance.
        assert (before[0] == after[0])[covered].mean() < 0.1, pixels
        assert np.array_equal(before[0][:, 160:], after[0][:, 160:]), pixels
        # What is left holds no detail: neighbours are alike.
        if look == "hide" and not style:
            assert np.ptp(after[0][covered]) == 0, pixels


@pytest.mark.parametrize(
    ("size", "box", "reach"),
    [
        ((640, 480), (200, 200, 300, 260), 0.015 * 480),  # of the picture
        ((640, 160), (20, 30, 620, 130), 0.02 * 600),  # of the object
    ],
)
def test_covers_reach_beyond_the_mask_by_a_share_of_the_picture_or_of_the_object(size, box, reach):
    stays = shown(Painter("hide"), ((box,), None), size=size)[0] == samples(astronaut(*size))[0]
    around = (~inside((box,), size)).astype(np.uint8)
    away = cv2.distanceTransform(around, cv2.DIST_L2, cv2.DIST_MASK_5)
    # Cells and what is half as sure add a quarter.
    assert stays[(away > 0) & (away <= reach)].mean() < 0.01
    assert stays[(away > reach) & (away <= 1.25 * reach)].mean() < 0.03
    assert stays[away > 5 * reach].mean() > 0.99


def test_squares_are_large_and_lie_still():
    pictures = []
    for shift in (0, 1, 3):
        box = (40 + shift, 20, 140 + shift, 150)
        pictures.append(shown(Painter("pixelate"), ((box,), None))[0])
    middle = np.s_[60:120, 70:110]
    assert all(np.array_equal(one[middle], pictures[0][middle]) for one in pictures[1:])
    rows = pictures[0][60:120, 90]
    assert len(np.unique(rows)) <= 60 // 10 + 1


@each
def test_a_box_may_reach_however_far_beyond_the_picture(look, style):
    """Squares of an eighth of it had been made of whole, however large."""
    near, *far = (
        shown(Painter(look, Style(**style)), ((box,), None))
        for box in (
            (-2e4, -2e4, 2e4, 2e4),
            (-1e9, -1e9, 1e9, 1e9),
            (-3e38, -3e38, 3e38, 3e38),
        )
    )
    for planes in far:
        assert same(planes, near)


@each
@pytest.mark.parametrize("tracks", [None, [7]])
def test_a_missed_object_stays_covered_for_as_long_as_asked(look, style, tracks):
    painter = Painter(look, Style(**style, cover_memory=0.5))
    clean = samples(astronaut())
    shown(painter, ((BOX,), tracks))
    assert painter.remarks == []
    for seconds in (0.04, 0.2, 0.48):
        after = shown(painter, None, seconds)
        assert (after[0] == clean[0])[inside()].mean() < 0.1
    assert same(shown(painter, None, 0.6), clean)
    assert same(shown(painter, None, 0.7), clean)
    assert painter.remarks == [
        "in 3 frames an object was covered where it was last found: 0.04-0.48 s"
    ]


@each
def test_a_missed_object_stays_covered_in_a_picture_of_another_size(look, style):
    painter = Painter(look, Style(**style))
    shown(painter, ((BOX,), [7]))
    for step, by in enumerate((2, 1), start=1):
        size, box = (200 * by, 160 * by), tuple(by * side for side in BOX)
        clean, after = samples(astronaut(*size)), shown(painter, None, 0.04 * step, size=size)
        assert (after[0] == clean[0])[inside((box,), size)].mean() < 0.1
        for side in (np.s_[:, 165 * by :], np.s_[:, : 30 * by]):
            assert np.array_equal(after[0][side], clean[0][side])


@each
def test_what_was_covered_in_a_picture_of_another_size_covers_nothing_there(look, style):
    painter = Painter(look, Style(**style))
    for step, size in enumerate(((400, 320), (200, 160), (400, 320))):
        after = shown(painter, ((BOX,), [7]), 0.04 * step, size=size)
        assert same(after, shown(Painter(look, Style(**style)), ((BOX,), [7]), size=size)), step


@each
def test_an_object_that_is_found_again_is_covered_once(look, style):
    there, moved, far = BOX, (44, 22, 144, 152), (145, 20, 195, 150)
    painter = Painter(look, Style(**style))

    def fresh(box, number):
        return shown(Painter(look, Style(**style)), ((box,), [number]))

    shown(painter, ((there,), [7]))
    # Under its number elsewhere, or in its place under another number.
    assert same(shown(painter, ((far,), [7]), 0.04), fresh(far, 7))
    shown(painter, ((there,), [8]), 2.0)
    after, clean = shown(painter, ((moved,), [9]), 2.04), samples(astronaut())
    alone = [one[0] != clean[0] for one in (fresh(there, 8), fresh(moved, 9))]
    changed = after[0] != clean[0]
    # Where it was a moment ago is covered still, and no more than that.
    assert not (changed & ~alone[0] & ~alone[1]).any()
    assert (changed | ~alone[1])[inside((moved,))].mean() > 0.99
    assert painter.remarks == []


def test_covering_in_one_call_changes_nothing(monkeypatch):
    still, near = (100, 25, 195, 155), (-90, 2, 195, 358)
    conceal_lately = cover.conceal_lately
    frames = [((BOX, still), [1, 2])] * 8
    frames += [((BOX, (100 + 6 * step, 25, 195 + 6 * step, 155)), [1, 2]) for step in range(1, 9)]
    # One is missed and comes again, one is so close that squares are others, one lies outside.
    frames += [((BOX,), [1])] * 2 + [((BOX, still), [1, 2])] * 6 + [((near, still), [1, 2])] * 3
    frames += [((BOX, (300, 30, 340, 90)), [1, 3]), None, ((BOX,), [4])]
    for look, style in (("pixelate", {}), ("hide", {})):
        for size, pixels in (((200, 160), "yuv420p"), ((201, 161), "yuv444p"), ((90, 70), "gray")):
            pictures, done = [], set()

            def told(*args, done=done, **more):
                done.add(found := conceal_lately(*args, **more))
                return found

            for way in (told, lambda *_, **__: False):
                with monkeypatch.context() as patch:
                    patch.setattr(cover, "conceal_lately", way)
                    painter = Painter(look, Style(**style))
                    pictures.append(
                        [
                            shown(painter, one, 0.08 * step, size, pixels)
                            for step, one in enumerate(frames)
                        ]
                    )
            for step, (one, other) in enumerate(zip(*pictures, strict=True)):
                assert same(one, other), (look, size, step)
            assert done == ({True, False} if compiled() else {False}), (look, size)


def test_a_mask_that_loses_a_part_for_a_moment_leaves_nothing_bare():
    painter, clean = Painter("hide"), samples(astronaut())
    whole, cut = (40, 10, 140, 150), (40, 30, 140, 150)
    for step, box in enumerate([whole, whole] + [cut] * 12):
        after = shown(painter, ((box,), [1]), 0.04 * step)
        assert (after[0] == clean[0])[inside((whole,))].mean() < 0.05
    # After a while the new shape is believed, and one who goes away leaves no trail.
    after = shown(painter, ((cut,), [1]), 1.6)
    assert (after[0] == clean[0])[:12, 40:140].all()
    after = shown(painter, (((110, 30, 190, 150),), [1]), 1.64)
    assert (after[0] == clean[0])[:, :90].all()


def test_an_arm_that_mask_and_box_lose_for_most_of_a_second_is_not_bare():
    painter, clean = Painter("hide"), samples(astronaut())
    whole, cut = (40, 10, 140, 150), (66, 10, 140, 150)
    for step, box in enumerate([whole, whole] + [cut] * 22):
        after = shown(painter, ((box,), [1]), 0.04 * step)
        assert (after[0] == clean[0])[inside((whole,))].mean() < 0.05, step
    after = shown(painter, ((cut,), [1]), 1.2)
    assert (after[0] == clean[0])[10:150, 40:50].all()


def test_an_arm_that_is_seen_for_a_fifth_of_a_second_is_not_bare_for_most_of_one():
    painter, clean = Painter("hide"), samples(astronaut())
    whole, cut = (40, 10, 140, 150), (66, 10, 140, 150)
    for step, box in enumerate([cut] * 10 + [whole] * 5 + [cut] * 19):
        after = shown(painter, ((box,), [1]), 0.04 * step)
        if step >= 10:
            assert (after[0] == clean[0])[inside((whole,))].mean() < 0.05, step
    # One of each fifth of a second is kept, and one that has not left yet: not each frame's.
    assert len(painter._layers[0]._covered) <= 7


@pytest.mark.parametrize("rate", [10, 25, 30, 60])
def test_an_arm_that_is_seen_in_one_frame_is_not_bare_for_a_second(rate):
    """It was, where its frame was left out of those kept: in three of four at 25 a second."""
    clean = samples(astronaut())
    whole, cut = (40, 10, 140, 150), (66, 10, 140, 150)
    arm = inside((whole,)) & ~inside((cut,))
    for first in range(rate // 2, rate // 2 + 13):
        painter = Painter("hide")
        for step in range(first + rate):
            picture = astronaut()
            box = whole if step == first else cut
            one = frame(picture, people(picture, box, tracks=[1]))
            one.pts, one.time_base = step, Fraction(1, rate)
            painter.paint(one)
            if step >= first:
                bare = (samples(one.image)[0] == clean[0])[arm].mean()
                assert bare < 0.1, (first, step)


def test_two_arms_that_are_seen_by_turns_are_both_covered():
    painter, clean = Painter("hide"), samples(astronaut())
    body, left, right = (66, 10, 140, 150), (40, 10, 140, 150), (66, 10, 166, 150)
    for step in range(60):
        box = {3: left, 4: right}.get(step % 20, body)
        after = shown(painter, ((box,), [1]), step / 25)
        if step >= 5 and box == body:
            assert (after[0] == clean[0])[inside((left, right))].mean() < 0.1, step


def test_who_runs_past_leaves_no_trail():
    painter, clean = Painter("hide"), samples(astronaut(640, 160))
    for step in range(25):
        box = (20 + 20 * step, 20, 90 + 20 * step, 150)
        after = shown(painter, ((box,), [1]), step / 25, size=(640, 160))
        assert (after[0] == clean[0])[:, : max(0, box[0] - 60)].all(), step


def test_each_time_that_somebody_is_missed_is_reported_by_itself():
    painter = Painter("hide")
    for step in range(20):
        shown(painter, None if step in (5, 6, 12) else ((BOX,), [1]), 0.04 * step)
    assert painter.remarks == [
        "in 3 frames an object was covered where it was last found: 0.20-0.24 s, 0.48 s"
    ]


def test_a_box_that_moves_a_little_to_the_side_leaves_nothing_bare():
    painter, clean = Painter("hide"), samples(astronaut())
    before, after = (40, 10, 140, 150), (57, 10, 157, 150)
    shown(painter, ((before,), [1]))
    seen = shown(painter, ((after,), [1]), 0.04)
    lost = inside((before,)) & ~inside((after,))
    assert (seen[0] == clean[0])[lost].mean() < 0.05


def test_a_shoulder_that_takes_up_to_half_of_the_box_along_is_not_bare():
    clean, whole = samples(astronaut()), (40, 10, 140, 150)
    # The left or the lower half, with what masks' boxes vary by; and one that is no rest of it.
    for cut, stays in (((88, 8, 141, 150), False), ((40, 10, 140, 82), False),
                       ((100, 10, 140, 150), True), ((84, 10, 154, 150), True)):  # fmt: skip
        painter = Painter("hide")
        for step, box in enumerate([whole, whole] + [cut] * 22):
            after = shown(painter, ((box,), [1]), 0.04 * step)
            bare = (after[0] == clean[0])[inside((whole,))].mean() > 0.2
            assert bare == (stays and step > 1), (cut, step)
        after = shown(painter, ((cut,), [1]), 1.2)
        assert (after[0] == clean[0])[inside((whole,))].mean() > 0.2, "the new shape is believed"


def test_a_speck_beside_somebody_is_covered_for_a_moment_and_a_hand_for_longer():
    size, box = (640, 480), (160, 40, 480, 470)
    painter, clean = Painter("hide"), samples(astronaut(*size))
    plain = people(astronaut(*size), box, mask=figure(56), tracks=[1])
    masks = plain.masks.copy()
    masks[0, 4, 6] = 0.9
    masks[0, 4:9, 46:51] = 0.9
    down, across = 430 / 56, 320 / 56
    speck = np.s_[round(40 + 4 * down) : round(40 + 5 * down), 195:200]
    hand = np.s_[round(40 + 4 * down) : round(40 + 9 * down), round(160 + 46 * across) : 450]
    specks, hands = [], []
    for step in range(24):
        one = frame(astronaut(*size), replace(plain, masks=masks) if step < 2 else plain)
        one.pts = step
        painter.paint(one)
        stays = samples(one.image)[0] == clean[0]
        specks.append(stays[speck].mean())
        hands.append(stays[hand].mean())
    assert max(hands) < 0.1
    assert max(specks[:2]) < 0.1 and min(specks[6:]) == 1


def test_who_stands_behind_another_is_missed_and_not_the_other_under_a_new_number():
    painter, clean = Painter("hide"), samples(astronaut())
    behind, before = (40, 20, 120, 150), (58, 20, 140, 155)
    shown(painter, ((before, behind), [2, 1]))
    after = shown(painter, ((before,), [2]), 0.04)
    assert (after[0] == clean[0])[inside((behind, before))].mean() < 0.05
    assert painter.remarks == ["in 1 frame an object was covered where it was last found: 0.04 s"]
    # Without numbers, one that is found is one, not both.
    painter = Painter("hide")
    shown(painter, ((before, behind), None))
    after = shown(painter, ((before,), None), 0.04)
    assert (after[0] == clean[0])[inside((behind, before))].mean() < 0.05


def test_one_of_two_is_missed():
    painter, other = Painter("hide"), (150, 30, 190, 150)
    shown(painter, ((BOX, other), [1, 2]))
    after = shown(painter, ((other,), [2]), 0.04)
    clean = samples(astronaut())
    assert (after[0] == clean[0])[inside((BOX, other))].mean() < 0.1


def test_one_of_two_is_missed_for_longer_than_covers_of_a_moment_ago_are_kept():
    painter, clean = Painter("hide", Style(cover_memory=2)), samples(astronaut())
    one, other = (10, 20, 80, 150), (120, 20, 190, 150)
    shown(painter, ((one, other), [1, 2]))
    for seconds in (0.4, 0.8, 1.2, 1.6):
        after = shown(painter, ((one,), [1]), seconds)
        assert (after[0] == clean[0])[inside((other,))].mean() < 0.05, seconds


@each
def test_who_is_nowhere_leaves_nobody_else_bare(look, style):
    """As of a model whose numbers run over: its box says no place."""
    painters = Painter(look, Style(**style)), Painter(look, Style(**style))
    nowhere = (float("nan"), 0, float("inf"), 50)
    for tracks in ([1, 2], [1, 3], [4, 5]):
        own, others = (
            shown(painter, (boxes, tracks[: len(boxes)]), tracks[0] / 25)
            for painter, boxes in zip(painters, ((BOX,), (BOX, nowhere)), strict=True)
        )
        assert same(own, others), tracks


@each
def test_the_cover_of_one_who_is_missed_grows_slowly(look, style):
    painter, clean = Painter(look, Style(**style)), samples(astronaut())
    shown(painter, ((BOX,), [7]))
    areas = [
        np.count_nonzero(shown(painter, None, seconds)[0] != clean[0]) for seconds in (0.04, 0.52)
    ]
    # By a fifth in half a second, each way.
    assert 1.1 * areas[0] < areas[1] < 1.6 * areas[0]


def test_without_memory_nothing_is_covered_that_is_not_found():
    painter = Painter("hide", Style(cover_memory=0))
    shown(painter, ((BOX,), None))
    assert same(shown(painter, None, 0.04), samples(astronaut()))


def test_without_memory_covers_of_a_moment_ago_are_not_kept_either():
    painter, cut = Painter("hide", Style(cover_memory=0)), (66, 10, 140, 150)
    shown(painter, (((40, 10, 140, 150),), [1]))
    assert same(shown(painter, ((cut,), [1]), 0.04), shown(Painter("hide"), ((cut,), [1])))


def test_what_is_remembered_does_not_grow_without_end():
    painter = Painter("hide", Style(cover_memory=0.2))
    for index in range(200):
        x = 7 * index % 150
        shown(painter, (((x, 20, x + 30, 90),), [index + 1]), index / 25)
        layer = painter._layers[0]
        assert len(layer._latest.boxes) + len(layer._others) <= 7
    for index in range(200, 400):
        shown(painter, ((BOX,), [1]) if index % 12 == 0 else None, index / 25)
    assert len(painter.remarks[0]) < 600
    assert "more times" not in painter.remarks[0] or painter.remarks[0].count(" s") <= 21


def doubted(painter, found, unsure, seconds=0.0):
    """What is painted of some that were found and some that are doubted."""
    picture = astronaut()
    instances = people(picture, *found, tracks=list(range(1, len(found) + 1)))
    one = frame(picture, replace(instances, unsure=people(picture, *unsure)))
    one.pts = round(25 * seconds)
    painter.paint(one)
    return samples(one.image)


@each
def test_what_is_doubted_is_covered_and_reported(look, style):
    painter, other = Painter(look, Style(**style)), (150, 30, 190, 150)
    clean = samples(astronaut())
    after = doubted(painter, [BOX], [other])
    assert (after[0] == clean[0])[inside((BOX, other))].mean() < 0.1
    doubted(painter, [BOX], [], 2.0)
    assert painter.remarks == [
        "in 1 frame something was covered that the model was not sure of: 0.00 s"
    ]


def test_a_limb_of_one_that_was_found_is_not_worth_a_word():
    painter = Painter("hide")
    doubted(painter, [BOX], [(60, 40, 100, 140), (50, 22, 141, 150)])
    assert painter.remarks == []
    # Somebody who is half beside them is.
    painter = Painter("hide")
    doubted(painter, [BOX], [(90, 40, 190, 150)])
    assert len(painter.remarks) == 1 and "was not sure of" in painter.remarks[0]


def test_one_that_is_doubted_for_long_is_remembered_from_where_it_was_doubted_last():
    painter, clean = Painter("hide", Style(cover_memory=0.5)), samples(astronaut())
    doubted(painter, [BOX], [])
    for step in range(1, 30):  # longer than the memory, and half of its width away at the end
        place = (40 + 1.5 * step, 20, 140 + 1.5 * step, 150)
        after = doubted(painter, [], [place], step * 0.04)
        assert (after[0] == clean[0])[inside((place,))].mean() < 0.1
    after = doubted(painter, [], [], 29 * 0.04 + 0.4)
    assert (after[0] == clean[0])[inside((place,))].mean() < 0.1
    assert "was last found: 1.56 s" in painter.remarks[0]
    assert "not sure of: 0.04-1.16 s" in painter.remarks[1]


def test_what_is_doubted_twice_is_no_surer_for_it():
    painter, clean = Painter("hide"), samples(astronaut())
    for seconds in (0.0, 0.04):
        doubted(painter, [], [BOX], seconds)
    assert not same(doubted(painter, [], [], 0.24), clean)
    assert same(doubted(painter, [], [], 0.44), clean)


def test_what_was_never_sure_is_remembered_for_a_moment_only():
    painter, clean = Painter("hide", Style(cover_memory=1.0)), samples(astronaut())
    doubted(painter, [], [BOX])
    after = doubted(painter, [], [], 0.2)
    assert (after[0] == clean[0])[inside()].mean() < 0.1
    assert same(doubted(painter, [], [], 0.4), clean)
    assert painter.remarks == [
        "in 2 frames something was covered that the model was not sure of: 0.00-0.20 s"
    ]


def test_of_what_nobody_chose_nothing_is_covered():
    other, clean = (150, 30, 190, 150), samples(astronaut())
    painter = Painter("hide", Style(select="id1"))
    after = doubted(painter, [BOX], [other])
    assert (after[0] == clean[0])[inside()].mean() < 0.1
    assert (after[0] == clean[0])[inside((other,))].mean() > 0.5
    # The chosen one still is, where it is doubted.
    after = doubted(painter, [], [(44, 22, 144, 152), other], 0.04)
    assert (after[0] == clean[0])[inside()].mean() < 0.1
    assert (after[0] == clean[0])[inside((other,))].mean() > 0.5


@pytest.mark.parametrize("look", ["hide", "pixelate"])
def test_a_crowd_is_covered_as_each_of_it_is(look):
    boxes = [(10 + 30 * step, 10 + 8 * step, 60 + 30 * step, 120 + 8 * step) for step in range(5)]
    clean = samples(astronaut())
    every = shown(Painter(look), (boxes, None))
    each = [shown(Painter(look), ((box,), None)) for box in boxes]
    for place, before in enumerate(clean):
        alone = np.any([one[place] != before for one in each], axis=0)
        # Squares of one may be what they cover; what is changed alone is changed together.
        assert (every[place] != before)[alone].mean() > 0.97, place


@each
def test_covers_end_at_a_cut_and_are_there_again_where_it_was_none(look, style):
    """Somebody close before the camera looks like two cuts: nobody behind him is bare then."""
    painter = Painter(look, Style(**style))
    clean, street = samples(astronaut()), stripes()
    shown(painter, ((BOX,), [7]))
    other = frame(street, None)
    other.pts = 1
    before = samples(other.image)
    painter.paint(other)
    assert same(samples(other.image), before)
    after = shown(painter, None, 0.08)
    assert (after[0] == clean[0])[inside()].mean() < 0.1


@each
def test_who_was_found_behind_a_cut_stays_covered_while_the_picture_fades(look, style):
    """Bit by bit it becomes another scene, but nothing was cut since he was seen."""
    painter, street, box = Painter(look, Style(**style)), stripes(), (100, 40, 180, 150)
    start, end = (one.to_ndarray(format="rgb24") for one in (street, astronaut()))
    # At last from the start again: the cut before that lies at a time that is yet to come.
    for first, cut in ((0, True), (100, True), (0, False)):
        if cut:
            shown(painter, (((0, 0, 30, 30),), [1]), first / 25)
        for step in range(11):
            mixed = cv2.addWeighted(start, 1 - step / 10, end, step / 10, 0)
            picture = av.VideoFrame.from_ndarray(mixed, "rgb24").reformat(format="yuv420p")
            before = samples(picture)
            one = frame(picture, None if step else people(street, box, tracks=[2]))
            one.pts = 1 + first + step
            painter.paint(one)
            assert (samples(one.image)[0] == before[0])[inside((box,))].mean() < 0.2, (first, step)


def stripes():
    """A picture that has nothing in common with the other one."""
    rows = (np.arange(160)[:, None] // 13 % 2 * 200 + np.arange(200) // 3).astype(np.uint8)
    return av.VideoFrame.from_ndarray(np.dstack([rows] * 3), "rgb24").reformat(format="yuv420p")
