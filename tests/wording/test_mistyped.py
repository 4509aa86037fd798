"""Addresses that nothing can be reached by."""

from __future__ import annotations

from stream.wording.mistyped import fault_of

GOOD = (
    "http://camera/x",
    "http://camera:8080/a:b:c",
    "http://[::1]/x",
    "http://[fe80::1%25eth0]:80",
    "http://user:pass:word@camera/x",
    "rtsp://user:p@ss@10.0.0.1:554/stream",
    "rtmp://0.0.0.0/live/key?listen=1",
    "udp://@:5000",
    "udp://:5000",
    "udp://@239.1.1.1:5000?localaddr=10.0.0.1",
    "tcp://:5000?listen=1",
    "srt://:5000?mode=listener",
    "rtp://239.1.1.1:5004",
    "rtsp://camera:/x",
)
BAD = {
    "http://[::1": "bracket",
    "http://[::1]8080/x": "colon and the port",
    "http://::1/x": "in brackets",
    "http://user:secret@fe80::1:80/x": "in brackets",
    "http://camera:99999/x": "number from 1 to 65535, not '99999'",
    "rtsp://camera:abc/x": "not 'abc'",
    "rtsp://camera:0/x": "not '0'",
    "udp://camera": "as in udp://camera:5000",
    "udp://": "as in udp://0.0.0.0:5000",
    "srt://[::1]?mode=caller": "as in srt://[::1]:5000",
    "tcp://:5000": "no host, as in tcp://camera:5000/stream",
    "http:///x": "no host, as in http://camera/stream",
    "http://camera name/x": "blank",
}


def test_what_is_wrong_with_an_address_is_said_and_nothing_of_a_right_one():
    assert {one: fault_of(one) for one in GOOD} == dict.fromkeys(GOOD)
    for address, words in BAD.items():
        assert words in (fault_of(address) or ""), (address, fault_of(address))
        assert "secret" not in (fault_of(address) or "")
