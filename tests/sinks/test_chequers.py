import numpy as np

from stream.sinks._chequers import on_chequers


def test_what_is_opaque_stays_and_what_is_not_is_chequered():
    bgr = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    alpha = np.zeros((64, 64), np.uint8)
    alpha[:, 32:] = 255
    shown = on_chequers(bgr, alpha)
    assert np.array_equal(shown[:, 32:], bgr[:, 32:])
    assert np.unique(shown[:, :32]).tolist() == [96, 144]
    assert (shown[:16, :16] == 144).all() and (shown[16:32, :16] == 96).all()
    alpha[:] = 128
    half = on_chequers(bgr, alpha).astype(int)
    mean = (bgr.astype(int) + on_chequers(bgr, np.zeros_like(alpha))) / 2
    assert np.abs(half - mean).max() <= 2
