"""Several live sources at once: a run for each, one model, one window.

Each source has threads and outputs of its own and ends on its own. What they share is the model's
inference, in turns, and the window, in which each has a tile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stream import sources
from stream.errors import SinkError, SourceError, StreamError
from stream.frame import VideoInfo
from stream.queues import WhenFull
from stream.run.aside import Aside, end_all
from stream.run.awaited import Company
from stream.run.controls import Controls
from stream.run.figures import Outcome
from stream.run.finding import load_segmenter
from stream.run.guard import report_of
from stream.run.interrupt import on_interrupt
from stream.run.opening import make_painter
from stream.run.output import Output
from stream.run.plan import OutputPlan, RunPlan
from stream.run.report import RunReport, failed_report, write_report
from stream.run.run import Run
from stream.run.setup import Prepared, check, prepared, recorder
from stream.run.switching import quick_switching
from stream.run.turns import Turns
from stream.run.unused import unheeded, unused
from stream.sources._first import telling
from stream.wording.addresses import clean, secrets_of
from stream.wording.names import WINDOW

if TYPE_CHECKING:
    from rich.console import Console

    from stream.inference.segmenter import Segmenter
    from stream.run.tiles import Tile, Tiles
    from stream.settings.options import InputOptions
    from stream.sources.base import Source, Target

logger = logging.getLogger(__name__)

_TICK = 0.1

Say = Callable[[str], None]


class Part(Aside):
    """One source of several, with its run in a thread of its own.

    Args:
        name: for people and files.
        plan: what is run.
        segmenter: the shared model, with a threshold of the source's own.
        turns: inference shared with the others.
        tile: its part of the window, if there is one.
        company: all sources, for as long as one of which goes on this one is waited for.
        console: where status lines go.
        say: is told at once what is wrong.
    """

    def __init__(
        self,
        name: str,
        plan: RunPlan,
        segmenter: Segmenter,
        turns: Turns,
        tile: Tile | None,
        company: Company,
        *,
        console: Console | None,
        say: Say,
    ) -> None:
        super().__init__(name, "stream-source")
        self.report: RunReport | None = None
        self.outcome: Outcome | None = None
        self.problem: str | None = None
        """Why it failed, a sentence; None where it did not."""
        self.fault: BaseException | None = None
        """An error of the program itself."""
        self._run: Run | None = None
        self.controls: Controls | None = None
        shown = [one for one in plan.outputs if one.target == WINDOW]
        self._shown = shown[0] if shown else OutputPlan(WINDOW)
        windows = [] if tile is None else [self._shown]
        self._unused = unheeded(plan.source) + unused(
            [*plan.outputs, *windows],
            photos=False,
            model=plan.model,
            recording=plan.live,
            live=True,
            counts=plan.counts,
        )
        self._plan = replace(plan, outputs=tuple(o for o in plan.outputs if o.target != WINDOW))
        self._segmenter = segmenter
        self._turns = turns
        self._tile, self._company = tile, company
        self._told = ""
        self._console = console
        self._say = say
        self._secrets = secrets_of(str(plan.source.target))

    @property
    def run(self) -> Run | None:
        """The run, once there is one."""
        return self._run

    def _live(self) -> None:
        try:
            self._go()
        except StreamError as error:
            # What was not there yet when all were told to end has not failed.
            if self._told or self._run is not None or not self._stopping.is_set():
                self._trouble(error)
            self._report_failure(str(error))
        except BaseException as error:  # noqa: BLE001 - carried to the main thread
            self.fault = error
            self._trouble(error)
        finally:
            self._company.left(self.name)
            self.controls = None
            if self._tile is not None:
                self._tile.end(self.problem or "ended")

    def _go(self) -> None:
        further = () if self._tile is None else (self._in_tile,)
        with prepared(
            self._plan,
            self._segmenter,
            source=self._opened(),
            turns=self._turns,
            further=further,
        ) as ready:
            run = self._run = ready.run
            if self._tile is not None:
                self.controls = self._controls(ready)
            if self._stopping.is_set():
                return
            account = ready.account(self._console, self._unused, self.name)
            self.outcome = run.run(on_tick=account.tick, tick=_TICK)
            self.report = account.finish(self.outcome)
        error = self.outcome.error
        if isinstance(error, StreamError):
            self._trouble(error)
        elif error is not None:
            raise error

    def _opened(self) -> Source | None:
        """The source, once it is there; None where nobody waits for one of its kind."""
        target, options = self._plan.source.target, self._plan.source.options
        if not sources.kind_of(target).comes_back:
            return None
        return self._company.awaited(
            self.name,
            partial(self._try, target, options),
            self._missing,
            wanted=lambda: not self._stopping.is_set(),
            patience=options.network.give_up,
        )

    def _try(self, target: Target, options: InputOptions) -> Source:
        if self._tile is None:
            return sources.open(target, options)
        try:
            with telling(self._tile.opens):
                return sources.open(target, options)
        except SourceError:
            if self._told:
                self._tile.awaited(self._told)  # of which it is told but once
            raise

    def _missing(self, error: SourceError) -> None:
        self._told = clean(str(error), self._secrets)
        self._say(f"{self.name}: {self._told} (it is tried again while another source goes on)")
        if self._tile is not None:
            self._tile.awaited(self._told)

    def stop(self) -> None:
        """Takes nothing more from the source, nor waits for it; what is under way is finished."""
        super().stop()
        if self._told and self._run is None:
            self.problem = self._told  # also where it is left alone while it is tried once more
        self._company.look()

    def abort(self) -> None:
        """Lets go at once."""
        super().abort()
        self._company.look()

    def _in_tile(self, info: VideoInfo) -> Output:
        assert self._tile is not None
        # Windows need OpenCV's, which is loaded where there is one.
        from stream.pictures.pixels import shown_size

        self._tile.shape = info.sample_aspect_ratio
        self._tile.size = shown_size(info.width, info.height, info.sample_aspect_ratio)
        painter = make_painter(self._shown.picture, info, shown=True)
        return Output(self._tile, WINDOW, painter, when_full=WhenFull.LATEST, capacity=1)

    def _controls(self, ready: Prepared) -> Controls:
        output = next(one for one in ready.outputs if one.sink is self._tile)
        record = recorder(ready, self._shown)
        return Controls(ready.run, ready.segmenter, output, self._shown.picture, record)

    def _trouble(self, error: BaseException) -> None:
        self.problem = clean(str(error) or type(error).__name__, self._secrets)
        if self.problem != self._told:
            self._say(f"{self.name}: {self.problem}")

    def _report_failure(self, why: str) -> None:
        """What never came to run has a report as well, where one was asked for."""
        if self.report is not None:
            return
        plan, segmenter = self._plan, self._segmenter
        output = ", ".join(one.target for one in plan.outputs)
        self.report = failed_report(
            self.name, output, segmenter.name, segmenter.provider, clean(why, self._secrets)
        )
        try:
            path = report_of(plan)
            if path is not None:
                write_report(path, [self.report])
        except SinkError as error:
            self._say(str(error))


def execute_all(
    plans: Sequence[RunPlan],
    names: Sequence[str],
    *,
    console: Console | None,
    say: Say,
    segmenter: Segmenter | None = None,
) -> list[Part]:
    """Runs several live sources to the end of the last one, or until q or Ctrl-C.

    Args:
        plans: one for each source, with one model; those with the output `window` share one.
        names: of the sources, all different.
        console: where status lines and the live line go.
        say: is told at once which source failed, and why.
        segmenter: loaded already; None loads the plans'.

    Returns:
        The sources as they ended.

    Raises:
        StreamError: what is asked for cannot come about, or the window's display went away.
    """
    windowed = any(one.target == WINDOW for plan in plans for one in plan.outputs)
    for number, plan in enumerate(plans):
        # Whether a window can be opened is asked once.
        outputs = plan.outputs if not number else [o for o in plan.outputs if o.target != WINDOW]
        check(replace(plan, outputs=tuple(outputs)))
    if segmenter is None:
        segmenter = load_segmenter(plans[0].model, live=True, yields=len(plans) > 1)
    turns = Turns(max(1, segmenter.workers), coming=len(plans))
    tiles = _tiles(names) if windowed else None
    company = Company(names)
    parts = [
        Part(
            name,
            plan,
            segmenter.sharing(),
            turns,
            None if tiles is None else tiles.tiles[number],
            company,
            console=console,
            say=say,
        )
        for number, (name, plan) in enumerate(zip(names, plans, strict=True))
    ]
    with quick_switching(len(parts)):
        _carry_out(parts, tiles, console)
    for part in parts:
        if part.fault is not None:
            raise part.fault
    return parts


def _tiles(names: Sequence[str]) -> Tiles:
    # A window needs OpenCV's, which is loaded only where there is one.
    from stream.run.tiles import Tiles

    return Tiles(names)


def _carry_out(parts: Sequence[Part], tiles: Tiles | None, console: Console | None) -> None:
    def stop() -> None:
        for part in parts:
            part.stop()

    def abort() -> None:
        for part in parts:
            part.abort()

    gone: SinkError | None = None
    with on_interrupt(stop, abort):
        try:
            for part in parts:
                part.start()
            if tiles is not None:
                gone = _show(parts, tiles, stop)
            _wait(parts, console)
        finally:
            stop()
            if tiles is not None:
                tiles.close()
            end_all(parts)
    if gone is not None:
        raise gone


def _show(parts: Sequence[Part], tiles: Tiles, stop: Callable[[], None]) -> SinkError | None:
    """Shows all, until none runs or the window is closed; returns why the window went away."""
    from stream.run.wall_keys import WallKeys

    def running() -> list[tuple[str, Controls]]:
        return [(one.name, one.controls) for one in parts if one.controls is not None]

    tiles.window.connect(WallKeys(tiles, running, stop, folder=Path.cwd()).press)
    try:
        while any(part.wanted for part in parts):
            if not tiles.step():
                stop()
                break
    except SinkError as error:
        logger.warning("%s; other outputs go on", error)
        return error
    finally:
        tiles.leave()
    return None


def _wait(parts: Sequence[Part], console: Console | None) -> None:
    """Waits for the end of all, with a live line in a terminal."""
    if console is None or not console.is_terminal:
        for part in parts:
            while part.wanted:
                part.join(_TICK)
        return
    with console.status("opening") as line:
        while any(part.wanted for part in parts):
            line.update(" · ".join(map(_rate, parts)))
            for part in parts:
                part.join(_TICK)


def _rate(part: Part) -> str:
    run = part.run
    rate = None if run is None else run.clock.rate
    if not part.alive:
        return f"{part.name} ended"
    return f"{part.name} opening" if rate is None else f"{part.name} {rate:.1f} fps"
