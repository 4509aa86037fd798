"""What a killed run has left beside a file goes once that file is whole, and nothing else does."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from stream.disk.files import create_beside, remove_left_beside, write_whole
from stream.disk.leftovers import mark
from stream.sinks._destination import Destination

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is marked elsewhere")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    probe, file = create_beside(path)
    marked = os.listxattr(file)
    os.close(file)
    probe.unlink()
    if not marked:
        pytest.skip("the disk of the temporary folder knows no attributes")
    return path


def left(target: Path) -> Path:
    """What a killed run leaves: the system closes its files."""
    path, file = create_beside(target)
    os.write(file, b"half")
    os.close(file)
    return path


@pytest.mark.parametrize("how", ["whole", "destination", "new"])
def test_what_was_left_goes_with_the_next_whole_file(target: Path, how: str) -> None:
    for _ in range(3):
        left(target)
    assert len(list(target.parent.iterdir())) == 4
    if how == "new":
        target.unlink()
    if how == "whole":
        write_whole(target, b"new", overwrite=True)
    else:
        destination = Destination(target, overwrite=True)
        destination.write(b"new")
        assert (target.parent / "a.partial-3.mp4").exists(), "not before it is whole"
        destination.commit()
    assert [target] == list(target.parent.iterdir()) and target.read_bytes() == b"new"
    assert os.listxattr(target) == [], "what is whole is not marked"


def test_what_is_being_written_or_anybody_elses_stays(target: Path) -> None:
    first = left(target)
    copy = first.with_name("a.partial-2.mp4")
    shutil.copy2(first, copy)  # attributes too: a copy is its owner's
    written, file = create_beside(target)
    own = target.with_name("a.partial-4.mp4")
    own.write_bytes(b"a user's")
    link = target.with_name("a.partial-5.mp4")
    link.symlink_to(left(target.with_name("b.mp4")))
    try:
        remove_left_beside(target)
        assert not first.exists()
        remove_left_beside(target)
        assert all(one.exists() for one in (copy, written, own, link))
    finally:
        os.close(file)


def test_a_copy_has_not_the_mark_of_what_it_is_of(target: Path) -> None:
    with (target.parent / "c.mp4").open("w+b") as file:
        mark(file.fileno())
        (name,) = os.listxattr(file.fileno())
        value = os.getxattr(file.fileno(), name)
    other = target.parent / "a.partial.mp4"
    other.write_bytes(b"a user's")
    os.setxattr(other, name, value)
    remove_left_beside(target)
    assert other.read_bytes() == b"a user's"
