"""Workers, as the driver sees them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from stream.errors import StreamError
from stream.fleet.parts import PartKey
from stream.fleet.task import Done, Task
from stream.wording.words import counted


@dataclass(frozen=True, slots=True)
class Need:
    """What a worker asks of its machine.

    Attributes:
        cores: processor cores, for bookkeeping and for inference's threads.
        gpus: GPUs, also in parts, such as 0.25.
        memory: GiB that must be free; None asks for none.
        most: workers at most; None for as many as the machines take.
        patience: seconds without a sign of life after which a worker is taken for stuck, and
            without any machine after which the fleet ends.
    """

    cores: int = 1
    gpus: float = 0.0
    memory: float | None = None
    most: int | None = None
    patience: float = 1800.0

    def __str__(self) -> str:
        return (
            counted(self.cores, "core")
            + (f" and {self.gpus:g} GPUs" if self.gpus else "")
            + (f" and {self.memory:g} GiB of memory" if self.memory else "")
        )


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker that was lost with a task.

    Attributes:
        number: the task's.
        error: what is known of it, in a sentence.
        key: which part of the file it was; None for the file.
        serial: the task's.
        node: the machine's name.
    """

    number: int
    error: str
    key: PartKey | None = None
    serial: int = 0
    node: str = ""


class Pool(ABC):
    """Workers that tasks are given to."""

    @abstractmethod
    def free(self, tasks: int) -> int:
        """How many of so many tasks would begin at once.

        For the others workers are started, as far as there is room for them.

        Raises:
            StreamError: the machines cannot be asked.
        """

    def free_on(self, tasks: int) -> list[str]:
        """The machine of each worker that would begin one of so many tasks; "" where that is alike.

        Raises:
            StreamError: the machines cannot be asked.
        """
        return [""] * self.free(tasks)

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Gives a task to a free worker, of the machine that it names where it names one."""

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
