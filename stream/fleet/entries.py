"""What a ledger says of files and of their parts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stream.fleet.parts import PartKey


class State(StrEnum):
    """How far a file is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is to be done.

    Attributes:
        source: its path or address.
        targets: where its results go, the video first.
        fingerprint: changes where the file does.
        options: changes where what is asked for does.
    """

    source: str
    targets: tuple[str, ...]
    fingerprint: str
    options: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What has become of a task: a file that is done at once, or a part of one.

    Attributes:
        state: how far it is.
        tries: how often it was tried and failed by itself.
        lost: how often the worker or its machine was lost with it.
        seconds: that its last try took.
        frames: in its result.
        node: the machine that did it.
        error: why it failed, in a sentence.
        begun: when its last try began, in seconds since 1970.
        ended: when that ended.
    """

    state: State
    tries: int = 0
    lost: int = 0
    seconds: float = 0.0
    frames: int = 0
    node: str = ""
    error: str = ""
    begun: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Fate):
    """What the ledger knows of a file.

    Attributes:
        number: its own, for as long as the ledger lives.
        wanted: what is to be done.
        remark: what is to be said of it, a sentence.
    """

    number: int
    wanted: Wanted
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartEntry(Fate):
    """What the ledger knows of a task of a file that is cut.

    Attributes:
        number: the file's.
        key: which part, and what is done with it.
        begin: where the part begins, in ticks on the frames' clock.
    """

    number: int
    key: PartKey
    begin: int
