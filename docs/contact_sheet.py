"""Makes the picture of the default model's card: models/contact-sheet.jpg.

    python docs/contact_sheet.py models/contact-sheet.jpg

Everything shown is scikit-image's and free to share: NASA's astronaut, as she is and spoilt in the
ways of webcams; a photographer; and a cup, a cat and a rocket, where nobody is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from stream.inference.segmenter import Segmenter
from stream_models.training.evaluate import runtime_detector
from stream_models.training.pictures import contact_sheet, draw_found

Picture = NDArray[np.uint8]
FLOOR = 0.5


def pictures() -> list[Picture]:
    """What the model is shown, each uint8 [H, W, 3] in RGB."""
    she: Picture = data.astronaut()
    noise = np.random.default_rng(0).normal(0, 12, she.shape)
    dark = np.clip(she * 0.35 + noise, 0, 255).astype(np.uint8)
    _, small = cv2.imencode(".jpg", she[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 6])
    compressed = cv2.imdecode(small, cv2.IMREAD_COLOR)[..., ::-1].copy()
    turned = cv2.warpAffine(
        she,
        cv2.getRotationMatrix2D((256, 256), 15, 1.15),
        (512, 512),
        borderMode=cv2.BORDER_REFLECT,
    )
    far = np.full((480, 600, 3), 70, np.uint8)
    far[185:425, 185:425] = cv2.resize(she, (240, 240), interpolation=cv2.INTER_AREA)
    man = cv2.cvtColor(data.camera(), cv2.COLOR_GRAY2RGB)
    made = [
        she, dark, compressed, np.hstack([she[:, :360], she[:, :360][:, ::-1]]),
        cv2.GaussianBlur(she, (0, 0), 5), turned, far, man,
        data.coffee(), data.chelsea(), data.rocket(), she[:300],
    ]  # fmt: skip
    return [np.ascontiguousarray(one, np.uint8) for one in made]


def main(path: Path) -> None:
    """Writes the sheet."""
    segmenter = Segmenter.load("default", provider="cpu", threshold=FLOOR)
    detector = runtime_detector(segmenter)
    found = [draw_found(one, detector, segmenter.names, FLOOR) for one in pictures()]
    contact_sheet(found, path, cell=300)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
