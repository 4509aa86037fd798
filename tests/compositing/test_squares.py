import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.compositing.mask_memory import Memory
from stream.compositing.squares import counted, rimmed

SIDES = st.sampled_from(range(3, 16, 2))


@given(st.integers(1, 60), st.integers(1, 60), SIDES, st.integers(0, 4), st.data())
def test_each_part_is_counted_as_by_opencv(height, width, side, more, data):
    mask = np.random.default_rng(height * 61 + width).integers(0, 2, (height, width), np.uint8)
    rows, columns = (
        slice(
            *sorted(data.draw(st.lists(st.integers(0, many), min_size=2, max_size=2, unique=True)))
        )
        for many in (height, width)
    )
    counts = cv2.boxFilter(mask, -1, (side, side), normalize=False, borderType=cv2.BORDER_REPLICATE)
    around, before = rimmed(mask, side // 2 + more), mask.copy()
    whole = around.whole.copy()
    found = counted(around, rows, columns, side, Memory().scratch)
    assert np.array_equal(found, np.atleast_2d(counts.reshape(height, width)[rows, columns]))
    assert np.array_equal(around.whole, whole) and np.array_equal(mask, before)
