"""Receivers of every kind, real ones, that are killed and come back: what they get, in step."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from stream.frame import Frame
from stream.settings.options import OutputOptions
from stream.sinks import network
from stream.sinks._transmission import PATIENCE
from stream.sinks.hls import HlsSink
from stream.sinks.network import NetworkSink
from stream.sources.file import FileSource
from stream.system.srt import TOOL
from tests.sinks.receivers import (
    Process,
    Received,
    apart,
    by_the_senders_clock,
    flashes,
    gstreamer_records,
    receive,
    recorder,
    wait,
)
from tests.sources.parts import Nginx
from tests.sources.serving import free_port

pytestmark = [pytest.mark.slow, pytest.mark.real_time]

IN_STEP = 0.04
"""Seconds that a beep may be away from its flash."""
ENOUGH = 4
"""Flashes."""


class Receiver(ABC):
    """A receiver that can be killed and started again."""

    notices = True
    """Whether the sender finds out that it is gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    @property
    @abstractmethod
    def address(self) -> str: ...

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def kill(self) -> None: ...

    @abstractmethod
    def received(self) -> Received:
        """What came since it was started last."""


class Reading(Receiver):
    """One whose pictures and sound a program of ours reads from an address."""

    reader: Process | None = None
    options: tuple[str, ...] = ()

    @property
    def read_from(self) -> str:
        return self.address

    def start(self) -> None:
        self.reader = Process("tests.sinks.receivers", self.read_from, *self.options)
        self.reader.wait_for("ready")

    def kill(self) -> None:
        if self.reader is not None:
            self.reader.kill()

    def received(self) -> Received:
        assert self.reader is not None
        found = Received()
        for one in list(self.reader.said):
            if "at" in one:
                kind = found.frames if one["kind"] == "video" else found.sound
                kind.append((one["at"], one["value"]))
        return found


class Tcp(Reading):
    address = property(lambda self: f"tcp://127.0.0.1:{self.port}")
    read_from = property(lambda self: f"{self.address}?listen=1")


class Udp(Reading):
    notices = False
    address = property(lambda self: f"udp://127.0.0.1:{self.port}")


class Rtmp(Reading):
    """nginx, and a player at it."""

    address = property(lambda self: f"rtmp://127.0.0.1:{self.port}/app/key")
    options = ("--again",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = Nginx(folder)
        self.port = self.server.port

    def start(self) -> None:
        self.server.start()
        super().start()

    def kill(self) -> None:
        super().kill()
        self.server.kill()


class Srt(Reading):
    """srt-live-transmit, which passes on to a player."""

    address = property(lambda self: f"srt://127.0.0.1:{self.port}")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tool = shutil.which(TOOL)
        if self.tool is None:
            pytest.skip("srt-live-transmit is not here: apt-get install srt-tools")
        self.onwards = free_port()
        self.relay: subprocess.Popen[bytes] | None = None

    read_from = property(lambda self: f"udp://127.0.0.1:{self.onwards}")

    def start(self) -> None:
        super().start()
        heard = f"srt://127.0.0.1:{self.port}?mode=listener"
        self.relay = subprocess.Popen([self.tool, "-quiet", "-chunk:1316", heard, self.read_from])

    def kill(self) -> None:
        super().kill()
        if self.relay is not None:
            self.relay.kill()
            self.relay.wait()


class Rtsp(Receiver):
    """GStreamer's server, which records."""

    address = property(lambda self: f"rtsp://127.0.0.1:{self.port}/live")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        if not gstreamer_records():
            pytest.skip("GStreamer's RTSP server is not here; .ci/run lists its packages")
        self.lives = 0
        self._read, self._found = 0, Received()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def taken(self) -> Path:
        return self.folder / f"taken{self.lives}.mkv"

    def start(self) -> None:
        self.lives += 1
        self._read, self._found = 0, Received()
        self.process = recorder(self.port, self.taken)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()

    def received(self) -> Received:
        size = self.taken.stat().st_size if self.taken.exists() else 0
        # All of it is read each time, so not for every few frames more.
        if size > max(10_000, 1.2 * self._read):
            found = Received()
            receive(str(self.taken), found)
            # Until the first report of the sender's clock the server goes by what arrives when.
            first = found.frames[0][0] + 2.0 if found.frames else 0.0
            found.frames = [one for one in found.frames if one[0] >= first]
            self._read, self._found = size, found
        return self._found


class Whip(Receiver):
    """aiortc's, behind HTTP, with a token."""

    address = property(lambda self: f"whip://a%20token@127.0.0.1:{self.port}/live")

    def start(self) -> None:
        self.process = Process("tests.sinks.whip_receiver", str(self.port), "a token")
        self.process.wait_for("ready")

    def kill(self) -> None:
        self.process.kill()

    def received(self) -> Received:
        said = list(self.process.said)
        return by_the_senders_clock(said)


class Hls(Reading):
    """A player of the playlist, which joins where it is."""

    notices = False
    options = ("--again",)
    address = property(lambda self: str(self.folder / "live.m3u8"))


class Feeder:
    """Hands a film with flashes and beeps to a sink at its pace, as a camera would."""

    def __init__(self, clip: Path, sink_of) -> None:
        self.source = FileSource(clip)
        self.sink = sink_of(replace(self.source.info, live=True))
        self.longest = 0.0
        self.error: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        began = time.monotonic()
        try:
            for item in self.source:
                if isinstance(item, Frame):
                    ahead = began + item.pts_seconds - time.monotonic()
                    if self._over.wait(max(0.0, ahead)):
                        break
                start = time.monotonic()
                self.sink.write(item)
                self.longest = max(self.longest, time.monotonic() - start)
        except BaseException as error:  # noqa: BLE001 - raised where the test is
            self.error = error

    def until(self, condition, seconds: float = 110.0) -> None:
        """Waits for something while it goes on."""
        wait(lambda: self.error is not None or condition(), seconds)
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """The camera ends, the sink is still there."""
        self._over.set()
        self._thread.join(30)
        if self.error is not None:
            raise self.error

    def let_go(self) -> None:
        """Nothing of it stays, whatever has happened."""
        self._over.set()
        self._thread.join(30)
        self.sink.abort()
        self.source.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return flashes(tmp_path_factory.mktemp("clip") / "clip.mp4", 240)


def seen(receiver: Receiver) -> list[float]:
    return apart(receiver.received())


def _in_step(found: list[float]) -> bool:
    """Whether so many flashes in a row are where their beeps are.

    Some receivers go by when things arrive for a while, which says more of a busy machine than of
    what was sent.
    """
    near = [abs(one) <= IN_STEP for one in found]
    return any(all(near[at : at + ENOUGH]) for at in range(len(near) - ENOUGH + 1))


@pytest.mark.timeout(500)
@pytest.mark.parametrize("kind", [Rtmp, Rtsp, Srt, Udp, Tcp, Whip, Hls])
def test_one_that_is_killed_and_comes_back_gets_pictures_and_sound_in_step_again(
    kind, clip, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(network, "_FIRST_WAIT", 0.5)
    # A receiver's first answer may take as long as a busy machine takes to start it.
    monkeypatch.setattr(network, "PATIENCE", 60.0)
    receiver = kind(tmp_path)
    fast = OutputOptions(preset="ultrafast")
    maker = HlsSink if kind is Hls else NetworkSink
    with ExitStack() as stack:
        stack.callback(receiver.kill)
        if kind is not Hls:
            receiver.start()
        feeder = Feeder(clip, lambda info: maker.from_target(receiver.address, info, fast))
        stack.callback(feeder.let_go)
        if kind is Hls:
            feeder.until(Path(receiver.address).exists)
            receiver.start()
        feeder.until(lambda: _in_step(seen(receiver)))
        first = seen(receiver)
        receiver.kill()
        if receiver.notices:
            feeder.until(lambda: feeder.sink._gone == 1)
        else:
            time.sleep(2)
        receiver.start()
        feeder.until(lambda: _in_step(seen(receiver)))
        second = seen(receiver)
        feeder.stop()
        feeder.sink.close()
        remarks = " ".join(feeder.sink.remarks)
    print(kind.__name__, [round(one, 3) for one in first], [round(one, 3) for one in second],
          f"longest write {feeder.longest:.3f} s")  # fmt: skip
    # Far below what a receiver is waited for, far above what a busy machine takes.
    assert feeder.longest < PATIENCE - 2, "the camera would have stood still"
    if receiver.notices:
        assert "went away once and was connected to again" in remarks
        assert "frames were not sent" in remarks and "trying again in 0.5 s" in caplog.text
    assert "token" not in caplog.text + remarks
