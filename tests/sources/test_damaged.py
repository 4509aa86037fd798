"""Whatever is wrong with a file, it comes out as far as it goes or is refused in a sentence.

The long run takes its seeds from DAMAGED_FIRST and DAMAGED_COUNT (0 and 10,000).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import SHARED
from tests.media import make_clip
from tests.sources.mutating import Result, mutate, results


@pytest.fixture(scope="session")
def whole_files(tmp_path_factory) -> Path:
    """The real clips beside the checkout, or a few that are made."""
    if (SHARED / "media").is_dir():
        return SHARED / "media"
    folder = tmp_path_factory.mktemp("whole")
    deep = {"pixel_format": "yuv420p10le", "options": {"preset": "ultrafast"}}
    for name, how in {
        "plain.mp4": {"audio": "aac"},
        "deep.mkv": deep,
        "vp9.webm": {"codec": "libvpx-vp9", "audio": "libopus", "options": {}},
        "old.avi": {"codec": "mpeg4", "audio": "mp3", "options": {}},
        "broadcast.ts": {"audio": "mp2"},
        "flash.flv": {"audio": "aac"},
        "words.mkv": {"audio": "flac", "subtitles": [(0, 0.5, "one"), (0.5, 1, "two")]},
    }.items():
        make_clip(folder / name, **how)
    return folder


def check(found: list[Result], count: int) -> None:
    wrong = [one for one in found if one.outcome not in {"done", "refused"}]
    assert not wrong, "\n\n".join(f"{one.seed} {one.outcome}: {one.detail}" for one in wrong)
    assert len(found) == count
    # Damage that nothing survives, or that nothing notices, would test nothing.
    assert sum(one.outcome == "done" for one in found) > count / 4


def test_forty_damaged_files(whole_files):
    check(list(results(whole_files, 0, 40, largest=110_000)), 40)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_ten_thousand_damaged_files(whole_files):
    first = int(os.environ.get("DAMAGED_FIRST", "0"))
    count = int(os.environ.get("DAMAGED_COUNT", "10000"))
    check(list(results(whole_files, first, count, largest=700_000)), count)


def test_a_seed_is_always_the_same_damage():
    data = bytes(range(256)) * 64
    made = [mutate(data, np.random.default_rng(seed)) for seed in range(50)]
    assert made == [mutate(data, np.random.default_rng(seed)) for seed in range(50)]
    assert len(set(made)) == 50 and data not in made
