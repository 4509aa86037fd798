"""Three hundred files through a cluster of which parts go away all the time: some ten minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleet.test_ray import bad_luck, cluster, model

__all__ = ["cluster", "model"]


@pytest.mark.soak
def test_three_hundred_files(cluster, tmp_path: Path, model: Path) -> None:
    bad_luck(cluster, tmp_path, model, 300)
