"""Whether somebody waits for connections, told without calling."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from stream.settings.options import OutputOptions
from stream.sinks import _listening
from stream.sinks._listening import listens_here
from stream.sinks.network import NetworkSink
from tests.sinks.test_network import INFO
from tests.sources.serving import free_port

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who listens")


@LINUX
@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
def test_who_waits_for_one_call_is_not_called_to_see_if_he_is_there(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        NetworkSink(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/live/x", INFO, OutputOptions())
        with pytest.raises(BlockingIOError):
            server.accept()


@LINUX
def test_any_address_takes_calls_to_all() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        assert listens_here("127.0.0.1", port) and listens_here("127.0.0.2", port)
        assert not listens_here("192.0.2.1", port), "another machine's"
        assert not listens_here("no such name", port)


@LINUX
@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_addresses_of_ipv6_are_known() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        assert listens_here("127.0.0.1", server.getsockname()[1])
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        assert listens_here("::1", port) and not listens_here("127.0.0.1", port)


def test_where_nobody_listens_or_nothing_tells_one_has_to_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not listens_here("127.0.0.1", free_port())
    monkeypatch.setattr(_listening, "_TABLES", (str(tmp_path / "tcp"),))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not listens_here("127.0.0.1", port)
        NetworkSink(f"rtmp://127.0.0.1:{port}/live/x", INFO, OutputOptions())
        server.settimeout(60)
        server.accept()[0].close()
