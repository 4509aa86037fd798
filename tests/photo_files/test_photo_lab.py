"""TIFFs of L*a*b* are seen in a screen's colours, whoever wrote them and however."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from stream.photo_files.photo import colours_of
from stream.photo_files.photo_lab import is_lab

# L*, a* and b* under D50, and sRGB's red, green and blue.
KNOWN = {
    (100, 0, 0): (255, 255, 255),
    (53.59, 0, 0): (128, 128, 128),
    (0, 0, 0): (0, 0, 0),
    (54.29, 80.81, 69.89): (255, 0, 0),
    (87.82, -79.27, 80.99): (0, 255, 0),
    (29.57, 68.30, -112.03): (0, 0, 255),
    (97.61, -15.75, 93.39): (255, 255, 0),
    (5, 0, 0): (17, 17, 17),
}
CIE, ICC = 8, 9


def stored(kind: int, bits: int) -> np.ndarray:
    """The samples of the known colours, a pixel each, as unsigned numbers, [2, 4, 3]."""
    lab = np.array(list(KNOWN), np.float64).reshape(2, 4, 3)
    if kind == CIE:
        scale = (2.55, 1, 1) if bits == 8 else (655.35, 256, 256)
        offset = 0
    else:
        scale = (2.55, 1, 1) if bits == 8 else (652.8, 256, 256)
        offset = 128
    samples = (lab + np.array([0, offset, offset])) * scale
    return np.rint(samples).astype(np.int64).astype(np.uint8 if bits == 8 else np.uint16)


def tiff(samples: np.ndarray, photometric: int, order: str = "<", lies: int = 1) -> bytes:
    """A TIFF of one strip, tag by tag (TIFF 6.0); a fourth sample is opacity."""
    height, width, channels = samples.shape
    bits = 8 * samples.dtype.itemsize
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    begin = 8 + len(data)
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, begin), (259, 3, 1, 1)]
    if channels == 1:
        tags[2] = (258, 3, 1, bits)
    tags += [(262, 3, 1, photometric), (273, 4, 1, 8), (274, 3, 1, lies), (277, 3, 1, channels)]
    tags += [(278, 4, 1, height), (279, 4, 1, len(data))]
    tags += [(338, 3, 1, 2)] * (channels == 4)
    depth = struct.pack(f"{order}{channels}H", *[bits] * channels) + bytes(-2 * channels % 4)
    directory = struct.pack(f"{order}H", len(tags))
    for tag, kind, count, value in tags:
        form = "HHIHxx" if kind == 3 and count == 1 else "HHII"
        directory += struct.pack(order + form, tag, kind, count, value)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", begin + len(depth))
    return head + data + depth + directory + bytes(4)


def read(content: bytes) -> np.ndarray:
    """What is seen, red, green, blue."""
    data = np.frombuffer(content, np.uint8)
    assert is_lab(data)
    pixels = colours_of(data)
    assert pixels is not None
    assert pixels.dtype == np.uint8
    return pixels[..., ::-1]


@pytest.mark.parametrize("kind", [CIE, ICC])
def test_white_grey_and_colours_are_what_they_are_on_a_screen(kind):
    wanted = np.array(list(KNOWN.values())).reshape(2, 4, 3)
    # In 8 bits a* and b* are whole numbers, which in saturated colours are some codes.
    for bits, order, most in ((8, "<", 12), (8, ">", 12), (16, "<", 2), (16, ">", 2)):
        samples = stored(kind, bits)
        seen = read(tiff(samples, kind, order)).astype(int)
        assert abs(seen - wanted).max() <= most, (bits, order)
        neutral = seen[wanted.min(-1) == wanted.max(-1)]
        assert (neutral.min(-1) == neutral.max(-1)).all(), "grey has a tint"


def test_a_packed_one_is_read_too():
    samples = np.tile(stored(ICC, 8), (40, 30, 1))
    packed = bytearray(cv2.imencode(".tif", samples[..., ::-1])[1].tobytes())
    at = packed.index(struct.pack("<HHIH", 262, 3, 1, 2))  # it says red, green and blue
    packed[at + 8] = ICC
    assert np.array_equal(read(bytes(packed)), read(tiff(samples, ICC)))


def test_it_is_turned_upright_and_its_opacity_leaves_colours_alone():
    samples = stored(ICC, 8)
    plain = read(tiff(samples, ICC))
    assert np.array_equal(read(tiff(samples, ICC, lies=3)), plain[::-1, ::-1])
    clear = np.concatenate([samples, np.full_like(samples[..., :1], 90)], -1)
    assert np.array_equal(read(tiff(clear, ICC)), plain)


def test_lightness_alone_is_grey():
    for kind in (CIE, ICC):
        seen = read(tiff(stored(kind, 8)[..., :1].copy(), kind))
        assert (seen.min(-1) == seen.max(-1)).all()
        assert seen[0, 0, 0] == 255
        assert abs(int(seen[0, 1, 0]) - 128) <= 1


def test_a_large_one_is_read_in_pieces():
    samples = np.tile(stored(CIE, 16), (300, 1, 1))
    assert np.array_equal(
        read(tiff(samples, CIE)), np.tile(read(tiff(stored(CIE, 16), CIE)), (300, 1, 1))
    )


def test_damage_is_not_taken_for_lab():
    whole = np.frombuffer(tiff(stored(CIE, 8), CIE), np.uint8)
    assert not any(is_lab(whole[:end]) for end in (0, 3, 7, 30, 60))
    assert not is_lab(np.frombuffer(tiff(stored(CIE, 8), 2), np.uint8))
