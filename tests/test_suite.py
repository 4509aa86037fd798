"""What holds for the suite itself."""

from __future__ import annotations

import pytest

from tests.conftest import LOADED_BY_COLLECTING

HEAVY = {"torch", "torchvision", "stream_models.network", "stream_export.blocks", "openvino",
         "ray", "supervision", "h5py", "scipy", "skimage.io"}  # fmt: skip


def test_collecting_loads_nothing_heavy(pytestconfig: pytest.Config) -> None:
    """Whoever runs the tests of one room does not wait for another's libraries."""
    loaded = pytestconfig.stash[LOADED_BY_COLLECTING]
    assert "tests.test_suite" in loaded
    assert not HEAVY & loaded
