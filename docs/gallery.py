"""Makes the README's picture of every effect: docs/images/gallery.jpg.

    python docs/gallery.py docs/images/gallery.jpg

What is segmented is free: NASA's portrait of Eileen Collins (public domain) and Lav Varshney's
photographer (CC0), both from scikit-image's data; the bundled clip for what needs motion; and a
Falcon 9 before launch, which SpaceX dedicated to the public (CC0), to stand behind. Beside each
picture is a part of it at its own size, where the edges are.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

import stream
from stream.compositing import Painter, Style
from stream.instances import Instances

Picture = NDArray[np.uint8]

SIDE, STRIP, CAPTION, GAP, COLUMNS = 300, 128, 26, 10, 3
EDGE = (20, 238)
"""Top and left of the part of the portrait that is shown at its own size."""

EFFECTS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("overlay (fill+contour+labels)", "overlay", {}),
    ("boxes+labels", "boxes+labels", {}),
    ("contour", "contour", {"contour_width": 3.0}),
    ("binary", "binary", {}),
    ("instances", "instances", {}),
    ("blur", "blur", {}),
    ("grey", "grey", {}),
    ("dim", "dim", {}),
    ("spotlight", "spotlight", {}),
    ("replace, a colour", "replace", {"background": "2E7D5B"}),
    ("replace, a picture or a video", "replace", {"background": "ROCKET"}),
    ("cutout, here on chequers", "cutout", {}),
    ("pixelate", "pixelate", {}),
    ("hide", "hide", {}),
)


def main(target: Path) -> None:
    """Paints all effects and writes the sheet."""
    segmenter = stream.Segmenter.load("default")
    portrait = np.ascontiguousarray(data.astronaut())  # type: ignore[no-untyped-call]
    photographer = cv2.cvtColor(np.asarray(data.camera()), cv2.COLOR_GRAY2RGB)
    both = np.hstack([photographer, portrait])
    found, several = segmenter(portrait), segmenter(both)
    tiles = []
    with tempfile.TemporaryDirectory() as folder:
        behind = Path(folder) / "rocket.png"
        rocket = np.asarray(data.rocket())  # type: ignore[no-untyped-call]
        cv2.imwrite(str(behind), rocket[..., ::-1])
        for caption, look, style in EFFECTS:
            given = {key: str(behind) if one == "ROCKET" else one for key, one in style.items()}
            if look in ("instances", "boxes+labels"):
                tiles.append(wide_tile(painted(both, several, look, given), caption))
            else:
                tiles.append(tile(painted(portrait, found, look, given), caption, EDGE))
        tiles.append(tile(trails(), "trails", (120, 260)))
    rows = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    sheet = np.vstack(rows)[..., ::-1]
    if not cv2.imwrite(str(target), sheet, [cv2.IMWRITE_JPEG_QUALITY, 86]):
        raise SystemExit(f"{target} cannot be written")


def painted(rgb: Picture, found: Instances, look: str, style: dict[str, object]) -> Picture:
    """A picture in a look; what is transparent is shown as chequers."""
    picture = stream.draw(rgb, found, look, **style)  # type: ignore[arg-type]
    if picture.shape[2] == 3:
        return picture
    y, x = np.indices(rgb.shape[:2]) // 16
    behind = np.where((y + x) % 2, 176, 224)[..., None]
    share = picture[..., 3:] / 255
    return np.asarray(np.rint(picture[..., :3] * share + behind * (1 - share)), np.uint8)


def trails() -> Picture:
    """The bundled clip's picture after two seconds, with the way the object came."""
    painter = Painter("contour+trails", Style(trail=4.0))
    with stream.open(str(files("stream") / "assets" / "demo.mp4"), end=3.2) as video:
        for frame in video:
            painter.paint(frame)
    return frame.rgb()


def tile(picture: Picture, caption: str, edge: tuple[int, int]) -> Picture:
    """A picture made small, a part of it at its own size beside it, and its name below."""
    height, width = picture.shape[:2]
    side = min(height, width)
    left = (width - side) // 2
    square = picture[:, left : left + side]
    small = cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    part = picture[edge[0] : edge[0] + SIDE, edge[1] : edge[1] + STRIP]
    return framed(np.hstack([small, np.full((SIDE, 2, 3), 255, np.uint8), part]), caption)


def wide_tile(picture: Picture, caption: str) -> Picture:
    """A picture twice as wide as high, made to fit, and its name below."""
    width = SIDE + 2 + STRIP
    height = round(width * picture.shape[0] / picture.shape[1])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    above = (SIDE - height) // 2
    return framed(
        cv2.copyMakeBorder(
            small, above, SIDE - height - above, 0, 0, cv2.BORDER_CONSTANT, value=(255,) * 3
        ),
        caption,
    )


def framed(picture: Picture, caption: str) -> Picture:
    """With room around it, and a line of text below."""
    sheet = cv2.copyMakeBorder(
        picture, GAP, CAPTION + GAP, GAP, GAP, cv2.BORDER_CONSTANT, value=(255,) * 3
    )
    place = (GAP, GAP + SIDE + CAPTION - 6)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(sheet, caption, place, font, 0.55, (40, 40, 40), 1, cv2.LINE_AA)
    return np.asarray(sheet, np.uint8)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
