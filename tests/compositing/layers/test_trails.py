import numpy as np
import pytest

from stream.compositing import Painter, Style
from stream.compositing.palette import PALETTE
from stream.pictures.pixels import plane_view
from tests.compositing.pictures import astronaut, frame, people, same, samples


def walk(painter, places, tracks=True, start=0.0, **how):
    """Somebody whose box has its middle at each place in turn; the last picture's samples."""
    for index, (x, y) in enumerate(places):
        picture = astronaut(200, 160, "yuv444p")
        boxes = [(x - 10, y - 10, x + 10, y + 10)]
        one = frame(picture, people(picture, *boxes, tracks=[1] if tracks else None, **how))
        one.pts = round(25 * start) + index
        painter.paint(one)
    return samples(one.image)


WAY = [(20 + 8 * index, 40 + 4 * index) for index in range(15)]
CLEAN = samples(astronaut(200, 160, "yuv444p"))


def test_the_way_is_drawn_in_the_objects_colour_and_nothing_else():
    after = walk(Painter("trails"), WAY)
    changed = np.any([a != b for a, b in zip(CLEAN, after, strict=True)], axis=0)
    for x, y in WAY:
        assert changed[y - 1 : y + 1, x - 1 : x + 1].all()
    rows, columns = np.nonzero(changed)
    away = np.abs((columns + 0.5 - 20) - 2 * (rows + 0.5 - 40)) / np.sqrt(5)
    assert away.max() < 5
    x, y = WAY[-2]
    blue = 128 + (PALETTE[0][2] - 128) / 2
    assert after[1][y, x] > blue - 20


def test_older_places_fade_and_go():
    after = walk(Painter("trails"), WAY)
    force = [abs(int(after[1][y, x]) - int(CLEAN[1][y, x])) for x, y in WAY]
    assert force[-2] > force[1] > 0
    short = walk(Painter("trails", Style(trail=0.2)), WAY)
    x, y = WAY[2]
    assert short[1][y, x] == CLEAN[1][y, x]
    x, y = WAY[-3]
    assert short[1][y, x] != CLEAN[1][y, x]


def test_without_identities_or_with_one_place_there_is_none():
    assert same(walk(Painter("trails"), WAY, tracks=False), CLEAN)
    assert same(walk(Painter("trails"), WAY[:1]), CLEAN)


def test_a_trail_ends_when_its_time_is_over_and_nothing_is_kept():
    painter = Painter("trails", Style(trail=0.5))
    walk(painter, WAY)
    picture = astronaut(200, 160, "yuv444p")
    one = frame(picture, None)
    one.pts = 25
    painter.paint(one)
    layer = painter._layers[0]
    assert len(layer._ways[1]) == 2
    one.pts = 250
    one.image = astronaut(200, 160, "yuv444p")
    painter.paint(one)
    assert layer._ways == {}
    assert layer._colours == {}
    assert same(samples(one.image), CLEAN)


def test_an_earlier_picture_is_of_another_source():
    painter = Painter("trails")
    walk(painter, WAY, start=4)
    assert same(walk(painter, WAY[:1]), CLEAN)


def test_a_way_goes_on_in_a_picture_of_another_size():
    painter, twice = Painter("trails"), [(2 * x, 2 * y) for x, y in WAY]
    walk(painter, WAY[:-1])
    picture = astronaut(400, 320, "yuv444p")
    clean, (x, y) = samples(picture), twice[-1]
    one = frame(picture, people(picture, (x - 20, y - 20, x + 20, y + 20), tracks=[1]))
    one.pts = len(WAY)
    painter.paint(one)
    pairs = zip(clean, samples(one.image), strict=True)
    changed = np.any([a != b for a, b in pairs], axis=0)
    assert all(changed[y - 1 : y + 1, x - 1 : x + 1].all() for x, y in twice)
    rows, columns = np.nonzero(changed)
    assert np.abs((columns + 0.5 - 40) - 2 * (rows + 0.5 - 80)).max() / np.sqrt(5) < 8


@pytest.mark.parametrize("pixels", ["yuv444p", "yuv420p10le", "gray"])
@pytest.mark.parametrize("look", ["trails", "binary+trails", "blur+trails"])
def test_no_way_leads_over_a_cut(pixels, look):
    """Whether the object behind it is another or, to the tracker, the same."""

    def painted(painter, index, *, cut, tracks):
        picture = astronaut(200, 160, pixels)
        if cut:
            luma = plane_view(picture.planes[0], 16 if "10" in pixels else 8)
            luma[...] = luma.max() - luma
        x, y = WAY[index]
        there = people(picture, (x - 10, y - 10, x + 10, y + 10), tracks=tracks)
        one = frame(picture, there)
        one.pts = index
        painter.paint(one)
        return samples(one.image)

    for again in (1, 2):
        painter = Painter(look, Style(steady_edges=False))
        for index in range(9):
            painted(painter, index, cut=False, tracks=[1])
        assert not same(
            painted(painter, 9, cut=False, tracks=[1]),
            painted(Painter(look, Style(steady_edges=False)), 9, cut=False, tracks=[1]),
        )
        behind = painted(painter, 10, cut=True, tracks=[again])
        alone = painted(Painter(look, Style(steady_edges=False)), 10, cut=True, tracks=[again])
        assert same(behind, alone)
        assert not same(painted(painter, 11, cut=True, tracks=[again]), alone)


def test_places_that_are_none_and_outside_are_no_harm():
    painter = Painter("trails")
    nowhere = float("nan")
    after = walk(painter, [(-50, -60), (nowhere, 5), (30, 30), (1e30, 2), (900, 900), (40, 40)])
    changed = np.any([a != b for a, b in zip(CLEAN, after, strict=True)], axis=0)
    assert changed[35, 35], "from the last place within to the one far outside, and back"
    assert not changed[:10, 60:].any(), "nothing leads to what is no place"
