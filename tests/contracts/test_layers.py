"""What holds for every layer, ours and those that are registered."""

import importlib
import sys

import numpy as np
import pytest
from av.filter import Graph

from stream.compositing import LAYERS, Canvas, Layer, Painter, Style
from stream.compositing.mask_memory import Memory
from stream.errors import UsageError
from stream.instances import Instances
from stream.kernels import Kernels, compiled, examined
from stream.pictures.pixels import paintable, plane_view
from stream.pictures.references import Referencer
from stream.plugins import Kind
from tests.compositing.pictures import (
    FORMATS,
    astronaut,
    frame,
    padding,
    people,
    rounded_by_opencv,
    same,
    samples,
)

FIGURES = ("Inference time:\t12.3 ms", "frames per second\t30.0")
each = pytest.mark.parametrize("name", LAYERS.names())
SIZES = [(200, 160), (161, 97), (16, 16), (17, 3), (1, 1)]


def painted(name, picture, instances, painter=None, **style):
    one = frame(picture, instances)
    painter = Painter(name, Style(**style)) if painter is None else painter
    painter.paint(one, FIGURES)
    return one.image


def somebody(picture, tracks=None):
    width, height = picture.width, picture.height
    boxes = [
        (0.1 * width, 0.1 * height, 0.5 * width, 0.9 * height),
        (0.6 * width, 0.3 * height, 1.2 * width, 0.8 * height),
    ]
    return people(picture, *boxes, tracks=tracks)


def test_there_are_layers_and_each_has_its_name():
    assert {"fill", "contour", "labels", "boxes", "binary", "timing"} <= set(LAYERS.names())
    for name in LAYERS.names():
        assert issubclass(LAYERS.get(name), Layer)
        assert Painter(name).key.look == (() if name == "timing" else (name,))


@each
@pytest.mark.parametrize("size", SIZES)
def test_any_picture_of_any_size_is_painted_inside_its_lines(name, size):
    for pixels in FORMATS:
        picture = astronaut(*size, pixels)
        edges = padding(picture)
        for edge in edges:
            edge[:] = 99
        after = painted(name, picture, somebody(picture))
        assert (after.width, after.height) == size, pixels
        assert all((edge == 99).all() for edge in edges), pixels


@each
@pytest.mark.parametrize("found", [None, "nobody", "not a number"])
def test_without_instances_layers_that_only_add_leave_the_picture_and_its_memory(name, found):
    picture = astronaut(161, 97)
    before, at = samples(picture), [plane.buffer_ptr for plane in picture.planes]
    instances = None
    if found == "nobody":
        instances = Instances.empty(("person",), (97, 161))
    elif found:
        # Boxes that are none: nothing of them is in the picture.
        boxes = [(np.nan,) * 4, (0, 0, np.inf, 9), (30, 9, 30, 20), (900, 9, 950, 60)]
        instances = people(picture, *boxes)
    keep = Referencer()(picture)
    after = painted(name, picture, instances)
    assert same(samples(keep), before)
    if LAYERS.get(name).only_adds:
        assert after is picture
        assert same(samples(after), before)
        assert [plane.buffer_ptr for plane in after.planes] == at


@each
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p10le"])
def test_a_picture_that_is_still_referenced_elsewhere_is_not_written_to(name, pixels):
    picture = astronaut(200, 160, pixels)
    before = samples(picture)
    other = Referencer()(picture)
    painted(name, picture, somebody(picture))
    assert same(samples(other), before)


@each
@pytest.mark.parametrize("pixels", ["yuv444p", "yuv444p10le"])
def test_what_lies_below_what_is_clear_colours_nothing_that_is_seen(name, pixels):
    made = []
    for hidden in (0, 255):
        picture = astronaut(200, 160, pixels)
        clear = np.full((160, 200), 255, np.uint8)
        clear[:, :40], clear[:90, 90:120], clear[120:, :] = 0, 0, 0
        for plane in picture.planes:
            depth = picture.format.components[0].bits
            plane_view(plane, depth)[clear == 0] = hidden << (depth - 8)
        one = frame(picture, somebody(picture))
        one.alpha = clear
        Painter(name).paint(one, FIGURES)
        shown = one.image if one.alpha is None else one.seen()
        made.append(visible(shown))
    off = [
        np.abs(one.astype(int) - other)[clear > 0].max() for one, other in zip(*made, strict=True)
    ]
    assert max(off) <= (2 if pixels == "yuv444p" else 8)


@rounded_by_opencv
@each
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p10le", "gray"])
def test_a_picture_upside_down_in_memory_is_painted_like_any_other(name, pixels):
    upright = astronaut(200, 160, pixels)
    turned = upside_down(astronaut(200, 160, pixels))
    assert turned.planes[0].line_size < 0
    instances = somebody(upright)
    expected = painted(name, upright, instances)
    found = painted(name, turned, instances)
    assert same(visible(found), visible(expected))


@pytest.mark.parametrize("name", [one for one in LAYERS.names() if not LAYERS.get(one).remembers])
@pytest.mark.parametrize("tracks", [None, [4, 2]])
def test_the_same_frame_is_painted_alike_whatever_was_painted_before(name, tracks):
    painter = Painter(name)
    first = painted(name, astronaut(), somebody(astronaut(), tracks), painter)
    painted(name, astronaut(333, 97, "yuv444p16le"), None, painter)
    painted(name, astronaut(64, 480), somebody(astronaut(64, 480)), painter)
    again = painted(name, astronaut(), somebody(astronaut(), tracks), painter)
    assert same(visible(first), visible(again))


@each
def test_what_is_remembered_ends_where_time_begins_again(name):
    fresh, used = Painter(name), Painter(name)
    for index in range(3):
        one = frame(astronaut(), somebody(astronaut(), [4, 2]))
        one.pts = 100 + index
        used.paint(one)
    pictures = []
    for painter in (fresh, used):
        painter.paint(one := frame(astronaut(), somebody(astronaut(), [4, 2])[:1]))
        pictures.append(visible(one.image))
    assert same(*pictures)


@each
def test_times_and_colour_tags_stay(name):
    picture = astronaut()
    picture.pts, picture.colorspace, picture.color_range = 7, 1, 1
    after = painted(name, picture, somebody(picture))
    assert (after.pts, after.colorspace, after.color_range) == (7, 1, 1)


@each
def test_many_and_large_masks_are_painted_with_little_memory_as_with_much(name):
    pictures = []
    for most in (1000, 32 << 20):
        picture = astronaut(320, 240)
        painter = Painter(name)
        painter._memory = Memory(most)
        boxes = [(10 * i, 5 * i, 200 + 10 * i, 150 + 5 * i) for i in range(10)]
        pictures.append(visible(painted(name, picture, people(picture, *boxes), painter)))
    assert same(*pictures)


ADDED = """
from typing import ClassVar

from stream.compositing import Layer


class Darken(Layer):
    '''Halves luma inside each object's window.'''

    only_adds: ClassVar[bool] = True

    def paint(self, canvas):
        for index in range(len(canvas.instances)):
            found = canvas.pasted(index)
            if found is not None:
                top, bottom, left, right = found.window
                canvas.planes.samples[0][top:bottom, left:right] //= 2
"""


def test_a_layer_of_another_distribution_paints_beside_ours(tmp_path, monkeypatch):
    (tmp_path / "darkening.py").write_text(ADDED)
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    metadata = tmp_path / "darkening-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: darkening\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[stream.compositing.layers]\nmine = darkening:Darken\nbroken = broken:Layer\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    known = Kind("stream.compositing.layers", Layer)
    monkeypatch.setattr("stream.compositing.painter.LAYERS", known)
    try:
        assert known.names()[-2:] == ["broken", "mine"]
        picture = astronaut()
        before = samples(picture)
        after = samples(painted("mine+labels", picture, somebody(picture)))
        dark, labelled = (after[0] == before[0] // 2), (after[1] != before[1])
        assert dark[60:140, 30:90].all()
        assert labelled.any()
        with pytest.raises(UsageError, match="'broken', registered in"):
            Painter("broken")
        with pytest.raises(UsageError, match=r"there are binary, .*, mine, "):
            Painter("yours")
    finally:
        sys.modules.pop("darkening", None)


@pytest.mark.parametrize(
    "look", ["overlay", "fill+boxes+contour+labels", "contour+labels+binary", "labels", "binary"]
)
@pytest.mark.parametrize("kernels", [True, False])
def test_each_mask_is_pasted_once_for_all_layers_and_only_when_asked_for(
    monkeypatch, look, kernels
):
    from stream.compositing import canvas as module

    if kernels and compiled() is None:
        pytest.skip(examined()[1])
    pasted = []
    if kernels:
        paste = Kernels.objects

        def counted(self, masks, *rest):
            found, taken = paste(self, masks, *rest)
            if taken <= len(rest[-1]):  # Else they only said how much memory they take.
                pasted.extend(masks)
            return found, taken

        monkeypatch.setattr(Kernels, "objects", counted)
    else:
        monkeypatch.setattr(module, "compiled", lambda: None)
        for name in ("paste", "paste_nearly"):
            paste = getattr(module, name)
            monkeypatch.setattr(
                module,
                name,
                lambda *args, paste=paste, **how: (pasted.append(1), paste(*args, **how))[1],
            )
    picture = astronaut()
    painter = Painter(look)
    for count in (2, 4):
        painted(look, picture, somebody(picture), painter)
        assert len(pasted) == count
    canvas = Canvas(picture, somebody(picture), Style(), Memory())
    assert len(pasted) == 4
    assert canvas.pasted(1) is canvas.pasted(1)
    canvas.pasted(0)
    assert len(pasted) == 6


@rounded_by_opencv
@each
def test_pictures_are_the_same_where_nothing_was_compiled(monkeypatch, name):
    if compiled() is None:
        pytest.skip(examined()[1])
    from stream import kernels
    from stream.compositing import canvas, mattes
    from stream.compositing.masks import paste

    def exactly(*args, scratch, **how):
        found = paste(*args, **how)
        return None if found is None else (*found, None)

    # What is quick where nothing was compiled may be off by a fraction of a pixel.
    monkeypatch.setattr(canvas, "paste_nearly", exactly)
    monkeypatch.setattr(mattes, "spans", lambda *args, **how: None)
    boxes = [(2, 1, 60, 70), (40.5, 20, 92.25, 80), (0, 0, 12, 9), (60, 30, 200, 150)]
    for form in ("yuv420p", "yuv444p", "gray", "yuv422p10le"):
        pictures = []
        for found in (kernels.examined(), (None, "left out")):
            monkeypatch.setattr(kernels, "examined", lambda found=found: found)
            picture = astronaut(93, 81).reformat(format=form)
            pictures.append(visible(painted(name, picture, people(picture, *boxes))))
        monkeypatch.setattr(kernels, "examined", examined)
        # OpenCV rounds what it enlarges in two steps.
        assert same(*pictures, off=1 if name == "blur" else 0), form


def visible(picture):
    """All samples, for any format that a layer may give."""
    if not paintable(picture.format.name):
        return [picture.to_ndarray()]
    return [view.copy() for view in views(picture)]


def views(picture):
    depth = picture.format.components[0].bits
    return [plane_view(plane, depth) for plane in picture.planes]


def upside_down(picture):
    """The same picture, by lines that run upwards in memory."""
    for view in views(picture):
        view[:] = view[::-1].copy()
    graph = Graph()
    source = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format.name, time_base=1
    )
    turn, sink = graph.add("vflip"), graph.add("buffersink")
    graph.link_nodes(source, turn, sink).configure()
    graph.push(picture)
    return graph.pull()
