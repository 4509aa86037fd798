"""What a camera noted is true of the picture that is written, and shows none of it as it was."""

import struct

import pytest

from stream.sinks._exif import upright

THUMBNAIL, MAKER, LOST = b"\xff\xd8thumbnail" * 9, b"maker's preview" * 9, b"by nothing" * 9
PREVIEW = b"large preview" * 99


def exif_of(order: str, prefix: bytes = b"") -> bytes:
    """A photo's data: make, orientation, Exif with a maker's note, place, and a thumbnail."""
    values = bytearray()
    sizes = (6, 3, 2, 3)
    places = [8]
    for size in sizes:
        places.append(places[-1] + 2 + 12 * size + 4)

    def put(value: bytes) -> int:
        values.extend(value)
        return places[-1] + len(values) - len(value)

    def entry(tag: int, kind: int, count: int, value: int | bytes) -> bytes:
        inline = value if isinstance(value, bytes) else struct.pack(order + "I", value)
        return struct.pack(order + "HHI", tag, kind, count) + inline.ljust(4, b"\0")

    turned, jpeg = struct.pack(order + "H", 6), struct.pack(order + "H", 6)
    directories = [
        [
            entry(0x010F, 2, 7, put(b"Camera\0")),
            entry(0x0112, 3, 1, turned),
            entry(0x014A, 4, 1, places[3]),
            entry(0x8649, 7, len(PREVIEW), put(PREVIEW)),
            entry(0x8769, 4, 1, places[1]),
            entry(0x8825, 4, 1, places[2]),
        ],
        [
            entry(0x9003, 2, 20, put(b"2026:11:27 15:00:00\0")),
            entry(0x927C, 7, len(MAKER), put(MAKER)),
            entry(0xA430, 2, 6, put(b"Owner\0")),
        ],
        [entry(1, 2, 2, b"N\0"), entry(2, 5, 3, put(struct.pack(order + "6I", *range(50, 56))))],
        [
            entry(0x0103, 3, 1, jpeg),
            entry(0x0201, 4, 1, put(THUMBNAIL)),
            entry(0x0202, 4, 1, len(THUMBNAIL)),
        ],
    ]
    values += LOST
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", places[0])
    for number, entries in enumerate(directories):
        following = places[3] if number == 0 else 0
        head += struct.pack(order + "H", len(entries)) + b"".join(entries)
        head += struct.pack(order + "I", following)
    return prefix + head + bytes(values)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_the_thumbnail_goes_and_everything_else_stays_where_it_is(order, prefix):
    before = exif_of(order, prefix)
    after = upright(before)
    assert THUMBNAIL in before and THUMBNAIL not in after
    assert len(after) == len(before)
    for kept in (b"Camera", MAKER, PREVIEW, LOST, b"2026:11:27", b"Owner"):
        assert after.index(kept) == before.index(kept)
    assert upright(after) == after
    # It says that the picture stands upright, and which directory is next: none.
    changed = [
        at for at, (one, other) in enumerate(zip(before, after, strict=True)) if one != other
    ]
    assert sum(at < len(prefix) + 8 + 2 + 6 * 12 + 4 for at in changed) <= 1 + 4


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_nothing_that_may_be_a_picture_stays_where_something_is_hidden(order, prefix):
    after = upright(exif_of(order, prefix), conceals=True)
    for gone in (THUMBNAIL, MAKER, PREVIEW, LOST):
        assert gone[:5] not in after and gone[-5:] not in after
    for kept in (b"Camera", b"2026:11:27", b"Owner", struct.pack(order + "6I", *range(50, 56))):
        assert kept in after
    data = after[len(prefix) :]
    assert struct.unpack_from(order + "H", data, 8) == (4,)
    tags = [struct.unpack_from(order + "H", data, 10 + 12 * place)[0] for place in range(4)]
    assert tags == [0x010F, 0x0112, 0x8769, 0x8825]
    assert upright(after, conceals=True) == after


def test_damaged_data_is_turned_upright_or_shows_nothing():
    whole = exif_of("<")
    for size in range(len(whole)):
        cut = whole[:size]
        kept, hidden = upright(cut), upright(cut, conceals=True)
        assert len(kept) == size
        if size > 8 + 2 + 2 * 12 + 11:
            assert kept[10 + 12 + 8] == 1, "it would be turned once more"
        for gone in (THUMBNAIL, MAKER, PREVIEW, LOST):
            assert gone[:5] not in hidden, size
    for place in range(8, 200, 3):  # Numbers that lead anywhere end, whatever they say.
        broken = whole[:place] + b"\xff\xff\xff" + whole[place + 3 :]
        upright(broken)
        assert MAKER[:5] not in upright(broken, conceals=True), place
    looped = bytearray(whole)
    struct.pack_into("<I", looped, 10 + 4 * 12 + 8, 8)  # Exif's directory is the first again.
    assert upright(bytes(looped), conceals=True) == b""
