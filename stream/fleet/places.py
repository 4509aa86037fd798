"""Files here and in object storage: what there is, and whole results only."""

from __future__ import annotations

import glob
import hashlib
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stream.addresses import redact
from stream.errors import SinkError, SourceError, StreamError, UsageError
from stream.extras import lack
from stream.files import shortened, sync_file, sync_folder

if TYPE_CHECKING:
    from fsspec.callbacks import Callback
    from fsspec.spec import AbstractFileSystem

_PARTIAL = ".fleet-partial"
_PARTS = ".fleet-parts"
_RANDOM = 4  # bytes by which results on their way are told apart
# Storage that lists what begins with some letters.
_BY_BEGINNING = {"s3", "s3a", "gs", "gcs"}
_WEB = {"http", "https"}
STORAGE = {"s3", "s3a", "gs", "gcs", "az", "abfs", "adl", "memory"}
"""What is put there is there when it is whole, or not at all."""


@contextmanager
def storage_errors(kind: type[StreamError], sentence: str) -> Iterator[None]:
    """Says in one sentence what a storage did not do.

    Each storage's library raises classes of its own, of no common base: credentials that are not
    there, names that no bucket may have, a server that refuses.
    """
    try:
        yield
    except StreamError:
        raise
    except Exception as error:
        words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise kind(f"{sentence}: {words}") from error


def whole(place: str) -> str:
    """A path from the root on, which means the same in each process; an address as it is.

    With `/` between its parts on every system, as fsspec has them.
    """
    return place if is_remote(place) else Path(place).absolute().as_posix()


def is_same(one: str, other: str) -> bool:
    """Whether two places are the same file."""
    if one == other:
        return True
    if is_remote(one) or is_remote(other):
        return False
    with suppress(OSError):  # one of them is not there
        return Path(one).samefile(other)
    return False


def shown(place: str) -> str:
    """A place as it may be shown: an address without its secrets, a path as it is."""
    return redact(place) if is_remote(place) else place


def identity(place: str) -> tuple[int, int] | str:
    """What two places have in common that are the same file: one on this disk by its number."""
    if is_remote(place):
        return place
    try:
        about = Path(place).stat()
    except OSError:
        return place  # it is not there
    return about.st_dev, about.st_ino


def is_below(place: str, folder: str) -> bool:
    """Whether a file lies in a folder, or anywhere below it."""
    if is_remote(place) != is_remote(folder):
        return False
    if is_remote(place):
        return place.startswith(f"{folder.rstrip('/')}/")
    return Path(place).resolve().is_relative_to(Path(folder).resolve())


Life = Callable[[], None]
"""A sign of life: is called while something takes long and goes on."""


def _nobody() -> None:
    return


def _told(life: Life) -> Callback:
    """What fsspec tells how far it is."""
    from fsspec.callbacks import Callback

    return Callback(hooks={"life": lambda *_, **__: life()})


def is_remote(place: str) -> bool:
    """Whether a place is an address such as s3://bucket/key; not a path."""
    return "://" in place


def parts_folder(target: str, number: int, *about: str) -> str:
    """The folder beside a target in which the steps of a file that is cut leave their files.

    Args:
        target: where the file's result goes.
        number: the file's in the ledger.
        about: what would make these files others: the file's fingerprint, the options' hash.
    """
    parent, _, name = target.rpartition("/")
    mark = hashlib.sha256("\n".join(about).encode()).hexdigest()[:8]
    return f"{parent}/{_parts(name, number)}{mark}"


def _parts(name: str, number: int) -> str:
    """What the names of the folders begin with that steps of a file leave their files in."""
    rest = f"{_PARTS}-{number}-"
    # Sure of room for eight letters behind it, wherever the folder is.
    return shortened(Path("/"), f".{name}", f"{rest}{'-' * 8}")[:-8]


def filesystem(place: str) -> AbstractFileSystem:
    """What reads and writes a place.

    Raises:
        UsageError: nothing installed knows addresses of this kind.
    """
    import fsspec

    protocol = urlsplit(place).scheme if is_remote(place) else "file"
    try:
        files: AbstractFileSystem = fsspec.filesystem(protocol)
    except (ValueError, ImportError) as error:
        raise UsageError(f"{shown(place)} cannot be reached: {lack(protocol, error)}") from error
    if protocol in ("s3", "s3a"):
        files.retries = 2  # with its five, each of five below, no answer takes seven minutes
    return files


def exists(place: str) -> bool:
    """Whether a result is there.

    Raises:
        SinkError: the storage does not answer.
    """
    with storage_errors(SinkError, f"{shown(place)} cannot be asked for"):
        return bool(filesystem(place).exists(place))


_FEW = 8
"""So many results in a folder are asked for one by one; of more the folder is listed."""
_MANY = 50  # so many folders are looked into one by one


def there(places: Iterable[str]) -> set[str]:
    """Those of some results that are there.

    Raises:
        SinkError: the storage does not answer.
    """
    folders: dict[str, list[str]] = {}
    for place in places:
        folders.setdefault(place.rpartition("/")[0], []).append(place)
    if len(folders) > _MANY and (above := _listed_at_once(folders)):
        below = _all_below(above)
        return {place for asked in folders.values() for place in asked if place in below}
    found: set[str] = set()
    for folder, asked in folders.items():
        if len(asked) <= _FEW:
            found.update(place for place in asked if exists(place))
        else:
            names = _names(folder)
            found.update(place for place in asked if place.rpartition("/")[2] in names)
    return found


def _listed_at_once(folders: Collection[str]) -> str:
    """The folder above some of a storage that lists a thousand objects at a time; "" for none.

    Not a whole bucket, in which anything may lie.
    """
    first, last = f"{min(folders)}/", f"{max(folders)}/"  # what these have in common all have
    pairs = enumerate(zip(first, last, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), len(first))
    above = first[:same].rpartition("/")[0]
    return above if lists_at_once(above) and urlsplit(above).path.strip("/") else ""


def _all_below(folder: str) -> set[str]:
    scheme = urlsplit(folder).scheme
    files = filesystem(folder)
    with storage_errors(SinkError, f"{shown(folder)} cannot be looked into"):
        files.invalidate_cache()
        try:
            return {f"{scheme}://{str(path).lstrip('/')}" for path in files.find(folder)}
        except FileNotFoundError:
            return set()


def _names(folder: str) -> set[str]:
    with storage_errors(SinkError, f"{shown(folder)} cannot be looked into"):
        try:
            if not is_remote(folder):
                return {path.name for path in Path(folder).iterdir()}
            listed = filesystem(folder).ls(folder, detail=False, refresh=True)
        except (FileNotFoundError, NotADirectoryError):
            return set()
    return {str(path).rstrip("/").rpartition("/")[2] for path in listed}


@contextmanager
def at_hand(source: str, scratch: Path, life: Life = _nobody) -> Iterator[Path]:
    """The file as a path: itself, or a copy for as long as the block lasts.

    Args:
        source: its path or address.
        scratch: the folder for a copy.
        life: called again and again while it is fetched.

    Raises:
        SourceError: it cannot be fetched.
    """
    if not is_remote(source):
        yield Path(source)
        return
    folder = scratch / secrets.token_hex(8)
    folder.mkdir(parents=True)
    # Its own name, by which its results and its records are called.
    copy = here(folder, source)
    try:
        with storage_errors(SourceError, f"{shown(source)} cannot be fetched"):
            filesystem(source).get_file(source, str(copy), callback=_told(life))
        yield copy
    except StreamError as error:
        # Of a copy nobody knows.
        if str(copy) not in str(error):
            raise
        raise SourceError(str(error).replace(str(copy), shown(source))) from error
    finally:
        copy.unlink(missing_ok=True)
        folder.rmdir()


def is_web(place: str) -> bool:
    """Whether a place is on a web server, which knows no folders."""
    return urlsplit(place).scheme in _WEB


def lists_at_once(place: str) -> bool:
    """Whether a place is in a storage that lists a thousand objects at a time."""
    return urlsplit(place).scheme in _BY_BEGINNING


def without_query(place: str) -> str:
    """A place without what a web server is told besides, such as a signature that nobody may see.

    Elsewhere `?` is a letter like others.
    """
    return place.partition("?")[0] if is_web(place) else place


def here(folder: Path, place: str) -> Path:
    """A file in a folder of this disk that is called as what lies in a place, if need be shorter.

    Storage takes longer names than disks do.
    """
    name = without_query(place).rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    return folder / shortened(folder, stem or name, f".{ending}" if dot and stem else "")


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


def _partial(folder: Path, name: str, number: int, random: str) -> str:
    """What a result is called on its way."""
    stem, dot, ending = name.rpartition(".")
    return shortened(folder, f".{stem or name}", f"{_PARTIAL}-{number}-{random}{dot}{ending}")


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
