"""Whatever instances are made of, they are what they promise, or refused in a sentence."""

from dataclasses import replace

import numpy as np
import pytest

import stream
from stream import Instances
from stream.objects.instance_arrays import amended, with_fields

GIVEN = {
    "boxes": np.array([[4, 6, 30, 40], [20, 10, 60, 44]], np.float32),
    "scores": np.array([0.75, 0.5], np.float32),
    "labels": np.array([0, 1], np.int64),
    "masks": np.ones((2, 8, 8), np.float32),
    "class_names": ("car", "person"),
    "picture_size": (48, 64),
    "track_ids": np.array([3, 5], np.int64),
    "mask_boxes": np.array([[4, 6, 30, 40], [20, 10, 60, 44]], np.float32),
}
WANTED = Instances(**GIVEN)
DTYPES = {name: value.dtype for name, value in GIVEN.items() if isinstance(value, np.ndarray)}


def test_lists_and_other_numbers_mean_the_same():
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    painted = stream.draw(picture, WANTED, look="overlay+blur")
    for name, dtype in DTYPES.items():
        value = GIVEN[name]
        others = [value.tolist(), value.astype(np.float64), value.astype(np.float16)]
        if name != "scores":
            others += [value.astype(np.int32), value.astype(np.uint16), value.astype(">i8")]
        if name == "masks":
            others.append(value.astype(np.bool_))
        for other in others:
            found = Instances(**GIVEN | {name: other})
            assert found == WANTED, (name, other)
            assert getattr(found, name).dtype == dtype, (name, other)
            np.testing.assert_array_equal(
                stream.draw(picture, found, look="overlay+blur"), painted, str((name, other))
            )
    for size in ([48, 64], np.array([48, 64]), (np.int64(48), np.int64(64))):
        found = replace(WANTED, picture_size=size)
        assert found == WANTED
        np.testing.assert_array_equal(stream.draw(picture, found, look="overlay+blur"), painted)


def test_what_is_right_already_is_not_copied():
    for name in DTYPES:
        assert getattr(WANTED, name) is GIVEN[name]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("boxes", np.zeros((2, 3)), r"boxes must be \[N, 4\]"),
        ("boxes", [[1, 2, 3, 4], [1, 2]], "boxes cannot be made an array"),
        (
            "boxes",
            [[1, 2, 3, 4], [1, np.nan, 3, 4]],
            r"boxes are pixels .* \[1, nan, 3, 4\] is not",
        ),
        ("boxes", [[1, 2, np.inf, 4], [1, 2, 3, 4]], r"which \[1, 2, inf, 4\] is not"),
        ("boxes", np.full((2, 4), 1e39), "which .*inf.* is not"),
        ("mask_boxes", np.full((2, 4), -np.inf, np.float32), "mask_boxes are pixels of the pic"),
        ("scores", ["a", "b"], "scores must be numbers"),
        ("scores", np.zeros((2, 1)), r"scores must be \[N\], not \[2, 1\]"),
        ("scores", [2, 0.5], "scores are 0..1, which 2 is not"),
        ("scores", np.array([0.5, np.nan], np.float32), "scores are 0..1, which nan is not"),
        ("scores", [np.inf, 0.5], "scores are 0..1, which inf is not"),
        ("scores", [0.5, -0.1], "scores are 0..1, which -0.1 is not"),
        ("labels", [0, 2], "label 2 has no name; there are 2"),
        ("labels", [0, -1], "label -1 has no name"),
        ("labels", [0, 0.5], "labels must be whole numbers"),
        ("labels", [[0], [1]], r"labels must be \[N\]"),
        ("track_ids", [1, np.nan], "track_ids must be whole numbers"),
        ("track_ids", [1, np.inf], "track_ids must be whole numbers"),
        (
            "track_ids",
            np.array([1, 1 << 63], np.uint64),
            "track_ids must be whole numbers of int64",
        ),
        ("track_ids", [1, None], "track_ids must be numbers"),
        ("masks", None, "masks must be numbers"),
        ("masks", np.full((2, 8, 8), 255, np.uint8), "soft masks are 0..1, .* to 255"),
        ("masks", np.zeros((2, 0, 0)), "masks need at least one cell"),
        (
            "masks",
            np.ones((2, 48, 64), np.float32),
            r"must be \[N, M, M\], not .*from_full_masks makes",
        ),
        ("mask_boxes", np.zeros((2, 3)), r"mask_boxes must be \[N, 4\]"),
        ("class_names", "person", "class names are a tuple"),
        ("class_names", {0: "car", 1: "person"}, "class names are a tuple"),
        ("class_names", {"car", "person"}, "class names are a tuple"),
        ("class_names", None, "class names are a tuple"),
        ("class_names", ("car", 1), "class names are texts, .* not 1"),
        ("class_names", [None, "person"], "class names are texts, .* not None"),
        ("picture_size", (48, 64, 3), r"size is \(height, width\)"),
        ("picture_size", (48.0, 64.0), r"size is \(height, width\)"),
        ("picture_size", (48, 0), r"size is \(height, width\), 1 or more"),
        ("picture_size", (-48, 64), r"size is \(height, width\), 1 or more"),
        ("mask_threshold", 2, "between 0 and 1, not 2"),
        ("mask_threshold", None, "between 0 and 1"),
    ],
)
def test_what_they_cannot_be_is_refused_when_they_are_made(name, value, words):
    with pytest.raises(ValueError, match=words):
        Instances(**GIVEN | {name: value})


def test_class_names_in_a_list_are_those_in_a_tuple():
    names, size = ["car", "person"], WANTED.picture_size
    listed = Instances(**GIVEN | {"class_names": names})
    assert listed == WANTED and listed == WANTED
    assert Instances.empty(names, size) == Instances.empty(tuple(names), size)
    full = WANTED.full_masks()
    assert Instances.from_full_masks(full, class_names=names, picture_size=size) == (
        Instances.from_full_masks(full, class_names=tuple(names), picture_size=size)
    )
    names.append("dog")
    assert listed.class_names == ("car", "person")
    for made in (
        Instances.empty,
        lambda one, size: Instances.from_rle([], class_names=one, picture_size=size),
    ):
        with pytest.raises(ValueError, match="not str"):
            made("person", size)


def test_full_masks_are_booleans_in_whatever_numbers():
    full = WANTED.full_masks()
    names = {"class_names": ("car",), "picture_size": (48, 64)}
    wanted = Instances.from_full_masks(full, **names)
    for masks in (full.astype(np.uint8) * 255, full.astype(np.float32), full.tolist()):
        assert Instances.from_full_masks(masks, **names) == wanted
    with pytest.raises(ValueError, match="booleans, not of shares"):
        Instances.from_full_masks(0.7 * full, **names)


def test_masks_at_full_size_are_not_taken_for_soft_ones():
    """Where the picture is square nothing but their booleans tells them."""
    small = GIVEN | {"picture_size": (8, 8), "mask_boxes": None}
    soft = Instances(**small)  # of floats they may be as many cells
    for masks in (GIVEN["masks"].astype(np.bool_), GIVEN["masks"].tolist()):
        with pytest.raises(ValueError, match=r"as large as the picture; .*from_full_masks"):
            Instances(**small | {"masks": masks})
        assert Instances(**GIVEN | {"masks": masks, "picture_size": (8, 8)}) == replace(
            WANTED, picture_size=(8, 8)
        )
    assert len(soft) == 2


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("masks", None, r"masks are arrays bool \[H, W\], not NoneType"),
        ("masks", np.ones((48, 64), np.bool_), "give a list, of one mask too"),
        ("masks", np.ones((2, 64, 48), np.bool_), "does not fit a picture of"),
        ("picture_size", None, r"size is \(height, width\)"),
        ("labels", [0.5, 1], "labels must be whole numbers"),
        ("labels", ["car", "person"], "labels must be numbers"),
        ("track_ids", [1.5, 2], "track_ids must be whole numbers"),
        ("track_ids", [1, None], "track_ids must be numbers"),
        ("scores", [0.5], "differ in length"),
        ("scores", [2, 0.5], "scores are 0..1, which 2 is not"),
        ("scores", [0.5, np.nan], "scores are 0..1, which nan is not"),
        ("boxes", "mine", "boxes must be numbers"),
    ],
)
def test_full_masks_come_with_what_instances_may_be_made_of(name, value, words):
    given = {name: GIVEN[name] for name in ("class_names", "picture_size", "scores", "labels")}
    given |= {"masks": WANTED.full_masks(), "track_ids": [3, 5]}
    assert Instances.from_full_masks(**given).track_ids.dtype == np.int64
    with pytest.raises(ValueError, match=words):
        Instances.from_full_masks(**given | {name: value})
    if name != "masks":
        rest = {key: one for key, one in given.items() if key != "masks"}
        with pytest.raises(ValueError, match=words):
            Instances.from_rle(WANTED.rle(), **rest | {name: value})


def test_a_tuple_picks_as_a_list_does_and_one_boolean_nothing():
    assert WANTED.select((1, 0)) == WANTED[[1, 0]]
    assert WANTED.select((False, True)) == WANTED[1:]
    assert len(WANTED.select(())) == 0
    for one in (True, False, np.True_):
        with pytest.raises(IndexError, match="one boolean picks nothing"):
            WANTED[one]


def test_what_is_joined_keeps_its_names_and_its_masks():
    nobody = Instances.empty(WANTED.class_names, WANTED.picture_size)
    for one in (nobody.joined([WANTED]), WANTED.joined([nobody, nobody])):
        assert one == replace(WANTED, track_ids=None)
    assert len(nobody.joined([nobody])) == 0
    assert WANTED.joined([WANTED]).names == ["car", "car", "person", "person"]
    more = replace(WANTED, class_names=("car", "person", "dog"), labels=[2, 1])
    for one in (WANTED.joined([more]), more.joined([WANTED])):
        assert sorted(one.names) == ["car", "dog", "person", "person"]
    with pytest.raises(ValueError, match="different class names"):
        WANTED.joined([replace(WANTED, class_names=("person", "car"))])
    with pytest.raises(ValueError, match="masks of 8x8 and 28x28 cells"):
        WANTED.joined([replace(WANTED, masks=np.ones((2, 28, 28)))])


@pytest.mark.parametrize(
    "index", [[], [1], [1, 0], [-1], [True, False], slice(1), slice(None, None, -1)]
)
def test_what_is_picked_is_what_it_must_be_without_another_look(index):
    chosen = WANTED.select(index)
    assert not amended(chosen)
    places = np.arange(2)[index] if index else np.zeros(0, np.int64)
    picked = {name: GIVEN[name][places] for name in DTYPES}
    assert chosen == Instances(**GIVEN | picked)


def test_some_fields_are_exchanged_and_all_others_are_the_same_arrays():
    other = with_fields(WANTED, scene=3, track_ids=None)
    assert (other.scene, other.track_ids) == (3, None)
    assert replace(other, scene=0, track_ids=WANTED.track_ids) == WANTED
    assert all(
        getattr(other, name) is getattr(WANTED, name) for name in ("boxes", "masks", "unsure")
    )
    assert (WANTED.scene, WANTED.track_ids is None) == (0, False)
