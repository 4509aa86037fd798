"""A room of the page: one source, its run, and what viewers may change of it."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from stream import sources
from stream.compositing.palette import colour_of
from stream.compositing.style import Style
from stream.errors import SinkError, StreamError, UsageError
from stream.frame import Frame
from stream.run.aside import Aside
from stream.run.beside_display import BesideDisplay
from stream.run.figures import Outcome
from stream.run.finding import expect_companions, make_finder
from stream.run.notices import NO_PICTURE, stands_still
from stream.run.opening import make_painter
from stream.run.outputs import is_recorded
from stream.run.plan import OutputPlan, RunPlan
from stream.run.report import RunReport
from stream.run.run import Run
from stream.run.setup import Prepared, prepared
from stream.run.status import Entry
from stream.run.turns import Turns
from stream.serve.models import Models
from stream.serve.wishes import Wish
from stream.settings.options import InputOptions, PictureOptions
from stream.sinks.browser import BROWSER, BrowserSink, Slot
from stream.sources._first import telling
from stream.timing import CAPTURE_TO_DISPLAY, STAGES
from stream.types import JSON
from stream.wording.addresses import clean, secrets_of

if TYPE_CHECKING:
    from rich.console import Console

    from stream.inference.segmenter import Segmenter
    from stream.sources.base import Source

logger = logging.getLogger(__name__)

LOOKS = (
    "overlay", "blur", "grey", "dim", "spotlight", "replace", "binary",
    "pixelate", "hide", "contour", "boxes+labels", "fill+contour+trails",
)  # fmt: skip
"""What the page offers, besides the look that it was started with."""

_COLOUR = re.compile("[0-9a-fA-F]{6}")
_MOST_OBJECTS = 50
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_KEPT = 100
"""Earlier runs of a source that its report still tells of."""


class Room(Aside):
    """One source with its run, in a thread of its own; it begins again when the source ends.

    Args:
        key: by which the page names it.
        name: for people.
        plan: what is run; its output `browser` is the page.
        models: which may be chosen.
        turns: inference shared with the other rooms.
        console: where status lines go.
        source: opened already: then its end is the room's end.
    """

    def __init__(
        self,
        key: str,
        name: str,
        plan: RunPlan,
        models: Models,
        turns: Turns,
        *,
        console: Console | None,
        source: Source | None = None,
    ) -> None:
        super().__init__(name, "stream-room")
        self.key = key
        self.slot = Slot()
        self.problem: str | None = None
        self._awaited: str | None = None
        """For what the source that is being opened waits."""
        self.unsaid: str | None = None
        """What could not be written once it was told to end, a sentence; None where all was."""
        self.report: RunReport | None = None
        self._before: deque[Entry] = deque(maxlen=_KEPT)
        self.outcome: Outcome | None = None
        self.on_end: Callable[[], None] = lambda: None
        self.on_away: Callable[[RunReport], None] = lambda report: None
        """Takes what a run has done whose source has gone and is to be opened again."""
        self.reconnects = 0
        """How often it was opened again."""
        self.plan = plan
        """What is run."""
        self._models = models
        self._turns = turns
        self._console = console
        self._source = source
        self._again: tuple[str, InputOptions] | None = None
        self._secrets = secrets_of(str(plan.source.target))
        shown = next(one for one in plan.outputs if one.target == BROWSER)
        # The page has a chart of its own: the picture is for what is in it.
        timing = False if shown.picture.timing is None else shown.picture.timing
        self._first = self.picture = replace(shown.picture, timing=timing)
        self.model = plan.model.model
        self._segmenter: Segmenter | None = None
        self._ready: Prepared | None = None
        self._lock = threading.RLock()
        self._opened = time.perf_counter()

    @property
    def once(self) -> bool:
        """Whether its first end is its last: most files of other outputs cannot be begun again."""
        plan = self.plan
        named = [one for one in plan.outputs if one.target != BROWSER]
        if plan.live.part_minutes is not None:
            named = [one for one in named if not is_recorded(one)]
        files = plan.counts.plot is not None or bool(named)
        return self._source is not None or files or plan.live.seconds is not None

    @property
    def run(self) -> Run | None:
        """The run under way, if one is."""
        ready = self._ready
        return None if ready is None else ready.run

    @property
    def inferences(self) -> int:
        """How many frames of the run under way the model has looked at.

        That is not how many were shown with their own inference: of several sources hardly any are.
        """
        ready = self._ready
        schedule = None if ready is None else ready.schedule
        if isinstance(schedule, BesideDisplay):
            return schedule.inferences
        return 0 if ready is None else ready.run.counts.inferred

    @property
    def looks(self) -> list[str]:
        """What may be chosen."""
        return list(dict.fromkeys((self._first.look, *LOOKS)))

    def start(self) -> None:
        """Opens the source and runs, until `stop`."""
        self._segmenter = self._models.get(self.model)
        super().start()

    def still_for(self) -> float:
        """Seconds since a frame went through it last."""
        run = self.run
        return time.perf_counter() - self._opened if run is None else run.still_for

    # Its course.

    def _live(self) -> None:
        pause = _FIRST_PAUSE
        try:
            while not self._stopping.is_set():
                began = time.perf_counter()
                self._try()
                if self.once or self._stopping.is_set():
                    break
                done, self.report = self.report, None
                if done is not None and done.frames_in:
                    self.on_away(done)
                pause = _FIRST_PAUSE if time.perf_counter() - began > 60 else pause
                self._stopping.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                self.reconnects += 1
        finally:
            self.on_end()

    def _try(self) -> None:
        try:
            self._run_once()
        except StreamError as error:
            self._trouble(error)
        except Exception as error:
            logger.exception("%s ended by a fault of the program", self.name)
            self._trouble(error)
        else:
            if self.outcome is not None and self.outcome.error is not None:
                self._trouble(self.outcome.error)

    def _trouble(self, error: BaseException) -> None:
        said = clean(str(error), self._secrets)
        if self._stopping.is_set():
            # That its source breaks off is the end that was asked for; nobody asked for less files.
            self.unsaid = said if isinstance(error, SinkError) else None
        elif said != self.problem:
            logger.warning("%s: %s", self.name, said)
        self.problem = said

    def _run_once(self) -> None:
        plan = replace(self.plan, outputs=tuple(map(self._painted, self.plan.outputs)))
        with ExitStack() as opened:
            try:
                with telling(self._hear):
                    source = self._source if self._again is None else sources.open(*self._again)
                    ready = opened.enter_context(
                        prepared(plan, self._segmenter, source=source, turns=self._turns)
                    )
            finally:
                self._awaited = None
            self._remember(ready.run.source)
            for output in ready.outputs:
                if isinstance(output.sink, BrowserSink):
                    output.sink.slot = self.slot
                    self.slot.shape = ready.run.source.info.sample_aspect_ratio
            with self._lock:
                self._ready = ready
            if self._stopping.is_set():
                return
            run = ready.run
            account = ready.account(self._console, called=self.name, before=tuple(self._before))
            self.problem = None
            try:
                self.outcome = run.run(on_tick=account.tick, tick=0.5)
            finally:
                self._opened = time.perf_counter()
                with self._lock:
                    self._ready = None
            self.report = account.finish(self.outcome)
            if self.report.frames_in:
                self._before.append(account.entry(self.outcome))

    def _hear(self, words: str) -> None:
        self._awaited = words

    def _remember(self, source: Source) -> None:
        """Keeps what to open the source by again: a camera's number may be another's by then."""
        if source.again is not None and self._source is None:
            options = self.plan.source.options
            camera = replace(options.camera, device=None)
            self._again = source.again, replace(options, camera=camera)

    def _painted(self, output: OutputPlan) -> OutputPlan:
        return replace(output, picture=self.picture) if output.target == BROWSER else output

    # What viewers change.

    def change(self, wish: Wish) -> None:
        """Does what a viewer wants; a model takes a while to load, so from a thread that may wait.

        Raises:
            UsageError: it is not among what the page offers; nothing was changed then.
            StreamError: a model cannot be loaded.
        """
        with self._lock:
            picture = self._picture(wish)
            segmenter = self._model(wish)
            if wish.classes is not None:
                segmenter.classes = wish.classes or None
            if wish.threshold is not None:
                segmenter.threshold = wish.threshold
            ready = self._ready
            if segmenter is not self._segmenter:
                self._segmenter, self.model = segmenter, wish.model or self.model
                schedule = None if ready is None else ready.schedule
                if ready is not None and isinstance(schedule, BesideDisplay):
                    info = ready.run.source.info
                    with self._turns.opening():
                        segmenter.warm_up(info.width, info.height)
                        expect_companions(segmenter, info, self._turns)
                    schedule.use(make_finder(segmenter, self.plan.tracking, info))
            if picture != self.picture:
                self.picture = picture
                self._repaint(ready)

    def _picture(self, wish: Wish) -> PictureOptions:
        picture = self.picture
        if wish.look is not None:
            if wish.look not in self.looks:
                raise UsageError("there is no such look here")
            picture = replace(picture, look=wish.look)
        if wish.background is not None:
            # A path from a browser would read the server's files.
            if wish.background != "" and _COLOUR.fullmatch(wish.background) is None:
                raise UsageError("a background is a colour, RRGGBB")
            picture = replace(picture, background=wish.background or self._first.background)
        if wish.labels is not None:
            shown = self._first.label if self._first.label != "none" else "name number score"
            picture = replace(picture, label=shown if wish.labels else "none")
        return picture

    def _model(self, wish: Wish) -> Segmenter:
        """The model as it is to be; a copy where a class is unknown to leave the old one alone."""
        current = self._segmenter
        assert current is not None
        if wish.model is not None and wish.model != self.model:
            return self._models.get(wish.model)
        if wish.classes:
            current.sharing().classes = wish.classes
        return current

    def _repaint(self, ready: Prepared | None) -> None:
        if ready is None:
            return
        for output in ready.outputs:
            if isinstance(output.sink, BrowserSink):
                painter = make_painter(self.picture, ready.run.source.info, shown=True)
                ready.run.repaint(output, painter)

    # What the page is told.

    def settings(self) -> dict[str, JSON]:
        """How it stands with what can be changed."""
        segmenter = self._segmenter
        background = self.picture.background
        colour = _COLOUR.fullmatch(background) is not None
        return {
            "look": self.picture.look,
            "background": background.lower() if colour else "",
            "labels": self.picture.label != "none",
            "model": self.model,
            "threshold": 0.0 if segmenter is None else round(segmenter.threshold, 3),
            "classes": [] if segmenter is None else list(segmenter.classes or ()),
            "names": [] if segmenter is None else list(segmenter.names),
        }

    def state(self) -> dict[str, JSON]:
        """How it goes, for the page: figures, objects in view, what is wrong."""
        ready = self._ready
        state: dict[str, JSON] = {"viewers": self.slot.viewers}
        if ready is None:
            waits = self._awaited or self.problem or "opening"
            return state | {"problem": waits, "objects": []}
        run = ready.run
        recent = run.clock.recent()
        counts = run.counts
        rate = run.clock.rate
        frame = self.slot.frame
        notes = list(getattr(run.source, "notes", ()))
        still = stands_still(run.still_for, rate, gone=bool(notes))
        problem: str | None = None
        if still:
            problem = notes[0] if notes else NO_PICTURE
        elif self.slot.viewers and frame is None:
            problem = "the model looks at the first picture"  # which is not shown before
        return state | {
            "problem": problem,
            # Why names files of this machine, which are nothing to everybody who watches.
            "stuck": sum(one.problem is not None for one in run.outputs),
            "fps": 0.0 if rate is None or still else round(rate, 1),
            "latency": round(1e3 * recent.get(CAPTURE_TO_DISPLAY, 0.0), 1),
            "stages": {
                name: round(1e3 * recent[name], 1)
                for name in STAGES
                if name in recent and recent[name] >= 5e-5
            },
            "dropped": counts.dropped,
            "inferred": self.inferences,
            "carried": counts.propagated,
            "reconnects": self.reconnects + run.reconnects,
            "provider": ready.segmenter.provider,
            "size": [run.info.width, run.info.height],
            "objects": [] if frame is None else objects_of(frame, self.picture),
        }


def objects_of(frame: Frame, picture: PictureOptions) -> list[JSON]:
    """The objects of a frame with the colours that they are painted in, best first."""
    instances = frame.instances
    if instances is None:
        return []
    palette = Style.from_options(picture).palette_colours
    found: list[JSON] = []
    for index, name in enumerate(instances.names[:_MOST_OBJECTS]):
        tracked = instances.track_ids
        number = index + 1 if tracked is None else int(tracked[index])
        identity = {"class": int(instances.labels[index]) + 1, "object": index + 1}.get(
            picture.colours, number
        )
        red, green, blue = colour_of(identity, palette)
        found.append(
            {
                "name": name,
                "number": number,
                "score": round(float(instances.scores[index]), 2),
                "colour": f"#{red:02x}{green:02x}{blue:02x}",
            }
        )
    return found
