"""Network cameras and streams: RTSP, RTMP, HLS, MPEG-TS, SRT, MJPEG over HTTP."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import av
from av.container import InputContainer

from stream.errors import SourceError, StreamError, UsageError
from stream.frame import Frame, Item, Passthrough, VideoInfo
from stream.mailbox import Closed
from stream.options import InputOptions
from stream.sources.addresses import clean, keep_out_of_logs, redact, secrets_of, split
from stream.sources.base import Target
from stream.sources.feed import Ended, Feed, Opened, Picture, Sound
from stream.sources.live import LiveSource, planar
from stream.sources.live_timeline import TICKS, Timeline
from stream.sources.srt import Relay

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "srt", "rtp")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 2.0
"""Seconds between attempts to reconnect. The longest is short: a source that is back should be
seen within seconds, and one attempt costs next to nothing."""

_NOTE_SECONDS = 5.0
_GIVEN_UP_AT_ONCE = 3
"""Hung connections left alone at one time before new attempts wait for them."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a network source may take, in seconds.

    Attributes:
        opening: for the connection, and again for finding out what it brings.
        reading: between two packets; after that the source counts as gone.
        giving_up: without a picture, after which the run ends; None waits for ever.
    """

    opening: float = 5.0
    reading: float = 5.0
    giving_up: float | None = None


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

    Raises:
        UsageError: it is not an address of a known kind.
        SourceError: it cannot be opened now.
    """

    targets: ClassVar[str] = "an address (" + ", ".join(f"{one}://" for one in SCHEMES) + ")"

    def __init__(
        self,
        address: str,
        *,
        transport: str = "tcp",
        patience: Patience | None = None,
        audio: bool = True,
    ) -> None:
        keep_out_of_logs(address)
        scheme = split(address)[0].lower()
        if scheme not in SCHEMES:
            raise UsageError(
                f"{redact(address)} is not an address that can be streamed; it begins with one of "
                + ", ".join(f"{known}://" for known in SCHEMES)
            )
        self._address = address
        self._scheme = scheme
        self._name = redact(address)
        self._secrets = secrets_of(address)
        self._patience = patience or Patience()
        self._options = _options(scheme, transport)
        self._audio = audio
        self._closed = threading.Event()
        self._timeline = Timeline()
        self._given_up: list[Feed] = []
        self._corrupt_before = self._dropped_before = 0
        self._lost_at: float | None = None
        self._attempts = 0
        self._back_at: float | None = None
        self._last_dts: dict[int, int] = {}
        self._remarks: list[str] = []
        self._opening_since, self._open_now = time.monotonic(), False
        self._feed: Feed | None = None
        self._relay: Relay | None = None
        self._relays = threading.Lock()
        try:
            self._opened = self._first_connection()
        except BaseException:
            self.close()
            raise
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

    @classmethod
    def accepts(cls, target: Target) -> bool:
        """Whether it is an address of a known scheme."""
        return isinstance(target, str) and split(target)[0].lower() in SCHEMES

    @classmethod
    def from_target(cls, target: Target, options: InputOptions) -> NetworkSource:
        """Opens an address."""
        asked = options.network
        patience = Patience(asked.open_timeout, asked.read_timeout, asked.give_up)
        return cls(str(target), transport=asked.transport, patience=patience)

    def _first_connection(self) -> Opened:
        feed = self._feed = self._connect()
        # FFmpeg keeps its time-outs except where it asks the name server, or a driver hangs.
        limit = 2 * self._patience.opening + 2
        event = feed.events.take(limit)
        if isinstance(event, Opened):
            return event
        if isinstance(event, Ended) and event.error is not None:
            raise event.error
        raise SourceError(f"nothing came from {self._name} within {limit:g} s")

    def _connect(self) -> Feed:
        self._opening_since, self._open_now = time.monotonic(), False
        return Feed(self._open, self._describe, audio=self._audio, paced=_in_bursts)

    def _open(self) -> InputContainer:
        try:
            container = self._open_address(self._address, self._options)
        except av.ProtocolNotFoundError:
            if self._scheme != "srt":
                raise
            container = self._open_address(self._relayed(), _options("udp", ""))
        self._open_now = True
        return container

    def _open_address(self, address: str, options: dict[str, str]) -> InputContainer:
        return av.open(
            address, options=options, timeout=(self._patience.opening, self._patience.reading)
        )

    def _relayed(self) -> str:
        """The UDP address of a new relay; the one before is ended."""
        with self._relays:
            if self._relay is not None:
                self._relay.close()
                self._relay = None
            if self._closed.is_set():
                raise SourceError(f"{self._name} was closed")
            self._relay = Relay(self._address)
            return self._relay.address

    def _describe(self, error: BaseException) -> SourceError:
        took = time.monotonic() - self._opening_since
        late = took >= self._patience.opening
        reason = _reason(error, self._scheme, opening=not self._open_now, late=late)
        return SourceError(f"cannot read {self._name}: {clean(reason, self._secrets)}")

    @property
    def corrupt(self) -> int:  # type: ignore[override]
        """Packets and pictures so far that could not be decoded."""
        return self._corrupt_before + (self._feed.corrupt if self._feed else 0)

    @property
    def dropped(self) -> int:  # type: ignore[override]
        """Pictures so far that were let go because nobody took them in time."""
        return self._dropped_before + (self._feed.events.dropped if self._feed else 0)

    @property
    def notes(self) -> tuple[str, ...]:
        """Whether the source is gone, or has just come back."""
        now = time.monotonic()
        if self._lost_at is not None:
            return (
                f"no picture for {now - self._lost_at:.0f} s, reconnecting "
                f"(attempt {self._attempts})",
            )
        if self._back_at is not None and now - self._back_at < _NOTE_SECONDS:
            return (f"reconnected {self.reconnects} time{'s' if self.reconnects > 1 else ''}",)
        return ()

    @property
    def remarks(self) -> list[str]:
        """What happened on the way, a sentence each."""
        found = list(self._remarks)
        if self.reconnects:
            found.append(f"{self._name} went away and came back {self.reconnects} times")
        return found

    def close(self) -> None:
        """Ends the iteration; a hung connection is let go of as soon as FFmpeg returns."""
        self._closed.set()
        if self._feed is not None:
            self._feed.stop()
        with self._relays:
            if self._relay is not None:
                self._relay.close()
                self._relay = None

    def __iter__(self) -> Iterator[Item]:
        index = 0
        pacer = Pacer(self._closed) if self._opened.finite or _hls(self._opened) else None
        for event in self._events():
            if isinstance(event, Sound):
                yield from self._sound(event)
                continue
            if event.corrupt:
                self._corrupt_before += 1
            pts = None if self._opened.container in _UNTIMED else event.pts
            tick = self._timeline.place(pts, event.time_base, event.arrived)
            born = event.arrived
            if pacer is not None:
                born = pacer.wait(float(tick * TICKS), event.decode_seconds)
            picture = planar(event.picture)
            picture.pts, picture.time_base = tick, TICKS
            yield Frame(
                picture,
                index,
                tick,
                TICKS,
                stages={"decode": event.decode_seconds},
                born=born,
                notes=self.notes,
            )
            index += 1

    def _events(self) -> Iterator[Picture | Sound]:
        """Pictures and sound of all connections."""
        while not self._closed.is_set():
            feed = self._feed
            if feed is None:
                return
            try:
                event = feed.events.take(self._patience.reading + 2)
            except Closed:
                event = Ended()
            if isinstance(event, Picture):
                if self._lost_at is not None:
                    self._returned()
                yield event
            elif isinstance(event, Sound):
                yield event
            elif isinstance(event, Opened):
                self._opened = event
            else:
                if isinstance(event, Ended) and event.error is None and self._opened.finite:
                    return
                if isinstance(event, Ended) and not isinstance(event.error, StreamError | None):
                    raise event.error
                self._lost(feed)

    def _lost(self, feed: Feed) -> None:
        """Lets go of a connection and opens the next one, once a pause is over."""
        feed.stop()
        self._feed = None
        self._dropped_before += feed.events.dropped
        self._corrupt_before += feed.corrupt
        self._given_up = [one for one in [*self._given_up, feed] if one.alive]
        now = time.monotonic()
        if self._lost_at is None:
            self._lost_at, self._attempts = now, 0
        limit = self._patience.giving_up
        if limit is not None and now - self._lost_at > limit:
            raise SourceError(f"{self._name} has been gone for {limit:g} s")
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._attempts, 10))
        while not self._closed.wait(pause) and len(self._given_up) > _GIVEN_UP_AT_ONCE:
            self._given_up = [one for one in self._given_up if one.alive]
        if self._closed.is_set():
            return
        self._attempts += 1
        self._timeline.reconnected()
        self._feed = self._connect()
        if self._closed.is_set():
            self._feed.stop()

    def _returned(self) -> None:
        self.reconnects += 1
        self._lost_at = None
        self._back_at = time.monotonic()

    def _sound(self, event: Sound) -> Iterator[Passthrough]:
        """The packet on the common time line, as one of the first connection's stream."""
        shift = self._timeline.shift
        position, packet = event.position, event.packet
        kinds, wanted = self._opened.audio.kinds, self.info.copied
        if shift is None or position >= len(wanted) or not packet.time_base:
            return  # before the first picture there is no common time
        if kinds[position] != _kind_of(self.info, position):
            sentence = f"the sound of {self._name} changed its format and was left out from then on"
            if sentence not in self._remarks:
                self._remarks.append(sentence)
            return
        ticks = round(shift / packet.time_base)
        dts = packet.dts if packet.dts is not None else packet.pts
        if dts is None or dts + ticks <= self._last_dts.get(position, dts + ticks - 1):
            return  # sound from before a gap that pictures have already passed
        self._last_dts[position] = dts + ticks
        packet.dts = dts + ticks
        packet.pts = (packet.pts if packet.pts is not None else dts) + ticks
        packet.stream = wanted[position]
        yield Passthrough([packet])


def _kind_of(info: VideoInfo, position: int) -> tuple[str, int, int]:
    context: Any = info.copied[position].codec_context
    return context.name, context.sample_rate, context.channels


class Pacer:
    """Gives pictures that come in bursts out at the pace of their timestamps.

    Args:
        stop: ends every wait.
    """

    _LATE = 1.0
    """Seconds behind after which the source, not this machine, is taken to have stalled."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._start: float | None = None

    def wait(self, media_seconds: float, decode_seconds: float = 0.0) -> float:
        """Waits until a picture is due; returns the `time.perf_counter()` of its birth.

        Args:
            media_seconds: the picture's time.
            decode_seconds: what its decoding took; it counts as time since its birth.
        """
        now = time.perf_counter()
        if self._start is None or now - (self._start + media_seconds) > self._LATE:
            self._start = now - media_seconds
        due = self._start + media_seconds
        if due > now:
            self._stop.wait(due - now)
        return max(due, now) - decode_seconds


_UNTIMED = ("mpjpeg", "mjpeg")
"""Containers without timestamps: a picture's time is when it came."""


def _hls(opened: Opened) -> bool:
    return "hls" in opened.container.split(",")


def _in_bursts(container: InputContainer) -> bool:
    finite = bool(container.duration and container.duration > 0)
    return finite or "hls" in container.format.name.split(",")


def _options(scheme: str, transport: str) -> dict[str, str]:
    # What a stream is shows in its first second; FFmpeg's default waits for five.
    options = {"analyzeduration": "1500000", "probesize": "2000000"}
    if scheme in {"rtsp", "rtsps"}:
        options |= {"rtsp_transport": transport, "fflags": "nobuffer"}
    elif scheme in {"rtmp", "rtmps"}:
        options |= {"rtmp_live": "live", "fflags": "nobuffer"}
    elif scheme == "udp":
        options |= {"fifo_size": "50000", "overrun_nonfatal": "1", "fflags": "nobuffer"}
    return options


def _reason(error: BaseException, scheme: str, *, opening: bool, late: bool) -> str:
    """Why a connection failed, for people; it may still carry secrets."""
    number = getattr(error, "errno", None)
    reasons: list[tuple[bool, str]] = [
        (isinstance(error, av.HTTPUnauthorizedError), "the user name or password was refused"),
        (isinstance(error, av.HTTPForbiddenError), "access is forbidden"),
        (isinstance(error, av.HTTPNotFoundError), "there is no stream at this path"),
        (
            isinstance(error, av.ProtocolNotFoundError),
            f"the FFmpeg inside PyAV was built without {scheme}",
        ),
        (
            number == errno.ECONNREFUSED,
            "the connection was refused; is the source running, and the port right?",
        ),
        (
            number in {errno.EHOSTUNREACH, errno.ENETUNREACH},
            "the host cannot be reached from here",
        ),
        (
            late or isinstance(error, (av.ExitError, TimeoutError)),
            "nothing came in time; is the source on and sending?",
        ),
        (number == errno.EIO and opening, "the host cannot be found or does not answer"),
        (number == errno.EIO, "the connection broke"),
        (isinstance(error, av.InvalidDataError), "what comes is not video that can be read"),
        (isinstance(error, av.FFmpegError), str(getattr(error, "strerror", "") or error)),
    ]
    return next((text for holds, text in reasons if holds), str(error))
