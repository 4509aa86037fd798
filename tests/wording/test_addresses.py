"""Nothing secret of an address is ever shown."""

from __future__ import annotations

import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.wording.addresses import clean, dialled, keep_out_of_logs, redact, secrets_of, split
from stream.wording.names import name_of


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:secret@camera/stream", "rtsp://camera/stream"),
        ("rtsp://user:se@cret@camera:554/stream", "rtsp://camera:554/stream"),
        ("rtsp://user:se/cret@camera:554/stream", "rtsp://camera:554/stream"),
        ("rtsp://user:a@b:c/d@camera/stream", "rtsp://camera/stream"),
        ("http://camera:8080/@channel/live.m3u8", "http://camera:8080/@channel/live.m3u8"),
        ("http://camera/live.m3u8?token=abc&x=1", "http://camera/live.m3u8?***"),
        ("srt://camera:9000?passphrase=secret", "srt://camera:9000?***"),
        ("udp://@239.0.0.1:1234", "udp://239.0.0.1:1234"),
        ("rtsp://[fe80::1]:554/stream", "rtsp://[fe80::1]:554/stream"),
        ("nonsense", "nonsense"),
        ("rtsp://admin:1234#x@10.0.0.5:554/h264", "rtsp://10.0.0.5:554/h264"),
        ("rtsp://admin:1234?x@camera/h264", "rtsp://camera/h264"),
        ("rtsp://admin:1234/x@10.0.0.5/h264", "rtsp://10.0.0.5/h264"),
        ("rtsp://admin:p#a?s/s@camera/h264?channel=1", "rtsp://camera/h264?***"),
        ("RTSP://admin:pass@camera/h264", "RTSP://camera/h264"),
        ("rtsp://10.0.0.5:554/user@place", "rtsp://10.0.0.5:554/user@place"),
        ("rtsp://camera:554/live@1", "rtsp://camera:554/live@1"),
        ("http://camera:80/me@example.org/x", "http://camera:80/me@example.org/x"),
        ("http://camera:80?mail=a@b.org", "http://camera:80?***"),
        ("rtmp://a.example/live2/abcd-efgh", "rtmp://a.example/live2/***"),
        ("RTMPS://me:pass@a.example:443/app/inst/key?x=1", "RTMPS://a.example:443/app/***?***"),
        ("rtmp://a.example/live", "rtmp://a.example/live"),
        ("rtmp:///key", "rtmp:///key"),
        ("whip://token@a.example/whip/stage", "whip://a.example/whip/stage"),
        (f"whip://a.example/{16 * 'c'}/{15 * 'c'}", f"whip://a.example/***/{15 * 'c'}"),
        ("rtsp://localhost:554/live@camera.lan", "rtsp://localhost:554/live@camera.lan"),
        ("rtsp://[::1]:554/live@camera.lan", "rtsp://[::1]:554/live@camera.lan"),
        ("rtsp://camera/live@a.lan", "rtsp://camera/live@a.lan"),
        ("rtsp://me:x?y/z@a.lan/h264#t", "rtsp://a.lan/h264#t"),
        ("http://us er:p@ss/w?#%ä@127.0.0.1:80/cam", "http://127.0.0.1:80/cam"),
        ("rtsp://me:p@ss#w@camera:554/x", "rtsp://camera:554/x"),
        ("https://me:secret@camera:80/@a.lan/x", "https://camera:80/@a.lan/x"),
        ("https://me:secret@camera/@channel/x", "https://camera/@channel/x"),
        ("https://me@camera/@a.lan/x", "https://camera/@a.lan/x"),
        ("s3://raw/what?.mp4", "s3://raw/what?.mp4"),
        ("S3://me:secret@raw/a?b c.mp4", "S3://raw/a?b c.mp4"),
        ("s3://raw/a.mp4?versionId=x", "s3://raw/a.mp4?***"),
        (f"whips://a.example/{64 * 'c'}/webRTC/publish", "whips://a.example/***/webRTC/publish"),
    ],
)
def test_addresses_are_shown_without_secrets(address, shown):
    assert redact(address) == shown


@pytest.mark.parametrize(
    ("address", "dialled_as"),
    [
        ("rtsp://admin:p#w/d?@10.0.0.5:554/h264", "rtsp://admin:p%23w%2Fd%3F@10.0.0.5:554/h264"),
        ("rtsp://admin:1234#@10.0.0.5/h264", "rtsp://admin:1234%23@10.0.0.5/h264"),
        ("rtsp://admin:a@b c@camera/x", "rtsp://admin:a%40b%20c@camera/x"),
        ("http://cam:p@ss:w/rd%#1@camera/x", "http://cam:p%40ss:w%2Frd%25%231@camera/x"),
        ("http://joe:p@ss/w?#1@cam.lan/x", "http://joe:p%40ss%2Fw%3F%231@cam.lan/x"),
        ("rtsp://admin:p%40ss@camera/x", "rtsp://admin:p%40ss@camera/x"),
        ("RTSP://camera/Path?A=B", "rtsp://camera/Path?A=B"),
        ("HTTP://Camera/x.m3u8", "http://Camera/x.m3u8"),
        ("udp://@239.0.0.1:1234", "udp://@239.0.0.1:1234"),
        ("http://camera/live.m3u8?token=a/b#c", "http://camera/live.m3u8?token=a/b#c"),
        ("nonsense", "nonsense"),
    ],
)
def test_passwords_are_escaped_for_who_splits_addresses_strictly(address, dialled_as):
    assert dialled(address) == dialled_as


def test_secrets_are_known_as_written_and_as_meant():
    found = secrets_of("rtsp://me:p%40ss@camera/x?token=t0ken")
    assert {"me", "p%40ss", "p@ss", "t0ken", "me:p%40ss"} <= found
    assert secrets_of("rtsp://me:a:b@camera/x") == {"me:a:b", "me", "a:b"}


def test_a_key_that_might_be_a_word_is_a_secret_only_where_that_is_asked_for():
    for key, always in (("livelive", True), ("livelif", False)):
        address = f"rtmp://a.example/app/{key}"
        assert secrets_of(address) == ({key} if always else set())
        assert secrets_of(address, words=True) == {key}


def test_only_a_short_secret_has_to_be_a_whole_word():
    assert clean("theirpassw0rds", {"passw0rd"}) == "their***s"
    assert clean("theirpassw0s, passw0", {"passw0", "passw0r"}) == "theirpassw0s, ***"
    # The longer one first, of which the other is a part.
    assert clean("is secret-word-2", {"secret-word", "secret-word-2"}) == "is ***"


@given(
    user=st.text("abcXYZ019._-", min_size=1, max_size=12),
    password=st.text("abcXYZ019%!$:@ü", min_size=3, max_size=20),
)
def test_no_password_survives(user, password):
    address = f"rtsp://{user}:{password}@camera.local:554/stream1"
    assert password not in redact(address).replace("camera.local:554/stream1", "")
    text = clean(f"cannot open '{address}': refused", secrets_of(address))
    assert password not in text.replace("camera.local:554/stream1", "")


def test_texts_of_others_are_cleaned():
    text = clean("Server returned 401 for rtsp://a:b@host/x, user admin", {"admin"})
    assert text == "Server returned 401 for rtsp://***@host/x, user ***"
    assert clean("administration", {"admin"}) == "administration"
    assert clean("http://h/p?key=1 and more") == "http://h/p?*** and more"
    for name in ("s3://raw/a?b", "s3a://raw/?", "GS://raw/a b?c"):
        assert clean(f"{name} c.mp4 is empty") == f"{name} c.mp4 is empty"
    assert clean("s3://raw/a?b=c or http://h?k") == "s3://raw/a?*** or http://h?***"


@pytest.mark.parametrize("key", ["live", "abcd-efgh-ijkl", "in/stance/key9", "a:b,c.d"])
def test_a_stream_key_is_in_no_text(key):
    address = f"rtmp://a.example/app/{key}"
    for text in (f"cannot open {address}: refused", f"'{address}' is live", f"{address}.", address):
        found = clean(text, secrets_of(address))
        assert key not in found.replace("is live", "") and "rtmp://a.example/app/***" in found
        assert found.count("***") == 1
        assert found.partition("***")[2] == text.partition(address)[2]
    assert name_of(address) == "a.example-app"
    assert "cannot open it while live" in clean("cannot open it while live", secrets_of(address))


@pytest.mark.parametrize("_", ["once", "and in the next test"])
def test_what_one_test_keeps_out_of_logs_another_may_log(_, caplog):
    with caplog.at_level(logging.WARNING):
        logging.getLogger("libav").warning("plain as a camera")
    assert caplog.messages == ["plain as a camera"]
    keep_out_of_logs("http://plain:camera@a.example/x")


def test_no_log_record_carries_them():
    keep_out_of_logs("rtsp://operator:hunter2pass@camera/x")
    keep_out_of_logs("rtmp://camera/app/cam1")
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    logger = logging.getLogger("libav.rtsp")
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    try:
        logger.warning("CSeq 1 for %s failed: %s", "rtsp://operator:hunter2pass@camera/x", 401)
        logger.warning("%s was refused", "hunter2pass")
        logger.warning("plain %d%%", 5)
        logger.warning("rtmp://camera/app/cam1 is gone")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert text.getvalue() == "CSeq 1 for rtsp://***@camera/x failed: 401\n" + (
        "*** was refused\nplain 5%\nrtmp://camera/app/*** is gone\n"
    )


def test_an_address_falls_into_its_parts():
    assert split("rtsp://a:b@host:1/p") == ("rtsp", "a:b", "host:1/p")
    assert split("/dev/video0") == ("", "", "/dev/video0")


@pytest.mark.parametrize("name", ["why?.mp4", "a?b=c.mp4", "takes/what?/1.mkv", "C:/x?y.mp4", ""])
def test_a_name_of_this_machine_is_shown_as_it_is(name):
    assert redact(name) == name
