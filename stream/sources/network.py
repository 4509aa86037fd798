"""Network cameras and streams: RTSP, RTMP, HLS, MPEG-TS, SRT, MJPEG over HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import ClassVar

import av
from av.container import InputContainer

from stream.errors import SourceError, StreamError, UsageError
from stream.frame import Frame, Item, VideoInfo
from stream.queues import Closed
from stream.settings.option import options_of
from stream.settings.options import InputOptions, NetworkOptions
from stream.sources._answers import AnswerError
from stream.sources._arrivals import UNREAD
from stream.sources._connecting import (
    LISTENING,
    UNTIMED,
    ChangedError,
    Patience,
    Way,
    is_lasting,
    reason,
)
from stream.sources._damage import told_of_losses
from stream.sources._film import Film, in_bursts
from stream.sources._first import HINT_SECONDS, KEY_FRAME, First
from stream.sources._hardware import NONE, Hardware
from stream.sources._last_picture import LastPicture
from stream.sources._opened import Opened
from stream.sources._outages import Outages
from stream.sources._pacing import Pacer, is_hls, longest_still
from stream.sources._senders import Seldom
from stream.sources.base import Target
from stream.sources.live import LiveSource, planar, reshaped
from stream.sources.live_sound import LiveSound
from stream.sources.live_timeline import TICKS, Timeline
from stream.sources.srt import Relays
from stream.sources.stream_reader import Ended, Picture, Sound, StreamReader
from stream.wording.addresses import (
    awaits_call,
    clean,
    dialled,
    keep_out_of_logs,
    redact,
    secrets_of,
    split,
)
from stream.wording.mistyped import fault_of
from stream.wording.words import counted

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "srt", "rtp")

__all__ = ["SCHEMES", "NetworkSource", "Patience"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 2.0
"""Seconds between attempts to reconnect. The longest is short: a source that is back should be
seen within seconds, and one attempt costs next to nothing."""

_CALL = 60.0
"""Seconds for which it is waited that a sender calls before it is listened anew."""

_GIVEN_UP_AT_ONCE = 3
"""Hung connections left alone at one time before new attempts wait for them."""


class NetworkSource(LiveSource):
    """Pictures and sound from an address, over as many connections as it takes.

    When the source goes away it is opened again, with growing pauses of up to two seconds, until
    it is back; its timestamps run on over the gap. User name and password never appear in
    `info`, `notes`, errors or log records.

    Args:
        address: scheme://[user:password@]host[:port]/path.
        transport: how RTSP carries its packets: tcp, udp, udp_multicast or http.
        patience: time-outs.
        audio: whether sound is passed through, as packets.
        hwaccel: the kind of device that decodes.
        whole: whether pictures are left out that a loss has scrambled.

    Raises:
        UsageError: it is not an address of a known kind.
        SourceError: it cannot be opened now.
    """

    comes_back: ClassVar[bool] = True
    heeds: ClassVar[tuple[str, ...]] = (*options_of(NetworkOptions), "hwaccel")
    targets: ClassVar[str] = "an address (" + ", ".join(f"{one}://" for one in SCHEMES) + ")"

    def __init__(
        self,
        address: str,
        *,
        transport: str = "tcp",
        patience: Patience | None = None,
        audio: bool = True,
        hwaccel: str = NONE,
        whole: bool = False,
    ) -> None:
        keep_out_of_logs(address)
        scheme = split(address)[0].lower()
        if scheme not in SCHEMES:
            raise UsageError(
                f"{redact(address)} is not an address that can be streamed; it begins with one of "
                + ", ".join(f"{known}://" for known in SCHEMES)
            )
        self._address = dialled(address)
        self._name = redact(address)
        if fault := fault_of(address):
            raise UsageError(f"{self._name} cannot be reached: {fault}")
        self._secrets = secrets_of(address)
        self._patience = patience or Patience()
        listens = scheme in LISTENING and awaits_call(address)
        self._way = self._proven = Way(scheme, transport, listens=listens)
        self._hardware = Hardware.asked(hwaccel)
        self._audio, self._sounds, self._whole = audio, 0, whole
        self._seldom, self._unread = Seldom(), False
        self._closed = threading.Event()
        self._timeline, self._film = Timeline(), Film()
        self._given_up: list[StreamReader] = []
        self._corrupt_before = self._dropped_before = self._left_out_before = 0
        self._outages, self._iterating = Outages(), False
        self._pictured = LastPicture(time.monotonic())
        self._opening_since, self._open_now = time.monotonic(), False
        self._reader: StreamReader | None = None
        self._relays = Relays()
        try:
            self._opened = self._first_connection()
        except BaseException:
            self.close()
            raise
        self._finite = self._opened.finite
        self._film.began(self._opened.extent)
        self._sounds = len(self._opened.audio.streams)
        self._hardware = self._hardware.handed(self._opened.codec, self._opened.pixel_format)
        self.info = VideoInfo(
            name=self._name,
            width=self._opened.width,
            height=self._opened.height,
            pixel_format=self._opened.pixel_format,
            time_base=TICKS,
            rate=self._opened.rate,
            sample_aspect_ratio=self._opened.sample_aspect_ratio,
            colour=self._opened.colour,
            codec=self._opened.codec,
            copied=self._opened.audio.streams,
            live=True,
        )
        self._sound = LiveSound(self._name, self._timeline, self._opened.audio.streams)

    @classmethod
    def accepts(cls, target: Target) -> bool:
        """Whether it is an address of a known scheme."""
        return isinstance(target, str) and split(target)[0].lower() in SCHEMES

    @classmethod
    def from_target(cls, target: Target, options: InputOptions) -> NetworkSource:
        """Opens an address."""
        asked = options.network
        return cls(
            str(target),
            transport=asked.transport,
            patience=Patience(asked.open_timeout, asked.read_timeout, asked.give_up),
            hwaccel=options.decoding.hwaccel,
            whole=asked.skip_scrambled,
        )

    def _first_connection(self) -> Opened:
        """Opens the source, in another way where the first one is of no use."""
        refused: SourceError | None = None
        tried: list[Way] = []
        began, limit = time.monotonic(), self._patience.giving_up
        while True:
            opening, reading = self._for_opening, self._patience.reading + 2
            first = First(self._name, self._way, self._connect, opening=opening, reading=reading)
            try:
                event = first.outcome()
            finally:
                self._reader, self._way = first.reader, first.way
            if isinstance(event, Opened):
                return event
            if not isinstance(event.error, SourceError):
                raise event.error or SourceError(f"nothing came from {self._name}")
            if self._way.waits_on(event.cause):
                if limit is None or time.monotonic() - began < limit:
                    first.reader.stop()
                    self._closed.wait(_FIRST_PAUSE)
                    continue
                raise SourceError(f"nobody has sent to {self._name} for {limit:g} s")
            # The first refusal is about what was asked for; most later ones are about our tries.
            told = isinstance(event.cause, AnswerError)
            refused = event.error if told else refused or event.error
            tried.append(self._way)
            way = self._way.after(event.cause, first=True)
            if way is None or tried.count(way) > 1:
                raise refused
            self._way = way
            first.reader.stop()

    @property
    def _for_opening(self) -> float:
        """Seconds after which a connection that does not stand hangs.

        FFmpeg keeps its time-outs except where it asks the name server, or a driver hangs.
        """
        return 2 * self._patience.opening + 2 + self._way.longer

    def _connect(self, way: Way) -> StreamReader:
        self._opening_since, self._open_now = time.monotonic(), False
        return StreamReader(
            partial(self._open, way),
            self._describe,
            audio=self._audio,
            sounds=self._sounds,
            curious=self._seldom,
            paced=in_bursts,
            renewed=True,
            whole=self._whole,
            place=self._film.place,
        )

    def _open(self, way: Way) -> InputContainer:
        opening, limit = self._patience.opening, self._patience.giving_up
        if way.listens:
            opening = max(opening, _CALL if limit is None else min(_CALL, limit))
        how = opening, self._patience.reading, self._hardware.accelerator
        try:
            container = way.open(self._address, *how)
        except av.ProtocolNotFoundError:
            if way.scheme != "srt":
                raise
            container = replace(way, scheme="udp").open(self._relays.begun(self._address), *how)
        self._open_now = True
        return container

    def _describe(self, error: BaseException) -> SourceError:
        late = time.monotonic() - self._opening_since >= self._patience.opening
        why = reason(error, self._address, opening=not self._open_now, late=late)
        what = f"cannot read {self._name}: {clean(why, self._secrets)}"
        return SourceError(what, lasting=is_lasting(error))

    @property
    def corrupt(self) -> int:  # type: ignore[override]
        """Packets and pictures so far that came damaged or could not be decoded."""
        return self._corrupt_before + (self._reader.corrupt if self._reader else 0)

    @property
    def dropped(self) -> int:  # type: ignore[override]
        """Pictures so far that were let go because nobody took them in time."""
        if not self._iterating:
            return 0
        return self._dropped_before + (self._reader.events.dropped if self._reader else 0)

    @property
    def notes(self) -> tuple[str, ...]:
        """Whether the source is gone, or has just come back."""
        now = time.monotonic()
        waited = now - self._pictured.at
        if not self._outages.under_way and waited > max(HINT_SECONDS, self._patience.reading):
            sends = self._reader and self._reader.silence() < HINT_SECONDS
            none = f"no picture for {waited:.0f} s"
            return (KEY_FRAME if sends else none,)
        return self._outages.notes(now, waited)

    @property
    def remarks(self) -> list[str]:
        """What happened on the way, a sentence each."""
        found = [*self._hardware.remarks, *self._sound.remarks, *self._timeline.remarks(self._name)]
        if self.reconnects:
            found.append(f"{self._name} went away and came back {counted(self.reconnects, 'time')}")
        left_out = self._left_out_before + (self._reader.left_out if self._reader else 0)
        found += self._film.remarks(self._name)
        found += told_of_losses(self._name, self.corrupt, left_out)
        if self._unread or (self._reader and self._reader.unread):
            found.append(UNREAD.format(self._name))
        return found

    def close(self) -> None:
        """Ends the iteration; a hung connection is let go of as soon as FFmpeg returns."""
        self._closed.set()
        if self._reader is not None:
            self._reader.stop()
        self._relays.close()

    def __iter__(self) -> Iterator[Item]:
        index = 0
        self._iterating = True
        # What went by before anybody looked was not let go.
        self._dropped_before -= self._reader.events.dropped if self._reader else 0
        paced = self._timeline.paced = self._finite or is_hls(self._opened.container)
        self._timeline.still = longest_still(self._opened.container) if self._finite else None
        pacer = Pacer(self._closed, outages=not self._finite) if paced else None
        for event in self._events():
            if isinstance(event, Sound):
                packets = self._sound.place(event, self._opened.audio)
                if self._sound.is_outdated() and self._reader is not None:
                    self._lost(self._reader, None)
                if packets is not None:
                    if packets.begun:
                        self._sounds = len(packets.begun)
                        self.info = replace(self.info, copied=packets.begun)
                    yield packets
                continue
            pts = None if self._opened.container in UNTIMED else event.pts
            tick = self._timeline.place(pts, event.time_base, event.arrived)
            captured_at = event.arrived
            if pacer is not None:
                seconds = float(tick * TICKS)
                captured_at = pacer.wait(seconds, event.decode_seconds, self.reconnects)
            shape = event.shape or self._opened.sample_aspect_ratio
            picture = reshaped(planar(event.picture), shape, self.info.sample_aspect_ratio)
            picture.pts, picture.time_base = tick, TICKS
            shown = Frame(picture, index, tick, TICKS, captured_at=captured_at, notes=self.notes)
            shown.stages["decode"] = event.decode_seconds
            yield shown
            index += 1

    def _events(self) -> Iterator[Picture | Sound]:
        """Pictures and sound of all connections."""
        while not self._closed.is_set():
            reader = self._reader
            if reader is None:
                return
            try:
                event = reader.events.take(self._patience.reading + 2)
            except Closed:
                event = Ended()
            if reader.opened and reader.opened.finite and not self._finite:
                # A broadcast's list that has ended says what was sent last, again and again.
                self._lost(reader, None)
                continue
            self._opened = reader.opened or self._opened
            if isinstance(event, Picture):
                self._pictured.came(time.monotonic())
                self._way = self._proven = self._way.settled
                self._outages.returned(time.monotonic())
                self.reconnects = self._outages.count
                self._film.picture(event.pts, event.time_base)
                yield event
            elif isinstance(event, Opened):
                if not event.resumed:
                    self._film.began(event.extent)
                    self._timeline.reconnected()
            elif not isinstance(event, Ended) and self._promises(reader):
                # Sound, or packets that show nothing before the next key frame.
                if event is not None:
                    self._film.sound(event.position, event.packet)
                    yield event
            else:
                if isinstance(event, Ended) and not isinstance(event.error, StreamError | None):
                    raise event.error
                broke = not isinstance(event, Ended) or event.error is not None
                if self._film.is_over(reader.following, broke=broke) and self._finite:
                    return
                self._lost(reader, event.cause if isinstance(event, Ended) else None)

    def _promises(self, reader: StreamReader) -> bool:
        """Whether packets come of which a picture may still be made."""
        now = time.monotonic()
        if not reader.heard:
            return self._way.listens or now - self._opening_since <= self._for_opening
        waited = now - max(self._pictured.at, self._opening_since)
        return reader.silence() <= self._patience.reading + 2 and waited <= self._way.for_a_picture

    def _lost(self, reader: StreamReader, cause: BaseException | None) -> None:
        """Lets go of a connection and opens the next one, once a pause is over."""
        self._way, self._reader = self._proven.again(self._way, cause), None
        reader.stop()
        self._dropped_before += reader.events.dropped
        self._corrupt_before += reader.corrupt
        self._left_out_before += reader.left_out
        self._unread |= reader.unread
        if not isinstance(cause, ChangedError) and reader.sounds >= max(1, self._sounds):
            self._seldom = Seldom()
        self._given_up = [one for one in [*self._given_up, reader] if one.alive]
        now = time.monotonic()
        if not self._outages.under_way:
            self._pictured.ended(now)
        gone = self._outages.lost(now, single=reader.single)
        if (limit := self._patience.giving_up) is not None and gone > limit:
            raise SourceError(f"{self._name} has been gone for {limit:g} s")
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._outages.tried(), 10))
        while not self._closed.wait(pause) and len(self._given_up) > _GIVEN_UP_AT_ONCE:
            self._given_up = [one for one in self._given_up if one.alive]
        if self._closed.is_set():
            return
        if self._film.place is None:
            self._timeline.reconnected()
        self._reader = self._connect(self._way)
        if self._closed.is_set():
            self._reader.stop()
