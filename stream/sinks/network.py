"""Sending to a receiver as it plays: RTMP, RTSP, SRT, WHIP, and MPEG-TS over UDP and TCP."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlsplit

from stream.errors import SinkError, UsageError
from stream.frame import Frame, Item, Passthrough, VideoInfo
from stream.settings.options import OutputOptions
from stream.sinks._listening import listens_here
from stream.sinks._outliving import Outliving, is_open
from stream.sinks._transmission import (
    PATIENCE,
    WAYS,
    Transmission,
    choose_for_sending,
    for_receivers,
    scheme_of,
)
from stream.sinks.base import Sink
from stream.system.extras import need_extra
from stream.wording.addresses import awaits_call, clean, keep_out_of_logs, redact, secrets_of, split
from stream.wording.words import counted

_log = logging.getLogger(__name__)

_TRIES = 3
"""So often a receiver that has never answered is tried."""
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
_OPENING = Fraction(1, 2)
"""Seconds that are sent before the receiver has answered; sound must be among them."""
_LATE = 1.0
"""Seconds that a file may be behind its own pace before the rest is shown later instead."""


class NetworkSink(Sink):
    """Sends frames and sound to an address; a receiver that goes away is connected to again.

    It waits for nobody: of a live source, what comes while the receiver is gone or too slow is not
    sent, which is counted and said. A file is sent at its own pace.

    Args:
        target: the receiver's address, with its secrets.
        info: what the source says of its video.
        options: codec, crf and preset.
        clock: seconds that only go forward, such as `time.monotonic`.
        sleep: waits for so many seconds.

    Raises:
        UsageError: the address or the encoder is not possible.
        SinkError: nothing listens at the address.
    """

    priority: ClassVar[int] = 10
    sends: ClassVar[bool] = True
    takes_packets: ClassVar[bool] = True

    @classmethod
    def accepts(cls, target: str) -> bool:
        """rtmp(s)://, rtsp(s)://, srt://, udp://, tcp:// and whip(s)://."""
        return scheme_of(target) in WAYS

    @classmethod
    def check(cls, target: str, options: OutputOptions, inputs: Sequence[Path] = ()) -> None:
        """Refuses addresses without a host and encoders that no receiver takes."""
        keep_out_of_logs(target)
        _host_and_port(target)
        _check(target, options)

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """Makes sure that something listens, and begins to connect with the first frame."""
        return cls(target, info, options)

    def __init__(
        self,
        target: str,
        info: VideoInfo,
        options: OutputOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        keep_out_of_logs(target)
        self.name = redact(target)
        self._address = target
        self._options = options
        self._clock, self._sleep = clock, sleep
        self._info, self._said = for_receivers(info, f"sent to {self.name}")
        self._kept = Outliving(() if info.live else self._info.copied)
        self._connection: Transmission | None = None
        self._origin = Fraction(0)
        self._answered = self._ever = self._opening = False
        self._tries = 0
        self._silent = ""
        self._wait = _FIRST_WAIT
        self._not_before = 0.0
        self._since = 0.0
        self._missed = self._gone = 0
        self._away = False
        self._started: tuple[float, Fraction] | None = None
        _check(target, options)
        _knock(target, self.name)

    def write(self, item: Item) -> None:
        """Sends a frame, or sound, where the receiver is there.

        Raises:
            SinkError: it has never answered, or the encoder fails.
        """
        if isinstance(item, Passthrough):
            if self._connection is not None and (self._answered or self._opening):
                self._deliver(self._from_origin(item))
            return
        if not self._info.live:
            self._keep_pace(item)
        if not self._ready(item):
            self._missed += 1
            return
        start = round(self._origin / item.time_base)
        self._deliver(replace(item, pts=item.pts - start))

    def _ready(self, frame: Frame) -> bool:
        """Whether the receiver takes frames; connects where it is time to."""
        now = frame.pts * frame.time_base
        if self._connection is None:
            if self._clock() < self._not_before:
                return False
            self._connect(now)
        if self._answered:
            self._give_key_frame()
            return True
        assert self._connection is not None
        # What begins a stream goes on its way at once: from it the receiver learns what will come.
        self._opening = now - self._origin < _OPENING
        pipe = self._connection.pipe
        if pipe.connected.is_set():
            self._answered, self._ever, self._away = True, True, False
            self._wait = _FIRST_WAIT
            self._connection.begin_anew()
            return True
        late = self._clock() - self._since > PATIENCE and not awaits_call(self._address)
        if pipe.ended or late:
            silent = "there was no answer" if pipe.ended else f"no answer for {PATIENCE:g} s"
            self._lose(pipe.reason or silent)
            return False
        if pipe.foreign and not self._opening:
            self._missed += 1  # it is read, and goes nowhere
            return True
        return self._opening

    def _give_key_frame(self) -> None:
        """The next frame is one to begin with, where the receiver has asked for one."""
        connection = self._connection
        if connection is not None and connection.pipe.key_wanted.is_set():
            connection.pipe.key_wanted.clear()
            connection.begin_anew()

    def _connect(self, now: Fraction) -> None:
        """Starts a connection that begins with the frame of this time."""
        self._tries += 1
        self._since = self._clock()
        self._answered = False
        self._origin = now
        info = self._info
        if not all(map(is_open, info.copied)):
            info = replace(info, copied=self._kept.streams)
        self._connection = Transmission(self._address, info, self._options)
        if self._tries == 1:
            self._said += self._connection.remarks

    def _deliver(self, item: Item) -> None:
        if self._connection is None:
            return
        try:
            self._connection.write(item)
        except SinkError as error:
            pipe = self._connection.pipe
            broken, silent = pipe.error, pipe.foreign and not (self._answered or pipe.reason)
            if broken is None:
                # Not the receiver's fault.
                self._connection = None
                raise
            self._lose("there was no answer" if silent else broken.strerror or str(error))

    def _lose(self, reason: str) -> None:
        """Lets go of a connection, and says when the next is tried.

        Raises:
            SinkError: there was never one.
        """
        if self._connection is not None:
            self._connection.abort()
        self._connection = None
        reason = clean(reason, secrets_of(self._address))
        if not self._ever and self._tries >= _TRIES:
            raise SinkError(f"{self.name} cannot be sent to: {reason}")
        self._gone += self._answered
        self._away |= self._answered
        self._answered, self._silent = False, reason
        self._not_before = self._clock() + self._wait
        _log.warning("%s: %s; trying again in %g s", self.name, reason, self._wait)
        self._wait = min(2 * self._wait, _LONGEST_WAIT)

    def _from_origin(self, item: Passthrough) -> Passthrough:
        start = self._origin + item.offset
        kept = [
            packet
            for packet in item.packets
            if packet.pts is not None and packet.pts * packet.time_base >= start
        ]
        return Passthrough(kept, start)

    def _keep_pace(self, frame: Frame) -> None:
        now, at = self._clock(), frame.pts * frame.time_base
        if self._started is None:
            self._started = (now, at)
        begun, first = self._started
        ahead = begun + float(at - first) - now
        if ahead > 0:
            self._sleep(ahead)
        elif ahead < -_LATE:
            self._started = (now, at)

    def close(self) -> None:
        """Sends what is still inside and takes leave of the receiver; safe to call twice.

        Raises:
            SinkError: there never was a receiver.
        """
        connection, self._connection = self._connection, None
        if connection is None:
            silent, self._silent = self._silent, ""
            if silent and not self._ever:
                raise SinkError(f"{self.name} cannot be sent to: {silent}")
            return
        there = self._answered or connection.pipe.answers()
        self._away &= not there
        reason = connection.pipe.reason
        try:
            if there:
                connection.close()
            else:
                connection.abort()
        except SinkError as error:
            broken = error.__cause__
            reason = getattr(broken, "strerror", None) or str(error)
            self._said.append(
                f"the end was not sent to {self.name}: {clean(reason, secrets_of(self._address))}"
            )
            connection.abort()
        if not there and not self._ever:
            reason = clean(reason, secrets_of(self._address))
            raise SinkError(f"{self.name} cannot be sent to: {reason or 'there was no answer'}")

    def abort(self) -> None:
        """Lets go of the receiver at once."""
        if self._connection is not None:
            self._connection.abort()
        self._connection = None

    @property
    def quicker(self) -> str:
        """Another preset, which all encoders that receivers take have."""
        return "choose a faster --preset, or the line is too slow"

    @property
    def remarks(self) -> list[str]:
        """What was not sent and why, a sentence each."""
        found = list(self._said)
        if self._gone:
            times = "once" if self._gone == 1 else f"{self._gone} times"
            back = "did not come back" if self._away else "was connected to again"
            found.append(f"{self.name} went away {times} and {back}")
        if self._gone or self._missed > float(self._info.rate or 30):
            frames, verb = counted(self._missed, "frame"), "was" if self._missed == 1 else "were"
            found.append(f"{frames} {verb} not sent to {self.name}: it was not there")
        return found


def _check(address: str, options: OutputOptions) -> None:
    """Refuses encoders that receivers do not take.

    Raises:
        UsageError: also where a package is missing that only some addresses need.
    """
    choose_for_sending(options, WAYS[scheme_of(address)])
    if scheme_of(address).startswith("whip"):
        need_extra("serve", "aiohttp", "aiortc", what="sending by WebRTC")


def _host_and_port(address: str) -> tuple[str, int | None]:
    """Whom to ask for: a host and a port for TCP.

    Raises:
        UsageError: the address names no host.
    """
    scheme, _, rest = split(address)
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    listening = awaits_call(address)
    if not host and not listening:
        raise UsageError(f"{redact(address)} names no receiver, such as {scheme}://host/name")
    if scheme.lower() in ("tcp", "udp", "srt") and port is None:
        raise UsageError(f"{redact(address)} needs a port, such as {scheme}://host:5000")
    return host or "", port or WAYS[scheme.lower()].port


def _knock(address: str, name: str) -> None:
    """Makes sure that something listens, where it can be found out at once.

    Raises:
        SinkError: nothing does, or there is no such host.
    """
    host, port = _host_and_port(address)
    if port is None or WAYS[scheme_of(address)].port is None or awaits_call(address):
        return
    if listens_here(host, port):  # who waits for one call only would take this for it
        return
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except OSError as error:
        raise SinkError(
            f"{name} cannot be sent to: {error.strerror or 'there was no answer'}"
        ) from error
