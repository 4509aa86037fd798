import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.compositing.planes import blend, blend_shares, encoding_of, part, writable_planes
from stream.kernels.memory import plane_of
from stream.pictures.pixels import reduce_to
from tests.compositing.pictures import FORMATS, astronaut, memory, rounded_by_opencv


def assert_places(planes):
    """That compiled loops are told of the samples that the views show."""
    told = [(*plane_of(one), *step) for one, step in zip(planes.samples, planes.steps, strict=True)]
    assert planes.places.tolist() == [list(one) for one in told]


@pytest.mark.parametrize("pixels", FORMATS)
def test_views_are_the_pictures_own_memory(pixels):
    picture = astronaut(50, 37, pixels)
    planes = writable_planes(picture)
    assert planes.size == (37, 50)
    assert_places(planes)
    for view, whole in zip(planes.samples, memory(picture), strict=True):
        assert np.shares_memory(view, whole)
        assert view.dtype == (np.uint8 if planes.encoding.depth == 8 else np.uint16)
    if len(planes.samples) == 3:
        rows, columns = planes.grid
        assert planes.samples[1].shape == (-(-37 // rows), -(-50 // columns))


def test_a_picture_upside_down_in_memory_is_painted_the_right_way_up():
    graph = av.filter.Graph()
    source = graph.add_buffer(width=64, height=48, format="yuv420p", time_base=1)
    flip, sink = graph.add("vflip"), graph.add("buffersink")
    graph.link_nodes(source, flip, sink).configure()
    graph.push(astronaut(64, 48))
    picture = graph.pull()
    assert picture.planes[0].line_size < 0
    before = picture.to_ndarray(format="gray")
    planes = writable_planes(picture)
    assert_places(planes)
    luma = planes.samples[0]
    blend(luma[:5], np.full((5, 64), 255, np.uint8), 235)
    after = picture.to_ndarray(format="gray")
    assert (after[:5] == 255).all()
    assert np.array_equal(after[5:], before[5:])


def test_shares_are_blended_exactly_but_for_one_rounding():
    samples, shares = np.mgrid[:256, :257].astype(np.uint16)
    memory = np.empty_like(shares)
    for value in (0, 1, 16, 127, 128, 200, 235, 254, 255):
        blended = samples.astype(np.uint8)
        blend_shares(blended, shares, value, memory)
        exact = (samples * shares.astype(float) + value * (256.0 - shares)) / 256
        assert np.array_equal(blended, np.floor(exact + 0.5)), value


@pytest.mark.parametrize(
    "pixels", ["rgb24", "gbrp", "nv12", "yuva420p", "yuv420p10be", "grayf32le"]
)
def test_other_pictures_are_refused(pixels):
    with pytest.raises(ValueError, match=pixels):
        writable_planes(av.VideoFrame(32, 32, pixels))


@pytest.mark.parametrize(
    ("pixels", "tag", "full"),
    [
        ("yuv420p", 0, False),
        ("yuv420p", 1, False),
        ("yuv420p", 2, True),
        ("yuv420p10le", 2, True),
        ("yuvj420p", 0, True),
        ("gray", 0, True),
        ("gray", 1, False),
    ],
)
def test_the_range_is_the_tags_or_the_formats(pixels, tag, full):
    picture = av.VideoFrame(32, 32, pixels)
    picture.color_range = tag
    assert encoding_of(picture).full_range is full


@rounded_by_opencv
@pytest.mark.parametrize("depth", [8, 10, 12, 16])
def test_blending_keeps_replaces_and_mixes(depth):
    top = (1 << depth) - 1
    before = np.arange(0, top + 1, max(1, top // 300)).astype(np.uint8 if depth == 8 else np.uint16)
    plane = before[None].copy()
    for alpha, expected in ((0, before), (255, np.full_like(before, 77))):
        plane[:] = before
        blend(plane, np.full(plane.shape, alpha, np.uint8), 77)
        assert np.array_equal(plane[0], expected)
    plane[:] = before
    blend(plane, np.full(plane.shape, 115, np.uint8), top)
    exact = before + 115 / 255 * (top - before.astype(float))
    assert np.abs(plane[0] - exact).max() <= 1


def test_an_odd_last_row_and_column_count_as_if_repeated():
    image = np.full((3, 5), 10, np.uint8)
    image[2, 4] = 200
    assert reduce_to(image, (2, 2)).tolist() == [[10, 10, 10], [10, 10, 200]]
    assert reduce_to(image, (1, 1)) is image


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([(1, 1), (2, 2), (1, 2), (2, 1), (1, 4), (4, 4)]),
    st.data(),
)
def test_a_part_of_a_plane_has_the_size_of_its_reduced_image(height, width, step, data):
    plane = np.zeros((-(-height // step[0]), -(-width // step[1])), np.uint8)
    top = data.draw(st.integers(0, height - 1)) // step[0] * step[0]
    left = data.draw(st.integers(0, width - 1)) // step[1] * step[1]
    image = np.zeros((height - top, width - left), np.uint8)
    window = (top, height, left, width)
    assert part(plane, step, window).shape == reduce_to(image, step).shape
