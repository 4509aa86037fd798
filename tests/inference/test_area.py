"""What samples of a resized row weigh; that swscale has the same is in test_own_input.py."""

import numpy as np
import pytest

from stream.inference.area import ACROSS, DOWN, area_weights


def whole(samples: int, places: int, unit: int) -> np.ndarray:
    """The share of each sample in each place, [places, samples]."""
    found = area_weights(samples, places, unit)
    assert found is not None
    shares = np.zeros((places, samples), np.int64)
    for place, (first, of) in enumerate(zip(*found, strict=True)):
        shares[place, first : first + len(of)] = of
    return shares


@pytest.mark.parametrize("unit", [ACROSS, DOWN])
@pytest.mark.parametrize(("samples", "places"), [(1280, 626), (720, 352), (640, 626), (320, 512)])
def test_all_that_a_place_is_made_of_is_one(samples: int, places: int, unit: int) -> None:
    shares = whole(samples, places, unit)
    assert (shares.sum(axis=1) == unit).all()
    assert (shares >= 0).all()


def test_as_many_places_are_the_samples() -> None:
    assert (whole(50, 50, DOWN) == DOWN * np.eye(50)).all()


def test_halves_are_means_of_two() -> None:
    assert (whole(40, 20, ACROSS) == ACROSS // 2 * np.eye(20).repeat(2, 1)).all()


def test_a_sample_weighs_what_it_covers_of_a_place() -> None:
    samples, places = 100, 30
    exact = np.zeros((places, samples))
    for place in range(places):
        start, end = place * samples / places, (place + 1) * samples / places
        for sample in range(samples):
            exact[place, sample] = max(0, min(end, sample + 1) - max(start, sample))
    exact *= places / samples
    assert np.abs(whole(samples, places, ACROSS) / ACROSS - exact).max() < 0.003


def test_where_samples_lie_further_on_more_of_those_before_is_taken() -> None:
    centred, left = (area_weights(100, 200, DOWN, middle) for middle in (0.5, 0.25))
    assert centred is not None and left is not None
    middles = [
        (found.shares * (found.firsts[:, None] + np.arange(found.shares.shape[1]))).sum(1) / DOWN
        for found in (centred, left)
    ]
    assert np.allclose((middles[1] - middles[0])[2:-2], 0.25, atol=0.01)


def test_too_few_samples_have_none() -> None:
    assert area_weights(1, 100, DOWN) is None
