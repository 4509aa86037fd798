"""What a program gives as a picture: taken as it is meant, or refused with what makes one of it."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import stream
from stream.errors import SourceError, UsageError
from stream.pictures.rgb import advice, check_rgb, check_size
from tests import tiny_models

RGB = np.random.default_rng(3).integers(0, 256, (12, 16, 3), np.uint8)
RGB[2:9, 3:11] = 255


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    return stream.Segmenter.load(
        tiny_models.bright(tmp_path_factory.mktemp("model") / "b.onnx"), "cpu"
    )


def read_only() -> np.ndarray:
    copied = RGB.copy()
    copied.setflags(write=False)
    return copied


SAME = {
    "each second column": np.repeat(RGB, 2, axis=1)[:, ::2],
    "upside down in memory": RGB[::-1].copy()[::-1],
    "blue first in memory": RGB[..., ::-1].copy()[..., ::-1],
    "columns first": np.asfortranarray(RGB),
    "channels first in memory": np.ascontiguousarray(RGB.transpose(2, 0, 1)).transpose(1, 2, 0),
    "read only": read_only(),
    "a subclass": RGB.view(np.recarray),
}


def test_however_it_lies_in_memory_it_is_the_same_picture(segmenter, tmp_path):
    found = segmenter(RGB)
    painted = stream.draw(RGB, found)
    with stream.open(list(SAME.values()), segmenter=segmenter, track=False) as video:
        opened = [(frame.rgb(), frame.instances) for frame in video]
    for (name, picture), (seen, instances) in zip(SAME.items(), opened, strict=True):
        assert segmenter(picture) == found, name
        np.testing.assert_array_equal(stream.draw(picture, found), painted, name)
        np.testing.assert_array_equal(seen, RGB, name)
        np.testing.assert_array_equal(instances.boxes, opened[0][1].boxes, name)


class UMat:
    """OpenCV's, by its name."""


OTHERS = {
    "grey": (RGB[..., 0], np.dstack),
    "grey with a channel": (RGB[..., :1], np.dstack),
    "opacity": (np.dstack([RGB, RGB[..., 0]]), "picture[..., :3]"),
    "channels first": (RGB.transpose(2, 0, 1), "picture.transpose(1, 2, 0)"),
    "shares": (RGB / 255, "(255 * picture).round()"),
    "floats": (RGB.astype(np.float32), "picture.round().clip(0, 255)"),
    "channels first in shares": (RGB.transpose(2, 0, 1) / 255, "and (255 * picture)"),
    "16 bits": (RGB.astype(np.uint16) << 8, "picture >> 8"),
    "whole numbers": (RGB.astype(np.int64), "picture.clip(0, 255)"),
    "booleans": (RGB > 127, "255 * picture.astype(np.uint8)"),
    "a batch": (RGB[None], "picture[0]"),
    "a list of pictures": ([RGB, RGB], "picture[0]"),
    "lists": (RGB.tolist(), "np.array(picture, np.uint8)"),
    "of OpenCV": (UMat(), ".get()"),
    "a name": ("in.mp4", "stream.open opens files"),
    "no pixel": (RGB[:0], "pixel"),
}


def test_what_is_none_is_refused_with_what_makes_one(segmenter):
    found = segmenter(RGB)
    for name, (picture, words) in OTHERS.items():
        wanted = re.escape("np.dstack" if words is np.dstack else words)
        for give in (segmenter, lambda one: stream.draw(one, found)):
            with pytest.raises(ValueError, match=wanted):
                give(picture)
        if name != "a name":
            with pytest.raises(SourceError, match=rf"picture 1 is .*{wanted}"):
                list(stream.open([RGB, picture], segmenter=segmenter))


def test_what_is_taken_elsewhere_is_told_from_what_is_taken_here(segmenter, tmp_path):
    (frame,) = stream.open([RGB], segmenter=segmenter)
    writer = stream.VideoWriter(tmp_path / "a.mp4")
    for give, others in (
        (segmenter, (frame,)),
        (lambda one: stream.draw(one, frame.instances), (frame, frame.image)),
        (writer.write, (frame.image,)),
    ):
        for other in others:
            with pytest.raises(ValueError, match=r"not \w*Frame; take frame\.") as refused:
                give(other)
            wanted, given = str(refused.value).partition(";")[0].split(", not ")
            assert not re.search(rf"\.{given}\b", wanted), refused.value
            code = str(refused.value).partition("; take ")[2]
            made = eval(code, {"frame": other})
            assert made.dtype == np.uint8 and made.shape == RGB.shape
    with pytest.raises(stream.StreamError) as said:
        stream.draw(RGB, frame.instances, look="replace", background=RGB)
    assert "\n" not in str(said.value)


def test_the_advice_makes_the_picture_that_was_meant():
    for name, (given, _) in OTHERS.items():
        if name in ("of OpenCV", "a name", "no pixel"):
            continue
        with pytest.raises(ValueError, match="; ") as refused:
            check_rgb(given)
        picture = given
        steps = (
            str(refused.value)
            .partition("; ")[2]
            .removeprefix("take ")
            .removeprefix("give one at a time, as ")
        )
        for step in steps.split(" and "):
            code = re.split(" if | to leave| where", step)[0]
            picture = eval(code, {"np": np, "picture": picture})
        grey = np.dstack([RGB[..., 0]] * 3)
        wanted = {"booleans": 255 * np.uint8(RGB > 127)}.get(name, grey if "grey" in name else RGB)
        np.testing.assert_array_equal(check_rgb(picture), wanted, name)


def test_a_size_that_is_none_is_said_before_a_model_is_opened():
    assert check_size([np.int64(5), 7]) == (5, 7)
    for wrong in (3, (0, 5), (5, -1), (5.0, 7), "12", "1280x720", (1, 2, 3), None):
        with pytest.raises(UsageError, match=r"a picture's size is \(width, height\) in pixels"):
            check_size(wrong)
    with pytest.raises(UsageError, match="not 3"):
        stream.Segmenter.load(picture_size=3)


def test_nothing_but_nans_is_advised_on_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "where values are 0 to 1" in advice(np.full((2, 2, 3), np.nan))
