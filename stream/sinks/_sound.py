"""Sound that is encoded anew: brought to one layout and rate, and without gaps or overlaps."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.codec.codec import Codec
from av.filter import Graph
from av.stream import Stream
from numpy.typing import NDArray

from stream.sinks._decoding import own_decoder
from stream.sinks._lossless import Lossless
from stream.sinks._muxer import Muxer
from stream.sinks._sound_clock import FILLED, UNHEARD, SoundClock
from stream.sinks._tracks import Track, said_early
from stream.sinks._trial import silence, takes_sound
from stream.system.channels import order_of, ordered
from stream.types import AnyPacket
from stream.wording.words import counted

_log = logging.getLogger(__name__)

Samples = NDArray[Any]
"""Times channels; float32, float64 or int32, as `_NUMBERS` says."""
_NUMBERS = {"flt": np.float32, "dbl": np.float64, "s32": np.int32}

_BITS_PER_CHANNEL = 80_000
# The order in which channels without names are taken to be.
_CHANNELS = (
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR"),
    *("TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR"),
)

_SPHERE = "ambisonic"
# Sound from all around, as of cameras that film so, which FFmpeg brings to no other layout. Its
# first channel is all of it, its second what comes from the left less what comes from the right
# (AmbiX: ACN, SN3D); half of the sum and of the difference are what two cardioids record.
_TWO_EARS = "stereo|c0=0.5*c0+0.5*c1|c1=0.5*c0-0.5*c1"


def declared(layout: AudioLayout) -> str | None:
    """The name of a channel layout; the usual one for the number where a file does not say.

    Returns:
        None where there are more channels than anyone has named, or none: a damaged head.
    """
    if not layout.nb_channels:
        return None
    if "channels" not in layout.name:
        return layout.name
    try:
        return AudioLayout(f"{layout.nb_channels}c").name
    except ValueError:
        named = _CHANNELS[: layout.nb_channels]
        return "+".join(named) if len(named) == layout.nb_channels else None


def channels_of(stream: Stream) -> tuple[str | None, tuple[int, ...]]:
    """The channels of sound, and of each which one it is as they come; none where they come so.

    Codecs have orders of their own; samples come as their container says.
    """
    if not isinstance(stream, AudioStream):
        return None, ()
    samples = stream.codec_context.codec.canonical_name.startswith("pcm_")
    found = ordered(order_of(stream)) if samples else None
    return (declared(stream.codec_context.layout), ()) if found is None else found


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """What an encoder is given.

    Attributes:
        layout: the channels.
        rate: samples per second.
    """

    layout: str
    rate: int


def choose_sound(encoder: str, layout: str, rate: int, most: int | None = None) -> SoundFormat:
    """The channels and rate that an encoder takes and that keep the most.

    Args:
        encoder: FFmpeg's name of it.
        layout: of the sound that is there.
        rate: of the sound that is there, samples per second.
        most: channels; None for as many as there are.
    """
    rates = sorted(Codec(encoder, "w").audio_rates or [rate])
    # The lowest that keeps all of it; Opus calls every rate 48000 in the end.
    used = next((one for one in rates if one >= rate), rates[-1])
    if encoder == "libopus":
        used = 48000
    stored = Codec(encoder, "w").audio_formats[0].name  # type: ignore[index]
    channels = AudioLayout(layout).nb_channels
    channels = channels if most is None else min(channels, most)
    for name in (layout, "7.1", "5.1", "stereo"):
        if AudioLayout(name).nb_channels <= channels and takes_sound(encoder, stored, name, used):
            return SoundFormat(name, used)
    return SoundFormat("mono", used)


def _delay(encoder: str, wanted: SoundFormat) -> int:
    """Samples that an encoder puts before those that it is given."""
    first = next(iter(silence(encoder, wanted.rate, wanted.layout)), None)
    return 0 if first is None or first.pts is None else max(0, -first.pts)


class Reencoded(Track):
    """Sound in a codec that the container cannot hold."""

    def __init__(
        self,
        muxer: Muxer,
        template: AudioStream,
        encoder: str | Lossless,
        layout: str,
        *,
        from_zero: bool,
        most: int | None = None,
        order: Sequence[int] = (),
    ) -> None:
        """Adds the stream.

        Args:
            muxer: the output.
            template: the input's stream.
            encoder: FFmpeg's name of the encoder, or how samples stay as they are.
            layout: the channels of the input, as `declared` names them.
            from_zero: whether the container has no times of its own for sound.
            most: channels of the output; None for as many as there are.
            order: of each channel of the layout, which one it is as they come; none where they come
                so.
        """
        self._muxer = muxer
        self._decoder = own_decoder(template)
        rate = self._decoder.sample_rate or 48000
        exact = encoder if isinstance(encoder, Lossless) else None
        name = encoder.encoder if isinstance(encoder, Lossless) else encoder
        self._format = (
            choose_sound(name, layout, rate, most) if exact is None else SoundFormat(layout, rate)
        )
        stream = muxer.container.add_stream(name, rate=self._format.rate)
        assert isinstance(stream, AudioStream)
        self.stream: AudioStream = stream
        context = stream.codec_context
        context.layout = self._format.layout
        if exact is None:
            context.bit_rate = _BITS_PER_CHANNEL * context.layout.nb_channels
        else:
            context.format = exact.stored
        self._worked = "flt" if exact is None else exact.worked
        self._number = _NUMBERS[self._worked]
        self._clock = SoundClock(self._format.rate, from_zero=from_zero)
        self._tick = Fraction(1, self._format.rate)
        self._channels = context.layout.nb_channels
        placed = [f"c{place}=c{which}" for place, which in enumerate(order)]
        self._mixed = "|".join([layout, *placed]) if placed else ""
        if layout.startswith(_SPHERE) and self._format.layout != layout:
            self._mixed = _TWO_EARS
        self._graph: Graph | None = None
        self._source: tuple[str, str, int] | None = None
        self._held: list[Samples] = []
        self._holds = 0
        self._begin = 0
        # Readers of such a container take what an encoder puts before the sound for sound.
        self._ahead = _delay(name, self._format) if from_zero and exact is None else 0

    @property
    def encoder(self) -> str:
        """FFmpeg's name of the encoder."""
        return self.stream.codec_context.name

    @property
    def layout(self) -> str:
        """The channels of the output."""
        return self._format.layout

    def write(self, packet: AnyPacket) -> None:
        self._decode(packet)

    def finish(self) -> None:
        self._decode(None)
        self._pour(None)
        self._give(everything=True)
        self._encode(None)

    @property
    def remarks(self) -> list[str]:
        clock, said = self._clock, []
        if clock.filled:
            said.append(
                f"{clock.filled / self._format.rate:.2f} s of gaps were filled with silence"
            )
        if clock.early > UNHEARD * self._format.rate:
            said.append(said_early(clock.early / self._format.rate))
        if clock.closed:
            said.append(f"{clock.closed / self._format.rate:.2f} s that came twice were left out")
        if clock.paused:
            said.append(
                f"{counted(clock.paused, 'gap')} of more than {FILLED} s "
                f"{'was left as it is' if clock.paused == 1 else 'were left as they are'}"
            )
        if clock.restarts:
            said.append("its clock started over in the middle and was made continuous")
        if not said:
            return []
        return [f"in stream {self.stream.index}, sound, {', '.join(said)}"]

    def _decode(self, packet: AnyPacket | None) -> None:
        try:
            frames = self._decoder.decode(packet)
        except (av.FFmpegError, ValueError) as error:
            self.lost += packet is not None
            _log.debug("sound cannot be decoded: %s", error)
            return
        for frame in frames:
            self._convert(frame)
        self._give(everything=False)

    def _convert(self, frame: AudioFrame) -> None:
        """Brings a piece of sound to the layout and rate of the output."""
        layout = declared(frame.layout)
        if layout is None or frame.sample_rate <= 0 or frame.samples <= 0:
            self.lost += 1
            return
        source = (frame.format.name, layout, frame.sample_rate)
        try:
            if source != self._source:
                # What the old way still holds comes first.
                self._pour(None)
                self._graph = self._way(*source, frame.time_base or Fraction(1, frame.sample_rate))
                self._source = source
            self._pour(frame)
        except (av.FFmpegError, ValueError) as error:
            self.lost += 1
            self._graph = self._source = None
            _log.debug("sound cannot be converted: %s", error)

    def _way(self, sample_format: str, layout: str, rate: int, tick: Fraction) -> Graph:
        graph = Graph()
        graph.threads = 1
        nodes = [
            graph.add(
                "abuffer",
                sample_rate=str(rate),
                sample_fmt=sample_format,
                channel_layout=layout,
                time_base=str(tick),
            ),
            *([graph.add("pan", self._mixed)] if self._mixed else []),
            graph.add(
                "aformat",
                # Packed, as PyAV miscounts the planes of eight channels.
                sample_fmts=self._worked,
                channel_layouts=self._format.layout,
                sample_rates=str(self._format.rate),
            ),
            graph.add("abuffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        return graph

    def _pour(self, frame: AudioFrame | None) -> None:
        """Sends a piece through the graph, or says that it was the last."""
        if self._graph is None:
            return
        self._graph.push(frame)
        for converted in self._converted():
            stored = None
            if converted.pts is not None and converted.time_base is not None:
                stored = round(converted.pts * converted.time_base / self._tick)
            samples = converted.to_ndarray().reshape(-1, self._channels)
            self._append(stored, samples)
        if frame is None:
            self._graph = self._source = None

    def _converted(self) -> Iterator[AudioFrame]:
        assert self._graph is not None
        while True:
            try:
                yield self._graph.pull()  # type: ignore[misc]  # sound for sound
            except (av.BlockingIOError, av.EOFError):
                return

    def _append(self, stored: int | None, samples: Samples) -> None:
        begin, silence, skipped = self._clock.place(stored, len(samples))
        if begin != self._begin + self._holds:
            # A pause: what came before it is complete.
            self._give(everything=True)
            self._begin = begin
        # In pieces of a second, so that silence costs no memory.
        while silence > 0:
            length = min(silence, self._format.rate)
            self._hold(np.zeros((length, self._channels), self._number))
            self._give(everything=False)
            silence -= length
        left_out = min(self._ahead, len(samples) - skipped) if not silence else 0
        skipped, self._ahead = skipped + left_out, self._ahead - left_out
        # Damaged sound may hold what is not a number.
        floats = self._number != np.int32
        kept = samples[skipped:]
        self._hold(np.nan_to_num(kept, posinf=1, neginf=-1) if floats else kept)

    def _hold(self, samples: Samples) -> None:
        if len(samples):
            self._held.append(samples)
            self._holds += len(samples)

    def _give(self, *, everything: bool) -> None:
        """Encodes what is held, in frames of the encoder's size."""
        size = self.stream.codec_context.frame_size or 1024
        if not self._held or (self._holds < size and not everything):
            return
        samples = np.concatenate(self._held)
        whole = len(samples) if everything else len(samples) // size * size
        for at in range(0, whole, size):
            piece = samples[at : min(at + size, whole)].reshape(1, -1)
            frame = AudioFrame.from_ndarray(piece, self._worked, self._format.layout)
            frame.sample_rate = self._format.rate
            frame.pts, frame.time_base = self._begin + at, self._tick
            self._encode(frame)
        self._begin += whole
        self._held = [samples[whole:]] if whole < len(samples) else []
        self._holds = len(samples) - whole

    def _encode(self, frame: AudioFrame | None) -> None:
        try:
            packets = self.stream.encode(frame)
        except (av.FFmpegError, ValueError) as error:
            self.lost += frame is not None
            _log.debug("sound cannot be encoded: %s", error)
            return
        for packet in packets:
            self._muxer.mux(packet)
