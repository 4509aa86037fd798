"""How a network address is opened, the other ways there are, and why none of them worked."""

from __future__ import annotations

import errno
import re
import socket
import time
from dataclasses import dataclass, replace

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from stream.sources._multipart import open_pictures
from stream.sources._numerals import decimal_points
from stream.wording.addresses import host_of, split

_ANALYSED = (1.5, 12.0, 60.0)
"""Seconds of a stream in which FFmpeg looks for what it brings. What a stream is shows in its
first second, except where its picture is announced with a key frame only."""

UNTIMED = ("mpjpeg", "mjpeg", "jpeg_pipe")
"""Containers without timestamps: a picture's time is when it came."""

_BUFFER = f"{4 << 20}"
"""Bytes that the system is asked to keep of what comes by UDP; it gives what it allows. Key frames
come at once, and whoever reads them may have to wait for a processor."""

_BROKEN = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.EIO})

LISTENING = frozenset({"rtmp", "tcp", "srt"})
"""Schemes of which FFmpeg, or SRT's relay, waits for a call."""

_ASKS = re.compile(r"(?<=[?&])listen=1(&|$)")

_UNHEARD = (av.ExitError, TimeoutError)
_TAKEN = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES})

_WITHOUT_FILES = "http,https,tls,tcp,udp,httpproxy,crypto,data"


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


class NoVideoError(ValueError):
    """A connection stands and brings no video stream.

    Attributes:
        finite: what comes has an end, so nothing else will come of it.
    """

    def __init__(self, finite: bool) -> None:
        super().__init__("it has no video stream")
        self.finite = finite


class SlowError(ValueError):
    """What a connection brings did not show in time, so that FFmpeg has let go of it."""

    def __init__(self) -> None:
        super().__init__("its pictures are too far apart to tell in time what it brings")


class NoPictureError(ValueError):
    """A connection ended before a picture could be decoded."""

    def __init__(self, container: str) -> None:
        super().__init__("it ended before a picture could be decoded")
        self.container = container


class ChangedError(ValueError):
    """Hardly anything of what comes can be decoded any more, or there is more than is read."""

    def __init__(self) -> None:
        super().__init__("it cannot be decoded any more; perhaps its codec has changed")


@dataclass(frozen=True, slots=True)
class Way:
    """How an address is opened.

    Attributes:
        scheme: the address's, in small letters.
        transport: how RTSP carries its packets.
        container: "mjpeg" where pictures are found by their own marks, whatever is around them;
            None where FFmpeg finds out what comes.
        analysed: seconds of the stream in which it is found out what it brings.
        late: whether it has shown too late what it brings, once.
        listens: whether it is waited for until the sender calls.
    """

    scheme: str
    transport: str = ""
    container: str | None = None
    analysed: float = _ANALYSED[0]
    late: bool = False
    listens: bool = False

    def open(
        self, address: str, opening: float, reading: float, hwaccel: HWAccel | None = None
    ) -> InputContainer:
        """Opens an address.

        Args:
            address: with its user and password.
            opening: seconds for the connection, and again for finding out what it brings.
            reading: seconds between two packets.
            hwaccel: the device that decodes; None for the CPU.

        Raises:
            av.FFmpegError: it cannot be opened.
            SlowError: it takes longer to find out what it brings.
        """
        began, most = time.monotonic(), opening + self.longer
        if self.listens and self.scheme == "rtmp":
            # What FFmpeg is told in other words is no part of what the sender calls.
            address = _ASKS.sub("", address).rstrip("?&")
        if self.container is not None:
            return open_pictures(address, self._options(), most, reading, hwaccel)
        with decimal_points():
            container = av.open(
                address,
                options=self._options(),
                timeout=(most, reading),
                metadata_errors="replace",
                hwaccel=hwaccel,
            )
        if time.monotonic() - began >= most:
            # It was looked at until the time was over, and is broken off now.
            container.close()
            raise SlowError
        return container

    @property
    def for_a_picture(self) -> float:
        """Seconds of packets in which a picture must come.

        Some cameras send a key frame a minute. Where the format is a guess, that is soon known.
        """
        return 150.0 if self.container is None else 15.0

    @property
    def longer(self) -> float:
        """Seconds by which opening takes longer than usual."""
        return self.analysed if self.analysed > _ANALYSED[0] else 0.0

    def _options(self) -> dict[str, str]:
        # Not FFmpeg's "nobuffer": it throws away what was looked at while opening, with the key
        # frame that many sources send at once, and the next one may be a minute away.
        options = {
            "analyzeduration": f"{self.analysed * 1e6:.0f}",
            "probesize": "2000000",
            # Of twenty pictures FFmpeg would tell the frame rate no better than streams say it.
            "fpsprobesize": "3",
        }
        if self.longer:
            options["probesize"] = "50000000"
        if self.scheme in {"rtsp", "rtsps"}:
            options |= {"rtsp_transport": self.transport, "buffer_size": _BUFFER}
        elif self.scheme in {"rtmp", "rtmps"}:
            options |= {"rtmp_live": "live"}
            options |= {"listen": "1"} if self.listens else {}
        elif self.scheme == "udp":
            options |= {"fifo_size": "50000", "overrun_nonfatal": "1", "buffer_size": _BUFFER}
        elif self.scheme == "rtp":
            options |= {"buffer_size": _BUFFER}
        elif self.scheme in {"http", "https"}:
            # Segments of HLS may have any name. What FFmpeg guards by their names, that a list
            # from the network reads this machine's files, the protocols guard here.
            options |= {
                "protocol_whitelist": _WITHOUT_FILES,
                "allowed_extensions": "ALL",
                "allowed_segment_extensions": "ALL",
                "extension_picky": "0",
                # A film whose connection breaks is read on from that byte, where there are ranges.
                "reconnect": "1",
                # Of pictures without times only: what is slower than this is still found out soon.
                "framerate": "2",
            }
        return options

    @property
    def beside(self) -> Way | None:
        """The way to try beside this one where nothing comes of it for a while.

        FFmpeg waits for ever for the end of motion JPEG's first picture where nothing says where
        that is.
        """
        return None if self.longer else self._by_marks

    @property
    def _by_marks(self) -> Way | None:
        by_http = self.scheme in {"http", "https"} and self.container is None
        return replace(self, container="mjpeg") if by_http else None

    @property
    def settled(self) -> Way:
        """This way, which has brought pictures."""
        return replace(self, late=False)

    def again(self, tried: Way, error: BaseException | None) -> Way:
        """The way to try next to what was there and is gone; this one has brought pictures.

        Args:
            tried: the way that was tried last.
            error: what came of it.
        """
        if isinstance(error, SlowError) and tried == self:
            # What is back in the middle of a try looks like what takes longer to show itself.
            return replace(self, late=True)
        # Another way that brings nothing is no better than this one.
        return tried.after(error) or self

    def waits_on(self, error: BaseException | None) -> bool:
        """Whether it is waited for another call, after one that did not come or brought nothing."""
        lost = getattr(error, "errno", None) in _TAKEN or error is None or is_lasting(error)
        tries = isinstance(error, _UNHEARD) or self.after(error) is not None
        return self.listens and not lost and tries

    def after(self, error: BaseException | None, *, first: bool = False) -> Way | None:
        """The way to try next, perhaps the same once more; None where that is of no use.

        Args:
            error: what FFmpeg raised, or one of the errors of this module.
            first: whether nothing has come of the address yet, which may be a page then.
        """
        if isinstance(error, SlowError | NoVideoError):
            longer = [seconds for seconds in _ANALYSED if seconds > self.analysed]
            finite = isinstance(error, NoVideoError) and error.finite
            return replace(self, analysed=longer[0]) if longer and not finite else None
        undecided = isinstance(error, (NoPictureError, av.InvalidDataError))
        # The end of a page whose length is not said is a broken connection, too.
        undecided = undecided or (first and getattr(error, "errno", None) == errno.EIO)
        if undecided and self.scheme in {"http", "https"}:
            # Cameras give the parts of their motion JPEG many types, or none, of which FFmpeg
            # takes one. The pictures can be found by their own marks.
            return self._by_marks or replace(self, container=None)
        broken = getattr(error, "errno", None) in _BROKEN
        return self if undecided or broken or isinstance(error, av.EOFError) else None


def is_lasting(error: BaseException) -> bool:
    """Whether trying again is of no use, and may lock somebody out."""
    kinds = av.HTTPUnauthorizedError, av.HTTPForbiddenError, av.ProtocolNotFoundError
    return isinstance(error, kinds)


def _is_found(address: str) -> bool:
    """Whether an address's host has a name that is known here, or a number."""
    try:
        socket.getaddrinfo(host_of(address), None)
    except (OSError, UnicodeError):
        return False
    return True


def reason(error: BaseException, address: str, *, opening: bool, late: bool) -> str:
    """Why a connection failed, for people; it may still carry secrets.

    Args:
        error: what was raised.
        address: that was to be read.
        opening: whether the connection did not stand yet.
        late: whether the time for that was over.
    """
    scheme, user, _ = split(address)
    secure = scheme in {"https", "rtsps", "rtmps"}
    number = getattr(error, "errno", None)
    broken = number in _BROKEN and opening
    # FFmpeg calls both by one number, and what SRT's relay finds is not known.
    unknown = (broken and number == errno.EIO and not late) or (late and scheme == "srt")
    if unknown and not _is_found(address):
        return f"there is no host called {host_of(address)}; is the name right, and the network up?"
    refused = "the user name or password was refused"
    asked = "it asks for a user and a password, which stand before the host: user:password@host"
    reasons: list[tuple[bool, str]] = [
        (isinstance(error, av.HTTPUnauthorizedError), refused if user else asked),
        (isinstance(error, av.HTTPForbiddenError), "access is forbidden"),
        (isinstance(error, av.HTTPNotFoundError), "there is no stream at this path"),
        (
            isinstance(error, av.HTTPTooManyRequestsError),
            "the server was asked too often and wants to be left alone for a while",
        ),
        (isinstance(error, av.HTTPClientError), "the server refuses what it is asked for"),
        (
            isinstance(error, av.HTTPServerError),
            "the server answers that it cannot (5xx), as where it has too many viewers",
        ),
        (isinstance(error, av.EOFError), "it ended before anything came"),
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
            late or isinstance(error, _UNHEARD),
            "nothing came in time; is the source on and sending?",
        ),
        (
            broken and secure,
            f"the host breaks off; perhaps it does not speak {scheme}, but {scheme[:-1]}",
        ),
        (broken, f"the host breaks off; perhaps it does not speak {scheme}, or not at this port"),
        (number in _BROKEN, "the connection broke"),
        (
            isinstance(error, av.InvalidDataError) and scheme in {"rtsp", "rtsps"} and opening,
            f"what answers does not speak {scheme}; is the port right?",
        ),
        (isinstance(error, av.InvalidDataError), "what comes is not video that can be read"),
        (isinstance(error, av.FFmpegError), str(getattr(error, "strerror", "") or error)),
    ]
    return next((text for holds, text in reasons if holds), str(error))
