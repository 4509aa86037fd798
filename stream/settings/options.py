"""The options of a run, declared once: read from the command line, from TOML and from Python.

Each group is a dataclass. A field says its flag, help and bounds in its metadata, by `option`;
`stream.cli` makes command-line options of the groups that a command names, and `plans.config`
reads the same groups from a file. A new option is one field here and the code that obeys it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stream.errors import UsageError
from stream.settings.count_options import CountOptions
from stream.settings.input_options import (
    CameraOptions,
    CutOptions,
    DecodingOptions,
    InputOptions,
    NetworkOptions,
    ReplayOptions,
)
from stream.settings.option import (
    Every,
    option,
    parse_every,
    parse_file,
    parse_names,
    parse_select,
)

__all__ = [
    "STANDARD_OUTPUT",
    "CameraOptions",
    "CountOptions",
    "CutOptions",
    "DecodingOptions",
    "InputOptions",
    "LiveOptions",
    "ModelOptions",
    "NetworkOptions",
    "OutputOptions",
    "PictureOptions",
    "ReplayOptions",
    "RunOptions",
    "TrackingOptions",
]

STANDARD_OUTPUT = "-"
"""The target that is the program's standard output, for records and for frames."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which model runs where, and what of its answers is kept."""

    model: str = option(
        "default",
        "A model of the catalogue (see `stream models`) or an .onnx file.",
        metavar="NAME|PATH",
    )
    provider: str = option(
        "auto",
        "Where the network runs. Only auto may choose, and says what it chose.",
        choices=("auto", "cpu", "cuda", "tensorrt", "openvino", "coreml", "webgpu"),
    )
    threshold: float | None = option(
        None,
        "Objects scored below this are left out, 0 to 1.",
        said="the model's own",
        low=0.0,
        high=1.0,
    )
    mask_threshold: float | None = option(
        None,
        "A pixel is the object's where its soft mask is above this, 0 to 1.",
        said="the model's own",
        low=0.0,
        high=1.0,
    )
    classes: tuple[str, ...] | None = option(
        None,
        "Only these classes, separated by commas, such as person,car; one with a comma in its "
        "name in quotes.",
        said="all",
        metavar="NAME,…",
        parse=parse_names,
    )
    every: Every = option(
        None,
        "Run the model on every Nth frame; in the frames between, move its masks along with the "
        "picture's motion. auto: on as many as real time allows; live, as often as the display's "
        "full frame rate allows.",
        said="1 for files, auto for live sources",
        metavar="N|auto",
        parse=parse_every,
    )
    views: int | None = option(
        None,
        "Run the model on each picture so many times and join what it finds: better masks and "
        "fewer mistakes. In this order: larger; smaller and mirrored; smaller still; larger and "
        "mirrored; smaller; as it is. 2 or 3 take three times as long, 4 five times, 6 seven "
        "times.",
        said="2 for photos with the bundled model, 1 for all else",
        metavar="N",
        low=1,
        high=6,
    )
    input_size: int | None = option(
        None,
        "The shorter side of what the model sees, in pixels: larger finds what is small or far and "
        "takes longer, smaller is quicker. For models that take any size.",
        said="the model's own, 384 for the bundled one",
        metavar="PIXELS",
        low=192,
        high=2048,
    )


@dataclass(frozen=True, slots=True)
class TrackingOptions:
    """How objects are followed from frame to frame."""

    tracker: str = option(
        "motion",
        "How objects keep number and colour over time. motion: by where they are heading; steady: "
        "by where they were; bytetrack, ocsort, botsort, cbiou: those of the library trackers; "
        "none: each frame for itself.",
        metavar="NAME|none",
    )
    steady: bool = option(
        True,
        "Keep what is in view while its score dips a little below the threshold, so that masks "
        "do not come and go; --no-steady is --tracker none.",
    )

    def __post_init__(self) -> None:
        if not self.steady and self.tracker not in ("motion", "none"):
            raise UsageError(
                f"--no-steady takes each frame for itself, without --tracker {self.tracker}; leave "
                "out one of them"
            )


@dataclass(frozen=True, slots=True)
class PictureOptions:
    """What is painted into the picture."""

    look: str = option(
        "overlay",
        "Layers joined with +, from bottom to top. overlay: fill+contour+labels, a colour for "
        "each object; binary: white objects on black; blur, grey, dim, spotlight, replace: "
        "what is behind them changed; pixelate, hide: they are covered; cutout: they alone, with "
        "transparency (.webm, .mov, .mkv, .png, .webp).",
        metavar="LAYER+…",
    )
    timing: bool | None = option(
        None,
        "Draw the timing panel (milliseconds per stage) in a corner of the picture.",
        said="on for overlay, off for every other look",
    )
    mirror: bool | None = option(
        None,
        "Exchange left and right, as in a mirror; what is written on the picture stays readable.",
        said="on in the window of a camera, off in files",
    )
    opacity: float = option(
        0.45, "How strongly colours cover the picture, 0 to 1.", low=0.0, high=1.0
    )
    contour_width: float | None = option(
        None,
        "Width of outlines in pixels; 0 for none.",
        said="2 at 720p, in proportion",
        low=0.0,
        high=12.0,
    )
    label: str = option(
        "name number score",
        "What labels say: any of name, number, score; none for no labels.",
        metavar="WORDS",
    )
    label_size: float = option(
        1.0, "Size of labels, as a multiple of the usual.", low=0.25, high=8.0
    )
    colours: str = option(
        "track",
        "What has a colour of its own: each track, each object of a frame by its rank, or each "
        "class.",
        choices=("track", "object", "class"),
    )
    palette: tuple[str, ...] | None = option(
        None,
        "Colours in place of the usual, as RRGGBB separated by commas.",
        said="24 that are easily told apart",
        metavar="RRGGBB,…",
        parse=parse_names,
    )
    feather: float | None = option(
        None,
        "Over how many pixels blur, grey, dim, replace and cutout fade at an object's edge; 0 "
        "for a hard cut.",
        said="3 at 720p, in proportion; a third of it for grey, dim and spotlight",
        low=0.0,
        high=100.0,
    )
    refine: bool | None = option(
        None,
        "Move the edges of masks to where the picture's own edges are, finer than the model can.",
        said="on for cutout and what changes the picture behind objects, off for all else",
    )
    refiner: str = option(
        "learned",
        "How --refine finds edges. learned: a small network for people, a filter for all other "
        "objects; filter: the filter for all; a file: a network of `stream train-refiner` for the "
        "classes that it learnt.",
        metavar="learned|filter|FILE.onnx",
    )
    steady_edges: bool | None = option(
        None,
        "Keep edges still from frame to frame where the picture is still.",
        said="on where refine is, but for photos",
    )
    blur_strength: float = option(
        3.0,
        "How far blur spreads a point, in percent of the picture's height.",
        low=0.1,
        high=20.0,
    )
    darkness: float = option(
        0.6, "How much darker dim and spotlight make what is behind, 0 to 1.", low=0.0, high=1.0
    )
    background: str = option(
        "000000",
        "What replace puts behind the objects: a colour as RRGGBB, or a picture or a video, which "
        "is fitted; a video plays at its own rate, over and over.",
        metavar="RRGGBB|FILE",
        file=True,
    )
    cover: str = option(
        "fill",
        "How hide covers objects: filled with a plain colour, or blurred.",
        choices=("fill", "blur"),
    )
    pixel_size: float = option(
        4.0,
        "Size of pixelate's squares in percent of the picture's height; an eighth of the object "
        "at least.",
        low=0.5,
        high=25.0,
    )
    cover_memory: float = option(
        1.0,
        "For how many seconds hide and pixelate go on covering where an object was last seen.",
        low=0.0,
        high=60.0,
    )
    trail: float = option(
        2.0, "How many seconds of an object's way trails shows.", low=0.1, high=600.0
    )
    select: str = option(
        "all",
        "Which of the objects found are kept in front; others count as background. all; largest; "
        "a number: so many of the largest; or identities, such as id3,id7.",
        metavar="all|largest|N|id…",
        parse=parse_select,
    )
    split: str = option(
        "none",
        "Write a file for each object or each class, named after the output: out.person-3.mp4, "
        "out.person.mp4. For pictures, and for videos of the looks binary, instances and cutout. "
        "With --masks, only the masks are split.",
        choices=("none", "object", "class"),
    )
    crop: bool = option(
        False, "Cut each object out as a small picture of its own, such as photo.person-1.png."
    )
    identities: bool = option(
        False,
        "instances gives each pixel its object's number (with --colours class, its class's, from 1 "
        "on) in 16 bits grey, 0 for none, instead of a colour; for .png, .tif, and .mkv (FFV1).",
    )

    @property
    def divided(self) -> bool:
        """Whether objects go into files of their own."""
        return self.crop or self.split != "none"


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How files are written."""

    codec: str | None = option(
        None,
        "Video encoder, as FFmpeg names it: libx264, libx265, libsvtav1, ffv1, …",
        said="what suits the output's ending",
        metavar="NAME",
    )
    crf: float | None = option(
        None,
        "Quality on the encoder's own scale; lower is better and larger.",
        said="the encoder's usual, 20 for libx264",
        low=0,
        high=63,
    )
    preset: str | None = option(
        None,
        "Speed against size, as the encoder names it, such as veryfast.",
        said="a fast one",
        metavar="NAME",
    )
    pixel_format: str | None = option(
        None,
        "How samples of video are stored, as FFmpeg names it: yuv420p plays everywhere; yuv444p, "
        "yuv420p10le, …",
        said="as the source's, or what comes nearest",
        metavar="NAME",
    )
    format: str | None = option(
        None,
        "What -o - writes to standard output. y4m: raw frames for ffmpeg, ffplay, mpv; rawvideo: "
        "their samples and nothing else; nut: raw frames with their times and the sound; mkv, ts: "
        "encoded, with the sound.",
        said="lines of JSON",
        choices=("y4m", "rawvideo", "nut", "mkv", "ts"),
    )
    overwrite: bool = option(
        False, "Replace an existing output; without this it is refused before any work."
    )
    records_masks: str = option(
        "rle",
        "How records hold masks. rle: COCO's run lengths, exact; polygon: outlines; soft: what "
        "--from needs for the very same picture, large (.ndjson); none: boxes alone.",
        choices=("rle", "polygon", "soft", "none"),
    )


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How a live source is shown."""

    display: str = option(
        "window",
        "Where it is shown: in a window (press ? in it for its keys), on a page in the browser, or "
        "nowhere.",
        choices=("window", "browser", "none"),
        on="window",
        off="none",
    )
    seconds: float | None = option(None, "Stop after so many seconds.", said="never", low=0.0)
    part_minutes: float | None = option(
        None,
        "Record into several files of so many minutes each, videos and data alike. Their names get "
        "the moment when they begin: take-20261128-140000.mp4.",
        said="one file for all",
        metavar="MINUTES",
        low=0.05,
    )
    cover_wait: bool = option(
        True,
        "hide and pixelate show a frame once the model has looked at it or a later one, so that "
        "nobody who walks in is seen; --no-cover-wait shows it at once.",
    )


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run says and writes of itself."""

    report: Path | None = option(
        None,
        "Also write the figures of the run to this file; {name} in it stands for the input's name, "
        "except in a fleet, which has one report (see docs/report.md).",
        said="no report",
        metavar="FILE.json",
        parse=parse_file,
    )
    save_config: Path | None = option(
        None,
        "Write what was asked for to this file, for `stream run`, and end.",
        said="not written",
        metavar="FILE.toml",
    )
    quiet: bool = option(False, "Say nothing but errors.", short="-q")
    verbose: bool = option(False, "Say more, and show tracebacks.", short="-v")
