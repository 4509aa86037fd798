"""The options of where frames come from; `stream.settings.options` has them with all others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stream.errors import UsageError
from stream.settings.option import option, parse_file, parse_size, parse_time


@dataclass(frozen=True, slots=True)
class CutOptions:
    """Which part of a file is taken."""

    start: float | None = option(
        None,
        "Begin at this time: seconds, M:SS or H:MM:SS.",
        said="the beginning",
        metavar="TIME",
        low=0.0,
        parse=parse_time,
    )
    end: float | None = option(
        None,
        "Stop before this time: seconds, M:SS or H:MM:SS.",
        said="the end",
        metavar="TIME",
        low=0.0,
        parse=parse_time,
    )
    limit: int | None = option(
        None,
        "Stop after this many frames of each input.",
        said="no limit",
        metavar="FRAMES",
        low=1,
    )

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise UsageError(f"--end {self.end:g} must be later than --start {self.start:g}")


@dataclass(frozen=True, slots=True)
class DecodingOptions:
    """What decodes footage."""

    hwaccel: str = option(
        "none",
        "Decode on this kind of device, as FFmpeg names it: cuda, videotoolbox, d3d11va, …; auto: "
        "the first that opens. If it cannot decode a file, the CPU does, and the run says so.",
        metavar="DEVICE|auto|none",
    )


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """Whether what was recorded is taken in place of inference."""

    from_records: Path | None = option(
        None,
        "Paint what these records hold, without inference: .ndjson, as written by --records, "
        "perhaps corrected by hand; .json (COCO) and .txt (MOTChallenge) too.",
        said="the model looks",
        metavar="FILE",
        flag="--from",
        parse=parse_file,
    )


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """What is asked of a camera."""

    size: tuple[int, int] | None = option(
        None,
        "Picture size in pixels.",
        said="640x480 where the camera has it",
        metavar="WxH",
        parse=parse_size,
    )
    fps: float | None = option(
        None,
        "Pictures per second, of a camera or of numbered pictures; a video keeps its own times.",
        said="the camera's; 25 for numbered pictures",
        low=1.0,
        high=1000.0,
    )
    device: str | None = option(
        None,
        "The camera's device; with --as-camera, a video file.",
        said="the first camera",
        metavar="DEVICE|FILE",
        file=True,
    )
    as_camera: bool = option(
        False, "Play the file given as --device in real time, over and over, like a camera."
    )


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """How a network source is opened and kept."""

    transport: str = option(
        "tcp",
        "How RTSP carries its packets.",
        choices=("tcp", "udp", "udp_multicast", "http"),
    )
    open_timeout: float = option(5.0, "Seconds that opening may take.", low=0.1)
    read_timeout: float = option(
        5.0, "Seconds without data after which the source counts as gone.", low=0.1
    )
    give_up: float | None = option(
        None,
        "End after the source has been gone for so many seconds.",
        said="try for ever",
        low=0.0,
    )
    skip_scrambled: bool = option(
        False,
        "Leave out pictures that lost packets have scrambled: the last whole one stands until the "
        "next key frame.",
    )


@dataclass(frozen=True, slots=True)
class InputOptions:
    """All that a source may be asked; each kind reads what concerns it."""

    cut: CutOptions = CutOptions()
    replay: ReplayOptions = ReplayOptions()
    camera: CameraOptions = CameraOptions()
    network: NetworkOptions = NetworkOptions()
    decoding: DecodingOptions = DecodingOptions()
