"""Hundreds of files through a cluster of which parts go away all the time: ten minutes each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleet.test_ray import bad_luck, bad_luck_in_parts, cluster, model

__all__ = ["cluster", "model"]


@pytest.mark.timeout(3600)
@pytest.mark.soak
def test_three_hundred_files(cluster, tmp_path: Path, model: Path) -> None:
    bad_luck(cluster, tmp_path, model, 300)


@pytest.mark.timeout(3600)
@pytest.mark.soak
def test_sixty_files_in_parts(cluster, tmp_path: Path, model: Path) -> None:
    bad_luck_in_parts(cluster, tmp_path, model, 60)
