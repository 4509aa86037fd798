"""A file that cannot be written is told to FFmpeg once, and to the caller in any case."""

from __future__ import annotations

import pytest

from stream.sinks._muxer import _ToldOnce


class Full:
    """A file on a disk that is full from the second write on."""

    def __init__(self) -> None:
        self.written = list[bytes]()
        self.moved = list[int]()

    def write(self, data: bytes) -> int:
        if self.written:
            raise OSError(28, "No space left on device")
        self.written.append(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        if offset < 0:
            raise ValueError("before the beginning")
        self.moved.append(offset)
        return offset

    def tell(self) -> int:
        return 3

    def seekable(self) -> bool:
        return True


def test_a_full_disk_is_told_once_and_nothing_is_written_after_it() -> None:
    disk = Full()
    file = _ToldOnce(disk)  # type: ignore[arg-type]
    assert file.write(b"abc") == 3
    file.check()
    with pytest.raises(OSError, match="No space"):
        file.write(b"de")
    disk.written.clear()  # there would be room again
    assert (file.write(b"defg"), file.seek(9)) == (4, 3)
    assert (disk.written, disk.moved) == ([], [])
    # FFmpeg may have taken no notice.
    with pytest.raises(OSError, match="No space"):
        file.check()


def test_a_place_that_cannot_be_had_is_told_once_too() -> None:
    disk = Full()
    file = _ToldOnce(disk)  # type: ignore[arg-type]
    assert file.seek(7) == 7
    with pytest.raises(ValueError, match="beginning"):
        file.seek(-1)
    assert (file.seek(8), file.write(b"ab")) == (3, 2)
    assert (disk.written, disk.moved) == ([], [7])
    with pytest.raises(ValueError, match="beginning"):
        file.check()


def test_a_file_that_is_given_up_is_written_no_more() -> None:
    disk = Full()
    file = _ToldOnce(disk)  # type: ignore[arg-type]
    file.deaf = True
    assert (file.write(b"abc"), file.seek(5)) == (3, 3)
    assert (disk.written, disk.moved) == ([], [])
    file.check()
