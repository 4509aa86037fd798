"""What is kept of a model: named for all that it depends on, and known where it is damaged."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stream.inference import kept_model
from stream.inference.kept_model import is_whole, kept_for, written
from stream.inference.onnx_file import read_onnx_file
from tests import tiny_models

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG's folders")
SIDES = {"width": 64, "height": 48}
SIZES = (1, 7, 8, 9, 4096, (1 << 20) - 3, 1 << 20, (1 << 20) + 5, (2 << 20) + 8)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "stream-segmentation" / "graphs"


def _kept(tmp_path: Path, content: bytes) -> Path:
    kept = tmp_path / "kept.onnx"
    with written(kept) as part:
        part.write_bytes(content)
    return kept


def test_any_single_byte_that_changed_is_noticed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for size in SIZES:
        kept = _kept(tmp_path, rng.bytes(size))
        assert is_whole(kept), size
        whole = kept.read_bytes()
        places = {0, size - 1, size // 2, size, len(whole) - 1, *rng.integers(0, size, 5).tolist()}
        for place in places:
            for bit in (0, 7):
                damaged = bytearray(whole)
                damaged[place] ^= 1 << bit
                kept.write_bytes(damaged)
                assert not is_whole(kept), (size, place, bit)


@pytest.mark.parametrize(
    "damage",
    [
        lambda held: b"",
        lambda held: held[: len(held) // 2],
        lambda held: held[:-1],
        lambda held: held + b"\0",
        # What a power cut leaves of a file whose name was written before its content.
        lambda held: bytes(len(held)),
        lambda held: held[:8192] + bytes(4096) + held[12288:],
    ],
    ids=["empty", "half", "a byte less", "a byte more", "zeros", "a block of zeros"],
)
def test_what_is_cut_or_full_of_zeros_is_noticed(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    kept = _kept(tmp_path, np.random.default_rng(1).bytes(50_000))
    kept.write_bytes(damage(kept.read_bytes()))
    assert not is_whole(kept)


def test_a_sealed_file_is_an_onnx_file_as_before(tmp_path: Path) -> None:
    plain = tiny_models.bright(tmp_path / "plain.onnx")
    before, after = read_onnx_file(plain), read_onnx_file(_kept(tmp_path, plain.read_bytes()))
    assert after.metadata.pop("stream.sum")
    assert (after.metadata, after.opsets) == (before.metadata, before.opsets)


def test_what_is_not_there_or_cannot_be_read_is_not_whole(tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "missing.onnx")
    (tmp_path / "folder.onnx").mkdir()
    assert not is_whole(tmp_path / "folder.onnx")


def test_using_it_counts(tmp_path: Path) -> None:
    kept = _kept(tmp_path, b"content")
    os.utime(kept, (1000, 1000))
    assert is_whole(kept)
    assert kept.stat().st_mtime > 1000


def test_another_training_of_the_same_size_and_time_is_another_model(
    tmp_path: Path, cache: Path
) -> None:
    model = tmp_path / "m.onnx"
    content = bytearray(np.random.default_rng(2).bytes(300_000))
    names = set()
    for weight in (3, 4):
        # All weights differ a little, as after one more epoch.
        model.write_bytes((np.frombuffer(content, np.uint8) ^ weight).tobytes())
        os.utime(model, (1_600_000_000, 1_600_000_000))
        names.add(kept_for("graphs", model, ["1.31"], SIDES))
    assert len(names) == 2


def test_what_was_kept_serves_where_nothing_can_be_written(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_models.bright(tmp_path / "b.onnx")
    kept = kept_for("graphs", model, ["1.31"], SIDES)
    assert kept is not None
    with written(kept) as part:
        part.write_bytes(b"optimised")

    def read_only(name: str) -> Path:
        raise PermissionError(30, "Read-only file system", name)

    # Whoever runs the tests may be allowed everything.
    monkeypatch.setattr(kept_model, "cache_folder", read_only)
    assert kept_for("graphs", model, ["1.31"], SIDES) == kept
    assert kept_for("graphs", model, ["1.32"], SIDES) is None
    kept.write_bytes(kept.read_bytes()[:-2])
    assert kept_for("graphs", model, ["1.31"], SIDES) is None


def test_what_is_left_of_a_full_disk_is_the_users(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_models.bright(tmp_path / "b.onnx")
    kept = kept_for("graphs", model, ["1.31"], SIDES)
    assert kept is not None
    free = SimpleNamespace(free=4 * model.stat().st_size)
    monkeypatch.setattr(kept_model.shutil, "disk_usage", lambda folder: free)
    assert kept_for("graphs", model, ["1.31"], SIDES) is None
    with written(kept) as part:
        part.write_bytes(b"what was kept before serves")
    assert kept_for("graphs", model, ["1.31"], SIDES) == kept


def test_what_lies_beside_it_belongs_to_it(tmp_path: Path) -> None:
    kept, beside = tmp_path / "a[1].onnx", tmp_path / "a[1]_Provider.bin"
    content = np.random.default_rng(3).bytes(10_001)
    with written(kept) as part:
        part.write_bytes(b"names the other")
        part.with_name(beside.name).write_bytes(content)
    assert sorted(tmp_path.iterdir()) == [kept, beside] and is_whole(kept)
    os.utime(beside, (1000, 1000))
    assert is_whole(kept) and beside.stat().st_mtime > 1000
    for damaged in (b"", content[:-1], content + b"\1", content[:500] + b"\0" + content[501:]):
        beside.write_bytes(damaged)
        assert not is_whole(kept)
    beside.unlink()
    assert not is_whole(kept)


def test_those_who_write_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    kept, begin = tmp_path / "kept.onnx", threading.Barrier(4)

    def write(number: int) -> None:
        with written(kept) as part:
            begin.wait(60)
            part.write_bytes(bytes([number]) * 100_000)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert [one.name for one in tmp_path.iterdir()] == ["kept.onnx"]
    assert is_whole(kept)


def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    kept = tmp_path / "kept.onnx"
    with pytest.raises(OSError, match="full"), written(kept) as part:
        part.write_bytes(b"half")
        raise OSError(28, "the disk is full")
    with written(kept):
        pass  # the provider wrote nothing
    with written(kept) as part:
        part.touch()  # nor is an empty one kept
    assert not list(tmp_path.iterdir())
    # Another process has it open, where the system minds that.
    (tmp_path / "kept.onnx").mkdir()
    with written(kept) as part:
        part.write_bytes(b"whole")
    assert [one.name for one in tmp_path.iterdir()] == ["kept.onnx"]
