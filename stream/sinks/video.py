"""Video files: every picture at its exact time, the rest copied, playable whatever happens."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Self

from av.stream import Disposition
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from stream.errors import SinkError
from stream.frame import Frame, Item, Passthrough, VideoInfo
from stream.pictures.references import packet_copy
from stream.settings.options import OutputOptions
from stream.sinks._alpha import Transparent
from stream.sinks._captions import Captions
from stream.sinks._containers import ALPHA_ENDINGS, ENDINGS, ContainerKind
from stream.sinks._copies import Copies
from stream.sinks._covers import Covers
from stream.sinks._destination import Destination, check_destination
from stream.sinks._encoder_formats import choose_format, format_remark, in_format
from stream.sinks._encoder_refusals import refusal
from stream.sinks._encoders import EncoderChoice, quieten, says_shape
from stream.sinks._key_frames import KeyFrames
from stream.sinks._muxer import FAILURES, Muxer, words_of
from stream.sinks._names import (
    film_tags,
    lost_of_film,
    lost_of_streams,
    names_of,
    roles_of,
    set_chapters,
)
from stream.sinks._picture_times import PictureTimes
from stream.sinks._pictures import Pictures, lost_shape
from stream.sinks._plan import (
    KEYFRAME_EVERY,
    check_identities,
    choose,
    choose_alpha,
    choose_tick,
    configure,
    keeps_range,
    lost,
    moved,
    narrowed,
    rate_of,
    uses_all_values,
)
from stream.sinks.base import Sink
from stream.types import AnyPacket
from stream.wording.words import counted

# The first key frame after the very first comes early, so that there is soon something to save.
_FIRST_KEYFRAME = Fraction(1, 2)


class VideoSink(Sink):
    """Encodes pictures and writes them, with the copied streams, into a video file.

    Frame count, presentation times (to one tick of the output's clock) and durations are those of
    what comes in. The file is playable at any moment: MP4 and MOV are written in fragments of a
    second and made a normal file at the end; Matroska and MPEG-TS are so by nature. A new file is
    written in place; one that is replaced (`overwrite`) stays until the new one, NAME.partial.END
    beside it, is complete.
    """

    priority: ClassVar[int] = -1
    takes_packets: ClassVar[bool] = True
    endings: ClassVar[tuple[str, ...]] = ENDINGS
    alpha_endings: ClassVar[tuple[str, ...]] = ALPHA_ENDINGS

    _first_keyframe, _keyframe_every = _FIRST_KEYFRAME, KEYFRAME_EVERY

    @classmethod
    def accepts(cls, target: str) -> bool:
        """A path; that its ending is one of a video is `check`'s question."""
        return "://" not in target

    @classmethod
    def check(cls, target: str, options: OutputOptions, inputs: Sequence[Path] = ()) -> None:
        """Refuses settings, endings and places that cannot be.

        Raises:
            UsageError: the ending, codec, crf or preset are not possible, the file exists, or is an
                input.
            SinkError: its folder does not exist or may not be written to.
        """
        _, choice = choose(Path(target), options.codec, options.crf, options.preset)
        in_format(choice, options.pixel_format)
        check_destination(target, overwrite=options.overwrite, inputs=inputs)

    @classmethod
    def check_alpha(cls, target: str, options: OutputOptions) -> None:
        """WebM, QuickTime and Matroska hold it, by encoders that keep it."""
        _, choice = choose_alpha(Path(target), options.codec, options.crf, options.preset)
        in_format(choice, options.pixel_format, alpha=True)

    @classmethod
    def check_identities(cls, target: str, options: OutputOptions) -> None:
        """Only Matroska holds them."""
        check_identities(Path(target), options)

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """Opens the file and the encoder."""
        return cls(
            target,
            info,
            codec=options.codec,
            crf=options.crf,
            preset=options.preset,
            pixel_format=options.pixel_format,
            overwrite=options.overwrite,
        )

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        codec: str | None = None,
        crf: float | None = None,
        preset: str | None = None,
        pixel_format: str | None = None,
        overwrite: bool = False,
        threads: int | None = None,
    ) -> None:
        """Opens the file and the encoder.

        Args:
            path: the file; its ending says which container.
            info: what the source says of its video.
            codec: FFmpeg's name of an encoder; None for the container's default.
            crf: quality on the encoder's own scale, lower is better; None for its default.
            preset: speed in the encoder's own words; None for a fast one.
            pixel_format: FFmpeg's name of how samples are stored; None for what keeps the most.
            overwrite: whether an existing file may be replaced.
            threads: threads of the encoder; None for as many as it finds good.

        Raises:
            UsageError: codec, crf, preset, pixel format or ending are not possible, or the file
                exists.
            SinkError: the file cannot be written.
        """
        self.path = Path(path)
        self._kind, choice = self._choose(info, codec, crf, preset)
        self._choice = in_format(choice, pixel_format)
        self._remarks: list[str] = []
        self._format = self._choose_format(info)
        self._tick = choose_tick(info, self._kind, self._choice)
        self._times = PictureTimes(self._kind, self._tick)
        self._key_frames = KeyFrames(self._tick, self._first_keyframe, self._keyframe_every)
        self._muxed = 0
        self._saved = (0, 0.0)
        # What means something is left as it is.
        keeps = info.exact or keeps_range(self._kind, self._choice, self._format)
        narrow = uses_all_values(info) and not keeps
        if narrow:
            info, said = narrowed(info, self._kind, self._choice)
            self._remarks.append(said)
        said_of = (info, self._kind, self._choice, self._format, self._ending)
        self._remarks += lost(*said_of)
        fitting = Transparent if info.alpha else Pictures
        self._pictures = fitting(info.width, info.height, self._format, narrow=narrow)
        self._shown: VideoFrame | None = None
        self._done = False
        self._destination = self._open_destination(overwrite=overwrite)
        tags, self._refused = film_tags(self._kind, info.metadata)
        self._captions = Captions(self._choice)
        self._muxer = Muxer(self._destination, self._kind, self._tick, info, tags)
        try:
            self._open(info, threads)
        except BaseException:
            self._discard()
            raise

    def _choose(
        self, info: VideoInfo, codec: str | None, crf: float | None, preset: str | None
    ) -> tuple[ContainerKind, EncoderChoice]:
        """The container and the encoder."""
        return (choose_alpha if info.alpha else choose)(self.path, codec, crf, preset)

    @property
    def _ending(self) -> str:
        """What the kind of output is called in sentences."""
        return self._kind.said or self.path.suffix

    def _open_destination(self, *, overwrite: bool) -> Destination:
        """Where the container's bytes go."""
        return Destination(self.path, overwrite=overwrite)

    def _choose_format(self, info: VideoInfo) -> str:
        odd = (info.width % 2 == 1, info.height % 2 == 1)
        used = choose_format(info.pixel_format, self._choice, odd=odd, alpha=info.alpha)
        remark = format_remark(info.pixel_format, used, self._choice, odd=any(odd))
        if remark is not None:
            self._remarks.append(remark)
        return used

    def _open(self, info: VideoInfo, threads: int | None) -> None:
        container = self._muxer.container
        encoded = container.add_stream(
            self._choice.name,
            rate=rate_of(info).limit_denominator(1 << 20),
            options=dict(self._choice.options),
            width=info.width,
            height=info.height,
            time_base=self._tick,
        )
        assert isinstance(encoded, VideoStream)
        self._stream = encoded
        roles = roles_of(info.roles)
        self._stream.disposition = roles | Disposition.default
        roles &= ~Disposition.default  # it is the first
        named, lost = names_of(self._kind, "video", info.track, roles)
        self._stream.metadata.update(self._muxer.track_tags(named))
        if info.alpha and self._choice.name.startswith("libvpx"):
            # Only where this is said, players look for the second picture, that of the opacity.
            self._stream.metadata["alpha_mode"] = "1"
        if self._kind.by_decode_time and "hevc" in self._stream.codec_context.codec.canonical_name:
            # Apple's players know HEVC by this name only.
            self._stream.codec_context.codec_tag = "hvc1"
        holds, told = self._kind.by_decode_time, self._muxer.shape
        if told is not None or not (holds or says_shape(self._choice.name)):
            self._remarks += lost_shape(info.sample_aspect_ratio, self._ending, told=told)
        quieten()
        configure(self._stream.codec_context, info, self._kind, self._choice, self._format, threads)
        self._open_encoder(info)
        self._copies = Copies(self._muxer, info.copied, self._kind, info.track)
        self._covers = Covers(self._muxer, info.covers, self._kind, self._ending)
        set_chapters(container, info.chapters)
        lost_names = [("the video's", lost), *self._copies.lost_names]
        self._remarks += lost_of_streams(self._kind, lost_names)
        tags = dict(container.metadata)
        self._remarks += lost_of_film(self._kind, tags, info.chapters, self._refused)
        try:
            container.start_encoding()
        except FAILURES as error:
            if self._destination.error is not None:
                raise self._failed(self._destination.error) from error
            raise SinkError(f"{self.path} cannot be written: {words_of(error)}") from error

    def _open_encoder(self, info: VideoInfo) -> None:
        try:
            self._stream.codec_context.open()
        except FAILURES as error:
            size = info.width, info.height
            why = refusal(self._choice, size, self._format, self._tick)
            raise SinkError(f"{self.path} cannot be written: {why}") from error

    @property
    def remarks(self) -> list[str]:
        """What the output could not keep of the input and why, a sentence each."""
        parts = (self._captions, self._covers, self._copies)
        return [*self._remarks, *(one for part in parts for one in part.remarks)]

    @property
    def quicker(self) -> str:
        """Another preset, where the encoder has any."""
        if self._choice.rules.presets:
            return "choose a faster --preset"
        return f"choose a faster --codec than {self._choice.name}"

    @property
    def encoder(self) -> tuple[str, dict[str, str]]:
        """The encoder's name and its options, the distance of keyframes ("g") included."""
        return self._choice.name, self._choice.options | {
            "g": str(self._stream.codec_context.gop_size)
        }

    def write(self, item: Item) -> None:
        """Encodes a frame, or writes copied packets.

        Raises:
            SinkError: the file cannot be written any further; the message says what was saved.
        """
        try:
            if isinstance(item, Passthrough):
                for packet in item.packets:
                    if not self._copies.leaves_out(packet):
                        own = packet_copy(packet, item.offset)
                        self._copies.write(own, packet.stream_index)
            else:
                self._encode(item)
        except FAILURES as error:
            raise self._failed(error) from error

    def _encode(self, frame: Frame) -> None:
        picture = self._pictures(frame.image, frame.alpha)
        self._captions.look(frame.image, picture)
        again, at = self._times.place(frame)
        self._show_again(again)
        picture.pts, picture.time_base = at, self._tick
        # Not the decoder's choice, which would be forced on the encoder.
        picture.pict_type = PictureType.I if self._key_frames.due(at) else PictureType.NONE
        self._mux(self._encoded(picture))
        if self._times.repeats:
            self._shown = picture
        self._copies.advance(frame.pts * frame.time_base)

    def _show_again(self, places: Sequence[int]) -> None:
        """Shows the last picture again where the next is too far off."""
        for place in places:
            assert self._shown is not None
            self._shown.pts = place
            # In the order in which they are shown, so that none is decoded several steps before.
            self._shown.pict_type = PictureType.NONE if self._kind.fills else PictureType.P
            self._mux(self._encoded(self._shown))

    def _encoded(self, picture: VideoFrame | None) -> list[AnyPacket]:
        """What the encoder gives out for a picture; None for all that it still holds."""
        return self._stream.encode(picture)

    def _mux(self, packets: list[AnyPacket], *, final: bool = False) -> None:
        for packet in self._times.assign(packets, final=final):
            # A fragment that goes out with a packet holds those before it.
            muxed = (self._muxed, float((packet.pts or 0) * self._tick))
            if self._muxer.mux(packet):
                self._saved = muxed
            self._muxed += 1

    def close(self) -> None:
        """Finishes the file so that it is a normal, complete one; safe to call twice.

        Without a picture there is no film: then no file is left, and an earlier one stays.

        Raises:
            SinkError: the end could not be written; the message says what was saved.
        """
        if self._done:
            return
        if not self._times.begun:
            self._discard()
            self._remarks.append(f"no picture came, so {self.path.name} was not written")
            return
        try:
            self._mux(self._encoded(None), final=True)
            self._copies.finish()
            self._muxer.finish(self._covers.finish)
        except FAILURES as error:
            raise self._failed(error) from error
        self._done = True
        fitted, ending = self._pictures.fitted, self._ending
        times = self._times
        self._remarks += moved(
            ending, self._kind, fitted=fitted, shuffled=times.shuffled, off=times.off
        )
        self._remarks += self._times.remarks(ending)

    def leave(self) -> None:
        """Saves all pictures that came, where more were to come: what it was to replace stays.

        Raises:
            SinkError: the end could not be written; the message says what was saved.
        """
        if self._done:
            return
        try:
            if self._times.begun:
                self._mux(self._encoded(None), final=True)
                self._copies.finish()
        except FAILURES as error:
            raise self._failed(error) from error
        self._discard()

    def abort(self) -> None:
        """Lets go at once: pictures still in the encoder are dropped, what was written stays."""
        self._discard()

    def _discard(self, *, keep: bool = True) -> None:
        if self._done:
            return
        self._done = True
        self._muxer.let_go(keep=keep and self._times.begun)

    def _failed(self, error: BaseException) -> SinkError:
        broken, working = self._destination.error, self._destination.working
        frames, seconds = self._saved
        self._discard(keep=frames > 0)
        if broken is None and isinstance(error, OSError) and error.errno is not None:
            broken = error
        what = (
            self._destination.explain(broken)
            if broken is not None
            else f"{self.path} could not be written to the end ({words_of(error)})"
        )
        saved = "nothing was saved"
        if self._destination.removed:
            frames = 0
        if frames:
            about = counted(frames, "frame")
            saved = f"about {about} ({seconds:.1f} s) can be played from {working}"
        return SinkError(what, saved, by_place=broken is not None, frames=frames)
