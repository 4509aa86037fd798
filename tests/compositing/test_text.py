import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.compositing.text import Typesetter


@pytest.fixture(params=["as installed", "OpenCV 4"])
def typesetter(request, monkeypatch):
    if request.param == "OpenCV 4":
        monkeypatch.delattr(cv2, "FontFace", raising=False)
    return Typesetter()


def test_text_covers_what_its_size_says(typesetter):
    drawn = typesetter.line("Hxg", 40)
    assert drawn.shape[0] == 50
    rows = np.flatnonzero(drawn.max(axis=1) > 128)
    assert rows[0] == pytest.approx(40 - 0.7 * 40, abs=3)  # The top of the H.
    assert rows[-1] > 41  # The g goes below the baseline.
    assert drawn.max() > 200


def test_longer_text_is_wider(typesetter):
    widths = [typesetter.line("person"[:count], 20).shape[1] for count in range(7)]
    assert widths == sorted(set(widths))
    assert widths[0] == 1


@pytest.mark.parametrize(
    "text", ["Größe", "собака", "人", "naïve café", "\U0001f44d", "मानव", "אדם"]
)
def test_any_alphabet_leaves_a_mark(typesetter, text):
    assert typesetter.line(text, 20).any()


def test_line_breaks_and_control_characters_are_spaces(typesetter):
    assert np.array_equal(typesetter.line("a\nb\tc\0", 20), typesetter.line("a b c ", 20))


def test_text_is_drawn_once(typesetter):
    assert typesetter.line("person", 20) is typesetter.line("person", 20)
    with pytest.raises(ValueError, match="read-only"):
        typesetter.line("person", 20)[:] = 0


def test_text_that_does_not_fit_is_shortened(typesetter):
    whole = typesetter.line("traffic light 98%", 20)
    for width in range(1, whole.shape[1] + 20, 7):
        fitted = typesetter.fitted("traffic light 98%", 20, width)
        assert fitted.shape[1] <= max(1, width)
        assert (fitted is whole) == (width >= whole.shape[1])
    assert typesetter.fitted("traffic light 98%", 20, whole.shape[1] - 1).any()


@given(st.text(max_size=40), st.integers(9, 60), st.integers(-5, 300))
def test_any_text_can_be_set(text, size, width):
    fitted = Typesetter().fitted(text, size, width)
    assert fitted.dtype == np.uint8
    assert 1 <= fitted.shape[1] <= max(1, width)
