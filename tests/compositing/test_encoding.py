import pytest

from stream.compositing.encoding import Encoding
from stream.pictures.pixels import matrix_weights

BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)


@pytest.mark.parametrize(
    ("depth", "full", "black", "white", "neutral"),
    [
        (8, False, 16, 235, 128),
        (8, True, 0, 255, 128),
        (10, False, 64, 940, 512),
        (10, True, 0, 1023, 512),
        (16, False, 4096, 60160, 32768),
        (16, True, 0, 65535, 32768),
    ],
)
def test_levels_are_those_of_the_range(depth, full, black, white, neutral):
    encoding = Encoding(depth, full, *BT709)
    assert (encoding.black, encoding.white, encoding.neutral) == (black, white, neutral)
    assert encoding.codes((0, 0, 0)) == (black, neutral, neutral)
    assert encoding.codes((255, 255, 255)) == (white, neutral, neutral)


@pytest.mark.parametrize(
    ("weights", "colour", "codes"),
    [
        # The primaries of 100 % colour bars in 8 bits of limited range.
        (BT601, (255, 0, 0), (81, 90, 240)),
        (BT601, (0, 255, 0), (145, 54, 34)),
        (BT601, (0, 0, 255), (41, 240, 110)),
        (BT709, (255, 0, 0), (63, 102, 240)),
        (BT709, (0, 255, 0), (173, 42, 26)),
        (BT709, (0, 0, 255), (32, 240, 118)),
        (BT2020, (255, 0, 0), (74, 97, 240)),
    ],
)
def test_colours_are_those_of_the_standards(weights, colour, codes):
    assert Encoding(8, False, *weights).codes(colour) == codes


def test_codes_of_full_range_stay_inside_the_depth():
    for colour in ((255, 0, 0), (0, 0, 255), (0, 255, 255), (255, 255, 0)):
        assert all(0 <= code <= 255 for code in Encoding(8, True, *BT601).codes(colour))


@pytest.mark.parametrize(
    ("tag", "width", "height", "weights"),
    [
        (1, 320, 240, BT709),
        (5, 1920, 1080, BT601),
        (6, 1920, 1080, BT601),
        (9, 320, 240, BT2020),
        (2, 1920, 1080, BT709),
        (2, 1280, 540, BT709),
        (2, 720, 576, BT601),
        (2, 640, 480, BT601),
        (8, 640, 480, BT601),
    ],
)
def test_the_matrix_is_the_tags_or_guessed_by_size(tag, width, height, weights):
    assert matrix_weights(tag, width, height) == weights


@pytest.mark.parametrize(("transfer", "signal"), [(16, 0.5806), (18, 0.75)])
def test_white_is_graphics_white_in_hdr(transfer, signal):
    # ITU-R BT.2408, table 1: 203 cd/m2 is 58 % PQ and 75 % HLG.
    encoding = Encoding(10, False, *BT2020, transfer=transfer, primaries=9)
    luma, *chroma = encoding.codes((255, 255, 255))
    assert (luma - 64) / 876 == pytest.approx(signal, abs=0.001)
    assert chroma == [512, 512]
    assert encoding.codes((0, 0, 0))[0] == 64
