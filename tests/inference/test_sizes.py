"""Sessions for sizes that are known beforehand."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import stream
from stream import Segmenter
from stream.errors import ProviderError
from stream.inference import session as sessions
from stream.inference.canvases import MOST, Canvases
from stream.inference.contract import Resize
from stream.inference.sizes import _OFTEN as OFTEN
from stream.inference.sizes import Handles, free_sides
from tests import photos, tiny_models
from tests.media import make_clip
from tests.run.parts import until
from tests.tiny_models import metadata

ASTRONAUT = photos.astronaut()
ANY = Resize("shortest_edge", shortest=48, longest=96, multiple_of=32, interpolation="area")


class Opened:
    """What was opened, in the order in which it was."""

    def __init__(self, refuses: bool = False) -> None:
        self.fixed: list[dict[str, int]] = []
        self._refuses = refuses

    def __call__(self, fixed: Mapping[str, int]) -> Any:
        self.fixed.append(dict(fixed))
        if fixed and self._refuses:
            raise ProviderError("not this size")
        return self.fixed[-1]


def test_a_known_size_opens_nothing_else_until_another_comes() -> None:
    opened = Opened()
    handles = Handles(opened, ("width", "height"), (640, 384))
    assert handles.first == handles.take((640, 384)) == {"width": 640, "height": 384}
    assert len(opened.fixed) == 1
    assert handles.take((512, 384)) == {} == handles.take((320, 320))
    assert len(opened.fixed) == 2
    handles.expect((512, 384))
    handles.expect((512, 384))
    assert handles.take((512, 384)) == {"width": 512, "height": 384}
    assert len(opened.fixed) == 3


def test_a_size_that_comes_often_gets_a_session_of_its_own() -> None:
    opened = Opened()
    handles = Handles(opened, ("width", "height"))
    for side in [64, 96] * (OFTEN - 1):
        assert handles.take((side, side)) == {}
    assert handles.take((96, 96)) == {"width": 96, "height": 96}
    assert handles.take((64, 64)) == {"width": 64, "height": 64} == handles.take((64, 64))
    assert len(opened.fixed) == 3


def test_on_a_card_no_size_gets_a_session_because_it_comes_often() -> None:
    opened = Opened()
    handles = Handles(opened, ("width", "height"), counts=False)
    for _ in range(3 * OFTEN):
        assert handles.take((64, 64)) == {}
    assert opened.fixed == [{}]


def test_a_model_of_fixed_sides_has_one_session_whatever_comes() -> None:
    opened = Opened()
    handles = Handles(opened, None, canvases=Canvases())
    for _ in range(3 * OFTEN):
        assert handles.take((64, 48)) == {} == handles.first
    assert handles.expect((64, 48)) is None
    assert opened.fixed == [{}]


def test_sizes_that_come_in_turns_are_not_opened_over_and_over() -> None:
    opened = Opened()
    handles = Handles(opened, ("width", "height"))
    for side in [*range(32, 352, 32)] * (3 * OFTEN):
        handles.take((side, side))
    assert len(opened.fixed) == 1 + 10


def test_photos_of_many_sizes_are_counted_without_end() -> None:
    opened = Opened()
    handles = Handles(opened, ("width", "height"))
    for side in range(2000):
        handles.take((side, 7))
    assert opened.fixed == [{}]
    assert len(handles._came) < 500


def test_a_size_that_comes_often_and_is_refused_is_asked_for_once() -> None:
    opened = Opened(refuses=True)
    handles = Handles(opened, ("width", "height"))
    for _ in range(3 * OFTEN):
        assert handles.take((64, 64)) == {}
    assert opened.fixed == [{}, {"width": 64, "height": 64}]


def test_sizes_that_nobody_uses_any_more_are_let_go_of() -> None:
    opened = Opened()
    handles = Handles(opened, ("width", "height"))
    for side in range(32, 224, 32):
        handles.expect((side, side))
        handles.expect((32, 32))
    sized = [side for side in range(32, 224, 32) if handles.take((side, side)) != {}]
    assert sized == [32, 128, 160, 192]
    assert opened.fixed.count({"width": 32, "height": 32}) == 1, "what is asked for is in use"


def test_where_each_size_has_a_session_those_in_use_are_kept() -> None:
    opened, canvases = Opened(), Canvases()
    handles = Handles(opened, ("width", "height"), (640, 384), canvases=canvases)
    sides = range(32, 32 * (MOST + 4), 32)
    for side in (*sides, *sides[-MOST:]):
        canvases.keep(ANY, (side, side))
        assert handles.take((side, side)) == {"width": side, "height": side}
    assert handles.take((640, 384)) is handles.first
    assert len(opened.fixed) == 1 + len(sides)
    assert len(handles._sized) == MOST + 1


def test_nobody_waits_while_a_session_is_opened_for_others() -> None:
    known, other = (64, 48), (96, 48)
    begun, going_on = threading.Event(), threading.Event()

    def make(fixed: Mapping[str, int]) -> Any:
        if fixed["width"] == other[0]:
            begun.set()
            assert going_on.wait(60)
        return dict(fixed)

    handles = Handles(make, ("width", "height"), known, canvases=Canvases())
    with ThreadPoolExecutor(2) as pool:
        opening = [pool.submit(handles.take, other) for _ in range(2)]
        assert begun.wait(60)
        assert handles.take(known) is handles.first
        going_on.set()
        first, second = (one.result(60) for one in opening)
    assert first is second, "it is opened once"


FULL = "BFCArena: Failed to allocate memory for requested buffer of size 99"


class Planned:
    """A session that takes memory of its own."""


@pytest.mark.parametrize("opening", [False, True])
def test_where_memory_is_full_sessions_for_other_sizes_are_let_go_of(opening: bool) -> None:
    room, there, opened = 3, weakref.WeakSet[Planned](), list[int]()

    def make(fixed: Mapping[str, int]) -> Any:
        if opening and len(there) == room:
            raise ProviderError(FULL)
        made = Planned()
        there.add(made)
        opened.append(fixed["width"])
        return made

    def infer(planned: Any) -> int:
        if len(there) > room:
            raise RuntimeError(FULL)
        return len(there)

    canvases = Canvases()
    handles = Handles(make, ("width", "height"), (32, 32), canvases=canvases)
    assert handles.remark == ""
    for side in (*range(32, 192, 32), 32, 64):
        canvases.keep(ANY, (side, side))
        assert 0 < handles.run((side, side), infer) <= room
    once = "" if opening else "1 picture was inferred once more, by itself; "
    kept = "no more than 3 sizes of input are kept ready at once"
    assert handles.remark == f"memory was full: {once}{kept}"
    before = list(opened)
    for side in (160, 64, 32):
        handles.run((side, side), infer)
    assert opened == before, "as many as there is room for are kept"


def test_a_size_for_which_memory_was_full_is_tried_again() -> None:
    full = [True]

    def make(fixed: Mapping[str, int]) -> Any:
        if full and fixed["width"] == 64:
            raise ProviderError(FULL)
        return dict(fixed)

    canvases = Canvases()
    handles = Handles(make, ("width", "height"), (32, 32), canvases=canvases)
    assert handles.expect((64, 64)) is None
    full.clear()
    assert handles.expect((64, 64)) == {"width": 64, "height": 64}


def test_where_memory_is_full_fewer_are_under_way_at_once() -> None:
    handles = Handles(lambda fixed: Planned(), ("width", "height"), (32, 32), canvases=Canvases())  # type: ignore[arg-type,return-value]
    together, under_way, tried = threading.Barrier(4), [0], list[int]()
    lock = threading.Lock()

    def ask(place: int) -> int:
        def infer(planned: Any) -> int:
            with lock:
                under_way[0] += 1
                again = place in tried
                tried.append(place)
            try:
                if again:
                    assert under_way[0] == 1, "it is asked by itself"
                else:
                    together.wait(60)
                    if place > 1:
                        raise RuntimeError(FULL)
                return place
            finally:
                with lock:
                    under_way[0] -= 1

        return handles.run((32, 32), infer)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [0, 1, 2, 3]
    assert sorted(tried) == [0, 1, 2, 2, 3, 3]
    told = "memory was full: 2 pictures were inferred once more, by themselves; no more than "
    few = "1 picture is" if handles._at_once == 1 else f"{handles._at_once} pictures are"
    assert handles.remark == f"{told}{few} under way at once"
    assert handles._at_once in (1, 2, 3), "sizes of input are kept: they were not the cause"


def stands(thread: threading.Thread) -> bool:
    """Whether a thread waits for others."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_code is not threading.Condition.wait.__code__:
        frame = frame.f_back
    return frame is not None


def test_who_is_asked_once_more_is_by_itself_and_fewer_are_under_way_from_then_on() -> None:
    handles = Handles(lambda fixed: Planned(), ("width", "height"), (32, 32), canvases=Canvases())  # type: ignore[arg-type,return-value]
    handles.expect((64, 64))
    threads = list[threading.Thread]()

    def ask(infer: Callable[[Any], object]) -> threading.Thread:
        threads.append(threading.Thread(target=handles.run, args=((32, 32), infer)))
        threads[-1].start()
        return threads[-1]

    def another_waits() -> bool:
        begun = threading.Event()
        another = ask(lambda planned: begun.set())
        until(lambda: begun.is_set() or stands(another))
        return not begun.is_set()

    once = "1 picture was inferred once more, by itself"
    twice = "2 pictures were inferred once more, by themselves"
    for together, told in (
        (3, f"{once}; no more than 2 pictures are under way at once"),
        (2, f"{twice}; no more than 1 picture is under way at once"),
    ):
        all_begun, full, going_on = (
            threading.Barrier(together),
            threading.Event(),
            threading.Event(),
        )
        alone = list[bool]()

        def calm(planned: Any, begun: Any = all_begun, going_on: Any = going_on) -> None:
            begun.wait(60)
            assert going_on.wait(60)

        def fails(
            planned: Any, begun: Any = all_begun, full: Any = full, alone: Any = alone
        ) -> None:
            if full.is_set():
                alone.append(another_waits())
                return
            begun.wait(60)
            full.set()
            raise RuntimeError(FULL)

        for _ in range(together - 1):
            ask(calm)
        failing = ask(fails)
        until(lambda full=full, failing=failing: full.is_set() and stands(failing))  # type: ignore[misc]
        assert not alone, "the others are under way"
        going_on.set()
        while threads:
            threads.pop(0).join(60)
        assert alone == [True]
        assert handles.remark == f"memory was full: {told}"
    assert handles.run((32, 32), lambda planned: another_waits())
    threads.pop().join(60)
    assert handles.take((64, 64)) is handles.take((64, 64)), "other sizes were not the cause"


def is_kept_waiting(thread: threading.Thread) -> bool:
    """Whether what a thread waits for is not so yet; one that merely wakes up is not."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_code is not threading.Condition.wait_for.__code__:
        frame = frame.f_back
    return frame is not None and not frame.f_locals["predicate"]()


def test_of_two_that_are_asked_once_more_one_waits_for_the_other() -> None:
    handles = Handles(lambda fixed: Planned(), ("width", "height"), (32, 32), canvases=Canvases())  # type: ignore[arg-type,return-value]
    begun, again, most = list[threading.Thread](), list[str](), list[int]()
    threads = list[threading.Thread]()

    def fails(planned: Any) -> None:
        me = threading.current_thread()
        if me not in begun:
            begun.append(me)
            until(lambda: len(begun) == 2)
            raise RuntimeError(FULL)
        again.append(me.name)
        (other,) = (one for one in threads if one is not me)
        until(lambda: len(again) == 2 or is_kept_waiting(other))
        most.append(len(again))

    threads += [threading.Thread(target=handles.run, args=((32, 32), fails)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1, 2], "the second began once the first had ended"
    assert "2 pictures were inferred once more, by themselves" in handles.remark


def test_what_fails_again_is_raised_and_others_go_on() -> None:
    handles = Handles(lambda fixed: Planned(), ("width", "height"), (32, 32), canvases=Canvases())  # type: ignore[arg-type,return-value]
    tried = list[str]()

    def fail(planned: Any) -> None:
        tried.append(said)
        raise RuntimeError(said)

    for said, times in ((FULL, 2), ("a node is wrong", 1)):
        with pytest.raises(RuntimeError, match=said):
            handles.run((32, 32), fail)
        assert tried.count(said) == times
    assert handles.run((32, 32), lambda planned: 7) == 7
    once = "1 picture was inferred once more, by itself"
    assert handles.remark == f"memory was full: {once}", "there was nothing to let go of"


def test_a_size_that_a_provider_refuses_is_taken_as_any_other() -> None:
    opened = Opened(refuses=True)
    handles = Handles(opened, ("width", "height"), (640, 384))
    assert handles.first == {} == handles.take((640, 384))
    handles.expect((640, 384))
    assert len(opened.fixed) == 2


@pytest.mark.parametrize(
    ("size", "sides"),
    [((None, None), ("width", "height")), ((64, 48), None), ((64, None), None)],
)
def test_only_sides_that_may_vary_can_be_fixed(
    tmp_path: Path, size: tuple[int | None, int | None], sides: tuple[str, str] | None
) -> None:
    path = tiny_models.constant(tmp_path / "m.onnx", [[0, 0, 8, 8]], size=size)
    assert free_sides(path) == sides


@pytest.mark.parametrize(
    "shape",
    [
        *((1, "side", "side", 3), (1, "", "width", 3), (1, "height", "", 3), (1, "", "", 3)),
        *((1, 48, "width", 3), (1, "height", "width"), ("n", 1, "height", "width", 3)),
    ],
)
def test_sides_that_cannot_be_told_apart_by_their_names_are_not_fixed(
    tmp_path: Path, shape: tuple[int | str, ...]
) -> None:
    given = helper.make_tensor_value_info("image", TensorProto.UINT8, shape)
    same = helper.make_node("Identity", ["image"], ["same"])
    told = helper.make_tensor_value_info("same", TensorProto.UINT8, shape)
    onnx.save(
        helper.make_model(helper.make_graph([same], "g", [given], [told])), tmp_path / "m.onnx"
    )
    assert free_sides(tmp_path / "m.onnx") is None


def test_pictures_of_the_size_expected_have_the_same_answers() -> None:
    any_size = Segmenter.load("default.int8", "cpu", threads=1)
    height, width = ASTRONAUT.shape[:2]
    sized = Segmenter.load("default.int8", "cpu", threads=1, picture_size=(width, height))
    # One picture of that size and one of another.
    for picture in (ASTRONAUT, ASTRONAUT[:400, 100:]):
        one, other = any_size(picture), sized(picture)
        assert len(one)
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.masks, other.masks)


@pytest.mark.parametrize("turned", [0, 90])
def test_a_run_opens_its_model_once_for_the_size_of_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turned: int
) -> None:
    opened: list[Mapping[str, int] | None] = []
    create = sessions.create

    def watched(*arguments: Any, fixed: Mapping[str, int] | None = None, **others: Any) -> Any:
        opened.append(fixed)
        return create(*arguments, fixed=fixed, **others)

    monkeypatch.setattr(sessions, "create", watched)
    model = tiny_models.bright(tmp_path / "b.onnx", 100, metadata(ANY))
    clip = make_clip(tmp_path / "clip.mp4", size=(128, 64), frames=4, rotation=turned)
    stream.process(clip, tmp_path / "out.mp4", model=model, provider="cpu")
    assert opened == [{"width": 64, "height": 96} if turned else {"width": 96, "height": 64}]
