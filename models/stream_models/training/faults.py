"""What light and cheap cameras do to a training picture. Pictures are uint8 RGB (H, W, 3)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def colour(image: Image, rng: np.random.Generator) -> Image:
    """Brightness, contrast, gamma, saturation and white balance."""
    table = np.arange(256, dtype=np.float32) / 255.0
    gamma = float(np.exp(rng.uniform(-0.35, 0.5)))
    table = table**gamma
    contrast, light = rng.uniform(0.7, 1.3), rng.uniform(-0.12, 0.12)
    table = (table - 0.5) * contrast + 0.5 + light
    balance = rng.uniform(0.88, 1.12, 3)
    tables = np.clip(table[:, None] * balance * 255.0, 0, 255).astype(np.uint8)
    image = np.asarray(cv2.LUT(image, tables[None]), np.uint8)
    strength = rng.uniform(0.4, 1.4) if rng.random() < 0.85 else 0.0
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(image, strength, grey, 1.0 - strength, 0.0), np.uint8)


def camera(image: Image, rng: np.random.Generator) -> Image:
    """What cheap cameras do: low light with noise, blur, low resolution, strong compression."""
    height, width = image.shape[:2]
    if rng.random() < 0.35:
        kind = rng.random()
        if kind < 0.4:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.6))  # type: ignore[assignment]
        elif kind < 0.7:
            length = int(rng.integers(3, 10))
            kernel = np.zeros((length, length), np.float32)
            if rng.random() < 0.5:
                kernel[length // 2] = 1.0 / length
            else:
                np.fill_diagonal(kernel, 1.0 / length)
            image = cv2.filter2D(image, -1, kernel)  # type: ignore[assignment]
        else:
            part = rng.uniform(0.35, 0.8)
            small = cv2.resize(image, (int(width * part), int(height * part)))
            image = cv2.resize(small, (width, height))  # type: ignore[assignment]
    if rng.random() < 0.5:
        dark = rng.uniform(0.25, 0.8) if rng.random() < 0.5 else 1.0
        sigma = rng.uniform(2.0, 14.0)
        rough = rng.standard_normal((height // 2, width // 2, 3), np.float32) * sigma
        noise = cv2.resize(rough, (width, height), interpolation=cv2.INTER_NEAREST)
        image = np.clip(image * dark + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        quality = int(rng.integers(12, 60))
        _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return image
