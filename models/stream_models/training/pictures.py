"""Plots and sample pictures of a training run, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from stream_models.training.evaluate import Detector, paste
from stream_models.training.history import entries

Image = NDArray[np.uint8]
_FEW = 20
_SHADES = (
    (230, 80, 60), (60, 140, 230), (80, 190, 90), (235, 180, 50),
    (170, 90, 210), (60, 200, 200), (240, 120, 180), (150, 150, 60),
)  # fmt: skip


def draw_found(image: Image, detector: Detector, names: Sequence[str], floor: float) -> Image:
    """`image` (uint8 RGB) with the masks, boxes and names of everything scored at least `floor`."""
    out = image.copy()
    for index, (box, score, label, mask, frame) in enumerate(zip(*detector(image), strict=True)):
        if score < floor:
            continue
        shade = np.array(_SHADES[index % len(_SHADES)])
        inside = paste(mask, frame, *image.shape[:2]) > 0
        out[inside] = (0.5 * out[inside] + 0.5 * shade).astype(np.uint8)
        x1, y1, x2, y2 = (round(float(value)) for value in box)
        colour = tuple(int(part) for part in shade)
        cv2.rectangle(out, (x1, y1), (x2, y2), colour, 1)
        text = f"{names[label]} {score:.2f}"
        cv2.putText(out, text, (x1 + 2, y1 + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255))
    return out


def contact_sheet(images: Sequence[Image], path: Path, cell: int = 320, columns: int = 4) -> None:
    """Write `images` (uint8 RGB) side by side, each fitted into a square of `cell` pixels."""
    rows = -(-len(images) // columns)
    sheet = np.full((rows * cell, columns * cell, 3), 32, np.uint8)
    for index, image in enumerate(images):
        scale = cell / max(image.shape[:2])
        size = (max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        y, x = divmod(index, columns)
        sheet[y * cell : y * cell + size[1], x * cell : x * cell + size[0]] = small
    # OpenCV's own writing takes names on Windows for letters of a code page.
    data = cv2.imencode(path.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1]
    path.write_bytes(data.tobytes())


def learning_curve(history: Path, path: Path) -> None:
    """Plot the losses and accuracies of `history` (JSON lines, written by the loop)."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    noted = entries(history)
    steps = [entry for entry in noted if "class" in entry]
    figures = [entry for entry in noted if "figures" in entry]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    dots = "o" if len(steps) < _FEW else ""  # a line of one point is none
    for name in ("objectness", "proposal_box", "class", "box", "mask"):
        left.plot(
            [e["step"] for e in steps],
            [e[name] for e in steps],
            label=name,
            linewidth=1,
            marker=dots,
            markersize=3,
        )
    left.set(xlabel="batch", ylabel="loss (running mean)", yscale="log")
    left.legend()
    for group in figures[-1]["figures"] if figures else {}:
        for key in ("AP", "AP50"):
            # A run that was taken up with another set to judge by had other groups before.
            had = [entry for entry in figures if group in entry["figures"]]
            # Below 0: there was nothing to judge by.
            values = [max(entry["figures"][group][key], 0.0) for entry in had]
            right.plot([e["step"] for e in had], values, marker="o", label=f"{group} {key}")
    right.set(xlabel="batch", ylabel="mask accuracy", ylim=(0, 1.05))
    right.grid(visible=True, alpha=0.3)
    if figures:
        right.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
