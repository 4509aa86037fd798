"""Sinks opened so that they keep what a painter gives."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from av.stream import AttachmentStream, Stream

from stream import sinks
from stream.compositing.chroma import is_grey, tags_with_chroma, with_chroma
from stream.compositing.painter import Painter
from stream.compositing.style import Style
from stream.errors import UsageError
from stream.frame import VideoInfo, tells_place
from stream.pictures.colour_tags import ColourTags
from stream.run.plan import Endings, OutputPlan
from stream.settings.options import OutputOptions, PictureOptions
from stream.sinks._containers import ALPHA_ENDINGS, ENDINGS, choose_container
from stream.sinks._plan import IDENTITIES_CODEC
from stream.sinks.base import Sink
from stream.sinks.images import ALPHA_ENDINGS as ALPHA_PICTURES
from stream.sinks.images import ENDINGS as PICTURES
from stream.sinks.images import MASK_ENDINGS, ImageSink
from stream.sinks.video import VideoSink
from stream.wording.addresses import redact
from stream.wording.names import numbered
from stream.wording.words import counted


def endings_for(picture: PictureOptions) -> Endings:
    """What files are made for a look where nobody names them.

    Raises:
        UsageError: a layer or a style that there is not.
    """
    painter = make_painter(picture)
    if painter.alpha:
        return Endings(frozenset(ALPHA_ENDINGS), ".webm", ALPHA_PICTURES)
    if painter.pixel_format is not None:
        return Endings(frozenset([".mkv"]), ".mkv", MASK_ENDINGS)
    videos = frozenset(ENDINGS) - {".mts", ".m2ts"}
    return Endings(videos, ".mp4", MASK_ENDINGS if painter.exact else PICTURES)


def refuse_many(plan: OutputPlan, info: VideoInfo, source: object = None) -> None:
    """Refuses one picture's file where it is known that several come, before any is inferred.

    Args:
        plan: an output.
        info: of the frames that will come.
        source: what stands for where they come from.

    Raises:
        UsageError: it is one picture.
    """
    target = plan.target
    kind = sinks.find(target, photos=bool(info.pictures), form=plan.options.format)
    # At an address of the web may be a photo.
    web = isinstance(source, str) and source.lower().startswith(("http:", "https:"))
    endless = info.live and info.frames is None and not web
    several = endless or (info.frames or 0) > 1
    if info.pictures or not several or not issubclass(kind, ImageSink):
        return  # photos are counted where their names are known
    folder = target.endswith(("/", os.sep)) or Path(target).is_dir()
    if folder or numbered(target) is not None or Path(target).suffix.lower() not in PICTURES:
        return
    first = "" if info.live else ", or take the first alone with --limit 1"
    raise UsageError(
        f"{target} is one picture, but {info.name} has more; number them, as in out/%06d.png, "
        f"{'or ' * info.live}name a folder, as in out/{first}"
    )


def make_painter(
    picture: PictureOptions, info: VideoInfo | None = None, *, shown: bool = False
) -> Painter:
    """The layers that an output is to have.

    Args:
        picture: what is painted.
        info: of the frames; several photos have no timing panel unless it is asked for.
        shown: whether who is in the picture watches it: a camera's is mirrored then.

    Raises:
        UsageError: a layer or a style that there is not.
    """
    several = info is not None and len(info.pictures) > 1
    timing = False if several and picture.timing is None else picture.timing
    mirror = picture.mirror
    if mirror is None:
        mirror = shown and info is not None and info.camera
    style = Style.from_options(picture)
    if info is not None and info.pictures:  # photos have nothing to do with each other
        style = replace(style, steady_edges=bool(style.steady_edges), cover_memory=0.0)
    photos = () if info is None else info.pictures
    return Painter(picture.look, style, timing, mirror=mirror, photos=photos)


def open_sink(
    kind: type[Sink],
    target: str,
    info: VideoInfo,
    options: OutputOptions,
    painter: Painter | None,
    threads: int | None = None,
) -> Sink:
    """Opens a sink for what a painter gives: with transparency, with values, or without loss.

    Args:
        kind: of the sink.
        target: where it goes.
        info: of the frames that will come, before they are painted.
        options: how it is written.
        painter: paints what comes.
        threads: of a video's encoder; None for as many as it finds good.

    Raises:
        UsageError: it is not possible as asked for.
        SinkError: it cannot be written to.
    """
    if painter is not None:
        info, options = suited(kind, target, info, options, painter)
    if threads is not None and issubclass(kind, VideoSink):
        return kind(
            target,
            info,
            codec=options.codec,
            crf=options.crf,
            preset=options.preset,
            pixel_format=options.pixel_format,
            overwrite=options.overwrite,
            threads=threads,
        )
    return kind.from_target(target, info, options)


def without_lost(
    kind: type[Sink],
    target: str,
    info: VideoInfo,
    options: OutputOptions,
    painter: Painter | None = None,
) -> tuple[VideoInfo, list[str]]:
    """What an output is told of a source that is clear in parts, where it cannot keep that.

    Args:
        kind: of the sink.
        target: where it goes.
        info: of the frames that will come, before they are painted.
        options: how it is written.
        painter: paints what comes; None where it goes out as it is.

    Returns:
        What to open it with, and a sentence where something is lost or another encoder than usual
        is needed.
    """
    said: list[str] = []
    if painter is not None and issubclass(kind, VideoSink):
        info, said = without_others(info, painter)
        if painter.coloured and is_grey(info.pixel_format):
            said.append(
                f"the film is grey ({info.pixel_format}) and what is painted is not, so pictures "
                f"get chroma ({with_chroma(info.pixel_format)}); their luma stays as it was"
            )
    if not info.alpha or kind.shows or not kind.paints or issubclass(kind, ImageSink):
        return info, said  # pictures say so themselves, each of its own
    if painter is not None and (painter.fills or painter.alpha):
        return info, said
    try:
        kind.check_alpha(target, options)
    except UsageError:
        able = ", ".join(ALPHA_ENDINGS)
        coded = "" if options.codec is None else f" with the codec {options.codec}"
        return replace(info, alpha=False), [
            *said,
            f"the picture's transparency is dropped, as {redact(target)} holds none{coded}; "
            f"{able}, .png and .webp do",
        ]
    if issubclass(kind, VideoSink) and options.codec is None:
        container = choose_container(Path(target))
        if container.alpha != container.video:
            said.append(
                f"the picture's transparency is kept, which in {redact(target)} takes the encoder "
                f"{container.alpha}; --codec {container.video} leaves it out"
            )
    return info, said


def without_others(info: VideoInfo, painter: Painter) -> tuple[VideoInfo, list[str]]:
    """A source without its other pictures, where a painter hides what may be seen in them.

    Args:
        info: of the frames that will come, before they are painted.
        painter: paints what comes.

    Returns:
        What to open an output with, and a sentence for each kind that is left out.
    """
    if not painter.conceals:
        return info, []
    attached = [one for one in info.copied if _is_attached_picture(one)]
    tracks = [one for one in info.copied if one.type == "video"]
    copied = tuple(one for one in info.copied if one not in attached and one not in tracks)
    covers = len(info.covers) + len(attached)
    said = [
        f"{counted(count, what + ' is', what + 's are')} left out, in which what the look hides "
        "could be seen"
        for count, what in ((covers, "cover picture"), (len(tracks), "further video track"))
        if count
    ]
    if any(map(tells_place, (*info.metadata, *info.track))):
        said.append(
            "the film's tags say where it was taken, and are kept where the file can hold them"
        )
    return replace(info, copied=copied, covers=(), conceals=True), said


def _is_attached_picture(stream: Stream) -> bool:
    """Whether it is a file in a film, of a picture or a film that nothing here has opened."""
    if not isinstance(stream, AttachmentStream):
        return False
    guessed, _ = mimetypes.guess_type(stream.name or "")
    kinds = (stream.mimetype or "", guessed or "")
    return any(one.startswith(("image/", "video/")) for one in kinds)


def suited(
    kind: type[Sink], target: str, info: VideoInfo, options: OutputOptions, painter: Painter
) -> tuple[VideoInfo, OutputOptions]:
    """What comes when a painter has painted, and how it is written.

    Args:
        kind: of the sink.
        target: where it goes.
        info: of the frames before they are painted.
        options: as they were asked for.
        painter: paints what comes.
    """
    info, _ = without_others(info, painter)
    alpha = painter.alpha or (info.alpha and not painter.fills)
    info = replace(info, alpha=alpha, exact=painter.exact, grey=painter.grey)
    if painter.coloured and is_grey(info.pixel_format):
        chroma, tags = with_chroma(info.pixel_format), tags_with_chroma(info.colour)
        info = replace(info, pixel_format=chroma, colour=tags)
    if painter.pixel_format is not None:
        tags = ColourTags(full_range=True)
        info = replace(info, pixel_format=painter.pixel_format, colour=tags)
        if options.codec is None and issubclass(kind, VideoSink):
            options = replace(options, codec=IDENTITIES_CODEC)
    elif painter.exact and _is_h264(target, options):
        options = replace(options, crf=0)  # without loss: masks are 0 and 255 and nothing between
    return info, options


def _is_h264(target: str, options: OutputOptions) -> bool:
    """Whether an output is H.264 of a quality that nobody chose."""
    endings = (".mp4", ".m4v", ".mov", ".mkv", ".ts", ".mts", ".m2ts")
    usual = options.codec in (None, "libx264") and options.crf is None
    return usual and target.lower().endswith(endings)


def check_output(output: OutputPlan, inputs: Sequence[Path], *, live: bool, photos: bool) -> None:
    """Refuses an output that cannot come about, before anything is opened or loaded.

    Args:
        output: where it goes, and how.
        inputs: files that are read.
        live: whether frames cannot wait.
        photos: whether frames have nothing to do with each other.

    Raises:
        StreamError: what, and what to do.
    """
    kind = sinks.find(output.target, photos=photos, form=output.options.format)
    kind.check(output.target, output.options, inputs)
    if not kind.paints:
        return
    painter = make_painter(output.picture)
    if painter.alpha:
        kind.check_alpha(output.target, output.options)
    if painter.pixel_format is not None:
        kind.check_identities(output.target, output.options)
    if output.picture.crop and not issubclass(kind, ImageSink):
        raise UsageError(
            f"--crop makes a picture for each object, which {output.target} does not hold; name a "
            "picture or numbered pictures (out/%06d.png)"
        )
    if not output.picture.divided:
        return
    if live or not issubclass(kind, (VideoSink, ImageSink)):
        raise UsageError(
            "--split and --crop make files of footage and photos, not of what is live; record it "
            "first"
            if live
            else f"--split and --crop make videos and pictures, not {output.target}; name a video "
            "such as out.mkv, or numbered pictures (out/%06d.png)"
        )
    if issubclass(kind, VideoSink) and not painter.alone:
        raise UsageError(
            f"--split makes videos of the looks binary, instances and cutout, which show objects "
            f"alone, not of {output.picture.look}"
        )
    if issubclass(kind, VideoSink):
        _check_parts(Path(output.target), output.options.overwrite)


def _check_parts(target: Path, overwrite: bool) -> None:
    """Refuses where files of single objects are there already."""
    if overwrite or not target.parent.is_dir():
        return
    for there in sorted(target.parent.iterdir()):
        middle = there.name.removeprefix(f"{target.stem}.").removesuffix(target.suffix)
        if there.name == f"{target.stem}.{middle}{target.suffix}" and middle:
            raise UsageError(
                f"{there} exists already, as files of single objects are named; choose another "
                "name, or replace them with --overwrite"
            )
