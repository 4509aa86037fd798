"""Options that nothing obeys, which is mostly a look that was forgotten."""

from __future__ import annotations

from collections.abc import Iterable

from stream import sinks
from stream.compositing.painter import expand
from stream.groups import changed
from stream.options import LiveOptions, ModelOptions, PictureOptions
from stream.run.outputs import is_recorded
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

_HELD_BY = {"soft": "lines of JSON", "polygon": "lines of JSON, COCO's and Parquet"}
"""Which records hold masks in a form that has to be asked for."""

_OF_ENCODERS = ("codec", "crf", "preset")


def unused(
    outputs: Iterable[OutputPlan],
    *,
    photos: bool,
    model: ModelOptions | None = None,
    recording: LiveOptions | None = None,
    live: bool = False,
) -> list[str]:
    """Which options were asked for in vain, a sentence each.

    Args:
        outputs: of a run; in a window looks change, so that with one nothing is in vain.
        photos: whether the run is of photos.
        model: how it looks at them.
        recording: how what is live is recorded.
        live: whether the run is of what is live.
    """
    outputs = tuple(outputs)
    usual, pictures = PictureOptions(), []
    coded: set[str] = set()
    encoded = False
    forms: set[str] = set()
    for output in outputs:
        kind = sinks.find(output.target, photos=photos, form=output.options.format)
        if kind.shows:
            return []
        if kind.paints:
            pictures.append(output.picture)
            coded |= set(_OF_ENCODERS) & set(changed(output.options))
        forms |= set(kind.mask_forms) if kind.records else set()
        encoded = encoded or (kind.paints and kind.encodes)
    said = []
    if photos and model is not None and model.every is not None:
        said.append("--every changed nothing, as each photo is looked at for itself")
    if coded and not encoded:
        names = " and ".join(f"--{name}" for name in _OF_ENCODERS if name in coded)
        said.append(f"{names} changed nothing, as pictures are not encoded as a video is")
    said += [
        f"--records-masks {form} changed nothing, as such masks are in {holders} alone: "
        "--records found.ndjson"
        for form, holders in _HELD_BY.items()
        if form not in forms and any(one.options.records_masks == form for one in outputs)
    ]
    if recording is not None and recording.part_minutes is not None:
        if not live:
            said.append("--part-minutes changed nothing, as only what is live is recorded in parts")
        elif not any(map(is_recorded, outputs)):
            said.append(
                "--part-minutes changed nothing, as no output is a file of video or records, which "
                "alone can be recorded in parts: -o take.mp4"
            )
    layers = {name for picture in pictures for name in expand(picture.look)}
    asked = [
        name
        for name in _OBEYED_BY
        if any(getattr(picture, name) != getattr(usual, name) for picture in pictures)
    ]
    if photos and "cover_memory" in asked:
        asked.remove("cover_memory")
        said.append("--cover-memory changed nothing, as nobody moves from photo to photo")
    return said + [
        f"--{name.replace('_', '-')} changed nothing, as it is for the look "
        f"{' and the look '.join(_OBEYED_BY[name])}: --look {_OBEYED_BY[name][0]}"
        for name in asked
        if not layers.intersection(_OBEYED_BY[name])
    ]
