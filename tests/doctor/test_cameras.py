"""What is said of cameras."""

import pytest

from stream.doctor import cameras
from stream.sources import camera
from stream.sources.modes import Camera


def test_cameras_are_those_that_are_listed_each_with_what_is_wrong_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not what else has a device's name: a node without a driver was called one that works."""
    listed = [
        Camera("/dev/video0", "Front"),
        Camera("/dev/video2", "Back", problem="not permitted"),
        Camera("/dev/video4", "Side", problem="in use by another program"),
        Camera("/dev/video6", "video6", problem="its driver is not there"),
    ]
    monkeypatch.setattr(camera, "find_cameras", lambda: listed)
    found = list(cameras.cameras())
    assert [one.state for one in found] == ["works", "missing", "missing", "missing"]
    assert [one.detail for one in found[1:]] == [f"{one.name}: {one.problem}" for one in listed[1:]]
    assert [bool(one.advice) for one in found] == [False, True, True, True]
    monkeypatch.setattr(camera, "find_cameras", lambda: [])
    (none,) = cameras.cameras()
    assert (none.state, none.detail) == ("missing", "none found")
