"""What is out of focus, with compiled loops and without."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import kernels
from stream.compositing import Painter, Style, mattes
from tests.compositing.pictures import astronaut, frame, people, rounded_by_opencv, same, samples

FORMATS = ("yuv420p", "yuv422p", "yuv444p", "yuvj420p", "gray", "yuv420p10le")
SHARES = st.tuples(st.floats(-0.4, 0.9), st.floats(-0.4, 0.9), st.floats(0.02, 1.2))


@rounded_by_opencv
@pytest.mark.skipif(kernels.compiled() is None, reason=kernels.examined()[1])
@given(
    size=st.tuples(st.integers(4, 330), st.integers(4, 330)),
    pixels=st.sampled_from(FORMATS),
    objects=st.lists(SHARES, min_size=1, max_size=4),
    strength=st.floats(1, 20),
    feather=st.sampled_from((None, 0.0, 1.0, 9.0)),
)
def test_it_is_off_by_a_code_at_most_where_nothing_was_compiled(
    size, pixels, objects, strength, feather
):
    width, height = size
    boxes = np.array([(x, y, x + share, y + share) for x, y, share in objects]) * (size + size)
    style = Style(refine=False, steady_edges=False, blur_strength=strength, feather=feather)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        # Quick enlargements put objects' edges, and with them what is behind, a little beside.
        patch.setattr(mattes, "spans", lambda *args, **how: None)
        for loops in (kernels.examined(), (None, "left out")):
            patch.setattr(kernels, "examined", lambda loops=loops: loops)
            picture = astronaut(width, height, pixels)
            one = frame(picture, people(picture, *map(tuple, boxes.tolist())))
            Painter("blur", style, timing=False).paint(one)
            found.append(samples(one.image))
    # In more than eight bits all else is the same.
    assert same(*found, off=0 if pixels.endswith("10le") else 1)
