"""Certificates that are made and kept, and those that are given."""

from __future__ import annotations

import ssl
import subprocess
from datetime import datetime

import pytest

from stream.errors import UsageError
from stream.serve import certificate
from stream.serve.certificate import (
    Renewal,
    fingerprint,
    given_context,
    kept_context,
    made_context,
    read_kept,
)


def certificate_of(context: ssl.SSLContext) -> bytes:
    """What a client is shown, by a handshake in memory."""
    client = ssl.create_default_context()
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server)
    other = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (one, other):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return one.getpeercert(binary_form=True)


def test_one_is_made_for_the_names_and_its_fingerprint_is_true():
    context, shown = made_context(["localhost", "127.0.0.1", "booth.example", "::1"])
    found = certificate_of(context)
    assert fingerprint(found) == shown
    from cryptography import x509

    names = x509.load_der_x509_certificate(found).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(one.value) for one in names.value] == [
        "localhost", "127.0.0.1", "booth.example", "::1",
    ]  # fmt: skip
    assert made_context(["localhost"])[1] != shown, "every start has its own"


def test_the_next_start_has_it_again_whatever_ipv6_addresses_there_are(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _, first = kept_context(["localhost", "192.0.2.7", "2001:db8::1"])
    context, second = kept_context(["localhost", "192.0.2.7", "2001:db8::2"])
    assert first == second == fingerprint(certificate_of(context))
    assert kept_context(["localhost", "192.0.2.8"])[1] != first, "in another network it has another"
    assert kept_context(["192.0.2.7", "localhost"])[1] == first, "and the same back in the first"
    files = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert len(files) == 2 and all(one.stat().st_mode & 0o777 == 0o600 for one in files)


@pytest.mark.parametrize("what", ["read by others", "cut off", "of another key", "nearly over"])
def test_one_that_cannot_be_trusted_is_made_anew(tmp_path, monkeypatch, what):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if what == "nearly over":
        monkeypatch.setattr(certificate, "_DAYS", 20)
    _, first = kept_context(["localhost"])
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (file,) = (one for one in tmp_path.rglob("*") if one.is_file())
    both = file.read_bytes()
    if what == "read by others":
        file.chmod(0o644)
    elif what == "cut off":
        file.write_bytes(both[:-60])
    elif what == "of another key":
        other = certificate.make(["localhost"])
        mark = b"-----BEGIN CERTIFICATE-----"
        file.write_bytes(other.partition(mark)[0] + mark + both.partition(mark)[2])
    _, second = kept_context(["localhost"])
    assert second != first
    assert kept_context(["localhost"])[1] == second, "which is then kept"


def test_where_nothing_can_be_kept_there_is_one_for_this_start(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    context, shown = kept_context(["localhost"])
    assert fingerprint(certificate_of(context)) == shown


def test_one_of_before_the_clock_was_set_is_exchanged_while_the_page_is_served(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    class In1970(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(1970, 1, 2, tzinfo=tz)

    monkeypatch.setattr(certificate, "datetime", In1970)
    context, first = kept_context(["localhost"])
    renewal = Renewal(context, first, lambda: read_kept(["localhost"]))
    assert not renewal.renew() and fingerprint(certificate_of(context)) == first
    monkeypatch.setattr(certificate, "datetime", datetime)
    assert renewal.renew() and renewal.fingerprint != first
    assert fingerprint(certificate_of(context)) == renewal.fingerprint
    assert not renewal.renew(), "which holds for a year"


def test_one_of_the_user_s_is_read_again_once_it_was_renewed(tmp_path, caplog):
    file = tmp_path / "both.pem"
    file.write_bytes(certificate.make(["localhost"]))
    context, first = given_context(file, None)
    renewal = Renewal(context, first, lambda: given_context(file, None))
    file.write_text("half")
    assert not renewal.renew() and not renewal.renew()
    assert fingerprint(certificate_of(context)) == first
    assert len(caplog.records) == 1 and "goes on with the one before" in caplog.text
    file.write_bytes(certificate.make(["localhost"]))
    assert renewal.renew()
    assert fingerprint(certificate_of(context)) == renewal.fingerprint != first


def test_one_of_the_user_s_is_taken(tmp_path):
    key, file = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=booth",
         "-keyout", str(key), "-out", str(file)],
        check=True, capture_output=True,
    )  # fmt: skip
    context, shown = given_context(file, key)
    assert fingerprint(certificate_of(context)) == shown
    both = tmp_path / "both.pem"
    both.write_text(key.read_text() + file.read_text())
    assert given_context(both, None)[1] == shown
    with pytest.raises(UsageError, match=r"certificate\.pem cannot be used"):
        given_context(file, None)


@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"\xff" * 100])
def test_what_is_none_is_refused_in_a_sentence(tmp_path, content):
    file = tmp_path / "certificate.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=r"certificate\.pem cannot be used") as refused:
        given_context(file, None)
    assert "\n" not in str(refused.value)
