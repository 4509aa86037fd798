"""Hundreds of files through processes of our own, of which some are killed all the time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleet.test_one_machine import bad_luck, model

__all__ = ["model"]

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def test_three_hundred_files(tmp_path: Path, model: Path) -> None:
    bad_luck(tmp_path, model, 300, each=6, deaths=[0.25, 0.5, 0.75])


def test_sixty_files_in_parts(tmp_path: Path, model: Path) -> None:
    bad_luck(tmp_path, model, 60, "--part-minutes", "0.01", each=3, deaths=[1 / 3, 2 / 3])
