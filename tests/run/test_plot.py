"""The plot of what was counted."""

import warnings

import cv2
import pytest

from stream.run.plot import write_plot
from stream.run.series import Series


def plotted(path, values, title="in.mp4"):
    series = Series()
    for place, value in enumerate(values):
        series.add(place / 25, {"across door": {"in": value, "out": 0.0}})
    write_plot(path, series, title, overwrite=True)
    return cv2.imread(str(path))


@pytest.fixture(autouse=True)
def _matplotlib():
    pytest.importorskip("matplotlib")


def test_where_nothing_came_the_axis_counts_in_whole_objects(tmp_path):
    nothing = plotted(tmp_path / "none.png", [0.0, 0.0, 0.0])
    one = plotted(tmp_path / "one.png", [0.0, 1.0, 1.0])
    assert nothing.shape == one.shape
    # Left of the curves are the numbers alone.
    assert (nothing[:, :40] == one[:, :40]).all()
    assert (nothing != one).any()


def test_letters_that_no_font_has_are_no_trouble(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plotted(tmp_path / "p.png", [1.0], "人 𓀀 $x^2$ Größe").any()
