"""Instances follow the motion of the picture."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.frame import Frame
from stream.instances import Instances
from stream.motion.carrier import Carrier, is_cut
from stream.motion.carry import carry
from stream.motion.every import LARGEST, Every
from stream.motion.flow import FlowMeter, small_grey
from stream.pipeline import Job, Stage

WIDTH, HEIGHT = 320, 240


def texture(height: int, width: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 20, 235, cv2.NORM_MINMAX)


BACKGROUND, OBJECT = texture(HEIGHT, WIDTH, 1), texture(100, 60, 2)
"""Noise before noise: harder than a person before a wall."""


def scene(x: float, y: float, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A textured ellipse over a textured background, and its true mask."""
    matrix = np.array([[scale, 0, x], [0, scale, y]], np.float32)
    oval = np.zeros_like(OBJECT)
    cv2.ellipse(oval, (30, 50), (28, 47), 0, 0, 360, 255, -1)
    thing = cv2.warpAffine(OBJECT, matrix, (WIDTH, HEIGHT))
    inside = cv2.warpAffine(oval, matrix, (WIDTH, HEIGHT)) > 127
    return np.where(inside, thing, BACKGROUND), inside


def instances_of(mask: np.ndarray, cells: int = 28) -> Instances:
    rows, columns = np.where(mask)
    x1, x2, y1, y2 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    part = mask[y1:y2, x1:x2].astype(np.float32)
    return Instances(
        boxes=np.array([[x1, y1, x2, y2]], np.float32),
        scores=np.array([0.9], np.float32),
        labels=np.array([0]),
        masks=cv2.resize(part, (cells, cells), interpolation=cv2.INTER_AREA)[None],
        class_names=("thing",),
        picture_size=mask.shape,
        track_ids=np.array([7]),
    )


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize(
    ("x", "y", "scale"), [(112, 67, 1.0), (94, 61, 1.0), (98, 58, 1.12), (103, 64, 0.9)]
)
def test_a_mask_follows_its_object(x, y, scale):
    before, inside = scene(100, 60)
    after, truth = scene(x, y, scale)
    found = instances_of(inside)
    moved = carry(found, FlowMeter().between(before, after))
    assert overlap(moved.full_masks()[0], truth) > 0.86
    assert overlap(moved.full_masks()[0], truth) > overlap(inside, truth) + 0.05
    assert moved.masks.shape == found.masks.shape
    assert moved.track_ids is not None and moved.track_ids.tolist() == [7]


def test_flow_of_half_size_carries_instances_of_the_whole_picture():
    before, inside = scene(100, 60)
    after, truth = scene(105, 63)
    half = [cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            for grey in (before, after)]  # fmt: skip
    moved = carry(instances_of(inside), FlowMeter().between(*half))
    assert overlap(moved.full_masks()[0], truth) > max(0.8, overlap(inside, truth) + 0.05)


def test_without_motion_nothing_changes():
    picture, inside = scene(100, 60)
    found = instances_of(inside)
    moved = carry(found, FlowMeter().between(picture, picture))
    np.testing.assert_allclose(moved.boxes, found.boxes, atol=0.05)
    np.testing.assert_allclose(moved.masks, found.masks, atol=0.05)


def test_what_leaves_the_picture_is_left_out():
    found = instances_of(scene(100, 60)[1])
    gone = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    gone[..., 0] = 500
    assert len(carry(found, gone)) == 0
    empty = Instances.empty(("thing",), (HEIGHT, WIDTH))
    assert len(carry(empty, gone)) == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.floats(0, 200), count=st.integers(1, 5))
def test_any_flow_gives_sound_instances(seed, size, count):
    random = np.random.default_rng(seed)
    flow = random.normal(0, size, (30, 40, 2)).astype(np.float32)
    corner = random.uniform(-20, 300, (count, 2)).astype(np.float32)
    boxes = np.concatenate([corner, corner + random.uniform(0, 200, (count, 2))], axis=1)
    found = Instances(
        boxes=boxes.astype(np.float32),
        scores=np.linspace(0.9, 0.1, count).astype(np.float32),
        labels=np.zeros(count, np.int64),
        masks=random.uniform(0, 1, (count, 14, 14)).astype(np.float32),
        class_names=("thing",),
        picture_size=(HEIGHT, WIDTH),
    )
    moved = carry(found, flow)
    assert len(moved) <= count
    assert np.isfinite(moved.boxes).all() and (moved.boxes[:, 2:] >= moved.boxes[:, :2]).all()
    assert moved.masks.dtype == np.float32
    assert ((moved.masks >= 0) & (moved.masks <= 1)).all()


def frame_of(luma: np.ndarray, index: int = 0, pixel_format: str = "yuv420p") -> Frame:
    picture = av.VideoFrame.from_ndarray(luma, format="gray").reformat(format=pixel_format)
    return Frame(picture, index, index, Fraction(1, 30))


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p10le", "gray", "gray16le"])
@pytest.mark.parametrize("size", [(1280, 720), (640, 480), (641, 479), (100, 30), (20, 12)])
def test_the_small_grey_picture_shows_the_luma(pixel_format, size):
    luma = cv2.resize(BACKGROUND, size)
    picture = frame_of(luma, pixel_format=pixel_format).picture
    small = small_grey(picture)
    assert small.dtype == np.uint8 and min(small.shape) >= 16
    assert max(small.shape) <= 420
    wanted = cv2.resize(luma, small.shape[::-1], interpolation=cv2.INTER_AREA)
    # The range of luma may be limited or full; what matters is the structure. swscale, which made
    # the picture, is itself some levels off at the edges of very small ones.
    limit = 0.98 if min(size) > 16 else 0.95
    assert np.corrcoef(small.ravel(), wanted.ravel())[0, 1] > limit


def test_a_new_scene_or_size_ends_the_carrying():
    carrier = Carrier()
    before, inside = scene(100, 60)
    assert carrier.carry_to(before) is None
    carrier.set_key(before, instances_of(inside))
    moved = carrier.carry_to(scene(105, 60)[0])
    assert moved is not None and len(moved) == 1
    assert carrier.carry_to(texture(HEIGHT, WIDTH, 9)) is None
    assert carrier.carry_to(before[:120, :160]) is None
    assert not is_cut(np.zeros((24, 32), np.uint8), np.full((24, 32), 3, np.uint8))


def run(every: Every, pictures: list[np.ndarray], infer) -> list[Frame]:
    """Frames through the stages of a run that infers on some."""

    def work(job: Job) -> None:
        job.frame.instances = infer(job.frame.index)

    def skip(job: Job) -> None:
        pass

    stages = every.thin([Stage("preprocess", skip), Stage("infer", skip),
                         Stage("postprocess", work), Stage("composite", skip)])  # fmt: skip
    assert [stage.name for stage in stages] == [
        "plan", "preprocess", "infer", "postprocess", "motion", "composite",
    ]  # fmt: skip
    frames = [frame_of(luma, index) for index, luma in enumerate(pictures)]
    settled: list[Frame] = []
    for frame in frames:
        for stage in stages[:4]:
            if stage.applies is None or stage.applies(Job(frame)):
                stage.work(Job(frame))
                frame.stages[stage.name] = 0.01
        release = stages[4].release
        assert release is not None
        settled += [job.frame for job in release(Job(frame))]
    settled += [job.frame for job in release(None)]
    assert [frame.index for frame in settled] == [frame.index for frame in frames]
    return frames


def test_every_third_frame_is_inferred_and_the_others_follow():
    scenes = [scene(100 + 2 * index, 60 + index) for index in range(10)]
    asked: list[int] = []

    def infer(index: int) -> Instances:
        asked.append(index)
        return instances_of(scenes[index][1])

    every = Every(3)
    frames = run(every, [luma for luma, _ in scenes], infer)
    assert asked == [0, 3, 6, 9]
    assert (every.inferred, every.carried) == (4, 6)
    for frame, (_, truth) in zip(frames, scenes, strict=True):
        assert frame.instances is not None
        assert overlap(frame.instances.full_masks()[0], truth) > 0.9
        assert ("infer" in frame.stages) == (frame.index in asked)


def test_a_frame_takes_the_instances_of_the_nearer_inference():
    scenes = [scene(100 + 4 * index, 60) for index in range(7)]
    every = Every(6)
    frames = run(every, [luma for luma, _ in scenes], lambda index: instances_of(
        scenes[index][1]) if index == 0 else replace(
        instances_of(scenes[index][1]), labels=np.array([1]), class_names=("a", "b")))  # fmt: skip
    labels = [frame.instances.labels.tolist() for frame in frames if frame.instances is not None]
    assert labels == [[0], [0], [0], [0], [1], [1], [1]]
    for frame, (_, truth) in zip(frames, scenes, strict=True):
        assert frame.instances is not None
        assert overlap(frame.instances.full_masks()[0], truth) > 0.85


def test_a_cut_is_inferred_at_once():
    first, inside = scene(100, 60)
    pictures = [first] * 4 + [texture(HEIGHT, WIDTH, 5)] * 4
    asked: list[int] = []

    def infer(index: int) -> Instances:
        asked.append(index)
        return instances_of(inside)

    run(Every(6), pictures, infer)
    assert asked == [0, 4]


def test_auto_chooses_by_the_time_that_inference_takes():
    every = Every(None, Fraction(30))
    assert every.number == 1
    slow = frame_of(BACKGROUND)
    slow.stages.update(infer=0.095)
    every.plan(slow)
    every.settle(Job(slow))
    assert every.number == 3
    beside = Every(None, Fraction(30), lanes=2)
    beside.plan(slow)
    beside.settle(Job(slow))
    assert beside.number == 2, "two at once take half the time each"
    for index in range(1, 60):
        frame = frame_of(BACKGROUND, index)
        every.plan(frame)
        if every.is_key(frame):
            frame.stages.update(infer=5.0)
        every.settle(Job(frame))
    assert every.number == LARGEST
    with pytest.raises(ValueError, match="every 1st"):
        Every(0)
