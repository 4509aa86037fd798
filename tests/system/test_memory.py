import mmap

import psutil
import pytest

from stream.run import report
from stream.system import cpu, memory


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


def test_where_the_system_says_nothing_nothing_is_known(monkeypatch, tmp_path):
    def closed(**_):
        raise FileNotFoundError("/proc/meminfo")

    def nobody():
        raise psutil.NoSuchProcess(1)

    monkeypatch.setattr(memory, "_OURS", tmp_path / "none")
    monkeypatch.setattr(psutil, "Process", nobody)
    monkeypatch.setattr(psutil, "virtual_memory", closed)
    monkeypatch.setattr(psutil, "cpu_count", closed)
    assert memory.resident() == 0
    assert memory.installed() is None
    assert report.machine()["memory_gib"] is None
    assert cpu._physical(tmp_path) is None
