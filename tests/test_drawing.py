import numpy as np
import pytest

from stream.compositing.palette import PALETTE
from stream.drawing import draw
from stream.errors import UsageError
from stream.instances import Instances
from tests import photos
from tests.compositing.pictures import astronaut, people

RGB = np.ascontiguousarray(photos.astronaut())


def somebody(**how):
    picture = astronaut(512, 512)
    return people(picture, (100.5, 60, 400, 500), mask=np.ones((28, 28), np.float32), **how)


@pytest.mark.parametrize("look", ["overlay", "contour", "boxes"])
def test_a_new_picture_is_painted_and_untouched_pixels_are_exact(look):
    before = RGB.copy()
    painted = draw(RGB, somebody(), look)
    assert np.array_equal(RGB, before)
    assert painted.dtype == np.uint8
    assert painted.shape == RGB.shape
    assert np.array_equal(painted[:, :60], RGB[:, :60])
    assert np.array_equal(painted[:, 440:], RGB[:, 440:])
    assert (painted != RGB).any()


def test_nobody_leaves_every_pixel():
    painted = draw(RGB, Instances.empty(("person",), (512, 512)))
    assert np.array_equal(painted, RGB)
    assert not np.shares_memory(painted, RGB)


def test_style_is_told_by_name():
    solid = draw(RGB, somebody(tracks=[1]), "fill", opacity=1)
    assert np.abs(solid[280, 250].astype(int) - PALETTE[0]).max() <= 1
    green = draw(RGB, somebody(tracks=[1]), "fill", opacity=1, palette=("00ff00",))
    assert np.abs(green[280, 250].astype(int) - (0, 255, 0)).max() <= 1


def test_binary_is_black_and_white():
    assert set(np.unique(draw(RGB, somebody(), "binary"))) == {0, 255}


def test_there_is_no_panel_unless_it_is_asked_for():
    bare = draw(RGB, somebody(), "overlay")
    assert np.array_equal(bare, draw(RGB, somebody(), "fill+contour+labels"))


def test_a_cut_out_part_of_an_array_is_painted_too():
    part = RGB[::2, ::2]
    assert not part.flags["C_CONTIGUOUS"]
    painted = draw(part, people(astronaut(256, 256), (20, 20, 90, 150)))
    assert np.array_equal(painted[200:], part[200:])


@pytest.mark.parametrize(
    "wrong",
    [RGB[..., 0], RGB.astype(np.float32), np.zeros((8, 8, 4), np.uint8)],
    ids=["grey", "float", "four"],
)
def test_what_is_no_rgb_picture_is_refused(wrong):
    with pytest.raises(ValueError, match=r"must be uint8 \[H, W, 3\] in RGB"):
        draw(wrong, Instances.empty((), wrong.shape[:2]))


def test_instances_of_another_picture_are_refused():
    with pytest.raises(ValueError, match=r"512 rows and 512 columns.*one of 9 and 16"):
        draw(RGB, Instances.empty((), (9, 16)))
    first = somebody()[0]
    for given, hint in ((first, True), ([first], True), ("found", False), (None, False)):
        with pytest.raises(ValueError, match="what was found is an Instances, not") as told:
            draw(RGB, given)
        assert ("found[:1] the first" in str(told.value)) == hint


def test_a_picture_without_a_pixel_is_refused():
    with pytest.raises(ValueError, match=r"needs at least one pixel, not \[0, 512, 3\]"):
        draw(RGB[:0], somebody())


def test_unknown_looks_and_styles_are_refused_with_what_there_is():
    with pytest.raises(UsageError, match="no layer 'glow'"):
        draw(RGB, somebody(), "glow")
    with pytest.raises(UsageError, match="no style 'colour'; did you mean colours"):
        draw(RGB, somebody(), colour="red")
    with pytest.raises(UsageError, match="no style 'zzz'; there are opacity, "):
        draw(RGB, somebody(), zzz="red")


def test_styles_are_read_as_those_of_process_are():
    found = people(astronaut(RGB.shape[1], RGB.shape[0]), (20, 20, 90, 150))
    wanted = draw(RGB, found, look="fill", palette=("FF0000",), opacity=0.5)
    for palette in (["FF0000"], "ff0000", ["ff0000"]):
        given = draw(RGB, found, look="fill", palette=palette, opacity=np.float32(0.5))
        np.testing.assert_array_equal(given, wanted)
    usual = draw(RGB, found)
    nothing = {name: None for name in ("opacity", "palette", "label", "background", "select")}
    np.testing.assert_array_equal(draw(RGB, found, **nothing), usual)
    for wrong, words in (
        ({"opacity": "much"}, "opacity: it is a number"),
        ({"palette": [1]}, "palette: it is a list of texts"),
        ({"background": RGB}, "background"),
        ({"look": None}, "the look is a text"),
    ):
        with pytest.raises(UsageError, match=words):
            draw(RGB, found, **wrong)
