"""The gallery shows every effect, and is made by the script that says so."""

import cv2
import pytest

from stream.compositing import LAYERS
from stream.compositing.painter import expand
from tests.scripts import DOCS, script


@pytest.fixture
def gallery():
    with script("gallery") as module:
        yield module


def test_it_shows_every_layer_but_those_of_figures(gallery):
    shown = {name for _, look, _ in gallery.EFFECTS for name in expand(look)} | {"trails"}
    # Figures about a run are no effects.
    assert shown == set(LAYERS.names()) - {"timing", "counts"}
    explained = (DOCS / "effects.md").read_text()
    assert all(f"`{name}`" in explained for name in shown)


@pytest.mark.slow
def test_the_script_makes_the_picture_that_is_shown(gallery, tmp_path):
    gallery.main(tmp_path / "gallery.jpg")
    made, shown = (cv2.imread(str(path / "gallery.jpg")) for path in (tmp_path, DOCS / "images"))
    assert made.shape == shown.shape
    assert (DOCS / "images" / "gallery.jpg").stat().st_size < 600_000
