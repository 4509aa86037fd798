"""HEIC pictures in tiles, made box by box as ISO/IEC 14496-12 and 23008-12 say."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def tiled(
    path: Path,
    picture: np.ndarray,
    tile: tuple[int, int],
    *,
    turned: int | None = None,
    mirrored: int | None = None,
    cut: tuple[int, int] | None = None,
    wide: bool = False,
    thumbnail: bool = False,
    leave_out: int = 0,
) -> Path:
    """Writes a picture as a grid of tiles.

    Args:
        path: the file.
        picture: uint8 [H, W, 3], RGB, as it is stored.
        tile: width and height of a tile; the picture's edges are filled up.
        turned: quarter turns anticlockwise that make it upright.
        mirrored: 0 for rows, 1 for columns exchanged, after that.
        cut: width and height of its middle, which alone is to be seen.
        wide: sizes and numbers of 32 bits, which FFmpeg does not read.
        thumbnail: a small picture lies before it.
        leave_out: so many of its tiles it does not name.
    """
    height, width = picture.shape[:2]
    columns, rows = -(-width // tile[0]), -(-height // tile[1])
    padding = ((0, rows * tile[1] - height), (0, columns * tile[0] - width), (0, 0))
    filled = np.pad(picture, padding, mode="edge")
    tiles = [
        filled[y * tile[1] : (y + 1) * tile[1], x * tile[0] : (x + 1) * tile[0]]
        for y in range(rows)
        for x in range(columns)
    ]
    small = [filled[: tile[1], : tile[0]]] if thumbnail else []
    settings, samples = _encoded([*small, *tiles], tile)
    first = 1 + len(small)
    items = list(range(1, len(samples) + 1))
    main = len(samples) + 1
    form = "I" if wide else "H"
    grid = struct.pack(f">BBBB2{form}", 0, int(wide), rows - 1, columns - 1, width, height)

    ours = items[first - 1 : len(items) - leave_out]
    dimg = _box(b"dimg", struct.pack(f">{form}H{len(ours)}{form}", main, len(ours), *ours))
    iref = _box(b"iref", bytes([int(wide), 0, 0, 0]) + dimg)
    entries = [
        _full(b"infe", 3 if wide else 2, struct.pack(f">{form}H4sB", n, 0, b"hvc1", 0))
        for n in items
    ]
    entries.append(
        _full(b"infe", 3 if wide else 2, struct.pack(f">{form}H4sB", main, 0, b"grid", 0))
    )
    iinf = _full(b"iinf", int(wide), struct.pack(f">{form}", len(entries)) + b"".join(entries))
    properties = [
        settings,
        _full(b"ispe", 0, struct.pack(">II", *tile)),
        _full(b"ispe", 0, struct.pack(">II", width, height)),
    ]
    own = [3]
    for kind, body in ((b"irot", turned), (b"imir", mirrored), (b"clap", cut)):
        if body is not None:
            if isinstance(body, tuple):
                content = struct.pack(">IIIIiIiI", body[0], 1, body[1], 1, 0, 1, 0, 1)
            else:
                content = bytes([body])
            properties.append(_box(kind, content))
            own.append(len(properties))
    of_items = [struct.pack(f">{form}BBB", n, 2, 0x81, 2) for n in items]
    of_items.append(struct.pack(f">{form}B{len(own)}B", main, len(own), *own))
    ipma = _full(b"ipma", int(wide), struct.pack(">I", len(of_items)) + b"".join(of_items))
    iprp = _box(b"iprp", _box(b"ipco", b"".join(properties)) + ipma)

    def meta(begin: int) -> bytes:
        version = 2 if wide else 1
        places = []
        for number, sample in zip(items, samples, strict=True):
            places.append(struct.pack(f">{form}HHHII", number, 0, 0, 1, begin, len(sample)))
            begin += len(sample)
        places.append(struct.pack(f">{form}HHHII", main, 1, 0, 1, 0, len(grid)))
        count = struct.pack(f">{form}", len(places))
        iloc = _full(b"iloc", version, bytes([0x44, 0x00]) + count + b"".join(places))
        hdlr = _full(b"hdlr", 0, struct.pack(">I4s12xB", 0, b"pict", 0))
        pitm = _full(b"pitm", int(wide), struct.pack(f">{form}", main))
        return _full(b"meta", 0, hdlr + pitm + iloc + iinf + iref + iprp + _box(b"idat", grid))

    ftyp = _box(b"ftyp", b"heic" + struct.pack(">I", 0) + b"mif1heic")
    begin = len(ftyp) + len(meta(0)) + 8
    path.write_bytes(ftyp + meta(begin) + _box(b"mdat", b"".join(samples)))
    return path


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, version: int, body: bytes) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]) + body)


def _encoded(tiles: Sequence[np.ndarray], size: tuple[int, int]) -> tuple[bytes, list[bytes]]:
    """The decoder's settings as a box, and each tile's bytes."""
    film = io.BytesIO()
    options = {"preset": "ultrafast", "x265-params": "keyint=1:crf=4:log-level=none:range=full"}
    with av.open(film, "w", format="mp4") as container:
        stream = container.add_stream("libx265", rate=1, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p"
        stream.codec_context.codec_tag = "hvc1"
        for at, tile in enumerate(tiles):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(tile), format="rgb24")
            picture = picture.reformat(format="yuvj420p", dst_color_range=2)
            picture.pts, picture.time_base = at, Fraction(1)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    data = film.getvalue()
    at = data.index(b"hvcC") - 4
    settings = data[at : at + int.from_bytes(data[at : at + 4], "big")]
    film.seek(0)
    with av.open(film) as container:
        return settings, [bytes(one) for one in container.demux(video=0) if one.size]
