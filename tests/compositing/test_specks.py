import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.compositing import Painter, Style
from stream.compositing.masks import paste
from stream.compositing.specks import small_pieces, without_specks
from stream.kernels import compiled
from tests.compositing.pictures import astronaut, figure, frame, people, samples
from tests.export.lazily import lazily

ndimage = lazily("scipy.ndimage")

BOX = np.array([20.3, 10.7, 300.2, 420.1], np.float32)


def spotted(cells=56):
    """Somebody with a hole in the body and a speck beside the head, of one cell each."""
    mask = figure(cells)
    mask[cells * 3 // 5, cells // 2] = 0.2
    mask[cells // 8, cells // 10] = 0.8
    return mask


def pasted(mask, box=BOX, size=(450, 330)):
    return paste(mask, box, size, 0.5, lambda pixels: np.empty(pixels, bool), margin=3)


def tidied(inside, window, mask, box=BOX):
    return without_specks(inside, window, small_pieces(mask[None], 0.5)[0], mask.shape, box)


def pieces(inside):
    return ndimage.label(inside, np.ones((3, 3)))[1], ndimage.label(inside == 0)[1]


def test_an_object_in_one_piece_is_seen_as_such_and_stays_itself():
    assert small_pieces(figure()[None], 0.5) == [[]]
    assert small_pieces(np.stack([figure(), 0 * figure(), figure()]), 0.5) == [[], [], []]
    window, inside = pasted(figure())
    assert tidied(inside, window, figure()) is inside


@pytest.mark.parametrize("cells", [28, 56])
def test_specks_and_holes_go(cells):
    mask = spotted(cells)
    none, both = small_pieces(np.stack([figure(cells), mask]), 0.5)
    assert not none
    assert both == [
        (1, cells // 8, cells // 10, 1, 1),
        (0, cells * 3 // 5, cells // 2, 1, 1),
    ]
    window, inside = pasted(mask)
    before = inside.copy()
    assert pieces(inside) == (2, 2)
    tidy = tidied(inside, window, mask)
    assert pieces(tidy) == (1, 1)
    assert np.array_equal(inside, before)
    assert 0 < (tidy != inside).sum() < 2e-3 * inside.sum()


def test_what_is_larger_than_a_thousandth_stays():
    mask = figure(56)
    mask[30:34, 20:24] = 0
    mask[2:5, 2:5] = 1
    window, inside = pasted(mask)
    assert pieces(inside) == (2, 2)
    assert np.array_equal(tidied(inside, window, mask), inside)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([14, 28, 56]),
    st.floats(0.0, 0.6),
    st.tuples(*[st.floats(-100, 500, width=32)] * 4),
)
def test_only_pieces_of_less_than_a_thousandth_change_in_any_mask(seed, cells, noise, at):
    rng = np.random.default_rng(seed)
    mask = np.clip(figure(cells) + noise * rng.normal(size=(cells, cells)), 0, 1)
    mask = mask.astype(np.float32)
    box = np.array([min(at[0], at[2]), min(at[1], at[3]), max(at[0], at[2]), max(at[1], at[3])])
    found = pasted(mask, box.astype(np.float32))
    if found is None:
        return
    window, inside = found
    tidy = tidied(inside, window, mask, box.astype(np.float32))
    if not small_pieces(mask[None], 0.5)[0]:
        assert tidy is inside
    # Specks hang together over corners, so holes do not.
    for value, structure in ((1, np.ones((3, 3))), (0, None)):
        pieces_, _ = ndimage.label(inside == value, structure)
        gone = np.unique(pieces_[(inside == value) & (tidy != value)])
        whole = np.isin(pieces_, gone)
        assert (tidy[whole] == 1 - value).all()
        sizes = np.bincount(pieces_[whole])
        assert not len(gone) or sizes.max() < inside.sum() / 1000


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 4), st.integers(1, 80), st.integers(1, 80)),
    st.sampled_from([0.0, 0.02, 0.3, 0.5, 0.7, 0.98, 1.0]),
    st.integers(1, 5),
)
def test_compiled_loops_find_the_same_small_pieces(seed, shape, share, grain):
    kernels = compiled()
    if kernels is None:
        pytest.skip("nothing was compiled")
    rng = np.random.default_rng(seed)
    count, rows, columns = shape
    coarse = rng.random((count, -(-rows // grain), -(-columns // grain))) < share
    masks = coarse.repeat(grain, 1).repeat(grain, 2)[:, :rows, :columns]
    # What is no number is nobody's, as of a model gone wrong.
    masks = np.where(rng.random(shape) < 0.02, np.nan, masks).astype(np.float32)
    by_loops = small_pieces(masks, 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stream.compositing.specks.compiled", lambda: None)
        by_opencv = small_pieces(masks, 0.5)
    assert [sorted(one) for one in by_loops] == [sorted(one) for one in by_opencv]


def test_contours_leave_them_out_and_the_mask_itself_stays():
    def painted(look, mask):
        picture = astronaut(330, 450, "gray")
        instances = people(picture, BOX.tolist(), mask=mask)
        one = frame(picture, instances)
        Painter(look, Style(label="none", opacity=1.0), timing=False).paint(one)
        return samples(one.image)[0].astype(int)

    clean, dirty = painted("contour", figure(56)), painted("contour", spotted(56))
    # The hole and the speck lie deep inside and well outside.
    assert np.array_equal(clean[200:300, 140:180], dirty[200:300, 140:180])
    assert np.array_equal(clean[40:90, 20:70], dirty[40:90, 20:70])
    # The mask itself keeps them.
    for look in ("fill", "binary"):
        assert not np.array_equal(
            painted(look, figure(56))[200:300, 140:180],
            painted(look, spotted(56))[200:300, 140:180],
        )
