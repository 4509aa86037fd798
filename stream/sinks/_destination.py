"""The file that is written: never half-replaced, never silently lost."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from stream.disk.files import (
    check_replaceable,
    create_beside,
    identity,
    remove_left_beside,
    same_file,
    sync_folder,
    target_of,
)
from stream.disk.leftovers import mark_in_place, unmark
from stream.errors import SinkError, UsageError
from stream.sinks._syncing import Syncing

_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
"""Why a file cannot be created where another may be later."""


def check_destination(
    path: str | Path, *, overwrite: bool = False, inputs: Iterable[str | Path] = ()
) -> Path:
    """Refuses an output before any work is done for it.

    Args:
        path: the file to be written.
        overwrite: whether an existing file may be replaced.
        inputs: files that are read; none of them may be the output.

    Raises:
        UsageError: the file exists and may not be replaced, is an input, or is a folder.
        SinkError: its folder does not exist or may not be written to.
    """
    path = Path(path)
    # Asked only where something is there, as inputs may be many.
    if identity(path) is not None and any(same_file(path, Path(given)) for given in inputs):
        raise UsageError(f"{path} is an input; choose another output")
    check_replaceable(path, overwrite=overwrite)
    return path


class Destination:
    """An output file that FFmpeg writes through, as a file object.

    A new file is written in place, so that it is found where it was asked for whatever happens. A
    file that is replaced stays as it is until the new one is complete: that one is written beside
    it under a name that nothing has (NAME.partial.ENDING, see `create_beside`) and takes its place
    at the end. A link keeps pointing to the file, which is replaced where it lies. Pipes and
    devices are written as they are. After a write has failed nothing more is written, so that what
    is on the disk stays as it was.

    Attributes:
        path: where the result is wanted.
        working: where it is being written.
        error: why writing failed, if it did.
        written: bytes handed to the system so far.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        """Creates the file.

        Raises:
            SinkError, UsageError: as `check_destination` does.
        """
        self.path = check_destination(path, overwrite=overwrite)
        self._target = target_of(path)
        self.working = self._target
        self.error: OSError | None = None
        self.written = 0
        self._whole = 0
        self._at = 0
        self._end = 0
        self.closed = False
        self._kept_beside = False
        exists = self._target.exists()
        self._regular = not exists or self._target.is_file()
        try:
            if exists and self._regular:
                self.working, self._file = create_beside(self._target)
            else:
                flags = os.O_WRONLY | getattr(os, "O_BINARY", 0)
                if not exists:
                    flags |= os.O_CREAT | os.O_EXCL
                self._file = os.open(self.working, flags, 0o666)
                if not exists:
                    mark_in_place(self._file)
        except OSError as error:
            what = f"{self.working} cannot be written: {error.strerror}"
            raise SinkError(what, by_place=error.errno in _NO_ROOM) from error
        # Some file systems know of no names.
        self._named = self._regular and os.fstat(self._file).st_nlink > 0
        self._syncing = Syncing(self._file) if self._regular else None

    # What FFmpeg calls, through PyAV.

    def write(self, data: bytes) -> int:
        """Writes all of `data`; after a failure, never again."""
        if self.error is not None:
            raise self.error
        left = memoryview(data)
        try:
            while left:
                done = os.write(self._file, left)
                left = left[done:]
                self._at += done
            if self._syncing is not None and self._syncing.due():
                self._look_for_name()
        except OSError as error:
            self.error = error
            if self._regular:
                # What was begun since is of no use to anyone.
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, self._whole)
            raise
        self.written += len(data)
        self._end = max(self._end, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves the place of the next write, as `io.IOBase.seek`."""
        if self.error is not None:
            raise self.error
        self._at = os.lseek(self._file, offset, whence)
        return self._at

    def tell(self) -> int:
        """The place of the next write, in bytes from the beginning."""
        return self._at

    def seekable(self) -> bool:
        """Whether the file is one in which places can be revisited."""
        return self._regular

    # What the sink calls.

    def checkpoint(self) -> None:
        """Says that the file is whole as it is; a failure later takes it back to this."""
        self._whole = self._end

    def commit(self) -> None:
        """Makes the complete file the result.

        Raises:
            OSError: the last bytes could not be stored; the file stays under its working name.
        """
        if self.closed:
            return
        self.closed = True
        try:
            if self._syncing is not None:
                self._syncing.finish()
                os.fsync(self._file)
                self._look_for_name()
                unmark(self._file)
        except OSError as error:
            self.error = self.error or error
            raise
        finally:
            os.close(self._file)
        if self.working != self._target:
            try:
                self.working.replace(self._target)
            except OSError:
                self._kept_beside = True
                raise
        if self._regular:
            sync_folder(self._target.parent)
            remove_left_beside(self._target)

    def abandon(self, *, keep: bool = True) -> None:
        """Lets go of the file; removes it where nothing whole is in it, or not to be kept."""
        if self.closed:
            return
        self.closed = True
        if self._syncing is not None:
            with contextlib.suppress(OSError):  # It is given up anyway.
                self._syncing.finish()
        os.close(self._file)
        whole = self._whole if self.error is not None else self.written
        if self._regular and not (keep and whole):
            self.working.unlink(missing_ok=True)

    @property
    def removed(self) -> bool:
        """Whether writing failed because nobody could find the file any more."""
        return self.error is not None and self.error.errno == errno.ENOENT

    def _look_for_name(self) -> None:
        """Makes sure that the file is still to be found: the system writes on into a removed one.

        Raises:
            FileNotFoundError: somebody has removed it.
        """
        if self._named and not os.fstat(self._file).st_nlink:
            raise FileNotFoundError(errno.ENOENT, "it was removed meanwhile", str(self.working))

    def explain(self, error: OSError) -> str:
        """Why writing failed, as the beginning of a sentence."""
        if error.errno == errno.ENOSPC:
            return f"the disk is full, so {self.path} could not be written to the end"
        if error.errno == errno.ENOENT:
            return f"{self.working} was removed while it was written"
        if self._kept_beside:  # as on Windows, where nothing takes the place of what is open
            return (
                f"{self.path} could not be replaced ({error.strerror or error}), perhaps as "
                f"another program has it open; what was made is whole in {self.working}"
            )
        words = error.strerror or str(error)
        return f"{self.path} could not be written to the end ({words})"
