"""Places of a picture in one of another size."""

import numpy as np

from stream.pictures.sizes import growth, in_another_size

SMALL, LARGE, UPRIGHT = (360, 640), (720, 1280), (640, 360)


def test_what_is_in_the_middle_stays_there_and_grows_with_the_picture():
    boxes = np.array([[280, 140, 360, 220], [0, 0, 640, 360]], np.float32)
    assert growth(SMALL, LARGE) == 2 and growth(SMALL, UPRIGHT) == 1
    assert np.allclose(in_another_size(boxes, SMALL, LARGE), 2 * boxes)
    assert np.allclose(in_another_size(boxes[0], SMALL, UPRIGHT), [140, 280, 220, 360])
    assert np.allclose(in_another_size(boxes[0, :2], SMALL, UPRIGHT), [140, 280])
    assert in_another_size(np.zeros((0, 4), np.float32), SMALL, LARGE).shape == (0, 4)
