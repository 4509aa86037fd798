"""Which products of bytes are added in 16 bits, and how filters are laid out for it."""

import numpy as np
import pytest

from stream import kernels
from stream.kernels.convolve import TAP, TOGETHER, VECTOR, Way, by_own, of_own

compiled, reason = kernels.examined()
needed = pytest.mark.skipif(compiled is None, reason=reason)


def most(block):
    """What is above zero and below, of each half of each piece of every answer."""
    halves = block.reshape(*block.shape[:-1], 2, 2).astype(int)
    return np.stack([np.maximum(halves, 0).sum(-1), np.maximum(-halves, 0).sum(-1)])


@needed
@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("answers", [8, 16, 24, 32, 40, 56, 64, 72, 88, 96, 104, 144, 1280])
def test_all_answers_are_computed_together_with_some_others(answers, way):
    filters = np.ones((answers, TAP, 1, 1), np.int8)
    together = compiled.of_all(filters, way).blocks[:, 0]
    assert together.sum() == answers
    assert set(together) <= ({8, 16, 24, 32} if way is Way.PAIRED else {8, 16, 24, 32, 48, 64})
    if way is Way.VNNI:
        assert len(together) <= -(-answers // 64) + 1


def own_blocks(filters, laid):
    """Of each block: its pieces in their order, how many pairs come first, and its weights."""
    pieces = filters.transpose(0, 2, 3, 1).reshape(len(filters), -1, TAP)
    at, first, written = 0, 0, 0
    for together, read, pairs in laid.blocks:
        order = laid.order[first : first + read]
        size = read * together * TAP
        yield pieces[at : at + together], order, pairs, laid.weights[written : written + size]
        at, first, written = at + together, first + read, written + size
    assert (at, first, written) == (len(filters), len(laid.order), len(laid.weights))


@needed
@pytest.mark.parametrize("spread", [6, 25, 60])
@pytest.mark.parametrize("shape", [(8, 4, 1, 1), (24, 32, 1, 1), (40, 16, 3, 3), (64, 8, 1, 3)])
def test_no_sum_of_a_pair_is_beyond_16_bits_and_none_that_fit_are_left(spread, shape):
    random = np.random.default_rng(spread)
    filters = np.clip(random.normal(0, spread, shape), -64, 64).astype(np.int8)
    laid = compiled.of_all(filters, Way.PAIRED)
    found = 0
    for own, order, pairs, weights in own_blocks(filters, laid):
        together, total = own.shape[:2]
        assert sorted(order) == list(range(total))
        one, other = order[: 2 * pairs : 2], order[1 : 2 * pairs : 2]
        assert (most(own[:, one]) + most(own[:, other])).max(initial=0) <= 128
        left = order[2 * pairs :]
        for place, piece in enumerate(left):
            for mate in left[place + 1 :]:
                assert (most(own[:, piece]) + most(own[:, mate])).max() > 128
        # A pair's filters lie side by side for each eight answers.
        both = weights[: 2 * pairs * together * TAP].reshape(
            pairs, together // VECTOR, 2, VECTOR, TAP
        )
        for which, places in enumerate((one, other)):
            laid_out = both[:, :, which].reshape(pairs, together, TAP)
            np.testing.assert_array_equal(laid_out, own[:, places].swapaxes(0, 1))
        single = weights[2 * pairs * together * TAP :].reshape(len(left), together, TAP)
        np.testing.assert_array_equal(single, own[:, left].swapaxes(0, 1))
        found += pairs
    if spread == 6:
        assert found * 2 >= 0.9 * len(laid.blocks) * (total // 2 * 2)


@needed
def test_where_four_products_are_added_at_once_filters_lie_piece_by_piece():
    filters = np.random.default_rng(3).integers(1, 9, (112, 8, 3, 1)).astype(np.int8)
    for own, order, pairs, weights in own_blocks(filters, compiled.of_all(filters, Way.VNNI)):
        assert pairs == 0 and list(order) == list(range(6))
        laid_out = weights.reshape(len(order), len(own), TAP)
        np.testing.assert_array_equal(laid_out, own.swapaxes(0, 1))


@needed
@pytest.mark.parametrize("way", Way)
def test_what_no_filter_of_a_block_weighs_is_not_read(way):
    """As where a layer was widened: the first half of the answers reads other pixels."""
    filters = np.zeros((64, 16, 1, 1), np.int8)
    filters[:32, 2:7] = 5
    filters[32:, 12] = -3
    laid = compiled.of_all(filters, way)
    assert laid.blocks[:, :2].tolist() == [[32, 2], [32, 1]]
    assert sorted(laid.order[:2]) == [0, 1] and laid.order[2:] == [3]


def test_filters_of_their_own_lie_column_by_column():
    filters = np.arange(-72, 72, dtype=np.int8).reshape(TOGETHER, 1, 3, 3)
    laid = of_own(filters, Way.PAIRED).weights.view(np.int16).reshape(3, 2, TOGETHER, 2)
    for place, channel in enumerate(by_own(np.arange(TOGETHER), Way.PAIRED)):
        for column in range(3):
            above, below = laid[column, :, place]
            np.testing.assert_array_equal(above, filters[channel, 0, :2, column])
            np.testing.assert_array_equal(below, [filters[channel, 0, 2, column], 0])


@pytest.mark.parametrize(("channels", "registers"), [(16, [16]), (112, [64, 32, 16]), (64, [64])])
def test_filters_of_their_own_have_a_register_for_each_quarter(channels, registers):
    filters = (np.arange(channels * 9) % 251 - 120).astype(np.int8).reshape(channels, 1, 3, 3)
    weights, order = of_own(filters, Way.VNNI).weights, by_own(np.arange(channels), Way.VNNI)
    assert len(weights) == 12 * channels
    for count in registers:
        laid, weights = weights[: 12 * count].reshape(3, count, TAP), weights[12 * count :]
        for place, channel in enumerate(order[:count]):
            # What unpacking bytes and then pairs of bytes makes of every sixteen channels.
            assert channel % 16 // 4 == place // (count // 4)
            for column in range(3):
                expected = [*filters[channel, 0, :, column], 0]
                np.testing.assert_array_equal(laid[column, place], expected)
        order = order[count:]
    assert not len(order) and not len(weights)
