"""Painting instances on a picture that is an array."""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction
from typing import Unpack

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing import Painter, Style
from stream.errors import UsageError
from stream.frame import Frame
from stream.instances import Instances
from stream.objects.instance import to_pick
from stream.pictures.pixels import bgr_from_picture, picture_from_bgr
from stream.pictures.rgb import check_rgb
from stream.plans.asked import style_of
from stream.settings.groups import unknown
from stream.settings.keywords import StyleKeywords, spelled_out
from stream.wording.words import counted


@spelled_out(StyleKeywords, {field.name: field.default for field in fields(Style)})
def draw(
    rgb: NDArray[np.uint8],
    instances: Instances,
    look: str = "overlay",
    **style: Unpack[StyleKeywords],
) -> NDArray[np.uint8]:
    """Paints instances on a picture.

    Args:
        rgb: uint8 [H, W, 3], red, green, blue; it is not changed.
        instances: what was found in it.
        look: names of layers joined with +, from bottom to top; overlay is fill+contour+labels.
        **style: as in `stream.compositing.Style`, such as opacity=0.3 or label="name".

    Returns:
        A new array like `rgb`; where nothing is painted, exactly as it was. With the look cutout,
        uint8 [H, W, 4]: red, green, blue (not multiplied) and opacity.

    Raises:
        ValueError: the array is not uint8 [H, W, 3] with at least one pixel, or of another size
            than the picture in which the instances were found.
        UsageError: there is no such layer or style, or a value is out of its range.

    Example:
        >>> painted = draw(rgb, instances, look="fill+contour", opacity=0.3)  # doctest: +SKIP
    """
    rgb = check_rgb(rgb)
    if not isinstance(instances, Instances):
        raise ValueError(  # noqa: TRY004 - like an array of a wrong type
            f"what was found is an Instances, not {type(instances).__name__}{to_pick(instances)}"
        )
    if instances.picture_size != rgb.shape[:2]:
        raise ValueError(
            f"the picture has {counted(rgb.shape[0], 'row')} and "
            f"{counted(rgb.shape[1], 'column')}, the instances were "
            f"found in one of {instances.picture_size[0]} and {instances.picture_size[1]}"
        )
    known = [field.name for field in fields(Style)]
    for name in style:
        if name not in known:
            raise unknown("style", name, known)
    if not isinstance(look, str):
        raise UsageError(f"the look is a text such as 'fill+contour', not {look!r}")
    painter = Painter(look, Style(**style_of(style)), timing=False)  # type: ignore[arg-type]
    picture = picture_from_bgr(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8))
    frame = Frame(picture, 0, 0, Fraction(1), instances=instances)
    painter.paint(frame)
    painter.close()
    painted = np.asarray(cv2.cvtColor(bgr_from_picture(frame.image), cv2.COLOR_BGR2RGB), np.uint8)
    return painted if frame.alpha is None else np.dstack([painted, frame.alpha])
