"""Options of pictures that no layer obeys, which is mostly a look that was forgotten."""

from __future__ import annotations

from collections.abc import Iterable

from stream import sinks
from stream.compositing.painter import expand
from stream.options import PictureOptions
from stream.run.plan import OutputPlan

_OBEYED_BY = {
    "background": ("replace",),
    "blur_strength": ("blur",),
    "darkness": ("dim", "spotlight"),
    "cover": ("hide",),
    "pixel_size": ("pixelate",),
    "cover_memory": ("hide", "pixelate"),
    "trail": ("trails",),
    "identities": ("instances",),
}
"""Which layers of ours obey an option that is about them alone."""


def unused(outputs: Iterable[OutputPlan], *, photos: bool) -> list[str]:
    """Which options were asked for in vain, a sentence each.

    Args:
        outputs: of a run; in a window looks change, so that with one nothing is in vain.
        photos: whether the run is of photos.
    """
    usual, pictures = PictureOptions(), []
    for output in outputs:
        kind = sinks.find(output.target, photos=photos, form=output.options.format)
        if kind.shows:
            return []
        if kind.paints:
            pictures.append(output.picture)
    layers = {name for picture in pictures for name in expand(picture.look)}
    asked = [
        name
        for name in _OBEYED_BY
        if any(getattr(picture, name) != getattr(usual, name) for picture in pictures)
    ]
    return [
        f"--{name.replace('_', '-')} changed nothing, as it is for the look "
        f"{' and the look '.join(_OBEYED_BY[name])}: --look {_OBEYED_BY[name][0]}"
        for name in asked
        if not layers.intersection(_OBEYED_BY[name])
    ]
