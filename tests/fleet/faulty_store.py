"""An object store that is reached through a proxy which fails, waits and breaks off."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW = 0.4
"""Seconds that a slow answer takes."""

_ANSWERS = {
    "500": (500, "InternalError"),
    "503": (503, "SlowDown"),
    "expired": (400, "ExpiredToken"),
}

Fault = Callable[[str, str, int], str]
"""By method, path and how many requests came before: "", "500", "503", "expired", "slow", "reset",
"half"."""


class FaultyStore:
    """Passes requests on to a store, but for those that fail.

    Attributes:
        faults: what was done to requests, how often.
        fault: says what is done to one; it may change on the way.
    """

    def __init__(self, host: str, port: int, fault: Fault) -> None:
        self.fault = fault
        self.faults: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._count = 0
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                return

            def _pass(self) -> None:
                body = self._body()
                kind = store._next(self.command, self.path)
                if kind in _ANSWERS:
                    self._fail(*_ANSWERS[kind])
                    return
                if kind == "slow":
                    time.sleep(SLOW)
                if kind == "reset":
                    self._break_off()
                    return
                onward = http.client.HTTPConnection(host, port, timeout=60)
                try:
                    headers = {key: value for key, value in self.headers.items() if key != "Expect"}
                    headers.pop("Transfer-Encoding", None)
                    headers["Content-Length"] = str(len(body))
                    onward.request(self.command, self.path, body, headers)
                    answer = onward.getresponse()
                    data = answer.read()
                finally:
                    onward.close()
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(key, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(data)))
                self._end()
                if kind == "half" and data:
                    self.wfile.write(data[: len(data) // 2])
                    self._break_off()
                    return
                self.wfile.write(data)

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    continue
                return b"".join(parts)

            def _fail(self, status: int, code: str) -> None:
                data = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(data)))
                self._end()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def _end(self) -> None:
                self.send_header("Connection", "close")  # no thread is to wait for more
                self.end_headers()

            def _break_off(self) -> None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                return  # the other side has gone

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def _next(self, method: str, path: str) -> str:
        with self._lock:
            count = self._count
            self._count += 1
        kind = self.fault(method, path, count)  # which may ask the store itself
        with self._lock:
            self.faults.update([kind] * bool(kind))
        return kind

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
