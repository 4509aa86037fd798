"""What can be changed while a live run goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from stream.errors import StreamError
from stream.run.about import Told
from stream.run.opening import make_painter
from stream.run.output import Output
from stream.run.run import Run
from stream.settings.options import PictureOptions

_STEP = 0.05

NOTHING_RECORDED = "nothing recorded, as no picture came meanwhile"

LOOKS = ("overlay", "binary")
"""What a key goes through."""


class Controls:
    """Changes a run's picture, threshold and recording; one thread at a time.

    Args:
        run: the live run.
        segmenter: whose threshold is changed.
        display: the output whose layers are changed; what shares its painting goes with it.
        picture: how it is painted at first.
        record: makes an output that records to a path what the display shows, mirrored only where
            that was asked for.
    """

    def __init__(
        self,
        run: Run,
        segmenter: Told,
        display: Output,
        picture: PictureOptions,
        record: Callable[[Path, PictureOptions], Output],
    ) -> None:
        self._run = run
        self._segmenter = segmenter
        self._display = display
        self._picture = picture
        self._asked_mirror = picture.mirror
        self._record = record
        self._recording: Output | None = None

    @property
    def recording(self) -> Output | None:
        """The recording under way, if one is."""
        if self._recording is not None and not self._recording.alive:
            self._recording = None
        return self._recording

    def stop(self) -> None:
        """Ends the run; what is under way is shown and written."""
        self._run.stop()

    def say(self, text: str) -> None:
        """Shows a line to who watches, for a moment."""
        self._run.say(text)

    def next_look(self) -> str:
        """Goes on to the next look; returns a line for the user."""
        place = LOOKS.index(self._picture.look) + 1 if self._picture.look in LOOKS else 0
        self._repaint(replace(self._picture, look=LOOKS[place % len(LOOKS)]))
        return f"look: {self._picture.look}"

    def toggle_labels(self) -> str:
        """Shows or hides labels; returns a line for the user."""
        shown = self._picture.label == "none"
        self._repaint(replace(self._picture, label="name number score" if shown else "none"))
        return f"labels {'on' if shown else 'off'}"

    def toggle_timing(self) -> str:
        """Shows or hides the timing panel; returns a line for the user."""
        painter = self._display.painter
        shown = painter is None or not painter.timing
        self._repaint(replace(self._picture, timing=shown))
        return f"timing panel {'on' if shown else 'off'}"

    def toggle_mirror(self) -> str:
        """Exchanges left and right on the display; returns a line for the user."""
        painter = self._display.painter
        mirrored = painter is None or not painter.key.mirror
        self._repaint(replace(self._picture, mirror=mirrored), alone=True)
        return f"mirror {'on' if mirrored else 'off'}"

    def move_threshold(self, steps: int) -> str:
        """Raises or lowers the lowest score by steps of 0.05; returns a line for the user."""
        wanted = round(self._segmenter.threshold / _STEP + steps) * _STEP
        self._segmenter.threshold = min(0.95, max(0.05, wanted))
        return f"threshold {self._segmenter.threshold:.2f}"

    def start_recording(self, path: Path) -> str:
        """Begins a recording with the next frame; returns a line for the user.

        Raises:
            StreamError: one is under way, or the file cannot be written.
        """
        if self.recording is not None:
            raise StreamError(f"{self.recording.name} is being recorded already")
        self._recording = self._record(path, replace(self._picture, mirror=self._asked_mirror))
        self._run.add(self._recording)
        return f"recording {path.name}"

    def stop_recording(self) -> str:
        """Finishes the recording, in its own time; returns a line for the user."""
        recording = self.end_recording()
        if recording is None:
            return "no recording"
        if not recording.reached:
            return NOTHING_RECORDED
        return f"recorded {Path(recording.name).name}"

    def end_recording(self) -> Output | None:
        """Finishes the recording, in its own time; returns it, None where there was none."""
        recording, self._recording = self.recording, None
        if recording is not None:
            self._run.remove(recording)
        return recording

    def _repaint(self, picture: PictureOptions, *, alone: bool = False) -> None:
        before = self._display.painter
        mirrored = picture.mirror
        if mirrored is None:
            mirrored = before is not None and before.key.mirror
        self._picture = picture
        recording = self.recording
        self._run.repaint(
            self._display,
            make_painter(replace(picture, mirror=mirrored)),
            alone=alone,
        )
        if recording is not None and recording.key != self._display.key:
            asked = bool(self._asked_mirror)
            self._run.repaint(recording, make_painter(replace(picture, mirror=asked)))
