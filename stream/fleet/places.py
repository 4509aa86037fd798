"""Places of files, here and in object storage: which they are, and what is there."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stream.disk.files import shortened
from stream.errors import SinkError, StreamError, UsageError
from stream.system.extras import lack
from stream.wording.addresses import redact

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem

_S3 = {"s3", "s3a"}

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


_OF_WHO_ASKS = {
    "AccountProblem", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "InvalidSecurity",
    "InvalidToken", "NotSignedUp", "RequestTimeTooSkewed", "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}  # fmt: skip
"""What S3 says where it gives nothing to whoever asks so, whatever is asked for."""


def is_of_one(error: BaseException) -> bool:
    """Whether what a storage says is of the one object: it is not there, or not for everybody.

    Args:
        error: of fsspec; where it stands for another of S3's library, that is its cause.
    """
    answer = getattr(error.__cause__ or error, "response", None)
    if isinstance(answer, dict) and answer.get("Error", {}).get("Code") in _OF_WHO_ASKS:
        return False
    # S3 answers with these also to what it does not do for an object, such as one in cold storage.
    own = (FileNotFoundError, PermissionError, IsADirectoryError)
    return isinstance(error, own) or getattr(error, "errno", None) in (errno.EINVAL, errno.EPERM)


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


def is_remote(place: str) -> bool:
    """Whether a place is an address such as s3://bucket/key; not a path."""
    return "://" in place


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
    if protocol in _S3:
        files.retries = 2  # with its five, each of five below, no answer takes seven minutes
    return files


def asks_for_version(place: str) -> bool:
    """Whether S3's library would take the newest object of another name: `a.mp4?versionId=x`."""
    return urlsplit(place).scheme in _S3 and "?versionId=" in place


def exists(place: str) -> bool:
    """Whether a result is there.

    Raises:
        SinkError: the storage does not answer.
    """
    with storage_errors(SinkError, f"{shown(place)} cannot be asked for"):
        return bool(filesystem(place).exists(place))


_STAMPS = ("ETag", "etag", "md5Hash", "mtime", "LastModified")


def fingerprint_of(about: Mapping[str, object]) -> str:
    """What changes where a file does: its size and time, or what the storage says in their place.

    Args:
        about: the file, as fsspec tells of it.
    """
    stamp = next((about[key] for key in _STAMPS if key in about), "")
    return f"{about.get('size')}:{stamp}"


def fingerprint(place: str) -> str:
    """The fingerprint of what is there now, whatever was there when it was asked for before.

    Raises:
        Exception: of the storage's library; see `storage_errors`.
    """
    files = filesystem(place)
    files.invalidate_cache()
    return fingerprint_of(files.info(place))


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
