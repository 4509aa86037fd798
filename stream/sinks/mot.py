"""Records as MOTChallenge's text: a line for each object and frame, for trackers' evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from stream.frame import Frame, VideoInfo
from stream.objects.instance import Instance
from stream.sinks._records import Records, exact

_NOBODY = -1


class MotSink(Records):
    """Writes MOTChallenge's results: frame, id, left, top, width, height, score, -1, -1, -1.

    Frames, ids and pixels count from 1 there; what has no identity is -1. The format knows neither
    classes nor masks.
    """

    endings: ClassVar[tuple[str, ...]] = (".mot", ".txt")
    sized: ClassVar[bool] = False
    mask_forms: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        overwrite: bool = False,
        masks: str = "none",
    ) -> None:
        """Creates the file; see `Records`."""
        super().__init__(path, info, overwrite=overwrite, masks=masks)
        self._classes: set[str] = set()

    def text(self, frame: Frame) -> str:
        """A line for each object."""
        return "".join(self._line(frame.index + 1, one) for one in frame.instances or ())

    @property
    def remarks(self) -> list[str]:
        """Says where objects of several classes, or sizes, cannot be told apart in the file."""
        said = super().remarks
        if len(self._classes) < 2:
            return said
        return [
            *said,
            f"{self.path.name} has no classes, but objects of {len(self._classes)} are in it; "
            "--classes chooses one",
        ]

    def _line(self, frame: int, one: Instance) -> str:
        self._classes.add(one.name)
        x1, y1, x2, y2 = (float(side) for side in one.box)
        identity = _NOBODY if one.track_id is None else one.track_id
        box = ",".join(f"{exact(side):.2f}" for side in (x1 + 1, y1 + 1, x2 - x1, y2 - y1))
        return f"{frame},{identity},{box},{exact(one.score):.6g},-1,-1,-1\n"
