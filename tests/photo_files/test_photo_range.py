import struct

import cv2
import numpy as np
import pytest

from stream.photo_files.photo import colours_of
from stream.photo_files.photo_facts import DEEP, beyond
from stream.photo_files.photo_range import leaves_upper_bits, white_of

WIDTH, HEIGHT = 32, 4
SHARES = np.linspace(0, 1, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)
"""Of white."""


def samples(most):
    return np.rint(SHARES * most).astype(np.uint16)


def pnm(kind, most, comment=""):
    values = samples(most)
    values = np.dstack([values] * 3) if kind in (3, 6) else values
    head = f"P{kind}\n{comment}{WIDTH} {HEIGHT}\n{most}\n".encode()
    if kind == 7:
        size = f"WIDTH {WIDTH}\nHEIGHT {HEIGHT}\nDEPTH 1"
        head = f"P7\n{size}\nMAXVAL {most}\nTUPLTYPE GRAYSCALE\nENDHDR\n".encode()
    if kind < 4:
        return head + " ".join(map(str, values.ravel())).encode() + b"\n"
    return head + values.astype(">u2" if most > 255 else np.uint8).tobytes()


def packed_tiff(bits, white_is_0=False):
    values = samples((1 << bits) - 1)
    values = ((1 << bits) - 1 - values) if white_is_0 else values
    split = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    data = np.packbits(split.astype(np.uint8).reshape(HEIGHT, -1), axis=1).tobytes()
    tags = {
        256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: int(not white_is_0), 273: 8, 277: 1,
        278: HEIGHT, 279: len(data),
    }  # fmt: skip
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, one, 0) for tag, one in tags.items())
    begins = struct.pack("<I", 8 + len(data))
    return b"II*\0" + begins + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def test_white_is_what_the_file_says():
    files = {f"P{kind} {most}": pnm(kind, most) for kind in (2, 3, 5, 6, 7) for most in (100, 4095)}
    files |= {f"P5 {most}": pnm(5, most, "# by a camera\n") for most in (1, 255, 1023, 65535)}
    files |= {f"TIFF {bits}": packed_tiff(bits) for bits in (10, 12, 14)}
    files["TIFF 12, white is 0"] = packed_tiff(12, white_is_0=True)
    wanted = np.dstack([np.rint(255 * SHARES)] * 3)
    for name, content in files.items():
        pixels = colours_of(np.frombuffer(content, np.uint8))
        assert pixels is not None and pixels.dtype == np.uint8, name
        most = 127.5 if name == "P5 1" else 2.6 if name.endswith("100") else 1
        assert np.abs(pixels - wanted).max() <= most, name
    assert beyond(files["P6 4095"]) == {DEEP}
    assert beyond(files["P6 100"]) == set()
    # OpenCV's own way is right for these, and quicker.
    for content in (files["P5 255"], files["P2 100"], files["P5 65535"], b"P4\n8 1\n\0", b"P5\n"):
        assert white_of(np.frombuffer(content, np.uint8)) == 0


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_sixteen_bits_that_hold_fewer_are_known(ending):
    for bits, colours in ((10, 1), (12, 3), (14, 1), (15, 1), (16, 3)):
        values = np.dstack([samples((1 << bits) - 1)] * colours)
        data = cv2.imencode(ending, values)[1]
        assert leaves_upper_bits(data, colours_of(data)) == (bits < 15), bits
    # In eight bits it is a dark picture, and where all is black nothing can be told.
    for values in (samples(60).astype(np.uint8), np.zeros((HEIGHT, WIDTH), np.uint16)):
        data = cv2.imencode(ending, values)[1]
        assert not leaves_upper_bits(data, colours_of(data))
