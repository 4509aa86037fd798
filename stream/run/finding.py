"""What finds a run's objects: a model with its schedule, or records of what one found."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import cv2

from stream import tracking
from stream.frame import VideoInfo
from stream.inference.catalogue import find, is_bundled
from stream.run.about import Told
from stream.run.finder import Finder
from stream.run.guard import records_of
from stream.run.plan import RunPlan
from stream.run.schedule import EachFrame, Schedule
from stream.run.turns import Turns
from stream.settings.options import ModelOptions, TrackingOptions

if TYPE_CHECKING:
    from stream.inference.segmenter import Segmenter

_OF_PHOTOS = 2
"""Views of a photo, which nobody needs thirty times a second; where the model is quick enough that
three times as long is soon over, as the bundled one is."""


def load_segmenter(
    options: ModelOptions,
    *,
    live: bool,
    threads: int | None = None,
    info: VideoInfo | None = None,
    yields: bool = False,
) -> Segmenter:
    """Loads the model with what the options ask of it.

    Args:
        options: which model runs where.
        live: one frame at a time, as soon as can be; else as many a second as can be.
        threads: for computing on the CPU; None for what suits the machine.
        info: of the frames that will come, where they are known.
        yields: let everything else go first, as where several sources are shown.

    Raises:
        ModelError: there is no such model, or the file cannot be used.
        ProviderError: the provider asked for cannot be used here.
        UsageError: an unknown class.
    """
    from stream.inference.segmenter import Segmenter

    return Segmenter.load(
        options.model,
        provider=options.provider,
        threshold=options.threshold,
        mask_threshold=options.mask_threshold,
        classes=options.classes,
        threads=threads,
        throughput=not live,
        picture_size=None if info is None or info.pictures else (info.width, info.height),
        yields=yields,
        views=_views(options, info),
        input_size=options.input_size,
    )


def _views(options: ModelOptions, info: VideoInfo | None) -> int:
    """How often each picture is looked at, where nothing is asked: photos by the bundled model."""
    if options.views is not None:
        return options.views
    if info is None or not info.pictures:
        return 1
    return _OF_PHOTOS if all(map(is_bundled, find(options.model).files.values())) else 1


def make_finder(segmenter: Segmenter, followed: TrackingOptions, info: VideoInfo) -> Finder:
    """What finds and follows a source's objects.

    Raises:
        UsageError: there is no such tracker.
    """
    # Photos have nothing to do with each other.
    follows = followed.steady and not info.pictures
    return Finder(segmenter, tracking.make(followed.tracker if follows else tracking.NONE))


def make_schedule(
    segmenter: Segmenter,
    model: ModelOptions,
    followed: TrackingOptions,
    info: VideoInfo,
    turns: Turns | None = None,
    *,
    waits: bool = True,
) -> Schedule:
    """Which frames of a source are inferred.

    Args:
        segmenter: finds the objects.
        model: how often it is asked.
        followed: how objects are followed.
        info: of the source.
        turns: where several live sources share the model, who may infer now.
        waits: whether live frames are held back, where objects are covered, until it is known who
            is in them.

    Raises:
        UsageError: there is no such tracker.
    """
    finder = make_finder(segmenter, followed, info)
    every = model.every or ("auto" if info.live else 1)
    interval = None if every == "auto" else every
    if info.pictures:
        return EachFrame(finder)
    if info.live:
        from stream.run.beside_display import BesideDisplay

        return BesideDisplay(finder, interval, turns=turns, waits=waits)
    if interval == 1:
        return EachFrame(finder)
    from stream.run.look_ahead import LookAhead

    return LookAhead(finder, interval, info.rate)


def find_by(
    plan: RunPlan, info: VideoInfo, segmenter: Segmenter | None, turns: Turns | None
) -> tuple[Told, Schedule]:
    """What finds the objects, ready to be told of and to be run: a model, or records.

    Args:
        plan: what is to be run.
        info: of its source.
        segmenter: loaded already; None loads the plan's.
        turns: where several live sources share the model, who may infer now.

    Raises:
        StreamError: the model or the records cannot be used.
    """
    recorded = records_of(plan, live=info.live)
    if recorded is not None:
        from stream.run.replay import Replay

        replay = Replay(recorded, info, plan.model, plan.source.options.cut)
        return replay, replay
    if segmenter is None:
        segmenter = load_segmenter(plan.model, live=info.live, info=info)
    elif not info.pictures:
        segmenter.expect(info.width, info.height)
    elif plan.model.views is None:
        segmenter = segmenter.sharing()
        segmenter.views = _views(plan.model, info)
    with nullcontext() if turns is None else turns.opening():
        return segmenter, _scheduled(plan, info, segmenter, turns)


def _scheduled(
    plan: RunPlan, info: VideoInfo, segmenter: Segmenter, turns: Turns | None
) -> Schedule:
    """A source's schedule, with the model ready for its pictures."""
    if info.live:
        # Pictures are small: OpenCV's threads would wait for each other more than they help.
        cv2.setNumThreads(1)
        segmenter.warm_up(info.width, info.height)
    waits = plan.live.cover_wait
    schedule = make_schedule(segmenter, plan.model, plan.tracking, info, turns, waits=waits)
    if info.live and turns is not None:
        expect_companions(segmenter, info, turns)
    return schedule


def expect_companions(segmenter: Segmenter, info: VideoInfo, turns: Turns) -> None:
    """Prepares a model for pictures of several sources, where there is more than one.

    One that is alone waits for nothing. Where it is known that others come, it is done before any
    of them runs; else the second one's opening takes longer.
    """
    if turns.several:
        segmenter.expect_several(info.width, info.height)
