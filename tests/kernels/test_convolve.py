"""Which products of bytes are added in 16 bits, and how filters are laid out for it."""

import numpy as np
import pytest

from stream import kernels
from stream.kernels.convolve import TAP, TOGETHER, VECTOR, by_own, of_own

compiled, reason = kernels.examined()
needed = pytest.mark.skipif(compiled is None, reason=reason)


def most(block):
    """What is above zero and below, of each half of each piece of every answer."""
    halves = block.reshape(*block.shape[:-1], 2, 2).astype(int)
    return np.stack([np.maximum(halves, 0).sum(-1), np.maximum(-halves, 0).sum(-1)])


@needed
@pytest.mark.parametrize("answers", [8, 16, 24, 32, 40, 56, 64, 96, 1280])
def test_all_answers_are_computed_together_with_some_others(answers):
    at = 0
    while at < answers:
        together = compiled._answers_together(answers - at)
        assert together in (8, 16, 24, 32)
        at += together
    assert at == answers


@needed
@pytest.mark.parametrize("spread", [6, 25, 60])
@pytest.mark.parametrize("shape", [(8, 4, 1, 1), (24, 32, 1, 1), (40, 16, 3, 3), (64, 8, 1, 3)])
def test_no_sum_of_a_pair_is_beyond_16_bits_and_none_that_fit_are_left(spread, shape):
    random = np.random.default_rng(spread)
    filters = np.clip(random.normal(0, spread, shape), -64, 64).astype(np.int8)
    laid = compiled.of_all(filters)
    pieces = filters.transpose(0, 2, 3, 1).reshape(shape[0], -1, TAP)
    total, at, written = pieces.shape[1], 0, 0
    for block, pairs in enumerate(laid.pairs):
        together = compiled._answers_together(shape[0] - at)
        own = pieces[at : at + together]
        order = laid.order[block * total : (block + 1) * total]
        assert sorted(order) == list(range(total))
        one, other = order[: 2 * pairs : 2], order[1 : 2 * pairs : 2]
        assert (most(own[:, one]) + most(own[:, other])).max(initial=0) <= 128
        left = order[2 * pairs :]
        for place, piece in enumerate(left):
            for mate in left[place + 1 :]:
                assert (most(own[:, piece]) + most(own[:, mate])).max() > 128
        # A pair's filters lie side by side for each eight answers.
        weights = laid.weights[written : written + own.size]
        both = weights[: 2 * pairs * together * TAP].reshape(
            pairs, together // VECTOR, 2, VECTOR, TAP
        )
        for which, places in enumerate((one, other)):
            found = both[:, :, which].reshape(pairs, together, TAP)
            np.testing.assert_array_equal(found, own[:, places].swapaxes(0, 1))
        single = weights[2 * pairs * together * TAP :].reshape(len(left), together, TAP)
        np.testing.assert_array_equal(single, own[:, left].swapaxes(0, 1))
        at, written = at + together, written + own.size
    assert written == filters.size
    if spread == 6:
        assert laid.pairs.sum() * 2 >= 0.9 * len(laid.pairs) * (total // 2 * 2)


def test_filters_of_their_own_lie_column_by_column():
    filters = np.arange(-72, 72, dtype=np.int8).reshape(TOGETHER, 1, 3, 3)
    laid = of_own(filters).weights.view(np.int16).reshape(3, 2, TOGETHER, 2)
    for place, channel in enumerate(by_own(np.arange(TOGETHER))):
        for column in range(3):
            above, below = laid[column, :, place]
            np.testing.assert_array_equal(above, filters[channel, 0, :2, column])
            np.testing.assert_array_equal(below, [filters[channel, 0, 2, column], 0])
