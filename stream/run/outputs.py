"""A plan's outputs opened, each with its own layers, queue and time line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stream import sinks
from stream.frame import VideoInfo
from stream.queues import WhenFull
from stream.run.cuts import Cuts
from stream.run.opening import make_painter, open_sink, suited, without_lost
from stream.run.output import Output
from stream.run.plan import OutputPlan
from stream.run.recording import Recording
from stream.settings.options import STANDARD_OUTPUT
from stream.sinks._records import Records
from stream.sinks.video import VideoSink
from stream.wording.addresses import redact

if TYPE_CHECKING:
    from av.stream import Stream

    from stream.compositing.painter import Painter
    from stream.sinks.base import Sink

_HICCUP = 30
"""Frames that may wait for the encoder of a live recording: a second. More would only be memory."""


def open_output(
    plan: OutputPlan, info: VideoInfo, cuts: Cuts | None = None, *, patient: bool = False
) -> Output:
    """Opens an output with its own layers, queue and time line.

    Args:
        plan: where it goes and how.
        info: of the frames that will come.
        cuts: where the files of a live recording begin; None for one that is all in one.
        patient: whether a live recording waits for room where its disk is full now, as what is
            shown or sent beside it is not to wait.

    Raises:
        UsageError: it is not possible as asked for.
        SinkError: it cannot be written to.
    """
    kind = sinks.find(plan.target, photos=bool(info.pictures), form=plan.options.format)
    name = redact(plan.target)
    if kind.paints and plan.picture.divided:
        from stream.run.split import SplitSink

        return Output(SplitSink(plan, kind, info), name)
    painter = make_painter(plan.picture, info, shown=kind.shows) if kind.paints else None
    info, said = without_lost(kind, plan.target, info, plan.options, painter)

    def opened(target: str, sounds: Sequence[Stream] = info.copied) -> Sink:
        has = replace(info, copied=tuple(sounds))
        return open_sink(kind, target, has, plan.options, painter)

    if kind.shows:
        policy = WhenFull.LATEST if info.live else WhenFull.BLOCK
        return Output(opened(plan.target), name, painter, when_full=policy, capacity=1)
    if not (info.live or kind.sends):
        return Output(opened(plan.target), name, painter, said=said)
    painted = _painted(kind, plan, info, painter)
    recorded = info.live and is_recorded(plan)
    sink: Sink
    if recorded:
        copied = info.copied if kind.takes_packets else None
        sink = Recording(
            plan.target,
            opened,
            cuts or Cuts(),
            info=painted,
            copied=copied,
            patient=patient,
        )
    else:
        sink = opened(plan.target)
    return Output(
        sink,
        name,
        painter,
        when_full=WhenFull.DROP_OLDEST if info.live else WhenFull.BLOCK,
        capacity=_HICCUP,
        from_first=not recorded,
        info=painted,
        said=said,
    )


def is_recorded(plan: OutputPlan) -> bool:
    """Whether an output of what is live is a file that others can follow: no pipe, no receiver."""
    path = Path(plan.target)
    if plan.target == STANDARD_OUTPUT or plan.picture.divided:
        return False
    kind = sinks.find(plan.target, form=plan.options.format)
    plain = path.is_file() or not path.exists()
    return plain and not kind.sends and issubclass(kind, (VideoSink, Records))


def _painted(
    kind: type[Sink], plan: OutputPlan, info: VideoInfo, painter: Painter | None
) -> VideoInfo | None:
    """What an output's frames are once they are painted, which may be numbers of objects.

    None where nothing is painted: records say of each frame the size that their numbers are for.
    """
    if painter is None:
        return None
    return suited(kind, plan.target, info, plan.options, painter)[0]
