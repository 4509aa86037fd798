"""Files on their way to a worker and from it: fetched, and put in their places when whole."""

from __future__ import annotations

import glob
import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stream.disk.files import shortened, sync_file, sync_folder
from stream.errors import SinkError, SourceError, StreamError
from stream.fleet.places import (
    STORAGE,
    filesystem,
    fingerprint,
    here,
    is_of_one,
    is_remote,
    lists_at_once,
    shown,
    storage_errors,
)

if TYPE_CHECKING:
    from fsspec.callbacks import Callback

_PARTIAL = ".fleet-partial"
_PARTS = ".fleet-parts"
_RANDOM = 4  # bytes by which results on their way are told apart

Life = Callable[[], None]
"""A sign of life: is called while something takes long and goes on."""


def _nobody() -> None:
    return


@contextmanager
def at_hand(source: str, scratch: Path, life: Life = _nobody) -> Iterator[Path]:
    """The file as a path: itself, or a copy for as long as the block lasts.

    Args:
        source: its path or address.
        scratch: the folder for a copy.
        life: called again and again while it is fetched.

    Raises:
        SourceError: it cannot be fetched, or was replaced meanwhile.
        UnfetchedError: nor could others be from there.
    """
    if not is_remote(source):
        yield Path(source)
        return
    folder = scratch / secrets.token_hex(8)
    folder.mkdir(parents=True)
    # Its own name, by which its results and its records are called.
    copy = here(folder, source)
    try:
        with _fetching(source), _one_version(source):
            filesystem(source).get_file(source, str(copy), callback=_told(life))
        yield copy
    except StreamError as error:
        # Of a copy nobody knows.
        if str(copy) not in str(error):
            raise
        kind = UnfetchedError if isinstance(error, UnfetchedError) else SourceError
        raise kind(str(error).replace(str(copy), shown(source))) from error
    finally:
        copy.unlink(missing_ok=True)
        folder.rmdir()


class UnfetchedError(SourceError):
    """A storage does not give what it has, as where credentials have run out: no fault of a file's.

    Args:
        what: cannot be fetched, and why.
    """


@contextmanager
def _fetching(source: str) -> Iterator[None]:
    try:
        with storage_errors(SourceError, f"{shown(source)} cannot be fetched"):
            yield
    except SourceError as error:
        # Of a list of web servers each is another, of a bucket's objects all are behind one door.
        in_storage = urlsplit(source).scheme in STORAGE
        if in_storage and error.__cause__ is not None and not is_of_one(error.__cause__):
            raise UnfetchedError(str(error)) from error
        raise


@contextmanager
def _one_version(source: str) -> Iterator[None]:
    """Refuses what was fetched while another object took its place.

    Large objects are fetched in pieces, and others where a connection broke off; what joins them
    does not ask whether they are of one object.
    """
    asked = urlsplit(source).scheme in STORAGE
    before = _version(source) if asked else ""
    yield
    after = _version(source) if before else ""
    if after and before != after:
        raise SourceError(f"{shown(source)} was replaced while it was fetched")


def _version(source: str) -> str:
    """Which object lies there; "" where fetching it says better why nobody knows."""
    try:
        return fingerprint(source)
    except Exception as error:
        # S3 gives no reason to who asks about an object, but to who asks for it.
        if not is_of_one(error):
            raise
        return ""


class ReplacedError(SourceError):
    """A film is not any more the one that was cut into parts.

    Args:
        what: it is, and that it was replaced.
    """


def version_of(source: str) -> str:
    """Which file or object lies there, as its disk or storage tells it; "" where that is unknown.

    Raises:
        SourceError: the storage does not answer.
    """
    with _fetching(source):
        return _version(source)


def refuse_another(source: str, version: str) -> None:
    """Refuses a film that is not the one of which parts are done.

    Args:
        source: its path or address.
        version: of the one that was cut; "" where that was unknown.

    Raises:
        ReplacedError: another lies there, or more or less of it.
        SourceError: the storage does not answer.
    """
    now = version_of(source) if version else ""
    if now and now != version:
        raise ReplacedError(f"{shown(source)} was replaced, or written to, between its parts")


class UnplacedError(SinkError):
    """A result cannot be put in its place, although it is whole.

    Args:
        what: cannot be written, and why.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what, by_place=True)


class Result:
    """A result on its way: written under a name of its own, put in its place when it is whole.

    Args:
        target: where it is to be.
        number: the task's, by which what a lost worker left is known.
        scratch: the folder for what goes to object storage.
        life: called again and again while it goes there.
    """

    def __init__(self, target: str, number: int, scratch: Path, life: Life = _nobody) -> None:
        self.target = target
        self._life = life
        name = target.rpartition("/")[2]
        self._folder = scratch if is_remote(target) else Path(target).parent
        self._name = _partial(self._folder, name, number, secrets.token_hex(_RANDOM))
        self.working = self._folder / self._name
        self._wanted = True

    def open(self) -> Path:
        """The path to write to.

        Raises:
            SinkError: its folder cannot be made.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(
                f"the folder {self._folder} cannot be made: {error.strerror}"
            ) from error
        return self.working

    def publish(self) -> None:
        """Puts it in its place, replacing what was there.

        Raises:
            UnplacedError: it cannot be put there; what was there is as it was.
        """
        if not self._wanted:
            return
        with storage_errors(UnplacedError, f"{shown(self.target)} cannot be written"):
            if not is_remote(self.target):
                # The ledger, which outlives a power cut, will say that it is done.
                sync_file(self.working)
                self.working.replace(self.target)
                sync_folder(self._folder)
                return
            files = filesystem(self.target)
            protocol, told = urlsplit(self.target).scheme, _told(self._life)
            if protocol in STORAGE:
                files.put_file(str(self.working), self.target, callback=told)
            else:
                beside = f"{self.target.rpartition('/')[0]}/{self._name}"
                files.makedirs(beside.rpartition("/")[0], exist_ok=True)
                files.put_file(str(self.working), beside, callback=told)
                files.mv(beside, self.target)
        self.drop()

    def forget(self) -> None:
        """It is not to be put in its place after all."""
        self._wanted = False

    def drop(self) -> None:
        """Removes what was written and is of no use."""
        with suppress(OSError):
            self.working.unlink(missing_ok=True)


def _told(life: Life) -> Callback:
    """What fsspec tells how far it is."""
    from fsspec.callbacks import Callback

    return Callback(hooks={"life": lambda *_, **__: life()})


def _partial(folder: Path, name: str, number: int, random: str) -> str:
    """What a result is called on its way."""
    stem, dot, ending = name.rpartition(".")
    return shortened(folder, f".{stem or name}", f"{_PARTIAL}-{number}-{random}{dot}{ending}")


def remove_leftovers(target: str, number: int) -> None:
    """Removes what lost workers have left of a task beside its target."""
    if is_remote(target):
        return  # nothing lies there before it is whole
    path = Path(target)
    # By its whole name: another ledger's fleet, with a file of this number, may write there too.
    like = _partial(path.parent, path.name, number, "?" * (2 * _RANDOM))
    before, random, behind = like.rpartition("?" * (2 * _RANDOM))
    for left in path.parent.glob(glob.escape(before) + random + glob.escape(behind)):
        with suppress(OSError):
            left.unlink()


def parts_folder(target: str, number: int, *about: str) -> str:
    """The folder beside a target in which the steps of a file that is cut leave their files.

    Args:
        target: where the file's result goes.
        number: the file's in the ledger.
        about: what would make these files others: the file's fingerprint, the options' hash, and
            which version of the file was cut.
    """
    parent, _, name = target.rpartition("/")
    mark = hashlib.sha256("\n".join(about).encode()).hexdigest()[:8]
    return f"{parent}/{_parts(name, number)}{mark}"


def _parts(name: str, number: int) -> str:
    """What the names of the folders begin with that steps of a file leave their files in."""
    rest = f"{_PARTS}-{number}-"
    # Sure of room for eight letters behind it, wherever the folder is.
    return shortened(Path("/"), f".{name}", f"{rest}{'-' * 8}")[:-8]


def remove_parts(target: str, number: int) -> None:
    """Removes what the steps of a file that was cut have left beside its target."""
    parent, _, name = target.rpartition("/")
    with (
        suppress(StreamError, OSError),
        storage_errors(SinkError, f"{shown(parent)} cannot be changed"),
    ):
        files = filesystem(parent)
        begin = _parts(name, number)
        if lists_at_once(parent):
            # Without asking for all the results that lie there.
            files.invalidate_cache()
            for path in files.find(parent, prefix=begin):
                files.rm(path)
            return
        for about in files.ls(parent, detail=True, refresh=True):
            path = str(about["name"]).rstrip("/")
            if path.rpartition("/")[2].startswith(begin):
                files.rm(path, recursive=True)
