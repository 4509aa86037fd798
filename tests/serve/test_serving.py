"""Where people are told that the page is."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import psutil
import pytest

from stream.serve import serving
from stream.settings.serve_options import ServeOptions

NETWORKS = {
    "lo": ["127.0.0.1", "::1"],
    "docker0": ["172.17.0.1"],
    "br-3f2a": ["10.5.0.1"],
    "eth0": ["192.168.7.20", "2001:db8::20", "fe80::1%eth0"],
    "wlan0": ["192.168.1.5"],
    "eth1": ["10.0.0.3"],
}


@pytest.fixture
def networks(monkeypatch):
    def one(address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return SimpleNamespace(family=family, address=address)

    found = {name: [one(each) for each in several] for name, several in NETWORKS.items()}
    up = {name: SimpleNamespace(isup=name != "eth1") for name in NETWORKS}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)
    monkeypatch.setattr(psutil, "net_if_stats", lambda: up)


REAL = ["192.168.1.5", "192.168.7.20"]
REST = ["10.5.0.1", "172.17.0.1", "2001:db8::20"]


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize(
    ("outward", "wanted"),
    [
        ("192.168.7.20", ["192.168.7.20", "192.168.1.5", *REST]),
        ("192.168.1.5", [*REAL, *REST]),
        (None, [*REAL, *REST]),
    ],
)
def test_the_address_that_others_reach_comes_first(monkeypatch, outward, wanted):
    monkeypatch.setattr(serving, "_outward", lambda: outward)
    assert serving.addresses() == wanted


@pytest.mark.usefixtures("networks")
def test_the_link_is_one_that_a_phone_can_open_and_the_others_are_named(monkeypatch):
    monkeypatch.setattr(serving, "_outward", lambda: "192.168.1.5")
    said: list[str] = []
    serving._announce(said.append, ServeOptions(host="0.0.0.0"), 8000, "t" * 16, "AB")
    assert said[0] == f"the page is at https://192.168.1.5:8000/#token={'t' * 16} (Ctrl-C ends it)"
    assert said[1].endswith(": 192.168.7.20, 10.5.0.1, 172.17.0.1") and "t" * 16 not in said[1]


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize(
    ("host", "both", "shown"),
    [
        ("0.0.0.0", True, "192.168.1.5"),
        ("::", True, "192.168.1.5"),
        ("::", False, "[2001:db8::20]"),
        ("::1", True, "[::1]"),
    ],
)
def test_the_link_is_of_the_kind_of_addresses_that_it_listens_at(monkeypatch, host, both, shown):
    monkeypatch.setattr(serving, "_outward", lambda: None)
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: both)
    said: list[str] = []
    serving._announce(said.append, ServeOptions(host=host), 8000, None, None)
    assert said[0].startswith(f"the page is at http://{shown}:8000/ ")


def test_it_is_found_without_a_word_to_anybody():
    assert serving._outward() is None or serving._outward() in serving.addresses()
