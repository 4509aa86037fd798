"""Workers, as the driver sees them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from stream.errors import StreamError
from stream.fleet.parts import PartKey
from stream.fleet.work import Done, Task


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker that was lost with a task.

    Attributes:
        number: the task's.
        error: what is known of it, in a sentence.
        key: which part of the file it was; None for the file.
        serial: the task's.
    """

    number: int
    error: str
    key: PartKey | None = None
    serial: int = 0


class Pool(ABC):
    """Workers that tasks are given to."""

    @abstractmethod
    def free(self) -> int:
        """How many tasks would begin at once."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Gives a task to a free worker."""

    @abstractmethod
    def wait(self, timeout: float) -> list[Done | Lost]:
        """What has ended within so many seconds; the workers of it are free, or gone.

        Raises:
            StreamError: no worker can ever do anything: the model cannot be loaded.
        """

    @abstractmethod
    def workers(self) -> dict[str, int]:
        """How many workers there are on each machine."""

    @property
    def note(self) -> str:
        """Why nothing goes on, in a few words; "" where it does."""
        return ""

    @abstractmethod
    def close(self) -> None:
        """Ends the workers, in the middle of their tasks if need be."""


def nothing_works(reason: str) -> StreamError:
    """The error for a fleet of which no worker can do anything."""
    return StreamError(f"no worker can begin: {reason}")
