"""What tells layers whether another scene is seen."""

from types import SimpleNamespace

import cv2
import numpy as np

from stream.compositing import scenery
from stream.compositing.scenery import Glance, is_elsewhere
from stream.kernels import compiled
from stream.motion.scenes import SIZE

SIZE_OF_PICTURE = (240, 320)


def scene(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return cv2.resize(random.integers(0, 255, (8, 8), np.uint8), SIZE)


def test_only_another_scene_at_the_place_itself_is_elsewhere():
    room, street = scene(1), scene(8)
    person = np.array([100, 40, 180, 230], np.float32)
    partly = street.copy()
    partly[4:, 9:19] = room[4:, 9:19]  # where the person is
    for name, now, elsewhere in (
        ("the same", room, False),
        ("a flash", np.clip(room.astype(int) + 120, 0, 255).astype(np.uint8), False),
        ("a lamp that goes out", (room // 8).astype(np.uint8), False),
        ("all white", np.full_like(room, 255), False),
        ("a cut", street, True),
        ("a cut around what stays", partly, False),
    ):
        assert is_elsewhere(room, now, person, SIZE_OF_PICTURE) == elsewhere, name


def test_places_beyond_the_picture_and_tiny_ones_have_neighbours_to_go_by():
    room, street = scene(1), scene(8)
    for box in (
        [-900, -900, -800, -800],
        [900, 900, 990, 990],
        [318, 238, 319, 239],
        [0, 0, 320, 240],
    ):
        there = np.array(box, np.float32)
        assert not is_elsewhere(room, room, there, SIZE_OF_PICTURE)
        assert is_elsewhere(room, street, there, SIZE_OF_PICTURE) in {True, False}


def test_a_glance_is_the_same_however_it_is_taken(monkeypatch):
    chance = np.random.default_rng(3)
    for height, width, depth in (
        (480, 640, 8),
        (33, 1000, 8),
        (97, 97, 8),
        (720, 1282, 8),
        (200, 9, 10),
    ):
        luma = chance.integers(0, 1 << depth, (height, width)).astype(
            np.uint8 if depth == 8 else np.uint16
        )
        for view in (luma, luma[::-1], luma[:, : width // 2 + 1]):
            canvas = SimpleNamespace(
                encoding=SimpleNamespace(depth=depth),
                instances=[None],
                planes=SimpleNamespace(samples=[view]),
            )
            found = []
            for loops in (compiled(), None):
                monkeypatch.setattr(scenery, "compiled", lambda loops=loops: loops)
                found.append(Glance(canvas).scenery)
            assert np.array_equal(*found), (height, width)
