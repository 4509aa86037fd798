"""How far a fleet is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """How far a fleet is.

    Attributes:
        total: files.
        done: of them, those that an earlier driver did among them.
        failed: given up.
        running: on their way.
        frames: done by this driver.
        seconds: since it began.
        left: seconds that the rest will take, None before that can be said.
        workers: on each machine.
        node_frames: done by this driver on each machine.
        parts: of files that are being done in parts: their tasks as far as they are known.
        parts_done: of these.
        note: why nothing goes on, in a few words.
    """

    total: int = 0
    done: int = 0
    failed: int = 0
    running: int = 0
    frames: int = 0
    seconds: float = 0.0
    left: float | None = None
    workers: dict[str, int] = field(default_factory=dict)
    node_frames: Counter[str] = field(default_factory=Counter)
    parts: int = 0
    parts_done: int = 0
    note: str = ""

    @property
    def fps(self) -> float:
        """Frames a second, over all machines."""
        return self.frames / self.seconds if self.seconds else 0.0

    def did(self, node: str, frames: int) -> None:
        """A machine has done frames."""
        self.frames += frames
        self.node_frames[node] += frames
