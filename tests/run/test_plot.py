"""The plot of what was counted."""

import warnings

import cv2
import numpy as np
import pytest

from stream.run.plot import write_plot
from stream.run.series import Series


def plotted(path, values, title="in.mp4"):
    series = Series()
    for place, value in enumerate(values):
        series.add(place / 25, {"across door": {"person in": value, "person out": 0.0}})
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


def test_at_a_line_a_class_has_its_colour_for_in_and_out(tmp_path):
    drawn = {}
    for name in ("person in", "person out", "dog in"):
        series = Series()
        for place, value in enumerate([0.0, 1.0, 1.0, 1.0]):
            parts = {"in view": {"person": 1.0, "dog": 1.0}, "across door": {name: value}}
            series.add(place / 25, parts)
        write_plot(tmp_path / "p.png", series, "in.mp4", overwrite=True)
        picture = cv2.imread(str(tmp_path / "p.png"))[290:480, 30:850]
        coloured = np.ptp(picture.astype(int), axis=2) > 60
        drawn[name] = coloured.sum(), np.median(picture[coloured], axis=0).argmax()
    assert drawn["person in"][1] == drawn["person out"][1] != drawn["dog in"][1]
    assert drawn["person out"][0] < 0.9 * drawn["person in"][0], "dashed"


def test_letters_that_no_font_has_are_no_trouble(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plotted(tmp_path / "p.png", [1.0], "人 𓀀 $x^2$ Größe").any()
