"""What users misspell when they set an attribute is refused, and not kept without a word."""

from copy import copy

import numpy as np
import pytest

import stream
from stream.attributes import OnlyNamed


def test_a_segmenter_has_the_attributes_that_it_names_and_no_others() -> None:
    segmenter = stream.Segmenter.load()
    for name, hint in {
        "thresold": r"did you mean threshold\?",
        "class_": r"did you mean classes\?",
        "zzz": "there are classes, input_size, mask_threshold, name, threshold, views$",
    }.items():
        with pytest.raises(AttributeError, match=f"a Segmenter has no '{name}' to set; {hint}"):
            setattr(segmenter, name, 0.3)
        assert not hasattr(segmenter, name)
    with pytest.raises(AttributeError, match="no setter"):
        segmenter.provider = "cpu"
    other = copy(segmenter)
    other.threshold, other.classes, other.name = 0.25, ["person"], "mine"
    assert (segmenter.threshold, segmenter.classes) == (0.5, None)
    assert (other.threshold, other.classes, other.name) == (0.25, ("person",), "mine")


def test_videos_and_writers_too(tmp_path) -> None:
    writer = stream.VideoWriter(tmp_path / "a.mp4")
    with pytest.raises(AttributeError, match="a VideoWriter has no 'rate' to set"):
        writer.rate = 30
    with stream.open([np.zeros((64, 96, 3), np.uint8)]) as video:
        with pytest.raises(AttributeError, match="a Video has no 'segmentr' to set; did you mean"):
            video.segmentr = None
        for frame in video:
            with pytest.raises(AttributeError):  # as all with slots
                frame.instance = None


def test_classes_that_are_derived_may_have_their_own() -> None:
    class Ours(OnlyNamed):
        told: int

    class Theirs(Ours):
        pass

    ours, theirs = Ours(), Theirs()
    ours.told = ours._inner = 1
    theirs.extra = 2
    with pytest.raises(AttributeError, match=r"Ours has no 'tolled' to set; did you mean told\?"):
        ours.tolled = 3
    assert (ours.told, theirs.extra) == (1, 2)


def test_what_was_found_keeps_what_it_has_and_says_so() -> None:
    found = stream.Instances.from_full_masks(
        np.ones((1, 4, 4), np.bool_), class_names=("dog",), picture_size=(4, 4)
    )
    for one in (found, found[0]):
        with pytest.raises(AttributeError, match="there is no 'scoring' to set"):
            one.scoring = 1  # type: ignore[attr-defined]
        with pytest.raises(AttributeError, match="cannot assign to field 'mask_threshold'"):
            one.mask_threshold = 1
        with pytest.raises(AttributeError, match="cannot assign to field 'mask_threshold'"):
            del one.mask_threshold
