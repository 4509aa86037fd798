import mmap

import psutil
import pytest

from stream import memory


def test_it_is_what_the_system_says_of_this_process(monkeypatch, tmp_path):
    process = psutil.Process()
    before = memory.resident()
    assert before == pytest.approx(process.memory_info().rss, rel=0.05)
    # Pages of its own: an allocator may hand out what was freed before and is in memory still.
    with mmap.mmap(-1, 64 << 20) as held:
        for at in range(0, len(held), mmap.PAGESIZE):
            held[at] = 1
        assert memory.resident() - before == pytest.approx(len(held), rel=0.1)
    # Where the system has no such file.
    monkeypatch.setattr(memory, "_OURS", tmp_path / "none")
    assert memory.resident() == pytest.approx(process.memory_info().rss, rel=0.05)
