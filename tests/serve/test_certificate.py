"""Certificates that are made, and those that are given."""

from __future__ import annotations

import ssl
import subprocess

import pytest

from stream.errors import UsageError
from stream.serve.certificate import fingerprint, given_context, made_context


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
