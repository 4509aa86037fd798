import psutil
import pytest

from stream import memory


def test_it_is_what_the_system_says_of_this_process(monkeypatch, tmp_path):
    process = psutil.Process()
    before = memory.resident()
    assert before == pytest.approx(process.memory_info().rss, rel=0.05)
    held = bytearray(b"x") * (64 << 20)
    assert memory.resident() - before == pytest.approx(len(held), rel=0.1)
    # Where the system has no such file.
    monkeypatch.setattr(memory, "_OURS", tmp_path / "none")
    assert memory.resident() == pytest.approx(process.memory_info().rss, rel=0.05)
