"""Few sizes of input for pictures of many shapes, as on a card that plans each anew."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import stream
from stream import Segmenter
from stream.bench.gpu import stand_in
from stream.inference import providers
from stream.inference.canvases import MOST, OWN, Canvases
from stream.inference.catalogue import find
from stream.inference.contract import Resize
from stream.inference.session import Asked, open_on
from stream.inference.sizes import Handles
from tests import tiny_models

SHAPES = Resize("shortest_edge", shortest=48, longest=96, multiple_of=8, interpolation="area")


def shaped_frame(width: int, height: int) -> av.VideoFrame:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[40:160, 80:200] = 255
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")


def test_pictures_of_a_few_shapes_are_answered_as_on_the_cpu(tmp_path: Path) -> None:
    path = tiny_models.bright(tmp_path / "b.onnx", 100, tiny_models.metadata(SHAPES))
    opened = open_on(find(path), stand_in(), Asked(throughput=True))
    there, here = Segmenter("tiny", opened), Segmenter.load(path, "cpu")
    shapes = [(640, 480), (480, 640), (640, 360), (360, 640), (600, 400), (400, 400)]
    with ThreadPoolExecutor(4) as pool:
        prepared = list(pool.map(lambda shape: there.preprocess(shaped_frame(*shape)), 2 * shapes))
    for shape, one in zip(2 * shapes, prepared, strict=True):
        exact = here.preprocess(shaped_frame(*shape))
        assert one.geometry == exact.geometry
        away = one.pixels().astype(int) - exact.pixels()
        assert np.abs(away).max() <= 3
        found = there.postprocess(there.infer(one), one)
        wanted = here(shaped_frame(*shape))
        assert np.abs(found.boxes - wanted.boxes).max() <= 0.5
    assert len({one.geometry.size for one in prepared}) == OWN == len(shapes)
    assert there.remarks == ()


@pytest.mark.parametrize("views", [1, 6])
def test_pictures_of_many_shapes_open_few_sessions_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: int
) -> None:
    path = tiny_models.bright(tmp_path / "b.onnx", 100, tiny_models.metadata(SHAPES))
    opened = open_on(find(path), stand_in())
    there = Segmenter("tiny", opened, views=views)
    here = Segmenter.load(path, "cpu", views=views)
    fixed = Handles._fixed
    planned, sizes, widened = list[object](), set(), 0

    def watched(handles: Handles, sides: tuple[str, str], size: tuple[int, int]) -> object:
        planned.append(size)
        return fixed(handles, sides, size)

    monkeypatch.setattr(Handles, "_fixed", watched)
    frames = [shaped_frame(320 + 16 * step, 320 + 16 * ((7 * step) % 30)) for step in range(30)]
    for frame in frames:
        prepared = there.preprocess(frame)
        looked = {one.geometry.size: one for one in (prepared, *prepared.others)}
        sizes |= looked.keys()
        places = [one.geometry for one in (prepared, *prepared.others)]
        widened += any(
            place != resize.geometry(frame.width, frame.height)
            for place, (resize, _) in zip(places, there._views, strict=True)
        )
        assert all(one.pixels().shape[1:3] == size[::-1] for size, one in looked.items())
        found = there.postprocess(there.infer(prepared), prepared)
        # A view's margins are not where the CPU has them, and masks are joined.
        assert np.abs(found.boxes - here(frame).boxes).max() <= (0.5 if views == 1 else 1)
    (remark,) = there.remarks
    assert widened > 0 and f": {widened} of them got wider margins" in remark
    # Some fit into what is there already.
    assert sizes & {SHAPES.geometry(320, 320).size}
    policies = len({resize for resize, _ in there._views})
    assert len(opened.handles._sized) <= MOST * policies + 1, "the first one is held anyway"
    # Each is planned once, however often the same shapes come.
    before = len(planned)
    assert before <= (MOST + 1) * policies
    for frame in frames:
        there(frame)
    assert len(planned) == before


def test_a_folder_of_many_shapes_says_at_the_end_what_became_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "_ROUTES", {**providers._ROUTES, "cuda": stand_in})
    path = tiny_models.bright(tmp_path / "b.onnx", 100, tiny_models.metadata(SHAPES))
    photos = tmp_path / "photos"
    photos.mkdir()
    for place, width in enumerate(range(100, 260, 16)):
        Image.new("RGB", (width, 120)).save(photos / f"{place}.png")
    told = stream.process(photos, f"{tmp_path}/out/%d.png", model=path, provider="cuda").remarks
    assert [one for one in told if re.search(r"\b[1-4] of them got wider margins", one)], told


def test_a_film_has_no_wider_margins_than_on_the_cpu(tmp_path: Path) -> None:
    path = tiny_models.bright(tmp_path / "b.onnx", 100, tiny_models.metadata(SHAPES))
    film, known = (640, 480), (64, 48)
    there = Segmenter("tiny", open_on(find(path), stand_in(), Asked(picture=film)))
    late = Segmenter("tiny", open_on(find(path), stand_in()))
    for width in range(400, 800, 20):  # photos first
        for one in (there, late):
            one.preprocess(av.VideoFrame(400, width, "yuv420p"))
    assert there.preprocess(av.VideoFrame(*film, "yuv420p")).geometry.size == known
    assert late.preprocess(av.VideoFrame(*film, "yuv420p")).geometry.size != known
    late.expect(*film)
    assert late.preprocess(av.VideoFrame(*film, "yuv420p")).geometry.size == known


@pytest.mark.parametrize("anchor", ["corner", "centre"])
def test_the_smallest_canvas_that_holds_a_picture_is_taken(anchor: str) -> None:
    resize = replace(SHAPES, anchor=anchor)  # type: ignore[arg-type]
    few = Canvases()
    own = [(48, 48), (96, 48), (48, 96), (64, 48), (80, 48), (48, 64)]
    for size in own:
        few.keep(resize, size)
    for picture, wanted in (((470, 400), (64, 48)), ((400, 470), (48, 64)), ((700, 400), (96, 48))):
        exact = resize.geometry(*picture)
        placed = few.place(resize, exact)
        assert placed.size == wanted and exact.size not in own
        assert placed.content == exact.content and placed.picture == picture
        room = [a - b for a, b in zip(placed.size, exact.content, strict=True)]
        middle = tuple(left // 2 for left in room)
        assert placed.offset == (middle if anchor == "centre" else (0, 0))


def test_what_is_kept_and_still_in_use_stays_as_it_comes() -> None:
    few = Canvases()
    films = [(640 + 64 * number, 640) for number in range(MOST + 1)]
    resize = replace(SHAPES, shortest=640, longest=2000)
    exact = [resize.geometry(*film) for film in films]
    assert len({one.size for one in exact}) == len(films)
    for one in exact[:-1]:
        few.keep(resize, one.size)
    few.place(resize, exact[0])
    few.keep(resize, exact[-1].size)
    assert few.in_use == {one.size for one in (exact[0], *exact[2:])}
    assert few.place(resize, exact[0]) == exact[0] and few.place(resize, exact[1]) != exact[1]


def test_a_shape_that_comes_again_and_again_pushes_no_other_out() -> None:
    few = Canvases()
    for width in range(OWN):
        few.keep(SHAPES, (48, 48 + 8 * width))
    wide = SHAPES.geometry(900, 400)
    larger = few.place(SHAPES, wide)
    before = few.in_use
    assert len(before) == OWN + 1
    for _ in range(2 * MOST):
        assert few.place(SHAPES, wide) == larger
    assert few.in_use == before


def test_a_larger_place_takes_that_of_one_within_it_and_those_that_came_first_stay() -> None:
    few = Canvases()
    for step in range(OWN):
        few.keep(SHAPES, (16, 16 + 8 * step))
    first = few.in_use
    for picture in ((640, 480), (480, 640), (900, 400)):
        few.place(SHAPES, SHAPES.geometry(*picture))
    assert few.in_use == first | {(48, 72), (96, 48)}


def test_margins_are_wide_only_where_all_places_are_taken() -> None:
    for taken in (OWN, MOST):
        few = Canvases()
        for step in range(taken):
            few.keep(SHAPES, (400 + 8 * step, 400))
        before = few.in_use
        placed = few.place(SHAPES, SHAPES.geometry(470, 400))
        assert (placed.size == (400, 400)) is (few.in_use == before) is (taken == MOST)


@given(
    st.lists(
        st.tuples(st.integers(16, 900), st.integers(16, 900), st.booleans()),
        min_size=10,
        max_size=60,
    )
)
def test_whatever_comes_few_sizes_are_in_use(pictures: list[tuple[int, int, bool]]) -> None:
    few, planned = Canvases(), list[set[tuple[int, int]]]()
    kept = sum(films for *_, films in pictures)
    for width, height, films in pictures:
        exact = SHAPES.geometry(width, height)
        before = few.in_use
        if films:
            few.keep(SHAPES, exact.size)
        placed = few.place(SHAPES, exact)
        assert placed.size in few.in_use and len(few.in_use) <= MOST
        assert placed == exact or not films
        assert all(a >= b for a, b in zip(placed.size, exact.size, strict=True))
        planned.append({*few.in_use} - before)
    # Of roomier ones there are five: wide and high, middle and long, and square.
    assert sum(map(len, planned)) <= OWN + 5 + kept
    few.keep(replace(SHAPES, longest=128), (128, 48))
    assert len(few.in_use) <= 2 * MOST
