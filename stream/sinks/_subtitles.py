"""Text subtitles: converted where the container holds another form, and timed as it wants them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from fractions import Fraction

import av
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from stream.sinks._decoding import own_decoder
from stream.sinks._muxer import Muxer
from stream.sinks._tracks import Track
from stream.types import AnyPacket

_log = logging.getLogger(__name__)

# Milliseconds: what text subtitles are timed in, wherever they come from.
_TICK = Fraction(1, 1000)
# How long words stay of which nothing says how long, in ticks.
_UNKNOWN = 5000
# So long after its end a text is written: until then another may still begin in it. In seconds.
_SETTLED = 1
# So often nothing is written where there is nothing to read, in ticks.
_NOTHING_EVERY = 500
# No sample is longer than this, in ticks; on the clock below, 429 s would overflow its field.
_LONGEST = 60_000
_NOTHING = b"\0\0"
# FFmpeg ends texts of an MP4 by samples of its own, as soon as another track's time is beyond that
# of the text track, both counted in ticks of their own clocks. In a file of fragments such a sample
# moves later texts, or fails an assertion and takes the process with it. A text track that has
# reached any time at all is out of its reach on a clock so fine.
_CLOCK = 10_000_000
_SIGNS = {b"&": b"&amp;", b"<": b"&lt;", b">": b"&gt;"}
_MEANT = re.compile(rb"\{[^}]*\}|[&<>]")
# Of a line of ASS before its text.
_FIELDS = 8


class Laps:
    """The samples of an MP4's text track, each of which lasts until the next (3GPP TS 26.245).

    Where nothing is to be read there is an empty sample; texts that are shown at once share one.
    """

    def __init__(self, write: Callable[[int, int, bytes], None], behind: float) -> None:
        """Begins a track.

        Args:
            write: takes a sample: its beginning and end in milliseconds, and its bytes.
            behind: how many times later than what is written the pictures may be.
        """
        self._write = write
        self._behind = behind
        self._reached = 0
        self._shown: list[tuple[int, bytes]] = []

    def add(self, begin: int, end: int, text: bytes) -> bool:
        """Takes the next text (a length of 2 bytes, that many bytes, boxes); False if it is over.

        Args:
            begin: in milliseconds; texts come in the order of their beginnings.
            end: in milliseconds.
            text: the sample.
        """
        if end <= max(begin, self._reached):
            return False
        self._reach(begin)
        self._shown.append((end, text))
        return True

    def settle(self, now: int) -> None:
        """Writes the texts that are over at `now`, in milliseconds, or that there were none."""
        over = [end for end, _ in self._shown if end <= now]
        if over:
            self._reach(max(over))
        idle = not self._shown and now >= self._reached + _NOTHING_EVERY
        if idle or now > self._reached * self._behind:
            self._reach(now)

    def finish(self) -> None:
        """Writes all texts, and the end of the last one.

        The end is a sample of no length. FFmpeg ends a text by one of its own otherwise, which in a
        file of fragments gets the length of the text before it, and lengthens the film by that.
        """
        if self._shown:
            self._reach(max(end for end, _ in self._shown))
            self._write(self._reached, self._reached, _NOTHING)

    def _reach(self, until: int) -> None:
        while self._reached < until:
            shown = [(end, text) for end, text in self._shown if end > self._reached]
            step = min([until, self._reached + _LONGEST, *(end for end, _ in shown)])
            self._write(self._reached, step, _together([text for _, text in shown]))
            self._reached = step
            self._shown = [(end, text) for end, text in shown if end > step]


def _together(texts: list[bytes]) -> bytes:
    """Several texts in one sample, a line each; only the first keeps its style."""
    if not texts:
        return _NOTHING
    if len(texts) == 1:
        return texts[0]
    words = [text[2 : 2 + int.from_bytes(text[:2], "big")] for text in texts]
    lines = b"\n".join(words)[:0xFFFF]
    boxes = texts[0][2 + len(words[0]) :]
    return len(lines).to_bytes(2, "big") + lines + boxes


class TimedText(Track):
    """Text in the form of MP4, into a track of an MP4."""

    def __init__(self, muxer: Muxer, stream: Stream) -> None:
        self._muxer = muxer
        self.stream = stream
        self.stream.time_base = Fraction(1, _CLOCK)
        # Of the finest clock of another track: that of the pictures or of high-resolution sound.
        self._laps = Laps(self._sample, 0.8 * _CLOCK / max(muxer.tick.denominator, 192_000))

    def write(self, packet: AnyPacket) -> None:
        data = bytes(packet)
        if packet.pts is None or int.from_bytes(data[:2], "big") == 0:
            return
        begin = round(packet.pts * packet.time_base / _TICK)
        length = round((packet.duration or 0) * packet.time_base / _TICK)
        self.lost += not self._laps.add(begin, begin + (length if length > 0 else _UNKNOWN), data)

    def advance(self, now: Fraction) -> None:
        self._laps.settle(max(1, int((now - _SETTLED) / _TICK)))

    def finish(self) -> None:
        self._laps.finish()

    def _sample(self, begin: int, end: int, data: bytes) -> None:
        packet: AnyPacket = Packet(data)
        packet.stream, packet.time_base = self.stream, Fraction(1, _CLOCK)
        packet.pts = packet.dts = int(begin * _TICK * _CLOCK)
        # FFmpeg takes a length of 0 for an unknown one.
        packet.duration = int((end - begin) * _TICK * _CLOCK) or 1
        packet.is_keyframe = True
        self._muxer.mux(packet)


class _Written(Track):
    """Text that goes into the file as it is converted."""

    def __init__(self, muxer: Muxer, stream: Stream) -> None:
        self._muxer = muxer
        self._stream = stream

    def write(self, packet: AnyPacket) -> None:
        packet.stream = self._stream
        self._muxer.mux(packet)


def _escaped(told: SubtitleSet) -> SubtitleSet:
    """What is told, with signs of WebVTT's own as its words for them, which FFmpeg does not write.

    Players take all behind a `<` for a tag. What is in braces is ASS's, and becomes tags.
    """
    lines = [one.ass for one in told if isinstance(one, AssSubtitle)]
    if not any(sign in line for line in lines for sign in _SIGNS):
        return told
    fields = [line.split(b",", _FIELDS) for line in lines]
    text = b"\\N".join(line[-1] for line in fields)
    text = _MEANT.sub(lambda found: _SIGNS.get(found[0], found[0]), text)
    whole = b",".join([*fields[0][:-1], text])
    return SubtitleSet.create(whole, told.start_display_time, told.end_display_time, told.pts or 0)


class Retold(Track):
    """Text subtitles in a form that the container cannot hold."""

    def __init__(self, muxer: Muxer, template: SubtitleStream, encoder: str) -> None:
        self._decoder = own_decoder(template)
        self._decoder.open()
        stream = muxer.container.add_stream(encoder)
        assert isinstance(stream, SubtitleStream)
        self.stream: SubtitleStream = stream
        # How text looks; every text decoder gives it and every text encoder wants it.
        self._encoder = stream.codec_context
        self._encoder.subtitle_header = self._decoder.subtitle_header
        self.stream.time_base = template.time_base
        into = TimedText if encoder == "mov_text" else _Written
        self._into: Track = into(muxer, self.stream)

    def write(self, packet: AnyPacket) -> None:
        try:
            told = self._decoder.decode2(packet)
            if told is not None and self._encoder.name == "webvtt":
                told = _escaped(told)
            retold = None if told is None else self._encoder.encode_subtitle(told)
        except av.FFmpegError as error:
            self.lost += 1
            _log.debug("a subtitle cannot be converted: %s", error)
            return
        if retold is None or not retold.size:
            return
        retold.time_base = packet.time_base
        retold.pts = retold.dts = packet.pts
        retold.duration = packet.duration
        self._into.write(retold)

    def advance(self, now: Fraction) -> None:
        self._into.advance(now)

    def finish(self) -> None:
        self._into.finish()
        self.lost += self._into.lost
