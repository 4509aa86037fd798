"""What a worker is told to do, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from stream.fleet.parts import PartKey, PartTask


@dataclass(frozen=True, slots=True)
class Task:
    """One file for a worker, or a part of one.

    Attributes:
        number: the file's in the ledger.
        source: its path or address.
        targets: where its results go, one for each output of the plan.
        split: how many seconds a part has at least, where a long file is to be cut; else None.
        part: which part it is; None for the file.
        serial: of the task, for its driver.
        node: the machine that is to do it; "" for any.
    """

    number: int
    source: str
    targets: tuple[str, ...]
    split: float | None = None
    part: PartTask | None = None
    serial: int = 0
    node: str = ""

    @property
    def key(self) -> PartKey | None:
        """Which part it is; None for the file."""
        return None if self.part is None else self.part.key


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task.

    Attributes:
        number: the task's.
        node: the machine's name.
        seconds: that it took.
        frames: in the result.
        error: why it failed, in a sentence; None where all results are in their places.
        key: which part it was; None for the file.
        begins: where the parts of a file begin that is to be done in parts; then nothing else was.
        version: of that file, as its disk or storage tells it.
        whole: whether a file that was cut is to be done at once from here on.
        lost: whether what an earlier step wrote is gone, or the file is another than was cut, so
            that it must begin anew.
        unplaced: whether what failed is that results could not be put in their places.
        unfetched: whether it is that the storage gave nothing, by no fault of the file's.
        remark: what is to be said of the file.
        serial: the task's.
    """

    number: int
    node: str
    seconds: float
    frames: int = 0
    error: str | None = None
    key: PartKey | None = None
    begins: tuple[int, ...] = ()
    version: str = ""
    whole: bool = False
    lost: bool = False
    unplaced: bool = False
    unfetched: bool = False
    remark: str = ""
    serial: int = 0
