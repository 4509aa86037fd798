"""Options that nothing obeys: mostly a look, or an output, that was forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stream import sinks, sources
from stream.compositing.layer import LAYERS
from stream.compositing.painter import expand
from stream.errors import UsageError
from stream.run.outputs import is_recorded
from stream.run.plan import OutputPlan, SourcePlan
from stream.settings.groups import changed
from stream.settings.options import (
    CameraOptions,
    CountOptions,
    DecodingOptions,
    LiveOptions,
    ModelOptions,
    NetworkOptions,
    PictureOptions,
)
from stream.wording.words import joined

_IN_COLOURS = ("fill", "contour", "boxes", "instances", "labels", "trails")
_BEHIND = ("blur", "grey", "dim", "replace", "cutout", "spotlight")
_BY_MASKS = ("binary", "contour", "fill", "instances", "labels")
"""Layers whose edges are refined where that is asked for; of `_BEHIND` unless it is forbidden."""

OBEYED_BY = {
    "opacity": ("fill",),
    "contour_width": ("contour", "boxes", "trails", "counts"),
    "label": ("labels",),
    "label_size": ("labels", "counts"),
    "colours": _IN_COLOURS,
    "palette": _IN_COLOURS,
    "feather": _BEHIND,
    "refine": (*_BEHIND, *_BY_MASKS),
    "refiner": _BEHIND,
    "steady_edges": (*_BEHIND, *_BY_MASKS),
    "background": ("replace",),
    "blur_strength": ("blur",),
    "darkness": ("dim", "spotlight"),
    "cover": ("hide",),
    "pixel_size": ("pixelate",),
    "cover_memory": ("hide", "pixelate"),
    "trail": ("trails",),
    "identities": ("instances",),
}
"""Which layers of ours obey an option that is not about all of them."""

_HELD_BY = {"soft": "lines of JSON", "polygon": "lines of JSON, COCO's and Parquet"}
"""Which records hold masks in a form that has to be asked for."""

_OF_ENCODERS = ("codec", "crf", "preset", "pixel_format")

_WHAT = ("look", "split", "crop")
"""What of a picture's options says what is to be made, and not how."""


def refuse_unpainted(
    asked: PictureOptions, outputs: Iterable[OutputPlan], *, photos: bool = False
) -> None:
    """Refuses to leave out what was asked to be painted, as nothing is painted like that.

    Args:
        asked: what is to be painted.
        outputs: all that there are; masks have looks of their own.
        photos: whether they are of photos.

    Raises:
        UsageError: none of them shows it; before hours of work that would not be for that.
    """
    usual = PictureOptions()
    wanted = [name for name in _WHAT if getattr(asked, name) != getattr(usual, name)]
    for output in outputs if wanted else ():
        if sinks.find(output.target, photos=photos, form=output.options.format).paints:
            shown = output.picture
            wanted = [name for name in wanted if getattr(shown, name) != getattr(asked, name)]
    if wanted:
        (name, *_), ending = wanted, "png" if photos else "mp4"
        option = f"--look {asked.look}" if name == "look" else f"--{name}"
        raise UsageError(
            f"{option} is about pictures, and nothing asked for shows that; name where they go, "
            f"as in -o out.{ending}, or leave it out"
        )


_WHOSE = {
    CameraOptions: "for cameras",
    NetworkOptions: "for network sources",
    DecodingOptions: "for footage and network sources",
}
"""For what the options of a group of a source's are."""

_OF_RATES = "for cameras and numbered pictures"


def unheeded(source: SourcePlan) -> list[str]:
    """Which options of where frames come from were asked for in vain, a sentence each.

    Commands have only the options of their own kinds of source; a configuration has all of them.

    Args:
        source: what is opened, and how.

    Raises:
        UsageError: nothing of this kind can be opened.
    """
    options = source.options
    if options.camera.as_camera:
        return []
    heeds = sources.kind_of(source.target).heeds
    said = []
    for group in (options.camera, options.network, options.decoding):
        vain = [_flag(name) for name in changed(group) if heeds is not None and name not in heeds]
        if vain:
            they = "it is" if len(vain) == 1 else "they are"
            whose = _OF_RATES if vain == ["--fps"] else _WHOSE[type(group)]
            where = "; where the model runs is --provider" if "--device" in vain else ""
            said.append(f"{joined(vain)} changed nothing, as {they} {whose}{where}")
    return said


def unused(
    outputs: Iterable[OutputPlan],
    *,
    photos: bool,
    model: ModelOptions | None = None,
    recording: LiveOptions | None = None,
    live: bool = False,
    counts: CountOptions | None = None,
) -> list[str]:
    """Which options were asked for in vain, a sentence each.

    Args:
        outputs: of a run; in a window looks change, so that with one nothing of them is in vain.
        photos: whether the run is of photos.
        model: how it looks at them.
        recording: how what is live is recorded.
        live: whether the run is of what is live.
        counts: what it counts.
    """
    outputs = tuple(outputs)
    kinds = [sinks.find(one.target, photos=photos, form=one.options.format) for one in outputs]
    said = []
    counts = CountOptions() if counts is None else counts
    regions = counts.line is not None or counts.zone is not None
    if counts.count_at != CountOptions().count_at and not regions:
        said.append("--count-at changed nothing, as it is for lines and zones: --line or --zone")
    if any(kind.shows for kind in kinds):
        return said
    if photos and model is not None and model.every is not None:
        said.append("--every changed nothing, as each photo is looked at for itself")
    painted = [one for one, kind in zip(outputs, kinds, strict=True) if kind.paints]
    encoded = any(kind.paints and kind.encodes for kind in kinds)
    coded = {name for one in outputs for name in changed(one.options) if name in _OF_ENCODERS}
    if coded and outputs and not encoded:
        names = [_flag(name) for name in _OF_ENCODERS if name in coded]
        why = "pictures are not encoded as a video is" if painted else "no video is written"
        said.append(f"{joined(names)} changed nothing, as {why}")
    forms = {form for kind in kinds if kind.records for form in kind.mask_forms}
    said += [
        f"--records-masks {form} changed nothing, as such masks are in {holders} alone: "
        "--records found.ndjson"
        for form, holders in _HELD_BY.items()
        if form not in forms and any(one.options.records_masks == form for one in outputs)
    ]
    if not any(kind.records for kind in kinds) and any(
        one.options.records_masks == "none" for one in outputs
    ):
        said.append(
            "--records-masks none changed nothing, as no records are written: "
            "--records found.ndjson"
        )
    if recording is not None:
        said += _of_recording(recording, outputs, live=live)
    if painted:
        return said + _of_layers([one.picture for one in painted], recording, photos, live)
    asked = list(dict.fromkeys(name for one in outputs for name in changed(one.picture)))
    if asked:
        names = [_flag(name) for name in asked]
        said.append(f"{joined(names)} changed nothing, as no picture is written: -o out.mp4")
    return said


def _of_recording(options: LiveOptions, outputs: Sequence[OutputPlan], *, live: bool) -> list[str]:
    """What was asked in vain of how what is live is recorded."""
    if options.part_minutes is None:
        return []
    if not live:
        return ["--part-minutes changed nothing, as only what is live is recorded in parts"]
    if any(map(is_recorded, outputs)):
        return []
    return [
        "--part-minutes changed nothing, as no output is a file of video or records, which "
        "alone can be recorded in parts: -o take.mp4"
    ]


def _of_layers(
    pictures: Sequence[PictureOptions], recording: LiveOptions | None, photos: bool, live: bool
) -> list[str]:
    """What was asked in vain of how pictures are painted."""
    layers = {name for picture in pictures for name in expand(picture.look)}
    said = []
    if photos and "trails" in layers:
        said.append("the look trails shows nothing, as nobody moves from photo to photo")
    if any(not _is_ours(name) for name in layers):
        return said  # it obeys whatever it wants to
    covering = OBEYED_BY["cover_memory"]
    hurried = live and recording is not None and not recording.cover_wait
    if hurried and not layers.intersection(covering):
        said.append(_vain("--no-cover-wait", covering))
    usual = PictureOptions()
    for name, obeying in OBEYED_BY.items():
        asking = [one for one in pictures if _is_asked(one, name, usual)]
        if not asking:
            continue
        if photos and name == "cover_memory":
            said.append("--cover-memory changed nothing, as nobody moves from photo to photo")
        elif name == "refiner" and any(
            one.refine is True and layers.intersection(_BY_MASKS) for one in asking
        ):
            continue
        elif name == "refiner" and all(one.refine is False for one in asking):
            said.append("--refiner changed nothing, as --no-refine leaves edges as they are")
        elif not layers.intersection(obeying):
            said.append(_vain(_flag(name), obeying))
    return said


def _is_asked(picture: PictureOptions, name: str, usual: PictureOptions) -> bool:
    """Whether something else is asked for than what holds where nobody asks."""
    value = getattr(picture, name)
    # What is forbidden where nobody would have done it is done.
    forbidden = name in {"refine", "steady_edges"} and value is False
    return value != getattr(usual, name) and not forbidden


def _vain(flag: str, obeying: Sequence[str]) -> str:
    if len(obeying) > 2:
        looks = f"the looks {joined(obeying)}"
    else:
        looks = " and ".join(f"the look {name}" for name in obeying)
    return f"{flag} changed nothing, as it is for {looks}: --look {obeying[0]}"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _is_ours(layer: str) -> bool:
    return LAYERS.get(layer).__module__.startswith("stream.compositing.")
