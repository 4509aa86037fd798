"""Makes the bundled demo clip: an astronaut walks through a launch site.

    python stream/assets/make_demo.py stream/assets/demo.mp4

Both pictures come from scikit-image's data and are in the public domain: Eileen Collins's NASA
portrait, and a Falcon 9 before launch, which SpaceX dedicated to the public (CC0). The portrait is
cut out along a polygon refined by GrabCut, and moves, turns and comes nearer before a background
that pans the other way.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

WIDTH, HEIGHT, RATE, SECONDS = 640, 480, 25, 6

# Roughly round the person and her helmet, in pixels of the 512 x 512 portrait.
OUTLINE = [
    (158, 60), (190, 22), (225, 14), (270, 22), (298, 60), (298, 105), (272, 135), (268, 160),
    (302, 195), (306, 235), (340, 260), (358, 300), (362, 345), (400, 342), (450, 362), (485, 410),
    (508, 470), (511, 511), (18, 511), (22, 420), (22, 340), (38, 270), (70, 225), (110, 205),
    (118, 165), (150, 148), (176, 140), (158, 105),
]  # fmt: skip


def cut_out(portrait: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The person's soft mask, float32 [512, 512], 0..1."""
    inside = np.zeros(portrait.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.array(OUTLINE, np.int32)], 1)
    labels = np.full(inside.shape, cv2.GC_BGD, np.uint8)
    labels[cv2.dilate(inside, np.ones((9, 9), np.uint8)) > 0] = cv2.GC_PR_BGD
    labels[inside > 0] = cv2.GC_PR_FGD
    labels[cv2.erode(inside, np.ones((15, 15), np.uint8)) > 0] = cv2.GC_FGD
    cv2.grabCut(
        np.ascontiguousarray(portrait[..., ::-1]),
        labels,
        (0, 0, 0, 0),
        np.zeros((1, 65)),
        np.zeros((1, 65)),
        5,
        cv2.GC_INIT_WITH_MASK,
    )
    mask = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(cv2.erode(mask, np.ones((3, 3))), (0, 0), 1.0), np.float32)


def picture(
    time: float, person: NDArray[np.uint8], mask: NDArray[np.float32], scene: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The picture at a time in seconds, uint8 RGB [480, 640, 3]."""
    phase = 2 * np.pi * time / SECONDS
    # The background is a third larger than the picture and pans against the person's walk.
    zoom = 1.34 * WIDTH / scene.shape[1]
    shift = -80 + 60 * np.sin(phase)
    pan = np.array([[zoom, 0, shift - 20], [0, zoom, -50 + 8 * np.cos(2 * phase)]])
    background = cv2.warpAffine(scene, pan, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    # The person walks from side to side, sways a little and comes nearer.
    scale = 0.68 + 0.14 * np.sin(phase / 2)
    turn = np.deg2rad(3.0) * np.sin(3 * phase)
    # She keeps out of the corner where the timing panel is.
    x, y = 0.58 * WIDTH - 85 * np.sin(phase), HEIGHT + 6 + 5 * np.cos(6 * phase)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    # The middle of the portrait's lower edge goes to (x, y).
    place = np.array(
        [[cos, -sin, x - cos * 256 + sin * 512], [sin, cos, y - sin * 256 - cos * 512]]
    )
    front = cv2.warpAffine(person, place, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
    alpha = cv2.warpAffine(mask, place, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)[..., None]
    return np.asarray(front * alpha + background * (1 - alpha) + 0.5, np.uint8)


def main(path: Path) -> None:
    """Writes the clip."""
    person = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    scene = np.asarray(data.rocket(), np.uint8)  # type: ignore[no-untyped-call]
    mask = cut_out(person)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "23"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.time_base = Fraction(1, RATE)
        for index in range(RATE * SECONDS):
            image = picture(index / RATE, person, mask, scene)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
