"""Real servers for the network tests: GStreamer's RTSP server, nginx for RTMP."""

from __future__ import annotations

import http.server
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil
import pytest

from stream.system.srt import TOOL
from tests.sources.serving import free_port

_RTSP_SERVER = Path(__file__).with_name("rtsp_server.py")
_NGINX_RTMP = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")


_OF_MP4 = ("qtdemux", "rtph264pay", "rtpmp4apay", "mulawenc", "rtppcmupay")
_OF_TS = ("tsdemux", "h264parse", "aacparse", "rtph264pay", "rtpmp4apay")


@cache
def _rtsp_missing(*elements: str) -> bool:
    python = Path("/usr/bin/python3")
    return not python.exists() or bool(
        subprocess.run(
            [python, _RTSP_SERVER, "--check", *elements], check=False, capture_output=True
        ).returncode
    )


class RtspServer:
    def __init__(self, clip: Path, *login: str) -> None:
        broadcast = clip.suffix == ".ts"
        if _rtsp_missing(*(_OF_TS if broadcast else _OF_MP4)):
            pytest.skip(
                "GStreamer's RTSP server is not here: apt-get install python3-gi "
                "gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
                + (" gstreamer1.0-plugins-bad" if broadcast else "")
            )
        self.port, self._clip, self._login = free_port(), clip, login
        self.address = f"rtsp://127.0.0.1:{self.port}/stream"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["/usr/bin/python3", _RTSP_SERVER, str(self.port), self._clip, *self._login],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None


@contextmanager
def rtsp(clip: Path, *login: str) -> Iterator[RtspServer]:
    server = RtspServer(clip, *login)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Nginx:
    """An RTMP server that passes on what is published to it; it can be killed and come back."""

    def __init__(self, folder: Path) -> None:
        self._nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        if not Path(self._nginx).exists() or not _NGINX_RTMP.exists():
            pytest.skip("nginx's RTMP module is not here: apt-get install nginx libnginx-mod-rtmp")
        self.port = free_port()
        self._folder, self._config = folder, folder / "nginx.conf"
        self._config.write_text(
            f"load_module {_NGINX_RTMP};\n"
            "daemon off; master_process off;\n"
            f"pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
            "events { worker_connections 64; }\n"
            f"rtmp {{ server {{ listen 127.0.0.1:{self.port};"
            " application app { live on; } } }\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begins to listen."""
        log = f"{self._folder}/error.log"
        self._process = subprocess.Popen(
            [self._nginx, "-c", self._config, "-p", self._folder, "-e", log],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while not any(
            connection.status == psutil.CONN_LISTEN
            for connection in psutil.Process(self._process.pid).net_connections()
        ):
            assert time.monotonic() < deadline and self._process.poll() is None
            time.sleep(0.02)

    def kill(self) -> None:
        """Ends at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def rtmp_server(folder: Path) -> Iterator[int]:
    """An RTMP server; yields its port."""
    server = Nginx(folder)
    server.start()
    try:
        yield server.port
    finally:
        server.kill()


SRT_PHRASE = "hunter2pass"


@contextmanager
def srt(udp_port: int, port: int | None = None) -> Iterator[str]:
    """An SRT listener, encrypted, that sends on what comes to a UDP port; yields its address."""
    tool = shutil.which(TOOL)
    if tool is None:
        pytest.skip(f"{TOOL} is not here: apt-get install srt-tools")
    address = f"srt://127.0.0.1:{port or free_port()}"
    listener = f"{address}?mode=listener&passphrase={SRT_PHRASE}"
    process = subprocess.Popen(
        [tool, "-quiet", "-chunk:1316", f"udp://127.0.0.1:{udp_port}", listener],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield address
    finally:
        process.kill()
        process.wait()


class Answering(http.server.ThreadingHTTPServer):
    """Ends with all its connections: its handlers look at `ended`, and closing it joins them."""

    daemon_threads = False

    def __init__(self, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.ended = threading.Event()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        channel, address = super().get_request()
        channel.settimeout(20)  # seconds that a handler waits for a reader, or for what it asks
        return channel, address


@contextmanager
def answering(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    with Answering(handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()
