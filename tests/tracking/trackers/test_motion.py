from dataclasses import replace

import numpy as np
import pytest

from stream import tracking
from stream.instances import Instances
from stream.tracking.base import DOUBT
from stream.tracking.trackers.motion import (
    CERTAIN,
    CONFIRM,
    LONG,
    MEMORY,
    SURVEY,
    Motion,
)
from stream.tracking.trackers.motion import DOUBTED as DOUBTED_SHARE
from tests.tracking.objects import LEFT, RIGHT, THRESHOLD, Fed, found, moved

DOUBTED = THRESHOLD * (DOUBTED_SHARE + 1) / 2
UNSURE = (THRESHOLD + CERTAIN) / 2
RATES = [3, 10, 25, 29.97, 60]


@pytest.fixture
def motion():
    """A tracker that has seen a picture with nothing in it."""
    fed = Fed(Motion())
    fed()
    return fed


def pictures_until_shown(fed, *objects):
    for count in range(1, 100):
        if fed(*objects):
            return count
    raise AssertionError("never shown")


def test_what_the_first_picture_shows_is_there_at_once():
    assert Fed(Motion())((LEFT, THRESHOLD), (RIGHT, 0.8)) == {RIGHT: 1, LEFT: 2}


@pytest.mark.parametrize("rate", RATES)
def test_a_new_object_is_confirmed_over_time(rate):
    fed = Fed(Motion(), rate)
    fed()
    expected = max(2, int((CONFIRM - 1e-3) * rate) + 2)
    assert pictures_until_shown(fed, (LEFT, UNSURE)) == expected


def test_who_is_certain_is_shown_at_once(motion):
    assert motion((LEFT, CERTAIN + 0.01)) == {LEFT: 1}


def test_what_flashes_up_gets_no_number(motion):
    for _ in range(10):
        assert motion((LEFT, UNSURE)) == {}
        assert motion((LEFT, DOUBTED)) == {}
        for _ in range(4):
            assert motion() == {}
    assert motion((RIGHT, 0.95)) == {RIGHT: 1}


def test_in_footage_it_is_confirmed_by_what_follows():
    tracker = Motion()
    later = [(index / 25, found((moved(LEFT, index), UNSURE))) for index in range(20)]
    tracker.update(found(), -0.04, THRESHOLD)
    for index, (seconds, candidates) in enumerate(later):
        following = later[index + 1 : index + 7]
        shown = tracker.update(candidates, seconds, THRESHOLD, following)
        assert shown.track_ids.tolist() == [1]


def test_looking_ahead_changes_nothing_but_when_an_object_is_shown():
    rng = np.random.default_rng(3)
    scene = []
    for index in range(100):
        objects = [
            (moved(LEFT, index), 0.4 + 0.5 * rng.random()),
            (moved(RIGHT, -index / 2), 0.3 + 0.6 * rng.random()),
        ]
        if rng.random() < 0.2:
            objects.append((moved(LEFT, *(60 * rng.random(2))), 0.6))
        candidates = found(*objects)
        scene.append((index / 25, candidates[candidates.scores >= 0.35]))
    alone, ahead = Motion(), Motion()
    for index, (seconds, candidates) in enumerate(scene):
        one = alone.update(candidates, seconds, THRESHOLD)
        other = ahead.update(candidates, seconds, THRESHOLD, scene[index + 1 : index + 7])
        earlier = dict(zip(other.track_ids.tolist(), other.scores.tolist(), strict=True))
        for identity, score in zip(one.track_ids.tolist(), one.scores.tolist(), strict=True):
            assert score in earlier.values(), identity
    assert alone._identities == ahead._identities


def test_one_that_is_doubted_stays_for_a_while(motion):
    motion((LEFT, 0.95))
    lasted = sum(LEFT in motion((LEFT, DOUBTED)) for _ in range(50))
    assert lasted == int((DOUBT + 1e-3) * 25)
    assert motion((LEFT, THRESHOLD)) == {LEFT: 1}


def test_a_small_thing_that_flies_keeps_its_number(motion):
    ball = (10.0, 10.0, 18.0, 18.0)
    motion((ball, 0.95))
    for step in range(1, 9):
        assert list(motion((moved(ball, 10 * step, 2 * step), 0.6)).values()) == [1]


def test_a_class_that_wavers_is_one_object_with_a_vote(motion):
    motion((LEFT, 0.95, 0))
    for step in range(1, 20):
        label = 1 if step % 3 == 0 else 0
        shown = motion.tracker.update(
            found((moved(LEFT, step), 0.8, label)), motion.seconds + step / 25, THRESHOLD
        )
        assert shown.track_ids.tolist() == [1]
        assert shown.names == ["person"]


def test_a_class_can_change_in_the_end(motion):
    motion((LEFT, 0.95, 0))
    names = set()
    for step in range(1, 200):
        shown = motion.tracker.update(found((LEFT, 0.8, 1)), motion.seconds + step / 25, THRESHOLD)
        names.add(shown.names[0])
    assert shown.names == ["dog"]
    assert shown.track_ids.tolist() == [1]
    assert names == {"person", "dog"}


@pytest.mark.parametrize("rate", [3, 10, 30])
def test_two_that_cross_keep_their_numbers(rate):
    fed = Fed(Motion(), rate)
    width, speed = 50.0, 60.0
    paths = []
    for step in range(int(3 * rate)):
        x = speed * step / rate
        one, other = (x, 10.0, x + width, 110.0), (150.0 - x, 14.0, 150.0 - x + width, 114.0)
        shown = fed((one, 0.95), (other, 0.94))
        paths.append((shown.get(one), shown.get(other)))
    assert set(paths) == {(1, 2)}


def test_who_comes_back_soon_is_who_he_was(motion):
    motion((LEFT, 0.95))
    motion.wait(MEMORY - 0.1)
    assert motion((moved(LEFT, 20), 0.95)) == {moved(LEFT, 20): 1}
    motion.wait(MEMORY + 0.1)
    assert motion() == {}
    assert motion((moved(LEFT, 20), 0.95)) == {moved(LEFT, 20): 2}


def masked(*objects):
    """Instances of (box, score, mask): each mask fills its box or the left half of it."""
    instances = found(*(one[:2] for one in objects))
    for index, (_, _, share) in enumerate(sorted(objects, key=lambda one: -one[1])):
        instances.masks[index, :, round(28 * share) :] = 0
    return instances


def test_an_object_found_twice_is_one(motion):
    twice = masked((LEFT, 0.95, 1), (moved(LEFT, 3, 2), 0.93, 1))
    for step in range(20):
        shown = motion.tracker.update(twice, motion.seconds + (step + 1) / 25, THRESHOLD)
        assert shown.track_ids.tolist() == [1]


def test_a_part_of_one_waits_longer_than_one_beside_it(motion):
    part, beside = (12.0, 40.0, 58.0, 90.0), (12.0, 40.0, 58.0, 90.0)
    whole = masked((LEFT, 0.95, 1), (part, 0.93, 1))
    half = masked((LEFT, 0.95, 0.5), (beside, 0.93, 1))
    until = []
    for scene in (whole, half):
        tracker = Motion()
        tracker.update(Instances.empty(scene.class_names, scene.picture_size), 0.0, THRESHOLD)
        counts = [len(tracker.update(scene, (step + 1) / 25, THRESHOLD)) for step in range(20)]
        until.append(counts.index(2))
    assert until == [8, 0]


def coloured(*objects):
    """Instances of (box, score, colour): each is of one colour."""
    instances = found(*(one[:2] for one in objects))
    ranked = [one[2] for one in sorted(objects, key=lambda one: -one[1])]
    return replace(instances, colours=np.eye(4, dtype=np.float32)[ranked])


@pytest.mark.parametrize("rate", [3, 10, 30])
@pytest.mark.parametrize("known", [True, False])
def test_two_who_meet_and_turn_round_are_told_by_their_colours(rate, known):
    tracker, names = Motion(), []
    for step in range(int(4 * rate)):
        seconds = step / rate
        x = 45 * (seconds if seconds < 2 else 4 - seconds)
        one, other = (x, 10.0, x + 40, 110.0), (170 - x, 12.0, 210 - x, 112.0)
        scene = coloured((one, 0.95, 1), (other, 0.94, 2))
        shown = tracker.update(scene if known else replace(scene, colours=None), seconds, THRESHOLD)
        names.append(dict(zip(map(tuple, shown.boxes.tolist()), shown.track_ids, strict=True)))
    first, last = list(names[0].values()), list(names[-1].values())
    # By their ways alone they went on past each other.
    assert first == [1, 2]
    assert last == [1, 2] if known else sorted(last) == [1, 2]


def test_colours_follow_the_light_slowly():
    tracker = Motion()
    for step in range(60):
        share = np.float32(step / 59)
        scene = coloured((LEFT, 0.95, 1))
        scene.colours[0] = [0, 1 - share, share, 0]
        shown = tracker.update(scene, step / 25, THRESHOLD)
        assert shown.track_ids.tolist() == [1]
    assert 0.5 < tracker._known[0].colours[2] < 1


def test_one_that_is_known_comes_before_a_part_that_is_not(motion):
    whole, back, head = (10.0, 10.0, 70.0, 110.0), (30.0, 30.0, 72.0, 108.0), (8.0, 8.0, 40.0, 80.0)
    assert motion((whole, 0.95)) == {whole: 1}
    # The part is nobody yet, and in the next picture there is nothing but parts.
    assert motion((whole, 0.6), (back, 0.8)) == {whole: 1}
    assert list(motion((moved(back, 1), 0.8), (head, 0.6)).values()) == [1]


def test_a_leg_that_the_mask_leaves_out_waits_longer():
    leg = (12.0, 60.0, 30.0, 109.0)
    tracker, counts = Motion(), []
    scene = masked((LEFT, 0.95, 1), (leg, 0.8, 1))
    scene.masks[0, :, :14] = 0
    empty = Instances.empty(scene.class_names, scene.picture_size)
    tracker.update(empty, 0.0, THRESHOLD)
    tracker.update(scene[:1], 0.04, THRESHOLD)
    counts = [len(tracker.update(scene, (step + 2) / 25, THRESHOLD)) for step in range(20)]
    assert counts.index(2) == 8


def shown_of(tracker, seconds, scene, *objects, alike=True):
    """Identity by box after one update; all of one colour, or of another than before."""
    there = found(*objects)
    colours = np.eye(4, dtype=np.float32)[[1 if alike else 2] * len(there)]
    shown = tracker.update(replace(there, scene=scene, colours=colours), seconds, THRESHOLD)
    return dict(zip(map(tuple, shown.boxes.tolist()), shown.track_ids.tolist(), strict=True))


@pytest.mark.parametrize("name", ["motion", "steady", "bytetrack"])
def test_after_a_cut_everybody_is_new(name):
    if name == "bytetrack":
        pytest.importorskip("trackers")
    tracker = tracking.make(name)
    # In the next scene somebody else stands about there.
    for step in range(20):
        before = shown_of(tracker, step / 25, 0, (LEFT, 0.95))
    near = moved(LEFT, 8, -4)
    for step in range(20, 40):
        after = shown_of(tracker, step / 25, 1, (near, 0.95), alike=False)
    assert len(before) == len(after) == 1
    assert set(before.values()).isdisjoint(after.values())


def test_a_hand_before_the_camera_makes_nobody_new():
    tracker = Motion()
    assert shown_of(tracker, 0.0, 0, (LEFT, 0.95), (RIGHT, 0.95)) == {LEFT: 1, RIGHT: 2}
    assert shown_of(tracker, 0.5, 1) == {}
    # Who is where he was is who he was; who is not is new.
    still, other = moved(LEFT, 3), moved(RIGHT, -30)
    assert shown_of(tracker, 1.0, 2, (still, 0.95), (other, 0.95)) == {still: 1, other: 3}


def test_in_the_scene_before_last_somebody_else_may_stand_there():
    tracker = Motion()
    assert shown_of(tracker, 0.0, 0, (LEFT, 0.95)) == {LEFT: 1}
    assert shown_of(tracker, 0.5, 1, (LEFT, 0.95), alike=False) == {LEFT: 2}
    assert shown_of(tracker, 1.0, 2, (LEFT, 0.95)) == {LEFT: 1}


def named(instances, *names):
    return replace(instances, class_names=names)


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (("dog", "cat"), True),
        (("Dog", "CAT"), True),
        (("car", "bus"), True),
        (("person", "bicycle"), False),
    ],
)
def test_who_walked_off_is_not_the_thing_beside_him(names, same):
    tracker = Motion()
    tracker.update(named(found((LEFT, 0.95, 0)), *names), 0.0, THRESHOLD)
    beside = named(found((moved(LEFT, 25), 0.95, 1)), *names)
    shown = tracker.update(beside, 0.1, THRESHOLD)
    assert shown.track_ids.tolist() == [1 if same else 2]


def test_a_person_who_is_a_bicycle_for_once_is_still_one():
    tracker, names = Motion(), ("person", "bicycle")
    for step in range(10):
        label = int(step == 5)
        shown = tracker.update(
            named(found((moved(LEFT, step), 0.95, label)), *names), step / 25, THRESHOLD
        )
        assert (shown.track_ids.tolist(), shown.names) == ([1], ["person"])


def test_a_leg_that_a_mask_leaves_out_is_painted_with_it():
    leg = (12.0, 60.0, 30.0, 109.0)
    scene = masked((LEFT, 0.95, 1), (leg, 0.8, 1))
    scene.masks[0, :, :14] = 0
    tracker = Motion()
    tracker.update(scene[:1], 0.0, THRESHOLD)
    before = scene[:1].full_masks()[0]
    shown = tracker.update(scene, 0.04, THRESHOLD)
    assert shown.track_ids.tolist() == [1]
    added = shown.full_masks()[0] & ~before
    assert added[70:105, 14:28].all()
    assert not added[:55].any()
    assert not scene.masks[0, :, :14].any(), "candidates stay as they were"


def footage(*scores, rate=25, box=LEFT, before=20):
    """Numbers shown in each picture of footage in which one box has these scores; 0 for none.

    Before it there are pictures in which nothing is.
    """
    film = [found()] * before + [found((box, score)) if score else found() for score in scores]
    told = [(index / rate, one) for index, one in enumerate(film)]
    tracker, numbers = Motion(), []
    for index, (seconds, candidates) in enumerate(told):
        ahead = [one for one in told[index + 1 :] if one[0] < seconds + SURVEY + 1 / rate - 1e-3]
        shown = tracker.update(candidates, seconds, THRESHOLD, ahead)
        numbers.append(int(shown.track_ids[0]) if len(shown) else 0)
    return numbers[before:]


WEAK = THRESHOLD + 0.05


def test_in_footage_what_is_weak_must_be_there_for_half_of_the_time():
    assert not any(footage(WEAK, WEAK, 0, 0, WEAK, 0, 0, 0, WEAK, 0, *[0] * 20))
    assert footage(*[WEAK] * 9, *[0] * 20)[:9] == [1] * 9
    assert footage(*[WEAK, WEAK, 0] * 8)[1:7] == [1, 0, 1, 1, 0, 1]


def test_in_footage_what_is_likely_may_be_short():
    short = (WEAK, 0.8, WEAK)
    assert footage(*short, *[0] * 20)[:3] == [1, 1, 1]
    assert not any(footage(0.8, *[0] * 20))


def test_in_footage_a_flash_of_the_first_picture_gets_no_number():
    assert footage(WEAK, *[0] * 20, before=0)[0] == 0
    assert footage(*[WEAK] * 20, before=0) == [1] * 20
    assert Fed(Motion())((LEFT, WEAK)) == {LEFT: 1}, "live nobody knows"


def test_who_comes_last_is_shown_although_nothing_follows():
    assert footage(WEAK, WEAK, WEAK) == [1, 1, 1]
    assert footage(WEAK, before=0) == [1]


def test_what_follows_may_turn_out_otherwise():
    tracker = Motion()
    ahead = [(index / 25, found((LEFT, 0.95))) for index in range(1, 9)]
    tracker.update(found((LEFT, 0.95)), 0.0, THRESHOLD, ahead)
    # Somebody has gone on to another place of the film.
    shown = tracker.update(found((RIGHT, 0.95)), 20.0, THRESHOLD)
    assert shown.boxes.tolist() == [list(RIGHT)]
    assert shown.track_ids.tolist() == [2]


FAINT = THRESHOLD * (Motion.floor + DOUBTED_SHARE) / 2


def test_what_is_faint_is_a_known_object_where_that_was_and_nothing_else(motion):
    motion((LEFT, 0.95))
    lasted = sum(motion((LEFT, FAINT)) == {LEFT: 1} for _ in range(50))
    assert lasted == int((DOUBT + 1e-3) * 25)
    assert motion((LEFT, 0.95)) == {LEFT: 1}
    assert motion((moved(LEFT, 30), FAINT)) == {}
    assert motion((RIGHT, FAINT)) == {}


def test_when_two_are_found_as_one_it_is_who_was_there(motion):
    """One stands, one runs before him: the box of both is the runner's for a while, then his."""
    stands, both = (60.0, 10.0, 100.0, 110.0), (60.0, 12.0, 115.0, 112.0)
    for step in range(8):
        runs = (140.0 - 9 * step, 14.0, 180.0 - 9 * step, 114.0)
        before = motion((stands, 0.95), (runs, 0.9))
    assert before == {stands: 1, runs: 2}
    assert motion((moved(both, 4), 0.6)) == {moved(both, 4): 2}
    for _ in range(8):
        assert motion((both, 0.8)) == {both: 2}
    after = motion((stands, 0.9), (moved(stands, 25), 0.95))
    assert after == {stands: 1, moved(stands, 25): 2}


def halves(seconds, whole, part):
    """One found whole in the first two pictures, then as what is left of it and a part."""
    if seconds < 0.07:
        return masked((LEFT, 0.95, 1))
    return masked((whole, 0.9, 1), (part, 0.7, 1))


def test_what_a_mask_has_lost_is_painted_with_it_and_waits():
    head, trunk = (10.0, 10.0, 60.0, 45.0), (12.0, 45.0, 60.0, 110.0)
    tracker, counts = Motion(), []
    for step in range(20):
        shown = tracker.update(halves(step / 25, trunk, head), step / 25, THRESHOLD)
        counts.append(len(shown))
        if step == 3:
            assert shown.boxes.tolist() == [list(trunk)]
            assert shown.full_masks()[0][14:106, 14:56].all()
    assert counts.index(2) == 2 + 8


def test_beside_what_a_mask_has_lost_is_somebody_else():
    trunk = (12.0, 45.0, 60.0, 110.0)
    tracker = Motion()
    for step in range(10):
        shown = tracker.update(halves(step / 25, trunk, RIGHT), step / 25, THRESHOLD)
    assert shown.track_ids.tolist() == [1, 2]
    assert not shown.full_masks()[0][:, 64:].any()


def lost(seconds, box=LEFT, speed=0.0, colour=1):
    """The number of one who is seen for a second and again at that place long after."""
    tracker = Motion()
    for step in range(25):
        there = coloured((moved(box, speed * (step - 24) / 25), 0.95, 1))
        assert tracker.update(there, step / 25, THRESHOLD).track_ids.tolist() == [1]
    for step in range(1, int(seconds)):
        assert not len(tracker.update(found(), 0.96 + step, THRESHOLD))
    return tracker.update(coloured((box, 0.95, colour)), 0.96 + seconds, THRESHOLD).track_ids


def test_who_stood_still_when_he_was_lost_is_known_again_where_he_was():
    assert lost(MEMORY + 5) == 1
    assert lost(LONG - 1) == 1
    assert lost(LONG + 2) == 2
    assert lost(MEMORY + 5, colour=2) == 2
    assert lost(MEMORY + 5, speed=60.0) == 2
    assert lost(MEMORY + 5, box=(0.0, 10.0, 50.0, 110.0)) == 2, "at the edge he has left"


def test_who_comes_to_where_another_was_long_ago_stays_himself():
    """A ball that flies past the place, lighter there: it is not the one that was lost there."""
    tracker = Motion()
    for step in range(25):
        tracker.update(coloured((LEFT, 0.95, 0)), step / 25, THRESHOLD)
    for step, light in enumerate((0.3, 0.3, 0.3, 0.3, 0.85)):
        here = coloured((moved(LEFT, 40 - 10 * step), 0.95, 1))
        here.colours[0] = [light, 1 - light, 0, 0]
        shown = tracker.update(here, 5 + step / 8, THRESHOLD)
        assert shown.track_ids.tolist() == [2], step


@pytest.mark.parametrize(
    ("seconds", "likeness", "same"), [(2.5, 0.5, False), (2.5, 0.65, True), (0.8, 0.5, True)]
)
def test_who_was_long_hidden_is_no_cushion_beside_the_place(seconds, likeness, same):
    tracker = Motion()
    for step in range(25):
        tracker.update(coloured((LEFT, 0.95, 0)), step / 25, THRESHOLD)
    there = coloured((moved(LEFT, 30), 0.95, 0))
    there.colours[0] = [likeness**2, 1 - likeness**2, 0, 0]
    shown = tracker.update(there, 0.96 + seconds, THRESHOLD)
    assert (shown.track_ids.tolist() == [1]) == same


@pytest.mark.parametrize("turned", ["right", "left", "down", "up"])
@pytest.mark.parametrize(("where", "same"), [(0, False), (6, True), (40, True), (75, True)])
def test_who_drives_off_is_not_the_next_one_who_comes_in_behind_him(motion, turned, where, same):
    """Farther on, or inside the picture, where he may have turned round, it is he."""

    def box(along):
        first, last = (along, along + 40) if turned in {"right", "down"} else (-along - 40, -along)
        if turned in {"left", "up"}:
            whole = 160 if turned == "left" else 120
            first, last = whole + first, whole + last
        across = 40, 80
        if turned in {"right", "left"}:
            return float(first), across[0], float(last), across[1]
        return across[0], float(first), across[1], float(last)

    for step in range(11):
        (number,) = motion((box(20 + 4 * step), 0.95)).values()
    motion.wait(0.2)
    assert motion() == {}
    (again,) = motion((box(where), 0.95)).values()
    assert (again == number) == same


@pytest.mark.parametrize(
    ("seconds", "away", "label", "same"),
    [(0.3, 55, 1, True), (0.7, 55, 1, False), (0.7, 55, 0, True), (0.7, 8, 1, True)],
)
def test_farther_off_and_later_a_thing_of_another_kind_is_another(seconds, away, label, same):
    """Where a car drove past, the bicycle that is seen then; a bus for some frames is a car."""
    fed = Fed(Motion())
    for _ in range(12):
        (number,) = fed((LEFT, 0.95, 0)).values()
    fed.wait(seconds - 2 * fed.step)
    assert fed() == {}
    (again,) = fed((moved(LEFT, away), 0.95, label)).values()
    assert (again == number) == same


@pytest.mark.parametrize("turned", ["left", "right"])
@pytest.mark.parametrize(
    ("speed", "likeness", "reach", "seconds", "same"),
    [
        (0.0, 0.85, 0.0, 0.5, False),
        (1.0, 0.85, 0.0, 0.5, False),  # heading away from that edge
        (-2.5, 0.85, 0.0, 0.5, True),  # heading there
        (0.0, 0.97, 0.0, 0.5, True),  # in his very colours
        (0.0, 0.85, 12.0, 0.5, True),  # that edge does not cut it off
        (0.0, 0.85, 0.0, 0.2, True),
    ],
)
def test_who_was_wholly_in_view_is_not_what_the_edge_cuts_off_later(
    turned, speed, likeness, reach, seconds, same
):
    """A lorry drives past, nobody sees it, and a car comes in where it was."""

    def sided(box):
        return box if turned == "left" else (160 - box[2], box[1], 160 - box[0], box[3])

    tracker = Motion()
    for step in range(25):
        box = moved((30.0, 20.0, 100.0, 110.0), speed * (step - 24))
        tracker.update(coloured((sided(box), 0.95, 0)), step / 25, THRESHOLD)
    assert not len(tracker.update(found(), 0.98, THRESHOLD))
    there = coloured((sided((reach, 70.0, 90.0, 112.0)), 0.95, 0))
    there.colours[0] = [likeness**2, 1 - likeness**2, 0, 0]
    shown = tracker.update(there, 0.96 + seconds, THRESHOLD)
    assert (shown.track_ids.tolist() == [1]) == same


@pytest.mark.parametrize(("own", "same"), [(DOUBTED, False), (None, True)])
def test_who_is_there_himself_if_doubted_is_not_the_thing_behind_him(own, same):
    """Somebody leaves, and the lorry that he stood before is surer than he is."""
    tracker, names = Motion(), ("person", "car")
    for step in range(10):
        tracker.update(named(found((LEFT, 0.95, 0)), *names), step / 25, THRESHOLD)
    behind = moved(LEFT, 4, 2)
    objects = [(behind, 0.95, 1)] + ([(moved(LEFT, -8), own, 0)] if own else [])
    shown = tracker.update(named(found(*objects), *names), 0.4, THRESHOLD)
    numbers = dict(zip(map(tuple, shown.boxes.tolist()), shown.track_ids.tolist(), strict=True))
    assert (numbers.get(behind) == 1) == same
    if own:
        assert numbers[moved(LEFT, -8)] == 1


@pytest.mark.parametrize(("grown", "same"), [(1.2, True), (1.9, False), (0.5, False)])
def test_what_is_faint_and_of_another_size_is_nobody_whatever_its_colours(grown, same):
    tracker = Motion()
    for step in range(10):
        tracker.update(coloured((LEFT, 0.95, 1)), step / 25, THRESHOLD)
    box = (LEFT[0], LEFT[1], LEFT[0] + 50 * grown, LEFT[1] + 100 * min(1, grown + 0.2))
    box = box if grown < 1.5 else (0.0, 0.0, 80.0, 120.0 * grown / 1.7)
    shown = tracker.update(coloured((box, FAINT, 1)), 0.4, THRESHOLD)
    assert (shown.track_ids.tolist() == [1]) == same


def test_only_so_many_are_remembered_for_long():
    tracker = Motion()
    rng = np.random.default_rng(1)
    for step in range(300):
        x, y = rng.uniform(2, 130), rng.uniform(2, 90)
        there = coloured(((x, y, x + 20, y + 20), 0.95, 1))
        tracker.update(there, step / 4, THRESHOLD)
    assert len(tracker._known) <= 64 + 4 * (MEMORY + 1)
