"""One live line while a run goes on; silent where standard error is not a terminal."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from stream.frame import VideoInfo
from stream.run.figures import Counts
from stream.timing import Clock
from stream.wording.words import counted, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


class ProgressLine:
    """Frames, percent, fps, time left, objects in view and provider, on one line.

    Where the number of frames is only an estimate, the percentage follows the media time.
    """

    def __init__(
        self,
        console: Console | None,
        info: VideoInfo,
        provider: str,
        counts: Callable[[], Counts],
        clock: Clock,
        which: str = "",
    ) -> None:
        self._counts = counts
        self._clock = clock
        # Old releases of rich end even a line that was never shown.
        self._progress: Progress | None = None
        if console is not None and console.is_terminal:
            self._progress = _progress(console)
            self._task = self._progress.add_task(
                f"{which}{visible(info.name)}",
                total=info.frames,
                fps="",
                objects="",
                provider=provider,
            )

    def update(self) -> None:
        """Shows the counts as they stand now."""
        if self._progress is None:
            return
        rate = self._clock.rate
        counts = self._counts()
        self._progress.update(
            self._task,
            completed=counts.frames_out,
            fps=f"{rate:.1f} fps" if rate else "",
            objects=counted(counts.objects, "object"),
        )

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()


def _progress(console: Console) -> Progress:
    # Its sixty modules are of use in a terminal only.
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[fps]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[objects]}"),
        TextColumn("{task.fields[provider]}", style="dim", markup=False),
        console=console,
        transient=True,
    )
