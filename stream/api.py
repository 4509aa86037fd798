"""What a program does with this package: open, process, draw."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self, Unpack, cast

from stream.attributes import OnlyNamed
from stream.disk.twins import Twins
from stream.drawing import draw
from stream.errors import UsageError
from stream.frame import SegmentedFrame, VideoInfo
from stream.plans.asked import grouped, in_python, plan_of, suited, with_keywords
from stream.run.callers import are_numbered, said_of
from stream.run.plan import RunPlan, beside_masks, masks_plan
from stream.run.report import RunReport
from stream.run.run import OnFrame
from stream.run.setup import (
    Prepared,
    execute,
    has_pictures,
    is_live,
    prepared,
)
from stream.run.unused import refuse_unpainted, unheeded
from stream.settings.groups import shown
from stream.settings.keywords import OpenKeywords, ProcessKeywords, spelled_out
from stream.settings.options import OutputOptions, PictureOptions
from stream.sinks import check_records
from stream.sinks.caller import CALLER
from stream.sinks.nothing import NOTHING
from stream.sources.base import Target
from stream.system.interrupted import interrupted_later
from stream.system.one_at_a_time import OneAtATime
from stream.system.one_process import Home, stays

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter

__all__ = ["Video", "draw", "open", "process"]

_log = logging.getLogger(__name__)


class Video(OnlyNamed):
    """A source's frames with their instances, one after the other; made by `open`.

    It can be iterated once. Leaving the `with` block, or `close`, ends what works behind it.

    Attributes:
        info: what is known of the video before its first frame.
        segmenter: what finds the objects; with `from_records` only the recorded names.
    """

    info: VideoInfo
    segmenter: Segmenter

    def __init__(self, plan: RunPlan, segmenter: Segmenter | None) -> None:
        """Use `open`."""
        for said in unheeded(plan.source):
            _log.warning("%s", with_keywords(said))
        self._stack = ExitStack()
        self._ready: Prepared | None = self._stack.enter_context(prepared(plan, segmenter))
        self.segmenter = cast("Segmenter", self._ready.segmenter)
        self.info = self._ready.run.source.info
        self._numbered = are_numbered(plan, self.info)
        self._begun = self._ended = False
        self._home = Home()
        self._in_daemon = threading.current_thread().daemon
        _opened.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        info = self.info
        rate = "" if info.rate is None else f", {float(info.rate):g} fps"
        return f"Video({info.name!r}, {info.width}x{info.height}{rate})"

    def __reduce__(self) -> NoReturn:
        stays("a Video", "open it in the process that iterates it")

    def __iter__(self) -> Iterator[SegmentedFrame]:
        """Yields frames in order; of a live source the newest there is.

        Several threads may take from one iterator: each frame comes to one of them.

        Raises:
            StreamError: the source, or inference, failed; what came before was given.
        """
        return OneAtATime(self._frames())

    def _frames(self) -> Generator[SegmentedFrame, None, None]:
        self._home.check(f"the video {self.info.name!r}")
        if self._ready is None and not self._begun:
            raise UsageError(f"the video {self.info.name!r} is closed; open it again")
        if self._ready is None or self._begun:
            raise UsageError(
                "a video is iterated once; open it again, or keep iter(video) to go on where a "
                "loop was left"
            )
        self._begun = True
        run = self._ready.run
        (output,) = self._ready.outputs
        run.start()
        try:
            while True:
                self._home.check(f"the video {self.info.name!r}")
                self._in_daemon = threading.current_thread().daemon
                frame = output.take()
                if frame is None:
                    break
                names = self.segmenter.names
                frame.instances = said_of(frame, names, numbered=self._numbered)
                yield cast("SegmentedFrame", frame)
            self._ended = True
        finally:
            self.close()
        outcome = run.outcome()
        if outcome.error is not None:
            raise outcome.error

    def close(self) -> None:
        """Ends the iteration and lets go of files, devices and threads; safe to call twice."""
        ready, self._ready = self._ready, None
        if ready is None or not self._home.here:
            return
        with interrupted_later():
            if self._begun:
                if not self._ended:
                    ready.run.abort()
                ready.run.finish()
                ready.conclude()
            self._stack.close()


_opened: weakref.WeakSet[Video] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Ends what works behind videos that a program leaves open: it would be stopped anywhere.

    Not of one that a daemon thread iterates, to which its film would seem to have ended.
    """
    for video in list(_opened):
        if not video._in_daemon:
            video.close()


@spelled_out(OpenKeywords)
@in_python()
def open(
    target: Target,
    *,
    track: bool | str = True,
    segmenter: Segmenter | None = None,
    **options: Unpack[OpenKeywords],
) -> Video:
    """Opens a source; its frames come with their instances.

        with stream.open("in.mp4") as video:
            for frame in video:
                print(frame.pts_seconds, frame.instances)

    Args:
        target: a path, an address, a camera's number or device, "pattern", or uint8 RGB arrays
            [H, W, 3], of which `fps` says the rate.
        track: whether objects keep an identity over time; or a tracker's name.
        segmenter: loaded already, and with its own thresholds and classes where these are not
            among the options; else `model`, `provider` and so on say which is loaded.
        options: what the command line has, under the same names: `model`, `provider`, `threshold`,
            `mask_threshold`, `classes`, `every`, `start`, `end`, `limit`, `size`, `fps`, ...

    Raises:
        StreamError: the source or the model cannot be opened, or an option makes no sense.
    """
    return Video(*suited(segmenter, plan_of(target, (CALLER,), track, options), options))


@spelled_out(ProcessKeywords)
@in_python()
def process(
    target: Target,
    output: str | Path | Sequence[str | Path] | None = None,
    *,
    records: str | Path | Sequence[str | Path] = (),
    masks: str | Path | None = None,
    track: bool | str = True,
    on_frame: Callable[[SegmentedFrame], None] | None = None,
    segmenter: Segmenter | None = None,
    **options: Unpack[ProcessKeywords],
) -> RunReport:
    """Segments a source into files, as `stream file` does.

        stream.process("in.mp4", "out.mp4", look="overlay", on_frame=count)

    Args:
        target: as in `open`.
        output: the file to write, or several; none where only records are wanted.
        records: the files of records to write: .ndjson, .csv, .parquet, .json (COCO), .txt (MOT),
            or "-" for lines of JSON on standard output.
        masks: a folder for a mask of each frame, as PNG.
        track: as in `open`.
        on_frame: called for each frame in order, in a thread of its own, once its instances are
            there and before they are painted; it may put others into `frame.instances`.
        segmenter: as in `open`.
        options: as in `open`, and those of the picture and the file: `look`, `timing`, `opacity`,
            `codec`, `crf`, `overwrite`, ...

    Returns:
        The run's figures. Ctrl-C ends a live source, and that is no error.

    Raises:
        StreamError: it could not begin, or failed on the way; the message says what was saved.
        KeyboardInterrupt: Ctrl-C or SIGTERM came while footage was under way; what was done by
            then is finished first, and plays. At the third, or two seconds after the second, it
            comes whatever hangs, of a live source too; what hangs is left alone.
    """
    named = [str(one) for one in _several(records, "records")]
    for one in named:
        check_records(one)
    wanted = [*_several(output, "the output"), *named]
    twins: Twins[bool] = Twins()
    for one in map(str, wanted):
        if twins.take(one, True):
            raise UsageError(f"two results would be written to {one}; give each a name of its own")
    plan = plan_of(target, wanted, track, options)
    if masks is not None:
        _check_path(masks, "masks")
        rest: dict[str, object] = {**options}
        picture, files = grouped(PictureOptions, rest), grouped(OutputOptions, rest)
        others = tuple(replace(one, picture=beside_masks(picture)) for one in plan.outputs)
        plan = replace(plan, outputs=(*others, masks_plan(str(masks), picture, files)))
        seen = [one for one in plan.outputs if one.target != NOTHING]
        refuse_unpainted(picture, seen, photos=has_pictures(plan.source))
    if on_frame is not None and not callable(on_frame):
        raise UsageError(f"on_frame is a function that takes a frame, not {shown(on_frame)}")
    called = cast("OnFrame | None", on_frame)
    plan, own = suited(segmenter, plan, options)
    report, outcome = execute(plan, segmenter=own, on_frame=called)
    if outcome.error is not None:
        raise outcome.error
    if outcome.signalled is not None and not is_live(plan.source):
        raise KeyboardInterrupt(
            f"{report.input} was interrupted after {report.media_seconds:.1f} s"
        )
    return replace(report, remarks=[with_keywords(one) for one in report.remarks])


def _several(given: str | Path | Sequence[str | Path] | None, what: str) -> list[str | Path]:
    if given is None:
        return []
    several: object = given
    opened = hasattr(several, "read")  # whose lines are no paths
    if isinstance(several, str | Path | bytes) or opened or not isinstance(several, Iterable):
        several = [several]
    found = list(several)
    for one in found:
        _check_path(one, what)
    return found


def _check_path(given: object, what: str) -> None:
    """Anything has a name as text, so that a folder called `['masks']` would be made.

    Raises:
        UsageError: it is no path, or empty.
    """
    if not isinstance(given, str | Path):
        raise UsageError(f"{what}: a path is a text or a pathlib.Path, not {shown(given)}")
    if given == "":
        raise UsageError(f"{what}: the path is empty; name a file or a folder")
