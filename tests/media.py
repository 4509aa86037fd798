"""Small clips, made with PyAV when a test needs them, and their pictures and packets read back.

Nothing here uses the code under test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

SAMPLE_RATE = 48000


@dataclass
class Clip:
    """What a clip is made of; every field has a default that gives a plain one-second clip.

    Attributes:
        codec: FFmpeg's name of the video encoder; None for a file without video.
        pixel_format: of the pictures.
        size: width and height in pixels.
        frames: how many pictures.
        rate: pictures per second.
        time_base: seconds per tick; None for one tick per picture.
        times: presentation times in ticks of `time_base`, growing; None for a constant rate.
        start: ticks by which all pictures come later, where `times` is None.
        options: for the video encoder.
        b_frames: None for the encoder's own choice.
        audio: FFmpeg's name of an audio encoder; None for silence.
        audio_start: seconds at which the sound begins.
        audio_seconds: how long it lasts; None for as long as the pictures.
        subtitles: (start, end, text) in seconds.
        rotation: degrees counterclockwise, as FFmpeg counts, that a player turns the pictures.
        mirrored: whether a player mirrors them left to right first.
        colour: primaries, transfer, matrix, range (1 limited, 2 full), as FFmpeg numbers them.
        aspect: of one sample.
        metadata: of the file.
        container: FFmpeg's name, where the ending does not say.
        muxer: options for the container.
    """

    codec: str | None = "libx264"
    pixel_format: str = "yuv420p"
    size: tuple[int, int] = (64, 48)
    frames: int = 25
    rate: Fraction | int = 25
    time_base: Fraction | None = None
    times: Sequence[int] | None = None
    start: int = 0
    options: dict[str, str] = field(default_factory=lambda: {"preset": "ultrafast", "crf": "10"})
    b_frames: int | None = None
    audio: str | None = None
    audio_start: float = 0
    audio_seconds: float | None = None
    subtitles: Sequence[tuple[float, float, str]] = ()
    rotation: int = 0
    mirrored: bool = False
    colour: tuple[int, int, int, int] | None = None
    aspect: Fraction | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    container: str | None = None
    muxer: dict[str, str] = field(default_factory=dict)

    @property
    def tick(self) -> Fraction:
        """Seconds per tick of the pictures' clock."""
        return self.time_base or 1 / Fraction(self.rate)

    def pts(self) -> list[int]:
        """The pictures' times in ticks."""
        if self.times is not None:
            return list(self.times)
        step = 1 / (Fraction(self.rate) * self.tick)
        return [self.start + round(index * step) for index in range(self.frames)]


_MADE: dict[str, bytes] = {}
"""Clips that were made in this process, by what they are made of: sound takes long to encode."""

# Kinds of files that are more than one file.
_MADE_ANEW = {".m3u8", ".mpd"}


def make_clip(path: Path, clip: Clip | None = None, **changes: Any) -> Path:
    """Writes a clip of one picture stream and what else `Clip` says; returns its path."""
    clip = clip or Clip(**changes)
    name = f"{path.suffix} {clip}"
    if name in _MADE:
        path.write_bytes(_MADE[name])
        return path
    _make(path, clip)
    if path.suffix not in _MADE_ANEW:
        _MADE[name] = path.read_bytes()
    return path


def _make(path: Path, clip: Clip) -> None:
    with av.open(str(path), "w", format=clip.container, container_options=clip.muxer) as container:
        container.metadata.update(clip.metadata)
        video = _add_video(container, clip) if clip.codec else None
        sound = _add_sound(container, clip) if clip.audio else None
        words = _add_words(container, path) if clip.subtitles else None
        for start, end, text in clip.subtitles:
            packet = av.Packet(text.encode())
            if path.suffix in {".mp4", ".mov"}:
                packet = av.Packet(len(text.encode()).to_bytes(2, "big") + text.encode())
            packet.stream, packet.time_base = words, Fraction(1, 1000)
            packet.pts = packet.dts = round(start * 1000)
            packet.duration = round((end - start) * 1000)
            container.mux(packet)
        played = 0.0
        times = clip.pts() if video is not None else []
        for index, pts in enumerate(times):
            picture = make_picture(index, *clip.size, clip.pixel_format)
            picture.pts, picture.time_base = pts, clip.tick
            container.mux(video.encode(picture))
            if sound is not None and clip.audio_seconds is None:
                played = _play(container, sound, clip, played, float(pts * clip.tick))
        last = float(times[-1] * clip.tick + 1 / Fraction(clip.rate)) if times else 1.0
        if sound is not None:
            if clip.audio_seconds is not None:
                last = clip.audio_start + clip.audio_seconds
            _play(container, sound, clip, played, last)
            container.mux(sound.encode(None))
        if video is not None:
            container.mux(video.encode(None))


# As the encoders' own presets take three times as long and more. Both still look ahead.
_QUICK = {
    "libx264": {"preset": "veryfast"},
    "libvpx": {"cpu-used": "5"},
    "libvpx-vp9": {"cpu-used": "5"},
}


def _add_video(container: Any, clip: Clip) -> Any:
    options = {**_QUICK.get(clip.codec or "", {}), **clip.options}
    video = container.add_stream(clip.codec, rate=Fraction(clip.rate), options=options)
    video.width, video.height = clip.size
    context = video.codec_context
    context.pix_fmt = clip.pixel_format
    context.time_base = clip.tick
    if clip.b_frames is not None:
        context.max_b_frames = clip.b_frames
    if clip.colour is not None:
        context.color_primaries, context.color_trc = clip.colour[:2]
        context.colorspace, context.color_range = clip.colour[2:]
    if clip.aspect is not None:
        context.sample_aspect_ratio = clip.aspect
    if clip.rotation or clip.mirrored:
        video.set_display_rotation(clip.rotation, hflip=clip.mirrored)
    return video


def _add_sound(container: Any, clip: Clip) -> Any:
    quick = {"aac_coder": "fast"} if clip.audio == "aac" else {}
    sound = container.add_stream(clip.audio, rate=SAMPLE_RATE, options=quick)
    sound.codec_context.layout = "stereo"
    return sound


def _add_words(container: Any, path: Path) -> Any:
    codec = {".mp4": "mov_text", ".mov": "mov_text", ".webm": "webvtt"}.get(path.suffix, "subrip")
    words = container.add_stream(codec)
    words.codec_context.subtitle_header = (
        b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize, "
        b"PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, "
        b"StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, "
        b"MarginL, MarginR, MarginV, Encoding\nStyle: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,"
        b"0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1\n\n[Events]\nFormat: Layer, Start, End, Style, "
        b"Name, MarginL, MarginR, MarginV, Effect, Text\n"
    )
    words.time_base = Fraction(1, 1000)
    return words


def _play(container: Any, sound: Any, clip: Clip, played: float, until: float) -> float:
    """Encodes a tone from `played` to `until` seconds of the file; returns where it got to."""
    size = 960
    at = max(played, clip.audio_start)
    while at < until:
        samples = np.arange(size) + round((at - clip.audio_start) * SAMPLE_RATE)
        wave = (8000 * np.sin(samples * 2 * np.pi * 440 / SAMPLE_RATE)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2)[None], format="s16", layout="stereo")
        frame.sample_rate = SAMPLE_RATE
        frame.pts, frame.time_base = round(at * SAMPLE_RATE), Fraction(1, SAMPLE_RATE)
        container.mux(sound.encode(frame))
        at += size / SAMPLE_RATE
    return at


def make_picture(index: int, width: int, height: int, pixel_format: str) -> av.VideoFrame:
    """A picture that differs from every other: a slanted ramp, a bright corner at the top left.

    Planar YUV and grey are drawn into the planes; other formats are converted from RGB.
    """
    drawn = pixel_format.startswith(("yuv4", "yuvj", "gray")) and not pixel_format.endswith("be")
    if not drawn:
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[:] = np.arange(width)[None, :, None] * 3 % 200 + index % 50
        pixels[: height // 4, : width // 4] = (255, 40, 40)
        picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        return picture.reformat(format=pixel_format)
    picture = av.VideoFrame(width, height, pixel_format)
    depth = max(component.bits for component in picture.format.components)
    for place, view in enumerate(planes(picture)):
        levels = (np.arange(180) + index * 5 + place * 40) % 180 + 30
        view[:] = (levels << (depth - 8)).astype(view.dtype)[_ramp(*view.shape)]
        if place == 0:
            view[: height // 4, : width // 4] = 230 << (depth - 8)
    return picture


@cache
def _ramp(height: int, width: int) -> NDArray[np.uint8]:
    """How far each sample is along a slanted ramp that begins anew after 180."""
    rows, columns = np.indices((height, width))
    return ((rows * 2 + columns * 3) % 180).astype(np.uint8)


def planes(picture: av.VideoFrame) -> list[NDArray[Any]]:
    """The samples of each plane without padding, [height, width], on the picture's memory."""
    deep = picture.format.name.endswith("le")
    views = []
    for plane in picture.planes:
        memory: Any = plane
        samples = np.frombuffer(memory, np.uint16 if deep else np.uint8)
        rows = samples.reshape(plane.height, plane.line_size // (2 if deep else 1))
        views.append(rows[:, : plane.width])
    return views


def copied_planes(picture: av.VideoFrame) -> list[NDArray[Any]]:
    """The same as `planes`, as copies that stay when the picture goes."""
    return [view.copy() for view in planes(picture)]


def same_picture(one: Sequence[NDArray[Any]], other: Sequence[NDArray[Any]]) -> bool:
    """Whether two pictures are equal in every sample of every plane."""
    return len(one) == len(other) and all(
        a.shape == b.shape and np.array_equal(a, b) for a, b in zip(one, other, strict=True)
    )


@dataclass
class Decoded:
    """What a plain PyAV loop makes of a file's first video stream.

    Attributes:
        pts: presentation times in seconds.
        pictures: the planes of every picture.
        format: pixel format of the first picture.
        tick: seconds per tick.
        start: in seconds, of the stream.
        duration: in seconds, of the stream; None where unknown.
    """

    pts: list[Fraction]
    pictures: list[list[NDArray[Any]]]
    format: str
    tick: Fraction
    start: Fraction
    duration: Fraction | None


def decode(path: Path, limit: int | None = None) -> Decoded:
    """Decodes a file with nothing but PyAV."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        tick = Fraction(stream.time_base)
        result = Decoded([], [], "", tick, (stream.start_time or 0) * tick, None)
        if stream.duration is not None:
            result.duration = stream.duration * tick
        for picture in container.decode(stream):
            result.format = result.format or picture.format.name
            result.pts.append(picture.pts * tick)
            result.pictures.append(copied_planes(picture))
            if limit is not None and len(result.pts) >= limit:
                break
    return result


def packets(path: Path, kind: str, place: int = 0) -> list[tuple[Fraction, bytes]]:
    """Times in seconds and bytes of the packets of a file's stream of a kind, in order."""
    with av.open(str(path)) as container:
        stream = [s for s in container.streams if s.type == kind][place]
        return [
            (packet.pts * Fraction(packet.time_base), bytes(packet))
            for packet in container.demux(stream)
            if packet.size
        ]


def stream_types(path: Path) -> list[str]:
    """The kinds of streams in a file, in order."""
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


def captioned(path: Path, clip: Path) -> Path:
    """A clip of H.264 again, with closed captions (ATSC A/53) beside each picture."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        video = source.streams.video[0]
        copy = target.add_stream_from_template(video, opaque=True)
        for number, packet in enumerate(packet for packet in source.demux(video) if packet.size):
            pair = bytes([0xFC, 0x41 + number % 26, 0x61 + number % 26])
            words = b"\xb5\x00\x31GA94\x03\x42\xff" + pair + b"\xf8\x00\x00\xff"
            unit = bytes([6, 4, len(words)]) + words + b"\x80"
            added = av.Packet(len(unit).to_bytes(4, "big") + unit + bytes(packet))
            added.pts, added.dts, added.duration = packet.pts, packet.dts, packet.duration
            added.time_base, added.stream = packet.time_base, copy
            added.is_keyframe = packet.is_keyframe
            target.mux(added)
    return path


def captions(path: Path) -> list[bytes | None]:
    """The closed captions of each picture as it is shown, None where one has none."""
    with av.open(str(path)) as container:
        return [
            next((bytes(one) for one in picture.side_data if one.type.name == "A53_CC"), None)
            for picture in container.decode(video=0)
        ]


def covers(path: Path) -> list[tuple[str, bytes]]:
    """The codecs and the stored pictures that stand for a file."""
    with av.open(str(path)) as container:
        return [
            (packet.stream.codec_context.name, bytes(packet))
            for packet in container.demux()
            if packet.size and packet.stream.disposition & Disposition.attached_pic
        ]
