"""Several sources in one window: where each is, and what is shown when."""

from __future__ import annotations

import threading
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import sinks
from stream.errors import SinkError, UsageError
from stream.frame import Frame
from stream.run.tiles import Tile, Tiles, places
from stream.settings.options import OutputOptions
from stream.sinks.base import Gone
from tests.run.parts import Hands, until
from tests.sinks.running import info

GREY = {"a": 60, "b": 120, "c": 200}


class Window:
    """Stands for the window: what it was told to show."""

    def __init__(self) -> None:
        self.shown: list[np.ndarray] = []
        self.notices: list[list[str]] = []
        self.paused = False
        self.open = True
        self.closed = False

    def connect_clicks(self, click) -> None:
        self.click = click

    def show(self, picture) -> None:
        self.shown.append(picture.copy())

    def notice(self, lines) -> None:
        self.notices.append(list(lines))

    def pump(self) -> bool:
        if not self.open:
            raise SinkError("the display is gone")
        return not self.closed

    def close(self) -> None:
        self.closed = True


def frame(value: int, width: int = 64, height: int = 48) -> Frame:
    picture = av.VideoFrame.from_ndarray(np.full((height, width, 3), value, np.uint8), "bgr24")
    return Frame(picture.reformat(format="yuv420p"), 0, 0, Fraction(1, 25))


class Stage:
    """Tiles in a window that is none, with writers in threads of their own, as sources are."""

    def __init__(self, *names: str) -> None:
        self.now = Hands()
        self.window = Window()
        self.tiles = Tiles(names, self.window, self.now)
        self.threads: list[threading.Thread] = []
        self.gone: list[str] = []

    def give(self, tile: Tile, value: int, **size: int) -> None:
        def write() -> None:
            try:
                tile.write(frame(value, **size))
            except Gone:
                self.gone.append(tile.name)

        thread = threading.Thread(target=write)
        thread.start()
        self.threads.append(thread)
        until(lambda: tile.fresh or tile.paused or tile.gone)

    def step(self) -> np.ndarray:
        self.now.at += 1.0
        assert self.tiles.step(0.0)
        return self.window.shown[-1]

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.tiles.close()
        for thread in self.threads:
            thread.join(30)


def test_a_tile_shows_pictures_whose_samples_are_not_square_as_they_look():
    with Stage("a") as stage:
        (tile,) = stage.tiles.tiles
        tile.shape = Fraction(64, 45)
        stage.give(tile, 200, width=720, height=576)
        assert stage.step().shape[:2] == (576, 1024)


@given(st.integers(1, 20), st.integers(16, 4000), st.integers(16, 4000))
def test_tiles_fill_rows_without_touching_each_other(count, width, height):
    found = places(count, (width, height))
    assert len(found) == count == len({one[:2] for one in found})
    (wide, high) = found[0][2:]
    columns = len({left for left, *_ in found})
    rows = len({top for _, top, *_ in found})
    assert rows <= columns <= rows + 1 and (rows - 1) * columns < count <= rows * columns
    assert all(left % wide == 0 and top % high == 0 for left, top, *_ in found)
    assert columns * wide <= 1600 + columns and rows * high <= 900 + rows
    assert found == sorted(found, key=lambda one: (one[1], one[0])), "in the order of their names"


def test_three_sources_are_in_their_places_and_one_comes_alone():
    with Stage("a", "b", "c") as stage:
        first = stage.step()
        assert first.shape == (900, 1200, 3) and first.max() > 0, "what is opened"
        for tile in stage.tiles.tiles:
            stage.give(tile, GREY[tile.name])
        picture = stage.step()
        assert picture.shape == (96, 128, 3)
        centres = [picture[24, 32], picture[24, 96], picture[72, 32], picture[72, 96]]
        for found, wanted in zip(centres, [60, 120, 200, 0], strict=True):
            assert np.abs(found.astype(int) - wanted).max() < 8
        for far, x, y in (("b", 0.75, 0.25), ("c", 0.25, 0.75)):
            stage.window.click(x, y)
            alone = stage.step()
            assert alone.shape == picture.shape
            assert np.abs(alone[20, 64].astype(int) - GREY[far]).max() < 8
            stage.window.click(0.9, 0.9)
            np.testing.assert_array_equal(stage.step(), picture)
        stage.window.click(0.75, 0.75)
        assert stage.tiles.large is None, "there is nobody in that place"
        stage.tiles.enlarge(7)
        assert stage.tiles.large is None
        stage.tiles.enlarge(0)
        stage.tiles.enlarge(0)
        assert stage.tiles.large is None


def test_only_what_came_is_painted_and_nothing_is_shown_twice():
    with Stage("a", "b") as stage:
        for tile in stage.tiles.tiles:
            stage.give(tile, GREY[tile.name])
        stage.step()
        shown = len(stage.window.shown)
        stage.step()
        assert len(stage.window.shown) == shown, "nothing has changed"
        stage.give(stage.tiles.tiles[1], 240)
        stage.tiles.tiles[0].picture[:] = 7  # would show, were it painted again
        picture = stage.step()
        assert picture[24, 96].min() > 230 and abs(int(picture[24, 32, 0]) - 60) < 8


def test_a_tile_says_why_nothing_comes_and_the_others_go_on():
    with Stage("a", "b") as stage:
        one, other = stage.tiles.tiles
        one.notice(["too early to say"])
        assert one.lines == ("opening",)
        stage.give(one, 60)
        stage.give(other, 120)
        before = stage.step()
        one.end("the camera was pulled out")
        one.notice(["reconnecting"])
        after = stage.step()
        assert one.lines == ("the camera was pulled out",)
        assert after[10, 10].max() < before[10, 10].max() / 2, "what has ended is dark"
        np.testing.assert_array_equal(after[:, 64:], before[:, 64:])
        stage.give(other, 200)
        assert abs(int(stage.step()[24, 96, 0]) - 200) < 8
        other.abort()
        assert other.lines == ("ended",)


def test_a_tile_says_that_its_source_is_waited_for_until_it_comes():
    with Stage("a", "b") as stage:
        one, other = stage.tiles.tiles
        stage.give(other, 120)
        before = stage.step()
        one.awaited("the connection was refused")
        assert one.lines == ("the connection was refused", "waiting for it") and not one.ended
        assert not np.array_equal(stage.step()[:, :64], before[:, :64])
        stage.give(one, 60)
        assert abs(int(stage.step()[24, 32, 0]) - 60) < 8 and one.lines == ()


def test_while_it_is_paused_sources_go_on_and_their_pictures_stand():
    with Stage("a", "b") as stage:
        for tile in stage.tiles.tiles:
            stage.give(tile, GREY[tile.name])
        stage.step()
        stage.tiles.pause()
        for tile in stage.tiles.tiles:
            stage.give(tile, 250)
        for thread in stage.threads:
            thread.join(30)
        shown = len(stage.window.shown)
        stage.step()
        assert len(stage.window.shown) == shown
        stage.tiles.pause()
        stage.give(stage.tiles.tiles[0], 250)
        assert stage.step()[24, 32].min() > 240


def test_what_is_said_goes_again():
    with Stage("a") as stage:
        stage.give(stage.tiles.tiles[0], 60)
        stage.tiles.say("recording")
        stage.step()
        assert stage.window.notices == [["recording"]]
        stage.now.at += 3.0
        stage.step()
        assert stage.window.notices[-1] == []


def test_a_closed_window_lets_the_sources_go():
    with Stage("a", "b") as stage:
        stage.window.closed = True
        assert not stage.tiles.step(0.0)
        stage.tiles.leave()
        for tile in stage.tiles.tiles:
            stage.give(tile, 60)
        until(lambda: sorted(stage.gone) == ["a", "b"])


def test_a_display_that_goes_away_is_an_error():
    with Stage("a") as stage:
        stage.window.open = False
        with pytest.raises(SinkError, match="gone"):
            stage.tiles.step(0.0)
        stage.window.open = True


def test_a_picture_of_another_size_is_fitted_and_a_window_s_part_is_no_target():
    with Stage("a", "b") as stage:
        stage.give(stage.tiles.tiles[0], 60, width=128, height=48)
        stage.give(stage.tiles.tiles[1], 120)
        picture = stage.step()
        assert picture.shape == (48, 256, 3)
        assert picture[24, 132].max() == 0, "black beside the narrower one"
        assert abs(int(picture[24, 192, 0]) - 120) < 8
    assert not Tile.accepts("tile")
    with pytest.raises(UsageError):
        Tile.from_target("tile", info(), OutputOptions())
    assert Tile not in list(sinks.KIND)
