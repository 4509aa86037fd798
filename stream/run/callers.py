"""What a caller is told of frames, and what a caller's function may leave in them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import cast

import av
import numpy as np

from stream import tracking
from stream.errors import UsageError
from stream.frame import Frame, VideoInfo
from stream.instances import Instances
from stream.objects.instance import to_pick
from stream.pictures.pixels import paintable
from stream.run.about import Told
from stream.run.plan import RunPlan
from stream.run.run import OnFrame
from stream.wording.words import kind_with_article


def are_numbered(plan: RunPlan, info: VideoInfo) -> bool:
    """Whether objects of a source keep a number over time, as a plan has it."""
    followed = plan.tracking
    return followed.steady and followed.tracker != tracking.NONE and not info.pictures


def said_of(frame: Frame, names: Sequence[str], *, numbered: bool) -> Instances:
    """What a caller is told of a frame: nobody where nothing is known of it, as after a cut.

    Args:
        frame: on its way.
        names: the classes that there are.
        numbered: whether objects have numbers: where there are none, these are an empty array then.
    """
    found = frame.instances
    if found is None:
        found = Instances.empty(names, (frame.image.height, frame.image.width))
    if numbered and not len(found) and found.track_ids is None:
        found = found.with_tracks(np.zeros(0, np.int64))
    return found


def with_instances(on_frame: OnFrame, told: Told, *, numbered: bool) -> OnFrame:
    """Says that none are found where nothing is known of a frame, for as long as it is called."""
    given = cast("Callable[[Frame], object]", on_frame)

    def called(frame: Frame) -> None:
        known, picture = frame.instances is not None, frame.image
        told_of = frame.instances = said_of(frame, told.names, numbered=numbered)
        answer = given(frame)
        if isinstance(answer, Coroutine):
            answer.close()
            raise UsageError(
                "on_frame is an `async def`, which nobody awaits here; give a plain function"
            )
        if frame.image is not picture:
            _check_picture(frame)
        _check_found(frame)
        if not known and frame.instances is told_of:
            frame.instances = None

    return called


def _check_picture(frame: Frame) -> None:
    """Makes sure that what somebody's function left as a frame's picture can be painted.

    Raises:
        UsageError: it is no `av.VideoFrame`, or of a pixel format that is not planar YUV or grey.
    """
    picture: object = frame.image
    if not isinstance(picture, av.VideoFrame):
        raise UsageError(
            f"on_frame put {kind_with_article(picture)} into frame.image, which takes an "
            "av.VideoFrame"
        )
    if not paintable(picture.format.name):
        raise UsageError(
            f"on_frame put a picture in {picture.format.name} into frame.image, which takes planar "
            "YUV or grey; take picture.reformat(format='yuv420p')"
        )


def _check_found(frame: Frame) -> None:
    """Makes sure that what somebody's function left in a frame can be counted and painted.

    Raises:
        UsageError: it is no `Instances`, was found in a picture of another size, or has numbers
            that nothing can be painted or written by.
    """
    found, size = frame.instances, (frame.image.height, frame.image.width)
    if found is None:
        return
    if not isinstance(found, Instances):
        raise UsageError(
            f"on_frame put {kind_with_article(found)} into frame.instances, which takes an "
            f"Instances{to_pick(found)}"
        )
    if found.picture_size != size:
        raise UsageError(
            f"on_frame put instances of a picture of {found.picture_size} (height, width) into a "
            f"frame of {size}"
        )
    for name in ("boxes", "scores"):
        if not np.isfinite(getattr(found, name)).all():
            raise UsageError(f"on_frame put {name} into frame.instances that are no numbers")
    if (found.boxes[:, 2:] < found.boxes[:, :2]).any():
        raise UsageError(
            "on_frame put boxes into frame.instances that end before they begin; a box is "
            "x1, y1, x2, y2"
        )
    if found.track_ids is not None and (found.track_ids < 0).any():
        raise UsageError("on_frame put track_ids below 0 into frame.instances")
