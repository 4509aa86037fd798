"""The steps of a file that is cut into parts, and where they leave what the next ones need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """What is done with a part of a file, or with all of its parts together, in this order."""

    FIND = "find"
    """Decode a part and infer its frames: the costly one, a task for each part."""

    FOLLOW = "follow"
    """Say who is who, over all parts in order, without their pictures; write the records."""

    PAINT = "paint"
    """Decode a part again, paint and encode it, a task for each part."""

    JOIN = "join"
    """Put the parts' packets together, with everything else that the file holds."""

    WHOLE = "whole"
    """In place of the last three: do the whole file at once, with what was found of its frames."""


@dataclass(frozen=True, slots=True, order=True)
class PartKey:
    """Which part of a file, and what is done with it.

    Attributes:
        step: what.
        place: the part's, from 0; 0 where it is all of them.
    """

    step: Step
    place: int = 0

    @property
    def of_each(self) -> bool:
        """Whether it is done with each part."""
        return self.step in (Step.FIND, Step.PAINT)

    def __str__(self) -> str:
        return f"{self.step.value} {self.place + 1}" if self.of_each else self.step.value


@dataclass(frozen=True, slots=True)
class PartTask:
    """What a worker is told of a part.

    Attributes:
        key: which part, and what is done.
        begins: where each part of the file begins, in ticks on the frames' clock.
        frames: how many each has, once that was found.
        folder: where steps leave what the next ones need.
        version: of the file that was cut, which it still must be; "" where that is unknown.
    """

    key: PartKey
    begins: tuple[int, ...]
    frames: tuple[int, ...]
    folder: str
    version: str = ""

    @property
    def count(self) -> int:
        """How many parts there are."""
        return len(self.begins)

    def found(self, place: int) -> str:
        """Where the candidates of a part's frames are."""
        return f"{self.folder}/found-{place}.kept"

    def followed(self, place: int) -> str:
        """Where the objects of a part's frames are, with their identities."""
        return f"{self.folder}/followed-{place}.kept"

    def painted(self, place: int) -> str:
        """Where a part's packets are."""
        return f"{self.folder}/painted-{place}.packets"


def following(done: PartKey, whole: bool, count: int) -> list[PartKey]:
    """What is to be done once all tasks of a step are done; nothing after the last.

    Args:
        done: one of them.
        whole: whether it turned out that the file is to be done at once from there.
        count: how many parts there are.
    """
    if done.step == Step.FIND:
        return [PartKey(Step.FOLLOW)]
    if done.step != Step.WHOLE and whole:
        return [PartKey(Step.WHOLE)]
    if done.step == Step.FOLLOW:
        return [PartKey(Step.PAINT, place) for place in range(count)]
    return [PartKey(Step.JOIN)] if done.step == Step.PAINT else []


def progress_of(keys: Sequence[tuple[PartKey, bool]]) -> str:
    """How far a cut file is, in words.

    Args:
        keys: its tasks so far, and whether each is done.
    """
    count = sum(key.step == Step.FIND for key, _ in keys)
    found = sum(done for key, done in keys if key.step == Step.FIND)
    painted = sum(done for key, done in keys if key.step == Step.PAINT)
    if found < count:
        return f"{found} of {count} parts looked through"
    if any(key.step == Step.WHOLE for key, _ in keys):
        return f"{count} parts looked through, being painted at once"
    if any(key.step == Step.JOIN for key, _ in keys):
        return f"{count} parts painted, being joined"
    if any(key.step == Step.PAINT for key, _ in keys):
        return f"{painted} of {count} parts painted"
    return f"{count} parts looked through, being followed"
