import pytest

from stream.compositing import Style
from stream.compositing.palette import PALETTE
from stream.compositing.style import parse_colour
from stream.errors import UsageError
from stream.settings.options import PictureOptions


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"opacity": 1.5}, "opacity is 0 to 1, not 1.5"),
        ({"opacity": float("nan")}, "opacity is 0 to 1, not nan"),
        ({"mask_threshold": -0.1}, "mask threshold is 0 to 1, not -0.1"),
        ({"contour_width": 13}, "contour width is 0 to 12, not 13"),
        ({"label_size": 0}, "label size is 0.25 to 8, not 0"),
        ({"label": "name age"}, "labels say any of name, number, score, or none, not 'name age'"),
        ({"label": "name name"}, "labels say any of"),
        ({"colours": "rainbow"}, "colours is track, object, class, not 'rainbow'"),
        ({"palette": ("red",)}, "a colour is RRGGBB in hexadecimal, such as FF8000, not 'red'"),
        ({"palette": ()}, "a palette needs at least one colour"),
    ],
)
def test_values_out_of_range_are_refused_in_a_sentence(wrong, said):
    with pytest.raises(UsageError, match=said):
        Style(**wrong)


def test_what_options_ask_for_is_the_style():
    assert Style.from_options(PictureOptions()) == Style()
    asked = PictureOptions(
        opacity=0.3, label="none", palette=("00FF00", "#0000ff"), colours="class"
    )
    style = Style.from_options(asked)
    assert style == Style(0.3, None, "none", 1.0, "class", ("00FF00", "#0000ff"))
    assert style.palette_colours == ((0, 255, 0), (0, 0, 255))
    assert style.words == ()
    assert hash(style) != hash(Style())


def test_by_default_it_is_the_usual_palette_and_all_words():
    assert Style().palette_colours == PALETTE
    assert Style().words == ("name", "number", "score")
    assert Style(label="score,name").words == ("score", "name")


@pytest.mark.parametrize("wrong", ["", "fff", "GG0000", "ff80000", "# ff8000", "-f8000"])
def test_what_is_no_colour_is_refused(wrong):
    with pytest.raises(UsageError, match="a colour is RRGGBB"):
        parse_colour(wrong)
